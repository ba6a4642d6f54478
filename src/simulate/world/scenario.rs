//! What can be broken in the world, and the nights that are made of it.

use std::{collections::BTreeSet, fmt, str::FromStr};

use jiff::SignedDuration;

/// Something that is broken in the world.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The pods of a workload that live now do not pick up what SPIRE issues: their file and their proxy keep the old
    /// SVID. Pods that start later are fine.
    WorkloadKeepsOldSvid {
        namespace: String,
        /// Its name.
        workload: String,
    },
    /// The SPIRE agent of a node renews nothing any more, and its healthcheck says so.
    AgentFrozen {
        /// Which node.
        node: String,
    },
    /// The proxies of a workload's pods that live now keep the old SVID, though the file is new. Proxies that start
    /// later are fine.
    ProxyKeepsOldSvid {
        namespace: String,
        /// Its name.
        workload: String,
    },
    /// SPIRE has no registration entry for a workload: it gets no SVID.
    NoRegistrationEntry {
        namespace: String,
        /// Its name.
        workload: String,
    },
    /// SPIRE's registration entry of a workload gives it the identity of the namespace's default account.
    WrongIdentity {
        namespace: String,
        /// Its name.
        workload: String,
    },
    /// The pods of a workload do not mount SPIRE's socket: istiod issues for them, and nobody else trusts istiod.
    IstiodIssued {
        namespace: String,
        /// Its name.
        workload: String,
    },
    /// The SPIRE agent of a node renews nothing any more and says nothing, and its healthcheck stays green (spire issue
    /// 4316).
    AgentStuckButGreen {
        /// Which node.
        node: String,
    },
    /// The SPIRE server is down: agents cannot sync, nothing is renewed anywhere.
    ServerDown,
    /// The SPIRE server is well, and no agent reaches its port 8081.
    ServerPortBlocked,
    /// The SPIRE server's clock is ahead: what it issues begins in the future.
    ServerClockAhead,
    /// The DestinationRule of a workload says DISABLE, so that its clients send plain text. Whoever changes the rule mends it.
    RuleSaysDisable {
        namespace: String,
        /// Its name.
        workload: String,
    },
    /// SPIRE rotated its authority, and two hops hold the bundle of before: the ConfigMap, and the first pod of a workload, in
    /// its file and its proxy. A pod that starts later holds today's.
    OldBundleKept {
        namespace: String,
        /// Its name.
        workload: String,
    },
    /// Clients stop at TLS 1.2, where a rejected client learns the reason within its handshake.
    Tls12,
    /// istio-proxy is an init container that never ends.
    NativeSidecar,
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
            Self::ProxyKeepsOldSvid { namespace, workload } => {
                write!(f, "the proxies of {namespace}/{workload} keep their old SVID")
            }
            Self::NoRegistrationEntry { namespace, workload } => {
                write!(f, "{namespace}/{workload} has no registration entry")
            }
            Self::WrongIdentity { namespace, workload } => write!(f, "{namespace}/{workload} has another's identity"),
            Self::IstiodIssued { namespace, workload } => write!(f, "istiod issues for {namespace}/{workload}"),
            Self::ServerDown => f.write_str("the SPIRE server is down"),
            Self::ServerPortBlocked => f.write_str("no agent reaches port 8081 of the SPIRE server"),
            Self::ServerClockAhead => f.write_str("the clock of the SPIRE server is ahead"),
            Self::RuleSaysDisable { namespace, workload } => {
                write!(f, "the DestinationRule of {namespace}/{workload} says DISABLE")
            }
            Self::OldBundleKept { namespace, workload } => {
                write!(f, "the ConfigMap and a pod of {namespace}/{workload} keep the bundle of before a rotation")
            }
            Self::Tls12 => f.write_str("clients stop at TLS 1.2"),
            Self::NativeSidecar => f.write_str("sidecars are native"),
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
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
    /// As the expired certificate, with clients that stop at TLS 1.2.
    ExpiredCertificateTls12,
    /// As the expired certificate, with native sidecars.
    ExpiredCertificateNativeSidecar,
    /// The file is new, and the proxy serves the old SVID.
    ProxyKeepsOldSvid,
    /// The agent of frontend's node hangs without a word.
    AgentStuckButGreen,
    /// No agent reaches the SPIRE server, which is well.
    ServerPortBlocked,
    /// Nobody registered frontend.
    NoRegistrationEntry,
    /// frontend has another identity than clients expect.
    WrongIdentity,
    /// istiod issued frontend's certificate.
    IstiodIssued,
    /// SVIDs begin in the future.
    ClockSkew,
    /// frontend takes mTLS alone, and the rule for it has its clients send plain text.
    IstioConfiguration,
    /// SPIRE rotated its authority; the ConfigMap and a pod of frontend hold the old bundle.
    TrustBundle,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Self; 16] = [
        Self::Healthy,
        Self::ExpiredCertificate,
        Self::SpireAgent,
        Self::ExpiredCertificateAgentFrozen,
        Self::SpireServer,
        Self::ExpiredCertificateTls12,
        Self::ExpiredCertificateNativeSidecar,
        Self::ProxyKeepsOldSvid,
        Self::AgentStuckButGreen,
        Self::ServerPortBlocked,
        Self::NoRegistrationEntry,
        Self::WrongIdentity,
        Self::IstiodIssued,
        Self::ClockSkew,
        Self::IstioConfiguration,
        Self::TrustBundle,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// One sentence for `--help`.
    pub fn summary(self) -> &'static str {
        match self {
            Self::Healthy => "nothing is broken",
            Self::ExpiredCertificate => "web/frontend keeps an SVID that ended 40 minutes ago",
            Self::SpireAgent => "the SPIRE agent of frontend's node is frozen and its SVIDs have run out",
            Self::ExpiredCertificateAgentFrozen => "both at once: a restarted pod would get no SVID",
            Self::SpireServer => "the SPIRE server is down and SVIDs have run out everywhere",
            Self::ExpiredCertificateTls12 => "expired-certificate, with clients that stop at TLS 1.2",
            Self::ExpiredCertificateNativeSidecar => "expired-certificate, with istio-proxy as an init container",
            Self::ProxyKeepsOldSvid => "frontend's file is new, and its proxy serves an SVID that ended",
            Self::AgentStuckButGreen => "the agent of frontend's node hangs silently; its healthcheck is green",
            Self::ServerPortBlocked => "no agent reaches port 8081 of a healthy SPIRE server",
            Self::NoRegistrationEntry => "SPIRE has no registration entry for frontend: it gets no SVID",
            Self::WrongIdentity => "frontend's SVID has another SPIFFE ID than its callers expect",
            Self::IstiodIssued => "istiod issued frontend's certificate, and the others trust SPIRE only",
            Self::ClockSkew => "the SPIRE server's clock is 45 minutes ahead: SVIDs begin in the future",
            Self::IstioConfiguration => {
                "frontend takes mTLS alone, and a DestinationRule has its callers send plain text"
            }
            Self::TrustBundle => "SPIRE's CA rotated; a pod of frontend and the ConfigMap hold the old bundle",
        }
    }

    pub(super) fn faults(self) -> BTreeSet<Fault> {
        let (namespace, workload) = ("web".to_owned(), "frontend".to_owned());
        let node = "node-2".to_owned();
        match self {
            Self::Healthy => BTreeSet::new(),
            Self::ExpiredCertificate => BTreeSet::from([Fault::WorkloadKeepsOldSvid { namespace, workload }]),
            Self::SpireAgent => BTreeSet::from([Fault::AgentFrozen { node }]),
            Self::ExpiredCertificateAgentFrozen => {
                BTreeSet::from([Fault::WorkloadKeepsOldSvid { namespace, workload }, Fault::AgentFrozen { node }])
            }
            Self::SpireServer => BTreeSet::from([Fault::ServerDown]),
            Self::ExpiredCertificateTls12 => {
                BTreeSet::from([Fault::WorkloadKeepsOldSvid { namespace, workload }, Fault::Tls12])
            }
            Self::ExpiredCertificateNativeSidecar => {
                BTreeSet::from([Fault::WorkloadKeepsOldSvid { namespace, workload }, Fault::NativeSidecar])
            }
            Self::ProxyKeepsOldSvid => BTreeSet::from([Fault::ProxyKeepsOldSvid { namespace, workload }]),
            Self::AgentStuckButGreen => BTreeSet::from([Fault::AgentStuckButGreen { node }]),
            Self::ServerPortBlocked => BTreeSet::from([Fault::ServerPortBlocked]),
            Self::NoRegistrationEntry => BTreeSet::from([Fault::NoRegistrationEntry { namespace, workload }]),
            Self::WrongIdentity => BTreeSet::from([Fault::WrongIdentity { namespace, workload }]),
            Self::IstiodIssued => BTreeSet::from([Fault::IstiodIssued { namespace, workload }]),
            Self::ClockSkew => BTreeSet::from([Fault::ServerClockAhead]),
            Self::IstioConfiguration => BTreeSet::from([Fault::RuleSaysDisable { namespace, workload }]),
            Self::TrustBundle => BTreeSet::from([Fault::OldBundleKept { namespace, workload }]),
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
