//! Why a call works as it does, in one sentence, for people and for JSON.

use std::fmt;

use super::{
    client_tls::{Because, ClientTls, EndpointBecause, Missing},
    names::ObjectName,
    rule_merge::MergedRule,
    server_mode::{Decision, Level, ServerMode},
    service_mode::AutoOff,
    works::{Conclusion, Judged, JudgedEndpoint, Outcome, WhyNot},
};

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mesh => "for the whole mesh",
            Self::Namespace => "for its namespace",
            Self::Workload => "for this workload",
        })
    }
}

impl fmt::Display for ServerMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = self.mode.as_str();
        match &self.decided_by {
            None => write!(f, "{mode}, since no PeerAuthentication says otherwise"),
            Some(Decision { policy, for_this_port: true, .. }) => {
                write!(f, "{mode} by PeerAuthentication {policy} for this port")
            }
            Some(Decision { policy, level, .. }) => write!(f, "{mode} by PeerAuthentication {policy} {level}"),
        }
    }
}

impl fmt::Display for AutoOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mesh => f.write_str("the mesh has enableAutoMtls: false"),
            Self::Policy(policy) => {
                write!(f, "PeerAuthentication {policy} sets DISABLE for the Service's namespace as a whole")
            }
            Self::PodWithout(pod) => {
                write!(f, "calls go to pods directly, and pod {pod} lacks the label security.istio.io/tlsMode: istio")
            }
            Self::NoPods => f.write_str("calls go to addresses directly, and not all of them are pods of the mesh"),
        }
    }
}

/// What the client's proxy does.
fn does(tls: ClientTls) -> &'static str {
    match tls {
        ClientTls::Plaintext => "sends plain text",
        ClientTls::IstioMutual => "makes Istio's mTLS",
        ClientTls::Simple => "makes TLS without a certificate of its own",
        ClientTls::Mutual => "makes TLS with a certificate that is not the mesh's",
        ClientTls::Auto => "makes mTLS where the endpoint can",
        ClientTls::NoCluster => "knows no such destination",
    }
}

fn rule_name(rule: Option<&MergedRule<'_>>) -> String {
    let names: Vec<String> =
        rule.map(MergedRule::names).unwrap_or_default().iter().map(ObjectName::to_string).collect();
    format!("DestinationRule {}", names.join(" merged with "))
}

impl Judged<'_, '_> {
    /// What the client's proxy does and which object decided.
    pub fn client_side(&self) -> String {
        let does = does(self.call.client_tls);
        let rule = self.call.rule;
        match &self.call.because {
            Because::NoSidecar => "the client has no sidecar, so nothing makes mTLS for it".to_owned(),
            Because::Rule { mode, place } => {
                format!("the client's proxy {does} ({}, {}: {})", rule_name(rule), place.as_str(), mode.as_str())
            }
            Because::CredentialNotGiven { mode, place } => format!(
                "the client's proxy {does}, since Istio leaves {} with credentialName out of sidecars unless the rule has a \
                 workloadSelector ({}, {})",
                mode.as_str(),
                rule_name(rule),
                place.as_str()
            ),
            Because::NoCertificateNamed { place } => format!(
                "the client's proxy {does}, since MUTUAL names no clientCertificate and privateKey ({}, {})",
                rule_name(rule),
                place.as_str()
            ),
            Because::Auto => format!("the client's proxy {does} (automatic mTLS; no rule sets tls)"),
            Because::AutoOff(off) => format!("the client's proxy {does}, since no rule sets tls and {off}"),
            Because::Missing(missing) => missing_sentence(missing),
        }
    }

    /// In one sentence: whether the call can work, and if not, why.
    pub fn sentence(&self) -> String {
        if let Some(ambient) = self.ambient() {
            return format!("{ambient}, which is not computed here");
        }
        if let Some((first, failing)) = self.first_failure() {
            let all = self.endpoints.len();
            let share = if failing < all { format!("{failing} of {all} endpoints fail: ") } else { String::new() };
            return format!("{share}{}", self.failure(first));
        }
        let client = self.client_side();
        if self.call.client_tls == ClientTls::NoCluster {
            return client;
        }
        match self.conclusion() {
            Conclusion::Mtls => "it works by mTLS".to_owned(),
            Conclusion::WithoutMtls => match self.plain_endpoint() {
                Some(one) => format!("it works without mTLS: {}", self.endpoint_side(one)),
                None => format!("it works without mTLS: {client}"),
            },
            Conclusion::Unclear | Conclusion::Fails if self.endpoints.is_empty() => {
                format!("{client}, and there is no endpoint to call")
            }
            Conclusion::Unclear | Conclusion::Fails => {
                format!("{client}, which works only if the application itself serves TLS")
            }
        }
    }

    fn plain_endpoint(&self) -> Option<&JudgedEndpoint<'_>> {
        self.endpoints.iter().find(|one| one.outcome == Outcome::Plaintext)
    }

    /// How one endpoint is called, where it differs from what the cluster as a whole does.
    fn endpoint_side(&self, one: &JudgedEndpoint<'_>) -> String {
        let pod = pod_name(one);
        match one.call.because {
            EndpointBecause::Cluster | EndpointBecause::Capable => self.client_side(),
            EndpointBecause::NoLabel => format!(
                "the client's proxy sends plain text to {pod}, which lacks the label security.istio.io/tlsMode: istio"
            ),
            EndpointBecause::PortDisabled => {
                format!(
                    "the client's proxy sends plain text to {pod}, whose port {} is set to DISABLE",
                    one.call.endpoint.port
                )
            }
            EndpointBecause::RuleAbove { mode, place } => format!(
                "the client's proxy sends plain text to {pod}, since the port's entry has no tls of its own and {} says {} \
                 ({})",
                place.as_str(),
                mode.as_str(),
                rule_name(self.call.rule)
            ),
        }
    }

    fn failure(&self, one: &JudgedEndpoint<'_>) -> String {
        let Outcome::Fails(why) = &one.outcome else { return self.client_side() };
        let client = self.endpoint_side(one);
        let pod = pod_name(one);
        let port = one.call.endpoint.port;
        let mode = self.server(one).map_or_else(String::new, |mode| format!(" ({mode})"));
        match why {
            WhyNot::PlaintextIntoStrict | WhyNot::OwnTlsIntoStrict => {
                format!("{client}, and {pod} accepts only mTLS on port {port}{mode}")
            }
            WhyNot::OwnTlsIntoHttp => {
                format!("{client}, and {pod} takes no TLS but Istio's on its HTTP port {port}{mode}")
            }
            WhyNot::MutualIntoDisabled => {
                format!("{client}, and {pod} accepts no TLS on port {port}{mode}")
            }
            WhyNot::MutualIntoNoSidecar => format!("{client}, and {pod} has no sidecar that could take it"),
            WhyNot::WrongIdentity { held } => {
                format!("{client} and demands {}, and {pod} holds {held}", self.call.expected_sans.join(" or "))
            }
        }
    }
}

fn pod_name(one: &JudgedEndpoint<'_>) -> String {
    match one.call.endpoint.pod {
        Some(pod) => format!("pod {}", pod.metadata.object_name()),
        None => format!("address {}", one.call.endpoint.socket_address()),
    }
}

fn missing_sentence(missing: &Missing) -> String {
    match missing {
        Missing::Port => "the Service has no such TCP port".to_owned(),
        Missing::Subset(Some(rule)) => {
            format!("the rule in force, DestinationRule {rule}, has no such subset, so calls fail with the flag NC")
        }
        Missing::Subset(None) => "no rule is in force that has subsets, so calls fail with the flag NC".to_owned(),
        Missing::NotVisible => "the Service is not exported to the client's namespace".to_owned(),
    }
}
