use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Machines, Mesh, fix_of, pod, pod_ref, target, three_in_the_morning};
use crate::{
    cluster::fix::Settled,
    incident::Fix,
    mesh::TargetRef,
    remediation::{Operation, StepResult},
    simulate::store::Kind,
    triage::Evidence,
};

/// A night on which frontend-a was evicted, and where its replacement stands.
struct Evicted {
    mesh: Mesh,
    fix: Fix,
    target: TargetRef,
}

impl Evicted {
    async fn from(text: &str) -> Self {
        Self::on(Mesh::start().await, text)
    }

    fn on(mesh: Mesh, text: &str) -> Self {
        let mut fix = fix_of(target(text), &pod_ref("frontend-a"), &mesh.uid("frontend-a"));
        let plan = fix.plan.as_mut().unwrap();
        plan.pods_before = vec![mesh.uid("frontend-a"), mesh.uid("frontend-b")];
        // The bot's clock is ahead of the API server's: what comes up now looks older than the plan.
        plan.drawn_at += SignedDuration::from_hours(1);
        mesh.clock.advance(SignedDuration::from_mins(2));
        mesh.store.remove(Kind::Pod, Some("web"), "frontend-a");
        Self { mesh, fix, target: target(text) }
    }

    async fn stands(&self, now: Timestamp) -> Settled {
        let Operation::EvictPod(planned) = &self.fix.plan.as_ref().unwrap().operations[0] else {
            panic!("it ends no pod")
        };
        self.mesh.reach.replacement(&self.target, &self.fix, planned, now).await.unwrap()
    }

    async fn awaits(&self) -> String {
        match self.stands(three_in_the_morning()).await {
            Settled::Awaited(why) => why,
            Settled::Seen(result) => panic!("{} holds no SVID", result.brought_up().unwrap().0),
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
    let uid = night.mesh.uid("frontend-c");
    night.fix.results.push(StepResult::Replaced { old: None, pod: pod_ref("frontend-c"), uid, not_after: None });
    assert!(night.awaits().await.contains("has not started a new pod yet"));
}

/// The certificate file of a kept night.
fn kept(night: &str) -> String {
    let path = format!("{}/tests/data/evidence/{night}.json", env!("CARGO_MANIFEST_DIR"));
    let evidence: Evidence = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let leaf = &evidence.pods[0].svid_file.value().unwrap().certificates[0];
    format!("-----BEGIN CERTIFICATE-----\n{leaf}\n-----END CERTIFICATE-----\n")
}

/// A pod whose file and whose proxy hold different certificates, and where it stands as a replacement.
async fn stands_with(file: String, served: &str) -> Settled {
    let chain = json!({"inline_bytes": STANDARD.encode(served)});
    let dump = json!({"configs": [{"secret": {"tls_certificate": {"certificate_chain": chain}}}]}).to_string();
    let mesh = Mesh::with(Machines {
        commands: [(("app", "cat"), (0, &*file.leak()))].into(),
        ports: [((15000, "/config_dump?resource=dynamic_active_secrets"), (200, &*dump.leak()))].into(),
        ..Machines::default()
    })
    .await;
    let night = Evicted::on(mesh, "svc/frontend");
    night.mesh.store.apply(Kind::Pod, pod("frontend-c"));
    night.stands("2026-11-24T13:00:00Z".parse().unwrap()).await
}

#[tokio::test]
async fn a_replacement_whose_proxy_serves_a_stale_svid_is_not_ready_however_fresh_its_file() {
    let (fresh, stale) = (kept("healthy"), kept("expired-certificate"));
    let waits = stands_with(fresh.clone(), &stale).await;
    assert!(matches!(&waits, Settled::Awaited(why) if why.contains("still holds an SVID that ended")), "{waits:?}");
    let ready = stands_with(stale, &fresh).await;
    assert!(
        matches!(&ready, Settled::Seen(result) if *result.brought_up().unwrap().0 == pod_ref("frontend-c")),
        "{ready:?}"
    );
}
