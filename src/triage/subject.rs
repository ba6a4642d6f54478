//! What a row of a verdict is about. Rules and plans compare it as a type; people, and the documented JSON, see it as text.

use std::fmt;

use serde::Serialize;

use super::CheckId;
use crate::mesh::{NodeName, PodRef};

/// What a check looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub enum Subject {
    /// A pod of the target.
    Pod(PodRef),
    /// The SPIRE agent of a node.
    SpireAgent(NodeName),
    /// All SPIRE agents.
    SpireAgents,
    /// A pod of the SPIRE server.
    SpireServerPod(PodRef),
    /// The SPIRE server, where none of its pods could be listed.
    SpireServer,
    /// The ConfigMap with SPIRE's bundle.
    SpireBundle,
    /// The ConfigMap with istiod's root.
    IstioRoot,
    /// Something that only another version knows, as it was written.
    Other(String),
}

const AGENT_OF: &str = "agent of ";
const SPIRE_AGENTS: &str = "all SPIRE agents";
const SPIRE_SERVER: &str = "SPIRE server";
const SPIRE_BUNDLE: &str = "SPIRE's bundle";
const ISTIO_ROOT: &str = "Istio's root";

impl Subject {
    /// Reads what a stored row says. Pods of the target and of SPIRE's server are written alike: the check tells them apart.
    pub(super) fn read(of: CheckId, text: String) -> Self {
        let known = match text.as_str() {
            SPIRE_AGENTS => Some(Self::SpireAgents),
            SPIRE_SERVER => Some(Self::SpireServer),
            SPIRE_BUNDLE => Some(Self::SpireBundle),
            ISTIO_ROOT => Some(Self::IstioRoot),
            other => match other.strip_prefix(AGENT_OF) {
                Some(node) => node.parse().ok().map(Self::SpireAgent),
                None => pod_of(other).map(|pod| match of {
                    CheckId::SpireServer => Self::SpireServerPod(pod),
                    _ => Self::Pod(pod),
                }),
            },
        };
        known.unwrap_or(Self::Other(text))
    }
}

fn pod_of(text: &str) -> Option<PodRef> {
    let (namespace, name) = text.split_once('/')?;
    Some(PodRef { namespace: namespace.parse().ok()?, name: name.parse().ok()? })
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(pod) | Self::SpireServerPod(pod) => write!(f, "{pod}"),
            Self::SpireAgent(node) => write!(f, "{AGENT_OF}{node}"),
            Self::SpireAgents => f.write_str(SPIRE_AGENTS),
            Self::SpireServer => f.write_str(SPIRE_SERVER),
            Self::SpireBundle => f.write_str(SPIRE_BUNDLE),
            Self::IstioRoot => f.write_str(ISTIO_ROOT),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_stored_today_is_about_the_same_when_it_is_read_again() {
        let pod = || PodRef { namespace: "spire-system".parse().unwrap(), name: "spire-server-0".parse().unwrap() };
        for (check, subject, text) in [
            (CheckId::SvidDates, Subject::Pod(pod()), "spire-system/spire-server-0"),
            (CheckId::SpireServer, Subject::SpireServerPod(pod()), "spire-system/spire-server-0"),
            (CheckId::SpireServer, Subject::SpireServer, "SPIRE server"),
            (CheckId::SpireAgents, Subject::SpireAgents, "all SPIRE agents"),
            (CheckId::AgentLog, Subject::SpireAgent("node-1".parse().unwrap()), "agent of node-1"),
            (CheckId::BundleEnd, Subject::SpireBundle, "SPIRE's bundle"),
            (CheckId::KeyInFile, Subject::IstioRoot, "Istio's root"),
            (CheckId::SvidDates, Subject::Other("agent of <b>".to_owned()), "agent of <b>"),
            (CheckId::SvidDates, Subject::Other(String::new()), ""),
        ] {
            assert_eq!(serde_json::to_value(&subject).unwrap(), serde_json::Value::from(text));
            assert_eq!(Subject::read(check, text.to_owned()), subject);
        }
    }
}
