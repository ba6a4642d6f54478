//! What each night of the simulated mesh shows: counters, logs, readiness and files follow from what is broken.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

use std::sync::Arc;

use mtls_medic::{
    clock::VirtualClock,
    mesh::{Namespace, ObjectName, PodRef},
    simulate::{
        Kubelet,
        store::Kind,
        world::{Scenario, World},
    },
    triage::{
        ProxyStats, RootsOf, ServedSecrets,
        certificate::{Svid, Validity, ders, read_pem},
        envoy::{Direction, TlsReason, add_hosts, count_signs, read_secrets, read_stats},
    },
};
use serde_json::Value;

struct Mesh(Arc<World>);

fn night(scenario: Scenario) -> Mesh {
    let clock = VirtualClock::starting_at("2026-11-24T03:00:00Z".parse().unwrap());
    Mesh(World::start(Arc::new(clock), scenario).unwrap())
}

impl Mesh {
    fn objects(&self, namespace: &str, app: &str) -> Vec<Value> {
        let pods = self.0.store().list(Kind::Pod, Some(namespace));
        pods.into_iter().filter(|pod| pod.pointer("/metadata/labels/app").is_some_and(|found| found == app)).collect()
    }

    fn pod(&self, namespace: &str, app: &str) -> PodRef {
        let name = self.objects(namespace, app)[0].pointer("/metadata/name").unwrap().as_str().unwrap().to_owned();
        PodRef { namespace: Namespace::parse(namespace).unwrap(), name: ObjectName::parse(&name).unwrap() }
    }

    fn ready(&self, namespace: &str, app: &str) -> Vec<bool> {
        let ready = |pod: &Value| {
            let conditions = pod.pointer("/status/conditions").unwrap().as_array().unwrap();
            conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
        };
        self.objects(namespace, app).iter().map(ready).collect()
    }

    fn admin(&self, app: &str, path: &str) -> Vec<u8> {
        self.0.http(&self.pod("web", app), 15000, "GET", path).unwrap().body
    }

    fn stats(&self, app: &str) -> ProxyStats {
        let mut stats = read_stats(&String::from_utf8(self.admin(app, "/stats?filter=ssl")).unwrap());
        add_hosts(&mut stats, &String::from_utf8(self.admin(app, "/clusters")).unwrap());
        stats
    }

    fn served(&self, app: &str) -> ServedSecrets {
        read_secrets(&self.admin(app, "/config_dump?resource=dynamic_active_secrets")).unwrap()
    }

    fn log(&self, namespace: &str, app: &str, container: &str) -> String {
        let lines = self.0.logs(&self.pod(namespace, app), container, false).unwrap();
        lines.into_iter().map(|line| line.text + "\n").collect()
    }

    /// Signs in the log of a pod's proxy, without their counts.
    fn signs(&self, app: &str) -> Vec<(TlsReason, Direction)> {
        let log = self.log("web", app, "istio-proxy");
        count_signs(log.lines()).into_iter().map(|sign| (sign.reason, sign.direction)).collect()
    }

    fn file(&self, app: &str) -> Option<Svid> {
        let argv = ["cat", "/run/spire/svid/svid.crt"].map(str::to_owned);
        let ran = self.0.exec(&self.pod("web", app), "app", &argv, b"").unwrap();
        (ran.exit_code == 0).then(|| Svid::read(&ders(&read_pem(&ran.stdout).certificates)[0]).unwrap())
    }

    fn served_svid(&self, app: &str) -> Svid {
        Svid::read(&ders(&self.served(app).chain)[0]).unwrap()
    }

    fn agent_says(&self, node: &str) -> (i32, String) {
        let agents = self.objects("spire-system", "spire-agent");
        let agent = agents.iter().find(|pod| pod.pointer("/spec/nodeName").is_some_and(|found| found == node)).unwrap();
        let name = agent.pointer("/metadata/name").unwrap().as_str().unwrap();
        let pod =
            PodRef { namespace: Namespace::parse("spire-system").unwrap(), name: ObjectName::parse(name).unwrap() };
        let argv = ["/opt/spire/bin/spire-agent", "healthcheck"].map(str::to_owned);
        let code = self.0.exec(&pod, "spire-agent", &argv, b"").unwrap().exit_code;
        let lines = self.0.logs(&pod, "spire-agent", false).unwrap();
        (code, lines.last().unwrap().text.clone())
    }
}

fn now() -> jiff::Timestamp {
    "2026-11-24T03:00:00Z".parse().unwrap()
}

#[test]
fn a_healthy_mesh_counts_no_failure_and_shows_every_pod_ready() {
    let mesh = night(Scenario::Healthy);
    for app in ["gateway", "frontend"] {
        let stats = mesh.stats(app);
        assert_eq!(stats.requests_failed, Some(0), "{app}");
        assert_eq!(mesh.signs(app), [], "{app}");
        assert!(mesh.ready("web", app).iter().all(|ready| *ready));
    }
    assert_eq!(mesh.ready("spire-system", "spire-agent"), [true; 3]);
    assert_eq!(mesh.ready("spire-system", "spire-server"), [true]);
}

#[test]
fn what_a_rejected_client_sees_depends_on_the_version_of_tls() {
    let mesh = night(Scenario::ExpiredCertificate);
    let client = *mesh.stats("frontend").clients.values().next().unwrap();
    assert!(client.handshake.unwrap() > 0 && client.connection_error.unwrap() > 0);
    assert!(mesh.signs("frontend").contains(&(TlsReason::CutAfterHandshake, Direction::Outbound)));
    // The signature of tests/data/envoy/tls12/client-cert-expired.
    let mesh = night(Scenario::ExpiredCertificateTls12);
    let stats = mesh.stats("frontend");
    let client = stats.clients.values().next().unwrap();
    assert!(client.connection_error.unwrap() > 0 && stats.connects_failed.unwrap() > 0);
    assert!(mesh.signs("frontend").contains(&(TlsReason::OwnExpired, Direction::Outbound)));
    assert!(!mesh.signs("frontend").contains(&(TlsReason::CutAfterHandshake, Direction::Outbound)));
}

#[test]
fn a_frozen_agent_and_a_server_that_is_down_are_not_ready() {
    let mesh = night(Scenario::SpireAgent);
    let ready = mesh.ready("spire-system", "spire-agent");
    assert_eq!(ready.iter().filter(|ready| **ready).count(), 2, "{ready:?}");
    let set = mesh.0.store().get(Kind::DaemonSet, Some("spire-system"), "spire-agent").unwrap();
    assert_eq!(set.pointer("/status/numberReady").unwrap(), 2);
    let mesh = night(Scenario::SpireServer);
    assert_eq!(mesh.ready("spire-system", "spire-server"), [false]);
    assert_eq!(mesh.ready("spire-system", "spire-agent"), [true; 3]);
    mesh.0.heal(&mtls_medic::simulate::world::Fault::ServerDown);
    assert_eq!(mesh.ready("spire-system", "spire-server"), [true]);
}

#[test]
fn plain_text_into_mtls_is_cut_off_for_the_caller_and_told_by_the_server_with_its_address() {
    let mesh = night(Scenario::IstioConfiguration);
    assert!(mesh.signs("gateway").contains(&(TlsReason::CutAfterHandshake, Direction::Outbound)));
    assert!(mesh.signs("frontend").contains(&(TlsReason::PlaintextToUs, Direction::Inbound)));
    let caller = mesh.objects("web", "gateway")[0].pointer("/status/podIP").unwrap().as_str().unwrap().to_owned();
    assert!(mesh.log("web", "frontend", "istio-proxy").contains(&format!(" {caller}:")));
    assert_eq!(mesh.stats("gateway").connects_failed, Some(0), "each connection is opened");
    assert_eq!(mesh.0.failure_rate("web", "frontend"), Some(2.0 / 3.0), "frontend's own calls of checkout go on");
}

#[test]
fn a_native_sidecar_is_an_init_container_and_can_be_asked_all_the_same() {
    let mesh = night(Scenario::ExpiredCertificateNativeSidecar);
    let pod = mesh.objects("web", "frontend")[0].clone();
    assert_eq!(pod.pointer("/spec/initContainers/0/name").unwrap(), "istio-proxy");
    assert_eq!(pod.pointer("/spec/initContainers/0/restartPolicy").unwrap(), "Always");
    assert_eq!(pod.pointer("/spec/containers").unwrap().as_array().unwrap().len(), 1);
    assert!(mesh.signs("frontend").contains(&(TlsReason::CutAfterHandshake, Direction::Outbound)));
}

#[test]
fn a_proxy_that_keeps_its_old_svid_fails_though_the_file_is_new() {
    let mesh = night(Scenario::ProxyKeepsOldSvid);
    assert!(matches!(mesh.file("frontend").unwrap().validity(now()), Validity::Left { .. }));
    assert!(matches!(mesh.served_svid("frontend").validity(now()), Validity::Over { .. }));
    assert!(mesh.stats("frontend").requests_failed.unwrap() > 0);
}

#[test]
fn an_agent_that_hangs_is_green_and_says_nothing_of_it() {
    let mesh = night(Scenario::AgentStuckButGreen);
    let (code, last) = mesh.agent_says("node-2");
    assert!(code == 0 && !last.contains("level=error"), "{last}");
    assert_eq!(mesh.ready("spire-system", "spire-agent"), [true; 3]);
    assert!(matches!(mesh.file("frontend").unwrap().validity(now()), Validity::Over { .. }));
}

#[test]
fn a_blocked_port_is_a_timeout_of_every_agent_beside_a_healthy_server() {
    let mesh = night(Scenario::ServerPortBlocked);
    for node in ["node-1", "node-2", "node-3"] {
        let (code, last) = mesh.agent_says(node);
        assert!(code == 0 && last.contains("8081: i/o timeout"), "{last}");
    }
    assert_eq!(mesh.ready("spire-system", "spire-server"), [true]);
    assert!(mesh.stats("frontend").requests_failed.unwrap() > 0, "SVIDs have run out");
}

#[test]
fn a_workload_without_an_entry_never_gets_an_svid() {
    let mesh = night(Scenario::NoRegistrationEntry);
    assert_eq!(mesh.ready("web", "frontend"), [false, false]);
    assert!(mesh.served("frontend").chain.is_empty() && mesh.file("frontend").is_none());
    let signs: Vec<TlsReason> = mesh.signs("frontend").into_iter().map(|(reason, _)| reason).collect();
    assert!(signs.contains(&TlsReason::NotRegistered) && signs.contains(&TlsReason::NoSecret), "{signs:?}");
    let agents = mesh.objects("spire-system", "spire-agent");
    assert_eq!(agents.len(), 3);
    assert!(mesh.signs("gateway").contains(&(TlsReason::Unreachable, Direction::Outbound)), "nobody serves frontend");
}

#[test]
fn callers_reject_another_identity_and_the_server_learns_only_that_it_is_rejected() {
    let mesh = night(Scenario::WrongIdentity);
    assert_eq!(mesh.served_svid("frontend").spiffe_id.to_string(), "spiffe://prod.example.org/ns/web/sa/default");
    let gateway = mesh.stats("gateway");
    assert!(gateway.clients.values().any(|client| client.fail_verify_san.unwrap() > 0));
    assert!(mesh.signs("gateway").contains(&(TlsReason::PeerIdentity, Direction::Outbound)));
    let frontend = mesh.stats("frontend").server;
    assert_eq!(frontend.handshake, Some(0));
    assert!(frontend.connection_error.unwrap() > 0);
}

#[test]
fn a_certificate_of_istiods_is_trusted_by_nobody_that_trusts_spire() {
    let mesh = night(Scenario::IstiodIssued);
    assert!(mesh.file("frontend").is_none(), "SPIRE's socket is not mounted");
    assert!(matches!(mesh.served_svid("frontend").validity(now()), Validity::Left { .. }));
    assert!(
        mesh.served("frontend").roots.contains_key(&RootsOf::NoDomain),
        "istiod's proxies have no SPIFFE validator"
    );
    assert!(mesh.signs("frontend").contains(&(TlsReason::PeerUnknownAuthority, Direction::Outbound)));
    assert!(mesh.signs("gateway").contains(&(TlsReason::PeerUnknownAuthority, Direction::Outbound)));
}

#[test]
fn with_the_servers_clock_ahead_no_svid_has_begun() {
    let mesh = night(Scenario::ClockSkew);
    for app in ["gateway", "frontend"] {
        assert!(matches!(mesh.served_svid(app).validity(now()), Validity::NotYet { .. }), "{app}");
    }
    assert!(mesh.signs("gateway").contains(&(TlsReason::PeerNotYetValid, Direction::Outbound)));
}

#[test]
fn every_scenario_has_its_name_and_its_line_of_help() {
    for scenario in Scenario::ALL {
        assert_eq!(scenario.name().parse::<Scenario>(), Ok(scenario));
        let broken = scenario != Scenario::Healthy;
        assert_eq!(broken, !night(scenario).0.faults().is_empty(), "{}", scenario.name());
    }
}

/// An hour after SPIRE rotated its authority: the first pod of frontend and the ConfigMap still hold the old bundle.
#[test]
fn after_a_rotation_one_pod_and_the_config_map_hold_the_old_bundle() {
    let mesh = night(Scenario::TrustBundle);
    let server_pod = PodRef {
        namespace: Namespace::parse("spire-system").unwrap(),
        name: ObjectName::parse("spire-server-0").unwrap(),
    };
    let show = ["/opt/spire/bin/spire-server", "bundle", "show", "-format", "pem"].map(str::to_owned);
    let published = read_pem(&mesh.0.exec(&server_pod, "spire-server", &show, b"").unwrap().stdout).certificates;
    let map = mesh.0.store().get(Kind::ConfigMap, Some("spire-system"), "spire-bundle").unwrap();
    let map = read_pem(map.pointer("/data/bundle.crt").unwrap().as_str().unwrap().as_bytes()).certificates;
    assert_eq!((published.len(), map.as_slice()), (2, &published[..1]));
    let ours = RootsOf::Domain("prod.example.org".to_owned());
    assert_eq!(mesh.served("gateway").roots[&ours], published);
    let look = |pod: &Value| {
        let name = pod.pointer("/metadata/name").unwrap().as_str().unwrap();
        let pod = PodRef { namespace: Namespace::parse("web").unwrap(), name: ObjectName::parse(name).unwrap() };
        let admin = |path: &str| mesh.0.http(&pod, 15000, "GET", path).unwrap().body;
        let served = read_secrets(&admin("/config_dump?resource=dynamic_active_secrets")).unwrap();
        let stats = read_stats(&String::from_utf8(admin("/stats?filter=ssl")).unwrap());
        let lines = mesh.0.logs(&pod, "istio-proxy", false).unwrap();
        let refuses = lines.iter().any(|line| line.text.contains("unable_to_get_local_issuer_certificate"));
        (served.roots[&ours].clone(), stats.server.fail_verify_error > Some(0), refuses)
    };
    let mut frontends: Vec<_> = mesh.objects("web", "frontend").iter().map(look).collect();
    frontends.sort_by_key(|(roots, ..)| roots.len());
    // The one with the old bundle refuses those that call it, and those that it calls.
    assert_eq!(frontends, [(map, true, true), (published, false, false)]);
    assert!(matches!(mesh.served_svid("frontend").validity(now()), Validity::Left { .. }), "SVIDs are new everywhere");
}
