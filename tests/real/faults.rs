//! Each fault of the captures in `tests/data/envoy`, made to happen to running proxies: the bot names it, or says that it
//! cannot, and finds nothing once it is mended. `SAVE_EVIDENCE=FOLDER` keeps what it saw, a file a fault.

use std::process::Command;

use mtls_medic::triage::{
    Confidence, FixName, Scenario, Side,
    envoy::TlsReason::{self, CutAfterHandshake, OwnRejected, PeerIdentity, PeerUnknownAuthority, Unreachable},
};

use crate::{
    bed::{self, Bed},
    looks::{Look, look},
    shops::Shop,
};

/// Long enough that no proxy lives to see its SVID overdue, and short enough that the agents show that they renew.
const SVID_SECONDS: u32 = 600;
/// So many failed calls of each proxy, of five a second, are waited for.
const CALLS: usize = 8;

/// One fault, and what the bot says of it by what it sees at `orders` alone.
struct Fault {
    /// For `tests/real/break`.
    name: &'static str,
    /// What each failed call leaves in the proxy's log.
    logged: &'static str,
    /// How that line is understood.
    sign: TlsReason,
    scenario: Scenario,
    confidence: Confidence,
    side: Side,
    /// Words of a reason.
    because: &'static str,
    /// Whether it is said of both pods of orders.
    of_both_pods: bool,
    fixes: &'static [FixName],
}

const fn fault(name: &'static str, logged: &'static str, sign: TlsReason, scenario: Scenario) -> Fault {
    let (confidence, side, fixes) = (Confidence::Medium, Side::Unknown, &[]);
    Fault { name, logged, sign, scenario, confidence, side, because: "", of_both_pods: false, fixes }
}

const RESTART: &[FixName] = &[FixName::RestartPod];
const CUT: &str = " 503 UC ";
const REJECTED: &str = "SSLV3_ALERT_CERTIFICATE_UNKNOWN";
const NOT_EXPLAINED: &str = "calls fail after the handshake, and nothing that was checked explains it";
const EXPIRED: Fault = Fault {
    confidence: Confidence::High,
    side: Side::Client,
    because: "ended 60 min ago",
    of_both_pods: true,
    fixes: RESTART,
    ..fault("client-cert-expired", CUT, CutAfterHandshake, Scenario::ExpiredCertificate)
};
const UNKNOWN_CA: Fault = Fault {
    because: "does not lead to the bundle of",
    of_both_pods: true,
    ..fault("client-cert-unknown-ca", CUT, CutAfterHandshake, Scenario::TrustBundleMismatch)
};
const UNEXPLAINED: Fault = Fault {
    confidence: Confidence::Low,
    because: NOT_EXPLAINED,
    ..fault("client-san-rejected", CUT, CutAfterHandshake, Scenario::Inconclusive)
};
const NETWORK: Fault = Fault {
    because: "connections were refused or closed without a TLS reason",
    ..fault("connection-refused", "delayed_connect_error:_Connection_refused", Unreachable, Scenario::Network)
};

const FAULTS: [Fault; 12] = [
    EXPIRED,
    Fault { name: "client-cert-expired-tls12", logged: REJECTED, sign: OwnRejected, ..EXPIRED },
    Fault {
        confidence: Confidence::High,
        because: "2 SVID(s) begin in the future",
        of_both_pods: true,
        ..fault("client-cert-not-yet-valid", CUT, CutAfterHandshake, Scenario::ClockSkew)
    },
    UNKNOWN_CA,
    Fault { name: "client-cert-unknown-ca-tls12", logged: REJECTED, sign: OwnRejected, ..UNKNOWN_CA },
    UNEXPLAINED,
    Fault {
        name: "client-san-rejected-tls12",
        logged: REJECTED,
        sign: OwnRejected,
        because: "peers refuse our certificate and do not say why",
        ..UNEXPLAINED
    },
    Fault {
        because: "one side does not trust the other's authority",
        of_both_pods: true,
        ..fault(
            "server-cert-unknown-ca",
            "unable_to_get_local_issuer_certificate",
            PeerUnknownAuthority,
            Scenario::TrustBundleMismatch,
        )
    },
    Fault {
        side: Side::Peer,
        because: "its identity is not the expected one (SAN)",
        ..fault("san-mismatch", "SAN_matcher", PeerIdentity, Scenario::IdentityMismatch)
    },
    Fault { name: "plaintext-to-mtls", ..UNEXPLAINED },
    NETWORK,
    Fault { name: "accept-then-close", logged: "system_library:OPENSSL_internal", ..NETWORK },
];

impl Fault {
    /// Everything in which the bot says something else.
    fn judged(&self, look: &Look) -> Vec<String> {
        let verdict = &look.verdict;
        let shown = (verdict.scenario, verdict.confidence, verdict.on.side, &verdict.fixes[..]);
        let wanted = (self.scenario, self.confidence, self.side, self.fixes);
        let pods = if self.of_both_pods { 2 } else { 0 };
        let signs = look.signs();
        let checks = [
            (shown == wanted, format!("{shown:?} instead of {wanted:?}")),
            (verdict.on.pods.len() == pods, format!("on {:?}", verdict.on.pods)),
            (verdict.reasons.iter().any(|why| why.contains(self.because)), format!("not because {}", self.because)),
            (signs.keys().eq([&self.sign]), format!("the log shows {signs:?}")),
        ];
        let wrong = checks.into_iter().filter(|(right, _)| !right);
        wrong.map(|(_, what)| format!("{}: {what}: {:#?}", self.name, verdict.reasons)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_of_real_proxies_is_named_or_left_open_and_none_is_found_once_it_is_mended() {
    let bed = Bed::to_share().await;
    let shop = Shop::opens(&bed, SVID_SECONDS).await;
    let mut wrong = Vec::new();
    for fault in &FAULTS {
        shop.broken(fault.name).await;
        shop.logs("orders", fault.logged, CALLS).await;
        let broken = look(&shop, "deploy/orders").await;
        wrong.extend(fault.judged(&broken));
        broken.kept_as(fault.name);
        shop.restored(fault.name).await;
        for target in ["deploy/orders", "deploy/backend"] {
            let whole = look(&shop, target).await.verdict;
            if whole.scenario != Scenario::NoFaultFound {
                wrong.push(format!("{} is mended: {target}: {:?}: {:#?}", fault.name, whole.scenario, whole.reasons));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_cluster_that_is_no_test_bed_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    // One elsewhere; and one on this machine that nobody has marked, or that nobody serves.
    for server in ["https://192.0.2.1:6443", "https://127.0.0.1:1"] {
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: x, contexts: [{{name: x, context: {{cluster: x, user: x}}}}],\n\
             clusters: [{{name: x, cluster: {{server: \"{server}\"}}}}], users: [{{name: x, user: {{}}}}]}}"
        );
        std::fs::write(&kubeconfig, text).unwrap();
        for script in ["break", "restore"] {
            let mut command = Command::new(bed::script(script));
            let done = command.args(["client-cert-expired", "shop"]).env("KUBECONFIG", &kubeconfig).output().unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.code() == Some(3) && said.contains("it is left alone"), "{server}: {said}");
        }
    }
}
