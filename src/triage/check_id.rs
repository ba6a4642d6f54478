//! The checks. Each has a stable name, as `1.1-svid-dates`: the number is that of the runbook's step which it automates, or
//! of one that follows it (1.4 to 1.7, 4.3). `config/verdict-schema.md` says what each is about, in the words below.

use serde::{Deserialize, Serialize};

/// One check, in the order of the runbook.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::EnumMessage,
)]
#[serde(into = "&'static str", try_from = "String")]
pub enum CheckId {
    /// why a pod without a certificate does not start, as Kubernetes says; only where it does not
    #[strum(serialize = "1.0-pod-start")]
    PodStart,
    /// a file that is there, and why it could not be read
    #[strum(serialize = "1.0-file-unreadable")]
    FileUnreadable,
    /// private keys in the file of certificates, or in a ConfigMap of roots; they are not read
    #[strum(serialize = "1.0-key-in-file")]
    KeyInFile,
    /// what else is in the file
    #[strum(serialize = "1.0-other-blocks")]
    OtherBlocks,
    /// whether the file is longer than what is read
    #[strum(serialize = "1.0-file-cut")]
    FileCut,
    /// whether the SVID is in date, and renewed in time
    #[strum(serialize = "1.1-svid-dates")]
    SvidDates,
    /// whether its key usages allow both sides of a connection
    #[strum(serialize = "1.1-svid-usage")]
    SvidUsage,
    /// whether it begins in the future
    #[strum(serialize = "1.1-clock-skew")]
    ClockSkew,
    /// whether the chain of the deciding copy leads to the bundle
    #[strum(serialize = "1.2-chain")]
    Chain,
    /// the same of the file, where the proxy decides
    #[strum(serialize = "1.2-file-chain")]
    FileChain,
    /// whether the identity is the one of its service account
    #[strum(serialize = "1.3-spiffe-id")]
    SpiffeId,
    /// whether SPIRE or istiod issued it
    #[strum(serialize = "1.4-issuer")]
    Issuer,
    /// whether the proxy serves what lies in the file
    #[strum(serialize = "1.5-served-is-on-disk")]
    ServedIsOnDisk,
    /// when the last root of a bundle ends
    #[strum(serialize = "1.6-bundle-end")]
    BundleEnd,
    /// which hop of a trust bundle lacks a root that SVIDs need or the SPIRE server has
    #[strum(serialize = "1.7-bundles")]
    Bundles,
    /// the health of a pod of the SPIRE server
    #[strum(serialize = "2.1-spire-server")]
    SpireServer,
    /// what its log says of faults of its own, or that no table explains; only where it does
    #[strum(serialize = "2.1-server-log")]
    ServerLog,
    /// whether the SPIRE agent of the node renews
    #[strum(serialize = "2.2-spire-agent")]
    SpireAgent,
    /// how many of all agents are Ready
    #[strum(serialize = "2.2-spire-agents")]
    SpireAgents,
    /// what its log says of SVIDs that were refused, or that no rule knows; only where it does
    #[strum(serialize = "2.3-agent-log")]
    AgentLog,
    /// the mode in effect of each port, with the PeerAuthentication that decided
    #[strum(serialize = "3.1-mode-in-effect")]
    ModeInEffect,
    /// what each client in question does, by the DestinationRule in effect, and whether that can work
    #[strum(serialize = "3.2-destination-rule")]
    DestinationRule,
    /// what the proxy's log says of TLS
    #[strum(serialize = "3.3-proxy-log")]
    ProxyLog,
    /// what the node's ztunnel logs of a pod in ambient mode; only of such pods
    #[strum(serialize = "3.3-ztunnel-log")]
    ZtunnelLog,
    /// handshakes as a server, since the proxy started
    #[strum(serialize = "4.1-server-counters")]
    ServerCounters,
    /// handshakes as a client
    #[strum(serialize = "4.2-client-counters")]
    ClientCounters,
    /// connections that could not be opened; only where they are many
    #[strum(serialize = "4.3-connections")]
    Connections,
}

/// A name that no check of this version has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no check of this version is named {0:?}: a newer version wrote it")]
pub struct UnknownCheck(String);

impl TryFrom<String> for CheckId {
    type Error = UnknownCheck;

    fn try_from(name: String) -> Result<Self, UnknownCheck> {
        name.parse().map_err(|_| UnknownCheck(name))
    }
}

impl CheckId {
    /// The step, as `1.1`.
    pub fn step(self) -> &'static str {
        let name: &'static str = self.into();
        name.split_once('-').map_or(name, |(step, _)| step)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use strum::{EnumMessage, IntoEnumIterator};

    use super::*;

    #[test]
    fn every_check_is_documented_in_the_words_of_the_code() {
        let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/verdict-schema.md");
        let schema = fs::read_to_string(schema).unwrap();
        let (_, table) = schema.split_once("## Checks\n").unwrap();
        let rows = table.split("\n\n").next().unwrap().lines().skip(2).map(str::to_owned);
        let of_code = CheckId::iter().map(|id| format!("| `{id}` | {} |", id.get_documentation().unwrap()));
        assert_eq!(rows.collect::<Vec<_>>(), of_code.collect::<Vec<_>>());
    }

    #[test]
    fn checks_are_stored_by_their_names_and_stand_in_the_order_of_the_runbook() {
        for id in CheckId::iter() {
            let stored = serde_json::to_string(&id).unwrap();
            assert_eq!(stored, format!("\"{id}\""));
            assert_eq!(serde_json::from_str::<CheckId>(&stored).unwrap(), id);
        }
        assert!(CheckId::iter().map(CheckId::step).is_sorted());
        assert_eq!((CheckId::SvidDates.to_string().as_str(), CheckId::SvidDates.step()), ("1.1-svid-dates", "1.1"));
        let newer = serde_json::from_str::<CheckId>("\"5.1-spire-port\"").unwrap_err().to_string();
        assert_eq!(newer, "no check of this version is named \"5.1-spire-port\": a newer version wrote it");
    }
}
