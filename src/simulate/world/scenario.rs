//! What can be broken in the world, and the nights that are made of it.

use std::{collections::BTreeSet, fmt, str::FromStr};

use jiff::SignedDuration;

/// Something that is broken in the world.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The pods of a workload that live now do not pick up what SPIRE issues: their file and their proxy keep the old
    /// SVID. Pods that start later are fine.
    WorkloadKeepsOldSvid {
        /// Its namespace.
        namespace: String,
        /// Its name.
        workload: String,
    },
    /// The SPIRE agent of a node renews nothing any more, and its healthcheck says so.
    AgentFrozen {
        /// Which node.
        node: String,
    },
    /// The SPIRE agent of a node renews nothing any more, and its healthcheck stays green (spire issue 4316).
    AgentStuckButGreen {
        /// Which node.
        node: String,
    },
    /// The SPIRE server is down: agents cannot sync, nothing is renewed anywhere.
    ServerDown,
    /// Nobody calls anybody.
    NoTraffic,
    /// Envoy's `ssl.*` counters are left out, as with Istio's default stats matcher.
    StatsHidden,
    /// Application images without `cat` (distroless).
    NoCat,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WorkloadKeepsOldSvid { namespace, workload } => {
                write!(f, "{namespace}/{workload} keeps its old SVID")
            }
            Self::AgentFrozen { node } => write!(f, "the SPIRE agent of {node} is frozen"),
            Self::AgentStuckButGreen { node } => {
                write!(f, "the SPIRE agent of {node} is stuck, with a green healthcheck")
            }
            Self::ServerDown => f.write_str("the SPIRE server is down"),
            Self::NoTraffic => f.write_str("nobody calls anybody"),
            Self::StatsHidden => f.write_str("the ssl.* counters are hidden"),
            Self::NoCat => f.write_str("images have no cat"),
        }
    }
}

/// How long a world has been running, broken, before anybody looks. An SVID lasts an hour: after 100 minutes one that
/// is not renewed ended 40 minutes ago.
pub(super) const HISTORY: SignedDuration = SignedDuration::from_mins(100);

/// A night, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Nothing is broken.
    Healthy,
    /// web/frontend keeps an SVID that ended 40 minutes ago.
    ExpiredCertificate,
    /// The agent of frontend's node is frozen, and its SVIDs have run out.
    SpireAgent,
    /// Both: restarting pods cannot help until the agent is mended.
    ExpiredCertificateAgentFrozen,
    /// The SPIRE server is down and SVIDs have run out everywhere.
    SpireServer,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Self; 5] = [
        Self::Healthy,
        Self::ExpiredCertificate,
        Self::SpireAgent,
        Self::ExpiredCertificateAgentFrozen,
        Self::SpireServer,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::ExpiredCertificate => "expired-certificate",
            Self::SpireAgent => "spire-agent",
            Self::ExpiredCertificateAgentFrozen => "expired-certificate-agent-frozen",
            Self::SpireServer => "spire-server",
        }
    }

    /// One sentence for `--help`.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Healthy => "nothing is broken",
            Self::ExpiredCertificate => "web/frontend keeps an SVID that ended 40 minutes ago",
            Self::SpireAgent => "the SPIRE agent of frontend's node is frozen and its SVIDs have run out",
            Self::ExpiredCertificateAgentFrozen => "both at once: a restarted pod would get no SVID",
            Self::SpireServer => "the SPIRE server is down and SVIDs have run out everywhere",
        }
    }

    pub(super) fn faults(self) -> BTreeSet<Fault> {
        let keeps = Fault::WorkloadKeepsOldSvid { namespace: "web".to_owned(), workload: "frontend".to_owned() };
        let frozen = Fault::AgentFrozen { node: "node-2".to_owned() };
        match self {
            Self::Healthy => BTreeSet::new(),
            Self::ExpiredCertificate => BTreeSet::from([keeps]),
            Self::SpireAgent => BTreeSet::from([frozen]),
            Self::ExpiredCertificateAgentFrozen => BTreeSet::from([keeps, frozen]),
            Self::SpireServer => BTreeSet::from([Fault::ServerDown]),
        }
    }
}

/// There is no scenario of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no scenario {0:?}; there are: {known}", known = Scenario::ALL.map(Scenario::name).join(", "))]
pub struct NoSuchScenario(String);

impl FromStr for Scenario {
    type Err = NoSuchScenario;
    fn from_str(text: &str) -> Result<Self, NoSuchScenario> {
        Self::ALL.into_iter().find(|one| one.name() == text).ok_or_else(|| NoSuchScenario(text.to_owned()))
    }
}
