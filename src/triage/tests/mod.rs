//! Nights as evidence, built in the words of the rows of `cases.yaml`.

mod agent_info;
mod agents;
mod ambient;
mod bundles;
mod certificate_sources;
mod dangerous;
mod log_hints;
mod look_further;
mod modes;
mod pod_start;
mod recent_changes;
mod registration;
mod remarks;
mod reports;
mod rows;
mod servers;
mod several_causes;
mod siblings;
mod signs;
mod silence;
mod unhealthy;

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use time::OffsetDateTime;

use super::{
    AgentEvidence, AgentFleet, AgentPod, DomainRoots, EVIDENCE_SCHEMA, Evidence, Expectations, FixName, Gathered,
    Healthcheck, LogExcerpt, Missing, PemFile, PodEvidence, ProxyStats, Redacted, RootsOf, ServedSecrets,
    ServerBundles, ServerEvidence, TlsCounters, Verdict, diagnose,
};
use crate::mesh::{ControllerRef, NodeName, PodRef, TargetRef};

pub(super) const FRONTEND: &str = "spiffe://prod.example.org/ns/web/sa/frontend";
/// The same workload in the trust domain that istiod signs for here.
pub(super) const OF_ISTIOD: &str = "spiffe://cluster.local/ns/web/sa/frontend";
pub(super) const EXPIRED_PEER: &str = "503 UF \"TLS_error:|268435581:SSL_routines:OPENSSL_internal:\
    CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_has_expired\" outbound|8443||checkout";
pub(super) const SAN: &str =
    "503 UF \"TLS_error:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN_matcher\" outbound|1||x";
pub(super) const DIAL: &str =
    "Synchronize failed\" error=\"failed to dial dns:///spire-server:8081: connection refused";

pub(super) fn three() -> Timestamp {
    "2026-11-24T03:00:00Z".parse().unwrap()
}

pub(super) fn ago(minutes: i64) -> Timestamp {
    three() - SignedDuration::from_mins(minutes)
}

/// A certificate authority of one trust domain.
pub(super) struct Authority {
    pub(super) root: String,
    signer: Issuer<'static, KeyPair>,
}

fn date(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap()
}

impl Authority {
    pub(super) fn of(domain: &str) -> Self {
        Self::lasting(domain, 6000)
    }

    /// One whose root began ten hours ago and ends in so many minutes.
    pub(super) fn lasting(domain: &str, left: i64) -> Self {
        Self::between(domain, 600, left)
    }

    /// One whose root began so many minutes ago and ends in so many.
    pub(super) fn between(domain: &str, began: i64, left: i64) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, domain);
        (params.not_before, params.not_after) = (date(ago(began)), date(ago(-left)));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.subject_alt_names = vec![SanType::URI(format!("spiffe://{domain}").as_str().try_into().unwrap())];
        let root = params.self_signed(&key).unwrap();
        Self { root: STANDARD.encode(root.der()), signer: Issuer::new(params, key) }
    }

    /// An authority under it; its `root` is its own certificate.
    pub(super) fn nested(&self) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "nested");
        (params.not_before, params.not_after) = (date(ago(300)), date(ago(-3000)));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let made = params.signed_by(&key, &self.signer).unwrap();
        Self { root: STANDARD.encode(made.der()), signer: Issuer::new(params, key) }
    }

    /// An SVID of an hour with so many minutes left.
    pub(super) fn leaf(&self, id: &str, left: i64) -> String {
        self.leaf_with(id, left, |_| {})
    }

    pub(super) fn leaf_with(&self, id: &str, left: i64, change: impl FnOnce(&mut CertificateParams)) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (date(ago(60 - left)), date(ago(-left)));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
        change(&mut params);
        STANDARD.encode(params.signed_by(&key, &self.signer).unwrap().der())
    }
}

pub(super) fn seen<T>(value: T, source: &str) -> Gathered<T> {
    Gathered::Seen { value, source: source.to_owned(), at: three() }
}

pub(super) fn gone<T>(source: &str) -> Gathered<T> {
    Gathered::Missing { reason: Missing::Gone { what: source.to_owned() }, source: source.to_owned(), at: three() }
}

pub(super) fn forbidden<T>(grant: &str) -> Gathered<T> {
    let reason = Missing::Forbidden { grant: grant.to_owned() };
    Gathered::Missing { reason, source: grant.to_owned(), at: three() }
}

pub(super) fn pem(certificates: &[&str]) -> PemFile {
    PemFile { certificates: certificates.iter().map(|one| (*one).to_owned()).collect(), ..PemFile::default() }
}

/// What the SPIRE server says of bundles: its own, and that it federates with nobody.
pub(super) fn bundles(own: &[&str]) -> ServerBundles {
    let ours = RootsOf::Domain("prod.example.org".to_owned());
    let roots = BTreeMap::from([(ours, own.iter().map(|root| (*root).to_owned()).collect())]);
    ServerBundles {
        own: seen(DomainRoots { roots, cut: false }, "spire-server bundle show"),
        federated: seen(DomainRoots::default(), "spire-server bundle list"),
    }
}

/// A line of an agent's log.
pub(super) fn said(minutes_ago: i64, message: &str) -> String {
    format!("time=\"{}\" level=info msg=\"{message}\" subsystem_name=manager", ago(minutes_ago))
}

pub(super) fn renewal(minutes_ago: i64, id: &str) -> String {
    said(minutes_ago, &format!("Renewing X509-SVID\" spiffe_id=\"{id}"))
}

/// A night, told step by step.
pub(super) struct Night {
    pub(super) spire: Authority,
    /// The roots that it signed by before.
    old_roots: Vec<String>,
    pub(super) istiod: Authority,
    pub(super) evidence: Evidence,
}

/// Lines as evidence keeps them.
pub(super) fn redacted(lines: &[String]) -> Vec<Redacted> {
    lines.iter().map(|line| Redacted::new(line)).collect()
}

impl Night {
    /// One pod in order, its agent, and a server.
    pub(super) fn healthy() -> Self {
        Self::under(Authority::of("prod.example.org"))
    }

    /// The same under a SPIRE of one's own.
    pub(super) fn under(spire: Authority) -> Self {
        let istiod = Authority::of("cluster.local");
        let server = ServerEvidence {
            pod: PodRef { namespace: "spire".parse().unwrap(), name: "spire-server-0".parse().unwrap() },
            ready: true,
            healthcheck: seen(Healthcheck { healthy: true, output: "Server is healthy.".into() }, "healthcheck"),
            log: Some(seen(LogExcerpt::default(), "log of spire-server")),
            bundles: Some(bundles(&[&spire.root])),
        };
        let evidence = Evidence {
            schema: EVIDENCE_SCHEMA.to_owned(),
            target: TargetRef::parse("web".parse().unwrap(), "svc/frontend").unwrap(),
            gathered_at: three(),
            expectations: Expectations::default(),
            pods: Vec::new(),
            not_sampled: Vec::new(),
            agents: Vec::new(),
            servers: vec![server],
            servers_missing: None,
            server_controllers: Vec::new(),
            agent_pods: Some(2),
            agent_fleet: Some(AgentFleet { agents: 2, ready: 2, not_ready: Vec::new(), cut: false }),
            changes: Some(Vec::new()),
            spire_bundle: seen(pem(&[&spire.root]), "ConfigMap spire/spire-bundle"),
            istio_root: seen(pem(&[&istiod.root]), "ConfigMap web/istio-ca-root-cert"),
            istio: None,
        };
        let mut night = Self { spire, old_roots: Vec::new(), istiod, evidence };
        night.add("frontend-a", "node-1");
        night
    }

    /// Another pod in order, on a node of its own.
    pub(super) fn add(&mut self, name: &str, node: &str) {
        let node: NodeName = node.parse().unwrap();
        let counters = TlsCounters {
            handshake: Some(500),
            connection_error: Some(0),
            fail_verify_error: Some(0),
            fail_verify_san: Some(0),
            fail_verify_other: Some(0),
        };
        let clients = BTreeMap::from([("outbound|1||checkout".to_owned(), counters)]);
        self.evidence.pods.push(PodEvidence {
            pod: PodRef { namespace: "web".parse().unwrap(), name: name.parse().unwrap() },
            uid: "11111111-0000-4000-8000-000000000001".parse().unwrap(),
            node: Some(node.clone()),
            service_account: Some("frontend".parse().unwrap()),
            controller: ControllerRef::new("ReplicaSet", "frontend-1"),
            ready: true,
            sidecar: true,
            ambient: false,
            svid_file: gone("svid.crt"),
            bundle_file: gone("bundle.crt"),
            served: gone("config_dump"),
            stats: seen(ProxyStats { server: counters, clients, ..ProxyStats::default() }, "Envoy /stats"),
            proxy_log: seen(LogExcerpt::default(), "log of istio-proxy"),
            ztunnel_log: None,
            start: None,
        });
        self.evidence.agents.push(AgentEvidence {
            node: node.clone(),
            pod: AgentPod::Found(PodRef { namespace: "spire".parse().unwrap(), name: "agent".parse().unwrap() }),
            ready: true,
            restarts: 0,
            healthcheck: seen(Healthcheck { healthy: true, output: "Agent is healthy.".into() }, "healthcheck"),
            log: gone("log"),
            crash: None,
            info: None,
        });
        let at = self.evidence.pods.len() - 1;
        self.holds(at, 45);
        let roots = self.roots();
        self.trusts(at, &roots.iter().map(String::as_str).collect::<Vec<_>>());
        self.agent_says(at, &[renewal(15, "spiffe://prod.example.org/ns/web/sa/gateway")]);
    }

    /// SPIRE signs by a new root from so many minutes ago on. The server and the ConfigMap hold both, and pods that are added from
    /// now on as well; those that are there do not.
    pub(super) fn rotates_its_authority(&mut self, minutes_ago: i64) {
        let new = Authority::between("prod.example.org", minutes_ago, 6000);
        self.old_roots.push(std::mem::replace(&mut self.spire, new).root);
        let roots = self.roots();
        let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
        self.evidence.servers[0].bundles = Some(bundles(&roots));
        self.evidence.spire_bundle = seen(pem(&roots), "ConfigMap spire/spire-bundle");
    }

    /// Every root of SPIRE's, the oldest first.
    pub(super) fn roots(&self) -> Vec<String> {
        self.old_roots.iter().cloned().chain([self.spire.root.clone()]).collect()
    }

    pub(super) fn old_root(&self) -> String {
        self.old_roots[0].clone()
    }

    /// The bundle file of a pod and its proxy hold these roots.
    pub(super) fn trusts(&mut self, at: usize, roots: &[&str]) {
        self.pod(at).bundle_file = seen(pem(roots), "cat bundle.crt");
        let Gathered::Seen { value, .. } = &mut self.pod(at).served else { return };
        let ours = RootsOf::Domain("prod.example.org".to_owned());
        value.roots.insert(ours, roots.iter().map(|root| (*root).to_owned()).collect());
    }

    pub(super) fn pod(&mut self, at: usize) -> &mut PodEvidence {
        &mut self.evidence.pods[at]
    }

    pub(super) fn agent(&mut self, at: usize) -> &mut AgentEvidence {
        &mut self.evidence.agents[at]
    }

    /// The file and the proxy hold one SVID with so many minutes left.
    pub(super) fn holds(&mut self, at: usize, left: i64) {
        let leaf = self.spire.leaf(FRONTEND, left);
        self.file(at, &leaf);
        self.serves(at, &leaf);
    }

    pub(super) fn file(&mut self, at: usize, leaf: &str) {
        self.pod(at).svid_file = seen(pem(&[leaf]), "cat svid.crt");
    }

    pub(super) fn serves(&mut self, at: usize, leaf: &str) {
        let roots = BTreeMap::from([(RootsOf::Domain("prod.example.org".to_owned()), vec![self.spire.root.clone()])]);
        let served = ServedSecrets { chain: vec![leaf.to_owned()], roots };
        self.pod(at).served = seen(served, "Envoy /config_dump");
    }

    pub(super) fn proxy_says(&mut self, at: usize, line: &str, times: usize) {
        self.pod(at).proxy_log = seen(LogExcerpt { lines: vec![line.into(); times], ..LogExcerpt::default() }, "log");
    }

    pub(super) fn agent_says(&mut self, at: usize, lines: &[String]) {
        self.agent(at).log = seen(LogExcerpt { lines: redacted(lines), ..LogExcerpt::default() }, "log of spire-agent");
    }

    /// The same, with the log known to be whole from so many minutes ago on.
    pub(super) fn agent_said_since(&mut self, at: usize, minutes_ago: i64, lines: &[String]) {
        let log = LogExcerpt { lines: redacted(lines), reaches: Some(ago(minutes_ago)), ..LogExcerpt::default() };
        self.agent(at).log = seen(log, "log of spire-agent");
    }

    pub(super) fn agent_healthcheck(&mut self, at: usize, healthy: bool) {
        let output = if healthy { "Agent is healthy." } else { "Agent is unhealthy" }.into();
        self.agent(at).healthcheck = seen(Healthcheck { healthy, output }, "spire-agent healthcheck");
    }

    pub(super) fn server_says(&mut self, healthy: bool, ready: bool) {
        let server = &mut self.evidence.servers[0];
        server.ready = ready;
        let output = "server is unhealthy: unable to determine health".into();
        server.healthcheck = seen(Healthcheck { healthy, output }, "spire-server healthcheck");
    }

    pub(super) fn verdict(&self) -> Verdict {
        diagnose(&self.evidence)
    }
}

pub(super) fn never(verdict: &Verdict, fix: FixName) -> bool {
    verdict.never.iter().any(|never| never.fix == fix)
}

#[test]
fn the_documented_fields_of_evidence_are_those_that_are_written() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/verdict-schema.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, evidence) = text.split_once("## Evidence").unwrap();
    let documented: std::collections::BTreeSet<&str> =
        evidence.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut night = Night::healthy();
    night.evidence.istio = Some(super::IstioEvidence::default());
    let written = serde_json::to_value(&night.evidence).unwrap();
    let written: std::collections::BTreeSet<&str> = written.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(documented, written);
}
