//! Why a pod does not start, as its own status and Kubernetes' events say. A pod that waits for its volume, its image or a node
//! has no certificate either, and no log of its own that says so.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Gathered, Redacted, ends::end_of};
use crate::mesh::PodRef;

/// How many containers and events are kept of a pod.
pub(crate) const KEPT_MOST: usize = 10;
/// What still goes wrong is told again within this: kubelets and schedulers try again after five minutes at most. An older event is
/// of the past. An event without a time counts: Kubernetes keeps events for an hour.
const STILL: SignedDuration = SignedDuration::from_mins(10);
/// Reasons that only say that something else is waited for.
const NOT_TELLING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// A pod that is not Ready, or in which no certificate was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodStart {
    /// Whether not all of its containers were started yet (phase Pending), which is so of one without a node as well.
    pub pending: bool,
    /// Its containers that wait, or have ended once.
    pub containers: Vec<ContainerTrouble>,
    /// Warnings about this life of it, oldest first.
    pub events: Gathered<Vec<PodEvent>>,
}

/// A container that waits, or has ended once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerTrouble {
    pub name: Redacted,
    /// Why it does not run, where it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WhyItWaits>,
    /// How it ended last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<ContainerEnd>,
    pub restarts: u32,
}

/// Why a container waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyItWaits {
    /// As `ImagePullBackOff`.
    pub reason: Redacted,
    pub message: Redacted,
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerEnd {
    pub exit_code: i32,
    /// As `Error` or `OOMKilled`.
    pub reason: Redacted,
    pub at: Option<Timestamp>,
}

/// A warning of Kubernetes about a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodEvent {
    /// As `FailedMount`.
    pub reason: Redacted,
    pub message: Redacted,
    /// How often.
    pub count: u32,
    /// When it was last seen.
    pub last: Option<Timestamp>,
}

/// What keeps a pod from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeptBy<'a> {
    /// A container that says so itself.
    Container(&'a ContainerTrouble, &'a WhyItWaits),
    /// What an event says.
    Event(&'a PodEvent),
}

/// What SPIRE needs on a node and is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MissingOnNode<'a> {
    /// A CSI driver of this name, or it does not answer.
    Driver(&'a str),
    /// The directory of the agent's socket.
    Socket,
}

impl PodStart {
    fn waits(&self) -> bool {
        self.pending || self.containers.iter().any(|container| container.waiting.is_some())
    }

    /// Whether it waits, and why could not be seen, for want of the events.
    pub(super) fn waits_unexplained(&self, now: Timestamp) -> bool {
        self.waits() && self.events.value().is_none() && self.kept_by(now).is_none()
    }

    /// What keeps it from starting now, if anything says so.
    pub(super) fn kept_by(&self, now: Timestamp) -> Option<KeptBy<'_>> {
        if !self.waits() {
            return None;
        }
        let tells = |container: &'_ ContainerTrouble| {
            container.waiting.as_ref().is_some_and(|why| !NOT_TELLING.contains(&why.reason.as_str()))
        };
        let telling = self.containers.iter().find(|container| tells(container));
        let by_itself = telling.and_then(|container| Some(KeptBy::Container(container, container.waiting.as_ref()?)));
        by_itself.or_else(|| self.newest_first(now).next().map(KeptBy::Event))
    }

    /// The events of what still goes wrong, newest first.
    fn newest_first(&self, now: Timestamp) -> impl Iterator<Item = &PodEvent> {
        let still = move |event: &&PodEvent| event.last.is_none_or(|last| now.duration_since(last) <= STILL);
        self.events.value().into_iter().flatten().rev().filter(still)
    }

    /// What SPIRE needs on the node of this pod, where that keeps it from starting. Beside it the kubelet also says that the time
    /// is over for all volumes, without the reason.
    pub(super) fn missing_on_node(&self, now: Timestamp) -> Option<(MissingOnNode<'_>, &PodEvent)> {
        let Some(KeptBy::Event(_)) = self.kept_by(now) else { return None };
        self.newest_first(now).find_map(|event| Some((missing_by(&event.message)?, event)))
    }
}

/// What a kubelet says is not there (`csi_plugin.go`, `host_path.go` and `csi_client.go` of Kubernetes). The driver is
/// `csi.spiffe.io` in its usual set-up, and `upstream.csi.spiffe.io` or the like in others.
fn missing_by(message: &str) -> Option<MissingOnNode<'_>> {
    let is_spiffes = |text: &str| text.contains("spiffe") || text.contains("spire");
    let words = || message.split(|letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '.' | '-' | '_'));
    if let Some((_, behind)) = message.split_once("driver name ")
        && message.contains("registered CSI drivers")
    {
        let driver = behind.split_whitespace().next()?;
        return is_spiffes(driver).then_some(MissingOnNode::Driver(driver));
    }
    let driver = words().find(|word| word.contains("csi.spiffe.io"));
    if let Some(driver) = driver {
        return Some(MissingOnNode::Driver(driver.trim_matches('.')));
    }
    (message.contains("hostPath type check failed") && is_spiffes(message)).then_some(MissingOnNode::Socket)
}

impl KeptBy<'_> {
    /// Whether it is about the pod's proxy, and not its application.
    pub(super) fn is_of_the_proxy(&self) -> bool {
        matches!(self, Self::Container(container, _) if container.name.starts_with("istio-"))
    }

    /// Whether a container was started and ended: its own log says why, and what it missed may be a certificate.
    pub(super) fn is_a_crash(&self) -> bool {
        matches!(self, Self::Container(_, why) if why.reason.as_str() == "CrashLoopBackOff")
    }

    /// Whether it is met again and again, and is not the moment in which a pod comes up.
    pub(super) fn goes_on(&self) -> bool {
        match self {
            Self::Container(..) => true,
            Self::Event(event) => event.was_repeated(),
        }
    }

    /// The command that shows more.
    pub(super) fn next_look(&self, pod: &PodRef) -> String {
        let PodRef { namespace, name } = pod;
        match self {
            Self::Container(container, _) if self.is_a_crash() => {
                format!("`kubectl -n {namespace} logs {name} -c {} --previous`", container.name)
            }
            _ => format!("`kubectl -n {namespace} describe pod {name}`"),
        }
    }

    /// In words.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Container(container, why) => {
                let ended = container.ended.as_ref().map_or_else(String::new, |end| format!(", it {}", end.words()));
                let restarts = match container.restarts {
                    0 => String::new(),
                    times => format!(", {times} restart(s)"),
                };
                let message = end_of(why.message.trim());
                let message = if message.is_empty() { message } else { format!(": «{message}»") };
                format!("its container {} waits ({}{restarts}{ended}){message}", container.name, why.reason)
            }
            Self::Event(event) => event.sentence(),
        }
    }
}

impl ContainerEnd {
    /// In words that follow who it is.
    pub(super) fn words(&self) -> String {
        let when = self.at.map_or_else(String::new, |at| format!(" at {at:.0}"));
        let reason = if self.reason.is_empty() { String::new() } else { format!(", {}", self.reason) };
        format!("ended{when} with exit code {}{reason}", self.exit_code)
    }
}

impl PodEvent {
    /// Whether it was seen more than once.
    pub(super) fn was_repeated(&self) -> bool {
        self.count > 1
    }

    /// In words.
    pub(super) fn sentence(&self) -> String {
        let last = self.last.map_or_else(String::new, |last| format!(", the last at {last:.0}"));
        format!("Kubernetes says {} ({} time(s){last}): «{}»", self.reason, self.count, end_of(self.message.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubelets_say_of_the_spiffe_csi_driver_and_the_agents_socket_is_told_from_what_they_say_of_others() {
        use MissingOnNode::{Driver, Socket};
        for (message, missing) in [
            (
                "kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name csi.spiffe.io not found in the \
                 list of registered CSI drivers",
                Some(Driver("csi.spiffe.io")),
            ),
            (
                "driver name upstream.csi.spiffe.io not found in the list of registered CSI drivers",
                Some(Driver("upstream.csi.spiffe.io")),
            ),
            ("driver name ebs.csi.aws.com not found in the list of registered CSI drivers", None),
            (
                "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial unix \
                 /var/lib/kubelet/plugins/csi.spiffe.io/csi.sock: connect: connection refused\"",
                Some(Driver("csi.spiffe.io")),
            ),
            ("CSINode node-1 does not contain driver csi.spiffe.io", Some(Driver("csi.spiffe.io"))),
            (
                "MountVolume.SetUp failed for volume \"spire-agent-socket\" : hostPath type check failed: \
                 /run/spire/sockets is not a directory",
                Some(Socket),
            ),
            (
                "MountVolume.SetUp failed for volume \"data\" : hostPath type check failed: /data is not a directory",
                None,
            ),
            ("Unable to attach or mount volumes: unmounted volumes=[spire-agent-socket]: timed out", None),
        ] {
            assert_eq!(missing_by(message), missing, "{message}");
        }
    }
}
