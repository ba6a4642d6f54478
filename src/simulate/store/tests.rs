use serde_json::json;

use super::*;
use crate::clock::VirtualClock;

fn store() -> Arc<Store> {
    Store::new(Arc::new(VirtualClock::starting_at("2026-03-01T02:00:00.5Z".parse().unwrap())))
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"namespace": "web", "name": name}, "spec": {"nodeName": "node-1"}})
}

#[test]
fn a_pod_that_comes_back_under_its_name_is_another_pod() {
    let store = store();
    let first = store.apply(Kind::Pod, pod("a"));
    assert_eq!(first["apiVersion"], "v1");
    assert_eq!(first["kind"], "Pod");
    assert_eq!(first["metadata"]["creationTimestamp"], "2026-03-01T02:00:00Z");
    assert_eq!(first["metadata"]["resourceVersion"], "1");
    store.remove(Kind::Pod, Some("web"), "a").unwrap();
    assert_eq!(store.get(Kind::Pod, Some("web"), "a"), None);
    let second = store.apply(Kind::Pod, pod("a"));
    assert_ne!(first["metadata"]["uid"], second["metadata"]["uid"]);
    assert_eq!(second["metadata"]["uid"].as_str().unwrap().len(), 36);
}

#[test]
fn writing_what_is_there_makes_no_event_and_a_new_spec_a_new_generation() {
    let store = store();
    let mut changes = store.changes();
    store.apply(Kind::Pod, pod("a"));
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    store.apply(Kind::Pod, pod("a"));
    store.update(Kind::Pod, Some("web"), "a", |_| {}).unwrap();
    assert!(!changes.has_changed().unwrap());
    let moved = store.update(Kind::Pod, Some("web"), "a", |pod| pod["spec"]["nodeName"] = json!("node-2")).unwrap();
    assert_eq!(moved["metadata"]["generation"], 2);
    assert_eq!(store.changes_since(Kind::Pod, 1).unwrap().len(), 1);
}

#[test]
fn a_list_is_of_one_namespace_or_of_all() {
    let store = store();
    store.apply(Kind::Pod, pod("b"));
    store.apply(Kind::Pod, pod("a"));
    store.apply(Kind::Pod, json!({"metadata": {"namespace": "web-two", "name": "c"}}));
    store.apply(Kind::Node, json!({"metadata": {"name": "node-1"}}));
    let names = |objects: Vec<Value>| objects.iter().map(|object| field(object, "name").to_owned()).collect::<Vec<_>>();
    assert_eq!(names(store.list(Kind::Pod, Some("web"))), ["a", "b"]);
    assert_eq!(names(store.list(Kind::Pod, None)), ["a", "b", "c"]);
    assert_eq!(names(store.list(Kind::Node, None)), ["node-1"]);
    assert!(store.get(Kind::Node, Some("ignored"), "node-1").is_some());
}

#[test]
fn whoever_is_too_far_behind_must_list_again() {
    let store = store();
    for step in 0..=CHANGES_KEPT {
        store.apply(Kind::ConfigMap, json!({"metadata": {"namespace": "web", "name": "c"}, "data": {"step": step}}));
    }
    assert_eq!(store.changes_since(Kind::ConfigMap, 0).unwrap_err(), TooOld { asked: 0, oldest: 1 });
    assert_eq!(store.changes_since(Kind::ConfigMap, 1).unwrap().len(), CHANGES_KEPT);
}

#[test]
fn whoever_watches_a_quiet_kind_is_not_behind() {
    let store = store();
    let mut after = 0;
    for step in 0..=CHANGES_KEPT {
        store.apply(Kind::ConfigMap, json!({"metadata": {"namespace": "web", "name": "c"}, "data": {"step": step}}));
        assert!(store.catch_up(Kind::Pod, &mut after).unwrap().is_empty());
    }
    store.apply(Kind::Pod, pod("a"));
    assert_eq!(store.catch_up(Kind::Pod, &mut after).unwrap().len(), 1);
}
