use futures::{StreamExt, TryStreamExt};
use kube::{
    ResourceExt,
    api::{WatchEvent, WatchParams},
    runtime::watcher,
};

use super::*;
use crate::simulate::store::CHANGES_KEPT;

#[tokio::test]
async fn a_watch_plays_back_what_was_missed_and_then_follows() {
    let mesh = Mesh::start().await;
    let since = mesh.store.changes().borrow().to_string();
    mesh.store.remove(Kind::Pod, Some("web"), "frontend-a").unwrap();
    let only_node_1 = WatchParams::default().fields("spec.nodeName=node-1");
    let mut events = Box::pin(mesh.pods().watch(&only_node_1, &since).await.unwrap());
    let first = events.try_next().await.unwrap().unwrap();
    assert!(matches!(first, WatchEvent::Deleted(pod) if pod.name_any() == "frontend-a"));
    mesh.store.apply(Kind::Pod, pod("elsewhere", "node-2", true));
    mesh.store.apply(Kind::Pod, pod("frontend-c", "node-1", false));
    mesh.store.apply(Kind::Pod, pod("frontend-c", "node-1", true));
    let second = events.try_next().await.unwrap().unwrap();
    assert!(matches!(second, WatchEvent::Added(pod) if pod.name_any() == "frontend-c"));
    assert!(matches!(events.try_next().await.unwrap().unwrap(), WatchEvent::Modified(_)));
    mesh.store.apply(Kind::Pod, pod("frontend-c", "node-2", true));
    // It has left the selection: for this watcher it is gone.
    assert!(matches!(events.try_next().await.unwrap().unwrap(), WatchEvent::Deleted(_)));
}

#[tokio::test]
async fn both_ways_of_the_watcher_end_their_list_and_see_the_next_pod() {
    let mesh = Mesh::start().await;
    for (name, config) in
        [("next-1", watcher::Config::default()), ("next-2", watcher::Config::default().streaming_lists())]
    {
        let mut events = Box::pin(watcher(mesh.pods(), config));
        while !matches!(events.next().await.unwrap().unwrap(), watcher::Event::InitDone) {}
        mesh.store.apply(Kind::Pod, pod(name, "node-1", true));
        let next = events.next().await.unwrap().unwrap();
        assert!(matches!(next, watcher::Event::Apply(pod) if pod.name_any() == name));
    }
}

#[tokio::test]
async fn a_watch_from_a_forgotten_version_is_told_to_list_again() {
    let mesh = Mesh::start().await;
    for step in 0..=CHANGES_KEPT {
        mesh.store
            .apply(Kind::ConfigMap, json!({"metadata": {"namespace": "web", "name": "c"}, "data": {"step": step}}));
    }
    let Err(kube::Error::Api(status)) = mesh.pods().watch(&WatchParams::default(), "1").await.map(|_| ()) else {
        panic!("not refused")
    };
    assert_eq!(status.code, 410);
}
