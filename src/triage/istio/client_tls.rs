//! What a client's proxy does for a host, port and subset, which rule decided, and the identities that it demands.
//!
//! Istio 1.31: `ClusterBuilder.applyDestinationRule`, `buildSubsetCluster`, `buildUpstreamTLSSettings`
//! (pilot/pkg/networking/core/cluster_builder.go, cluster_traffic_policy.go), `buildUpstreamClusterTLSContext`,
//! `setAutoSniAndAutoSanValidation` (cluster_tls.go) and `mtlsChecker.checkMtlsEnabled` (pilot/pkg/xds/endpoints).

use serde::Serialize;

use super::{
    endpoints::Endpoint,
    names::{ObjectName, selects},
    policy_objects::{Mode, Subset, TlsMode, TlsSettings},
    rule_merge::MergedRule,
    service_mode::AutoOff,
    traffic_policy::{RulePlace, endpoint_mode},
};

/// How a proxy speaks to a cluster or an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientTls {
    Plaintext,
    IstioMutual,
    Simple,
    Mutual,
    /// Each endpoint has its own answer.
    Auto,
    /// The proxy knows no such destination: calls fail with the flag NC.
    NoCluster,
}

/// How the proxy finds its endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ClusterType {
    /// istiod lists them.
    #[serde(rename = "EDS")]
    Eds,
    /// The application chose the address: headless Services and `PASSTHROUGH`.
    #[serde(rename = "ORIGINAL_DST")]
    OriginalDst,
}

/// Why the proxy speaks as it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// No proxy makes the call.
    NoSidecar,
    /// The rule in force says so, at this place.
    Rule { mode: TlsMode, place: RulePlace },
    /// The rule asks for TLS with a credential, which Istio gives to no sidecar unless the rule has a `workloadSelector`.
    CredentialNotGiven { mode: TlsMode, place: RulePlace },
    /// The rule asks for MUTUAL and names no certificate, so Istio drops its TLS whole.
    NoCertificateNamed { place: RulePlace },
    /// No rule says anything about TLS, and automatic mTLS is on.
    Auto,
    /// No rule says anything about TLS, and automatic mTLS is off.
    AutoOff(AutoOff),
    /// There is no such destination.
    Missing(Missing),
}

/// What a call asks for that the client's proxy does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    Port,
    /// The rule in force has no such subset; `None` where no rule is in force.
    Subset(Option<ObjectName>),
    /// The Service is not exported to the client's namespace.
    NotVisible,
}

/// One endpoint, as this client calls it.
#[derive(Debug, Clone, Copy)]
pub struct EndpointCall<'o> {
    pub endpoint: Endpoint<'o>,
    pub tls: ClientTls,
    pub because: EndpointBecause,
}

/// Why an endpoint of an automatic cluster is called as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointBecause {
    /// All endpoints are called alike.
    Cluster,
    /// The pod's label says that it speaks Istio's mTLS, and nothing forbids it.
    Capable,
    /// The pod lacks the label `security.istio.io/tlsMode: istio`.
    NoLabel,
    /// The pod's port is set to DISABLE.
    PortDisabled,
    /// The cluster ignores what the rule says at a higher level, and the endpoints do not.
    RuleAbove { mode: TlsMode, place: RulePlace },
}

/// The answer for one client, host, port and subset.
#[derive(Debug, Clone)]
pub struct Call<'i, 'o> {
    pub client_tls: ClientTls,
    pub because: Because,
    /// Exact, sorted; empty where any identity passes.
    pub expected_sans: Vec<String>,
    /// SIMPLE and MUTUAL: the certificate must also match the name that was called.
    pub auto_san_validation: bool,
    /// Only where a rule sets it.
    pub sni: Option<&'o str>,
    pub cluster_type: Option<ClusterType>,
    pub rule: Option<&'i MergedRule<'o>>,
    /// Those that may be called; for `ORIGINAL_DST`, those that the application could choose.
    pub endpoints: Vec<EndpointCall<'o>>,
}

/// Istio serves credentials of this kind to every sidecar.
const CONFIG_MAP_CREDENTIAL: &str = "configmap://";
/// How Istio's own SNIs begin; one like it in a rule cannot be told from them.
const OWN_SNI: &str = "outbound";

/// What the proxy is set to for a cluster.
pub(super) struct ClusterTls<'o> {
    pub(super) client_tls: ClientTls,
    pub(super) because: Because,
    pub(super) expected_sans: Vec<String>,
    pub(super) auto_san_validation: bool,
    pub(super) sni: Option<&'o str>,
}

impl<'o> ClusterTls<'o> {
    fn plain(because: Because) -> Self {
        Self::new(ClientTls::Plaintext, because, Vec::new())
    }

    fn new(client_tls: ClientTls, because: Because, expected_sans: Vec<String>) -> Self {
        Self { client_tls, because, expected_sans, auto_san_validation: false, sni: None }
    }

    /// No rule has a say: by endpoint, where istiod lists them.
    pub(super) fn automatic(off: Option<AutoOff>, of: ClusterType, identities: impl FnOnce() -> Vec<String>) -> Self {
        match (off, of) {
            (Some(off), _) => Self::plain(Because::AutoOff(off)),
            (None, ClusterType::Eds) => Self::new(ClientTls::Auto, Because::Auto, identities()),
            (None, ClusterType::OriginalDst) => Self::new(ClientTls::IstioMutual, Because::Auto, identities()),
        }
    }

    /// The rule's `tls` decides.
    pub(super) fn by_rule(
        tls: &'o TlsSettings,
        place: RulePlace,
        has_selector: bool,
        identities: impl FnOnce() -> Vec<String>,
    ) -> Self {
        let mode = tls.mode;
        let because = Because::Rule { mode, place };
        let listed = || {
            let mut sans = tls.subject_alt_names.clone();
            sans.sort();
            sans
        };
        let sni = Some(tls.sni.as_str()).filter(|sni| !sni.is_empty() && !sni.starts_with(OWN_SNI));
        let client_tls = match mode {
            TlsMode::Disable => return Self::plain(because),
            TlsMode::IstioMutual => {
                let sans = if tls.subject_alt_names.is_empty() { identities() } else { listed() };
                return Self { sni, ..Self::new(ClientTls::IstioMutual, because, sans) };
            }
            TlsMode::Simple => ClientTls::Simple,
            TlsMode::Mutual => ClientTls::Mutual,
        };
        let has_credential = !tls.credential_name.is_empty();
        if has_credential && !tls.credential_name.starts_with(CONFIG_MAP_CREDENTIAL) && !has_selector {
            return Self::plain(Because::CredentialNotGiven { mode, place });
        }
        let names_no_certificate = tls.client_certificate.is_empty() || tls.private_key.is_empty();
        if mode == TlsMode::Mutual && !has_credential && names_no_certificate {
            return Self::plain(Because::NoCertificateNamed { place });
        }
        let sans = if tls.insecure_skip_verify { Vec::new() } else { listed() };
        let auto_san_validation = tls.sni.is_empty() && tls.subject_alt_names.is_empty() && !tls.insecure_skip_verify;
        Self { auto_san_validation, sni, ..Self::new(client_tls, because, sans) }
    }
}

/// What decides on the endpoints of a cluster.
pub(super) struct EndpointRule<'r, 'o> {
    pub(super) cluster: ClientTls,
    pub(super) rule: Option<&'r MergedRule<'o>>,
    pub(super) subset: Option<&'o Subset>,
    pub(super) service_port: u16,
    pub(super) ready_only: bool,
}

impl EndpointRule<'_, '_> {
    /// The endpoints that the client may call, each with how.
    pub(super) fn calls<'o>(&self, endpoints: impl Iterator<Item = Endpoint<'o>>) -> Vec<EndpointCall<'o>> {
        let above = self.rule.and_then(|rule| endpoint_mode(rule, self.subset, self.service_port));
        let mut calls: Vec<_> = endpoints
            .filter(|one| !one.terminating && (one.ready || !self.ready_only) && self.in_subset(one))
            .map(|endpoint| {
                let (tls, because) = match self.cluster {
                    ClientTls::Auto => by_endpoint(&endpoint, above),
                    cluster => (cluster, EndpointBecause::Cluster),
                };
                EndpointCall { endpoint, tls, because }
            })
            .collect();
        calls.sort_by_cached_key(|one| one.endpoint.socket_address());
        calls
    }

    fn in_subset(&self, endpoint: &Endpoint<'_>) -> bool {
        let Some(subset) = self.subset else { return true };
        subset.labels.is_empty() || endpoint.pod.is_some_and(|pod| selects(&subset.labels, &pod.metadata.labels))
    }
}

fn by_endpoint(endpoint: &Endpoint<'_>, above: Option<(TlsMode, RulePlace)>) -> (ClientTls, EndpointBecause) {
    if endpoint.pod.is_none_or(|pod| pod.tls_mode_label() != "istio") {
        return (ClientTls::Plaintext, EndpointBecause::NoLabel);
    }
    match above {
        Some((TlsMode::IstioMutual, _)) => (ClientTls::IstioMutual, EndpointBecause::Capable),
        Some((mode, place)) => (ClientTls::Plaintext, EndpointBecause::RuleAbove { mode, place }),
        None if endpoint.mode == Mode::Disable => (ClientTls::Plaintext, EndpointBecause::PortDisabled),
        None => (ClientTls::IstioMutual, EndpointBecause::Capable),
    }
}

impl Endpoint<'_> {
    /// Address and port as Istio's answers write them, IPv6 without brackets too.
    pub fn socket_address(&self) -> String {
        format!("{}:{}", self.address, self.port)
    }
}
