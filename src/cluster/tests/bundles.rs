//! Each hop of the trust bundle is read, in every shape, and what cannot be read is no empty bundle.

use std::sync::Arc;

use serde_json::json;

use super::{Machines, Mesh, target, web};
use crate::{
    clock::SystemClock,
    cluster::{Settings, connect_to, gather},
    mesh::TargetRef,
    simulate::{Simulation, store::Kind, world::Scenario},
    triage::{
        Confidence, DomainRoots, Evidence, FixName, Gathered, Missing, RootsOf, Scenario as Named, ServerBundles,
        diagnose,
    },
};

async fn look(mesh: &Mesh) -> Evidence {
    gather(&mesh.reach, &target("pod/frontend-a"), mesh.clock.clone(), Arc::new(|_| ())).await.unwrap()
}

/// The SPIRE server's pod, as the store has it.
fn server() -> serde_json::Value {
    json!({
        "metadata": {"namespace": "spire-system", "name": "spire-server-0", "labels": {"app": "spire-server"}},
        "spec": {"nodeName": "node-1", "containers": [{"name": "spire-server"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

fn bundles(evidence: &Evidence) -> &ServerBundles {
    evidence.servers[0].bundles.as_ref().unwrap()
}

fn why<T>(gathered: &Gathered<T>) -> String {
    match gathered {
        Gathered::Missing { reason, .. } => reason.sentence(),
        Gathered::Seen { .. } => "it was seen".to_owned(),
    }
}

#[tokio::test]
async fn in_a_mesh_in_order_every_hop_holds_the_root_of_the_server() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let simulation = Simulation::start(Arc::new(SystemClock), Scenario::Healthy, listen).await.unwrap();
    let reach = connect_to(&simulation.url(), Settings::default()).unwrap();
    let target = TargetRef::parse(web(), "svc/frontend").unwrap();
    let evidence = gather(&reach, &target, Arc::new(SystemClock), Arc::new(|_| ())).await.unwrap();
    let map = &evidence.spire_bundle.value().unwrap().certificates;
    assert_eq!(map.len(), 1);
    let ours = RootsOf::Domain("prod.example.org".to_owned());
    let own = bundles(&evidence).own.value().unwrap();
    assert_eq!(own.roots.get(&ours), Some(map));
    assert_eq!(bundles(&evidence).federated.value(), Some(&DomainRoots::default()), "it federates with nobody");
    for pod in &evidence.pods {
        assert_eq!(&pod.bundle_file.value().unwrap().certificates, map);
        assert_eq!(pod.served.value().unwrap().roots.get(&ours), Some(map));
    }
}

#[tokio::test]
async fn the_config_map_is_read_in_both_shapes_and_one_of_another_shape_is_not_taken_for_an_empty_bundle() {
    let mesh = Mesh::start().await;
    let certificate = rcgen::generate_simple_self_signed(vec!["root".to_owned()]).unwrap().cert;
    let base64 = certificate.pem().lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let spiffe =
        json!({"keys": [{"use": "x509-svid", "kty": "EC", "x5c": [base64]}], "spiffe_sequence": 1}).to_string();
    for data in [
        json!({"bundle.crt": certificate.pem()}),
        json!({"bundle.pem": certificate.pem()}),
        json!({"bundle.spiffe": spiffe}),
    ] {
        mesh.store.apply(
            Kind::ConfigMap,
            json!({"metadata": {"namespace": "spire-system", "name": "spire-bundle"}, "data": data}),
        );
        let evidence = look(&mesh).await;
        assert_eq!(evidence.spire_bundle.value().unwrap().certificates, std::slice::from_ref(&base64), "{data}");
    }
    for (data, says) in [
        (json!({"bundle.der": ""}), "it has no key bundle.crt, bundle.pem, bundle.spiffe"),
        (json!({"bundle.spiffe": "{"}), "it is no bundle that SPIRE writes"),
    ] {
        mesh.store.apply(
            Kind::ConfigMap,
            json!({"metadata": {"namespace": "spire-system", "name": "spire-bundle"}, "data": data}),
        );
        let evidence = look(&mesh).await;
        assert!(why(&evidence.spire_bundle).contains(says), "{}", why(&evidence.spire_bundle));
    }
}

#[tokio::test]
async fn a_server_that_may_not_or_cannot_be_asked_leaves_its_bundle_unseen_and_names_what_is_missing() {
    let old = ("spire-server", "/opt/spire/bin/spire-server");
    let mesh = Mesh::with(Machines { commands: [(old, (1, ""))].into(), ..Machines::default() }).await;
    mesh.store.apply(Kind::Pod, server());
    let evidence = look(&mesh).await;
    assert!(why(&bundles(&evidence).own).starts_with("spire-server bundle show"), "{}", why(&bundles(&evidence).own));
    mesh.options.deny("create", "pods/exec");
    mesh.options.deny("get", "pods/exec");
    let evidence = look(&mesh).await;
    let ServerBundles { own, federated } = bundles(&evidence);
    for answer in [own, federated] {
        assert!(
            matches!(answer, Gathered::Missing { reason: Missing::Forbidden { grant }, .. } if grant.contains("pods/exec in spire-system")),
            "{answer:?}"
        );
    }
    let stored = serde_json::to_string(&evidence).unwrap();
    assert_eq!(serde_json::from_str::<Evidence>(&stored).unwrap(), evidence);
}

#[tokio::test]
async fn half_of_an_answer_is_no_bundle() {
    let half = r#"{"trust_domain":"prod.example.org","x509_authorities":[{"asn1":"MIIB""#;
    let command = ("spire-server", "/opt/spire/bin/spire-server");
    let mesh = Mesh::with(Machines { commands: [(command, (0, half))].into(), ..Machines::default() }).await;
    mesh.store.apply(Kind::Pod, server());
    let own = why(&bundles(&look(&mesh).await).own);
    assert!(own.contains("it came only in part"), "{own}");
}

#[tokio::test]
async fn after_a_rotation_the_pod_and_the_config_map_that_were_left_behind_are_named() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let simulation = Simulation::start(Arc::new(SystemClock), Scenario::TrustBundle, listen).await.unwrap();
    let reach = connect_to(&simulation.url(), Settings::default()).unwrap();
    let evidence = gather(&reach, &target("svc/frontend"), Arc::new(SystemClock), Arc::new(|_| ())).await.unwrap();
    let verdict = diagnose(&evidence);
    assert_eq!(verdict.scenario, Named::TrustBundleMismatch, "{:#?}", verdict.reasons);
    assert_eq!((verdict.confidence, verdict.on.pods.len()), (Confidence::High, 1), "{:#?}", verdict.reasons);
    assert_eq!(verdict.fixes, [FixName::SyncTrustBundle, FixName::RolloutRestart]);
    let next = verdict.next_by_hand().unwrap();
    assert!(next.contains("kubectl annotate configmap spire-bundle -n spire-system"), "{next}");
    assert!(next.ends_with("`kubectl rollout restart deployment/frontend -n web`"), "{next}");
}
