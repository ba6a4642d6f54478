use jiff::SignedDuration;
use serde_json::json;

use super::{Mesh, fix_of, pod, pod_ref, target, three_in_the_morning};
use crate::{cluster::replacement::Replacement, incident::Fix, mesh::TargetRef, simulate::store::Kind};

/// A night on which frontend-a was evicted, and where its replacement stands.
struct Evicted {
    mesh: Mesh,
    fix: Fix,
    target: TargetRef,
}

impl Evicted {
    async fn from(text: &str) -> Self {
        let mesh = Mesh::start().await;
        let mut fix = fix_of(target(text), &pod_ref("frontend-a"), &mesh.uid("frontend-a"));
        let plan = fix.plan.as_mut().unwrap();
        plan.lives = vec![mesh.uid("frontend-a"), mesh.uid("frontend-b")];
        // The bot's clock is ahead of the API server's: what comes up now looks older than the plan.
        plan.drawn_at += SignedDuration::from_hours(1);
        mesh.clock.advance(SignedDuration::from_mins(2));
        mesh.store.remove(Kind::Pod, Some("web"), "frontend-a");
        Self { mesh, fix, target: target(text) }
    }

    async fn awaits(&self) -> String {
        let planned = self.fix.plan.as_ref().unwrap().pods().next().unwrap();
        let found =
            self.mesh.reach.replacement(&self.target, &self.fix, planned, three_in_the_morning()).await.unwrap();
        match found {
            Replacement::Awaited(why) => why,
            Replacement::Ready(found, _) => panic!("{} holds no SVID", found.pod),
        }
    }
}

#[tokio::test]
async fn a_sibling_that_was_there_before_is_not_taken_for_the_replacement() {
    let night = Evicted::from("svc/frontend").await;
    assert!(night.awaits().await.contains("has not started a new pod yet"));
}

#[tokio::test]
async fn the_replacement_is_waited_for_until_it_is_ready_and_its_svid_was_seen() {
    let night = Evicted::from("svc/frontend").await;
    let mut new = pod("frontend-c");
    new["status"]["conditions"] = json!([]);
    night.mesh.store.apply(Kind::Pod, new);
    assert!(night.awaits().await.contains("web/frontend-c is not Ready yet"));
    night.mesh.store.apply(Kind::Pod, pod("frontend-c"));
    assert!(night.awaits().await.contains("the SVID of web/frontend-c could not be read"));
}

/// A target that is a pod names the evicted one for ever.
#[tokio::test]
async fn an_incident_about_a_pod_finds_the_replacement_under_its_new_name() {
    let night = Evicted::from("pod/frontend-a").await;
    night.mesh.store.apply(Kind::Pod, pod("frontend-c"));
    assert!(night.awaits().await.contains("web/frontend-c"));
}

#[tokio::test]
async fn a_replacement_that_another_step_has_seen_is_not_counted_twice() {
    let mut night = Evicted::from("svc/frontend").await;
    night.mesh.store.apply(Kind::Pod, pod("frontend-c"));
    night.fix.replacements.push((pod_ref("frontend-c"), night.mesh.uid("frontend-c")));
    assert!(night.awaits().await.contains("has not started a new pod yet"));
}
