//! The one object that keeps a call from working, what would work instead, and the line that says so to the cluster.

use std::fmt;

use super::{
    client_tls::{Because, EndpointBecause, Missing},
    names::ObjectName,
    policy_objects::{Mode, TlsMode},
    server_mode::Decision,
    service_mode::AutoOff,
    traffic_policy::RulePlace,
    works::{Judged, JudgedEndpoint, Outcome, WhyNot},
};

/// What keeps a call from working, and how it would work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// As `DestinationRule`.
    pub kind: &'static str,
    pub name: ObjectName,
    /// What would work, as the end of "it works once …".
    pub once: String,
    /// To paste into a terminal; absent where a name would need quoting, which Kubernetes allows in none.
    pub command: Option<String>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

const RULE: &str = "DestinationRule";
const POLICY: &str = "PeerAuthentication";

impl Cause {
    fn new(kind: &'static str, name: ObjectName, once: &str, verb: &str, rest: &str) -> Self {
        let resource = match kind {
            RULE => "destinationrules.networking.istio.io",
            POLICY => "peerauthentications.security.istio.io",
            "ConfigMap" => "configmaps",
            "Service" => "services",
            _ => "pods",
        };
        let is_plain = |text: &str| {
            let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
            !text.is_empty() && !text.starts_with('-') && text.chars().all(plain)
        };
        let ObjectName { namespace, name: own } = &name;
        let command = (is_plain(namespace) && is_plain(own))
            .then(|| format!("kubectl -n {namespace} {verb} {resource} {own}{rest}"));
        Self { kind, name, once: once.to_owned(), command }
    }

    fn edited(kind: &'static str, name: ObjectName, once: &str) -> Self {
        Self::new(kind, name, once, "edit", "")
    }

    fn patched(kind: &'static str, name: ObjectName, once: &str, patch: &str) -> Self {
        Self::new(kind, name, once, "patch", &format!(" --type json -p '{patch}'"))
    }
}

impl Judged<'_, '_> {
    /// The object that keeps the call from working. `None` where it works, and where no object is at fault: a client without a
    /// sidecar is outside of the mesh.
    pub fn cause(&self) -> Option<Cause> {
        match &self.call.because {
            Because::Missing(Missing::Subset(Some(rule))) => {
                return Some(Cause::edited(RULE, rule.clone(), "the rule has that subset, or nobody calls it"));
            }
            Because::NoSidecar | Because::Missing(_) => return None,
            _ => {}
        }
        let (first, _) = self.first_failure()?;
        let Outcome::Fails(why) = &first.outcome else { return None };
        match why {
            WhyNot::PlaintextIntoStrict => self.why_plaintext(first),
            WhyNot::OwnTlsIntoStrict | WhyNot::OwnTlsIntoHttp => self.own_tls(),
            WhyNot::MutualIntoDisabled => self.disabled(first),
            WhyNot::MutualIntoNoSidecar => self.no_sidecar(first),
            WhyNot::WrongIdentity { held } => self.other_identity(held),
        }
    }

    fn rule_name(&self) -> Option<ObjectName> {
        self.call.rule.and_then(|rule| rule.names().into_iter().next())
    }

    /// The rule that sets a place: of those that were merged, the first that has a policy.
    fn rule_setting(&self, place: RulePlace) -> Option<ObjectName> {
        let rule = self.call.rule?;
        let sets = |one: &&&super::policy_objects::DestinationRule| match place {
            RulePlace::Rule | RulePlace::RulePort => one.spec.traffic_policy.is_some(),
            RulePlace::Subset | RulePlace::SubsetPort => !one.spec.subsets.is_empty(),
        };
        rule.from.iter().find(sets).map(|one| one.metadata.object_name()).or_else(|| self.rule_name())
    }

    fn rule_at(&self, place: RulePlace) -> Option<Cause> {
        let name = self.rule_setting(place)?;
        let once = format!("{} says ISTIO_MUTUAL, or has no tls at all", place.as_str());
        Some(match place {
            RulePlace::Rule => {
                let patch = r#"[{"op":"replace","path":"/spec/trafficPolicy/tls","value":{"mode":"ISTIO_MUTUAL"}}]"#;
                Cause::patched(RULE, name, &once, patch)
            }
            RulePlace::RulePort | RulePlace::Subset | RulePlace::SubsetPort => Cause::edited(RULE, name, &once),
        })
    }

    fn why_plaintext(&self, one: &JudgedEndpoint<'_>) -> Option<Cause> {
        match one.call.because {
            EndpointBecause::RuleAbove { place, .. } => return self.rule_at(place),
            EndpointBecause::NoLabel => {
                return Some(unlabelled(one.call.endpoint.pod?.metadata.object_name()));
            }
            EndpointBecause::Cluster | EndpointBecause::Capable | EndpointBecause::PortDisabled => {}
        }
        match &self.call.because {
            Because::Rule { place, .. }
            | Because::CredentialNotGiven { place, .. }
            | Because::NoCertificateNamed { place } => self.rule_at(*place),
            Because::AutoOff(AutoOff::Policy(policy)) => Some(permissive(policy.clone(), "/spec/mtls/mode")),
            Because::AutoOff(AutoOff::Mesh) => {
                let namespace = self.computed.objects.mesh.root_namespace.clone();
                let map = ObjectName { namespace, name: "istio".to_owned() };
                let works_when = "enableAutoMtls is not false, or a DestinationRule says ISTIO_MUTUAL";
                Some(Cause::edited("ConfigMap", map, works_when))
            }
            Because::AutoOff(AutoOff::PodWithout(pod)) => Some(unlabelled(pod.clone())),
            Because::AutoOff(AutoOff::NoPods) | Because::Auto | Because::NoSidecar | Because::Missing(_) => None,
        }
    }

    fn own_tls(&self) -> Option<Cause> {
        match self.call.because {
            Because::Rule { place, .. } => self.rule_at(place),
            _ => None,
        }
    }

    fn disabled(&self, one: &JudgedEndpoint<'_>) -> Option<Cause> {
        let mode = self.server(one)?;
        let Decision { policy, for_this_port, .. } = mode.decided_by.filter(|_| mode.mode == Mode::Disable)?;
        let port = format!("/spec/portLevelMtls/{}/mode", one.call.endpoint.port);
        Some(permissive(policy, if for_this_port { &port } else { "/spec/mtls/mode" }))
    }

    fn no_sidecar(&self, one: &JudgedEndpoint<'_>) -> Option<Cause> {
        let others_have = self.endpoints.iter().any(|other| other.mode.is_some());
        match self.call.because {
            Because::Rule { mode: TlsMode::IstioMutual, place } if !others_have => {
                let place_in_words = place.as_str();
                let works_when =
                    format!("{place_in_words} says DISABLE or has no tls at all, or the pods have sidecars");
                Some(Cause::edited(RULE, self.rule_setting(place)?, &works_when))
            }
            _ => {
                let pod = one.call.endpoint.pod?.metadata.object_name();
                Some(Cause::new("Pod", pod, "the pod has a sidecar, as the others of the Service", "describe", ""))
            }
        }
    }

    fn other_identity(&self, held: &str) -> Option<Cause> {
        let Because::Rule { place, .. } = self.call.because else { return None };
        let name = self.rule_setting(place)?;
        let once = format!("subjectAltNames has {held}, or is left out");
        Some(match place {
            RulePlace::Rule => {
                let patch = r#"[{"op":"remove","path":"/spec/trafficPolicy/tls/subjectAltNames"}]"#;
                Cause::patched(RULE, name, &once, patch)
            }
            _ => Cause::edited(RULE, name, &once),
        })
    }
}

/// PERMISSIVE breaks nobody, whatever they send; STRICT is for when all of them send mTLS.
fn permissive(policy: ObjectName, path: &str) -> Cause {
    let to_permissive = format!(r#"[{{"op":"replace","path":"{path}","value":"PERMISSIVE"}}]"#);
    let once = "the mode is PERMISSIVE, or STRICT where every caller has a sidecar";
    Cause::patched(POLICY, policy, once, &to_permissive)
}

fn unlabelled(pod: ObjectName) -> Cause {
    let once = "the pod has the label by which Istio knows its sidecar";
    Cause::new("Pod", pod, once, "label", " security.istio.io/tlsMode=istio")
}
