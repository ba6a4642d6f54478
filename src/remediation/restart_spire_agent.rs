//! `restart-spire-agent` (runbook scenario 2): restart the SPIRE agent of a node whose workloads wait for it, one node after
//! the other.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Budget, GuardRefusal, Operation, Plan, PlanContent, PodInstance,
    guard::{by_budgets, by_verdict, each_once, warning_of_budgets},
    one_agent_at_a_time::{OtherAgentsNotReady, UnreadyAgent, all_others_ready},
};
use crate::{
    mesh::{ControllerRef, NodeName, PodRef, PodUid, TargetRef, controller_in_words},
    triage::{AGENTS_MOST, Attestation, FixName, Verdict, too_many_agents},
};

/// The agent of one node that a plan will restart, and who waits for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRestart {
    pub node: NodeName,
    /// The agent's pod.
    pub agent: PodInstance,
    /// The pods of the target on that node that have no valid SVID, or one that is overdue: they prove the fix.
    pub waiting: Vec<WaitingPod>,
    /// What is wrong, in one sentence. Not part of what is approved.
    pub because: String,
}

/// A pod that waits for the agent of its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingPod {
    pub pod: PodRef,
    /// Which life of it.
    pub uid: PodUid,
    /// When the SVID that it holds ends; `None` where its proxy says that it has none.
    pub not_after: Option<Timestamp>,
}

/// A pod of the target whose SVID could not be read: whether it waits for its agent is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadPod {
    pub pod: PodRef,
    pub why: String,
}

impl AgentRestart {
    pub(super) fn identity(&self) -> serde_json::Value {
        let waiting: Vec<_> = self.waiting.iter().map(|waiting| (&waiting.pod, &waiting.uid)).collect();
        serde_json::json!([self.node, self.agent, waiting])
    }

    pub(super) fn details(&self) -> String {
        let waiting: Vec<String> = self.waiting.iter().map(|waiting| waiting.pod.to_string()).collect();
        let (node, controller) = (&self.node, controller_in_words(self.agent.controller.as_ref()));
        format!(" on {node}, brought back by {controller}; waiting for it: {}: {}", waiting.join(", "), self.because)
    }
}

/// A node as the API server shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// Its kubelet answers.
    Ready,
    /// It does not, so nothing is started there.
    NotReady,
    /// There is no such node.
    Gone,
}

/// The pod of an agent, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentFacts {
    pub pod: PodRef,
    /// Which life.
    pub uid: PodUid,
    pub controller: Option<ControllerRef>,
    /// Whether it is Ready.
    pub ready: bool,
    /// The disruption budgets that cover it.
    pub budgets: Vec<Budget>,
    /// Whether it can attest its node again.
    pub attestation: Attestation,
    /// Why a restart would only repeat what is wrong, if so.
    pub repeated: Option<String>,
}

/// One node that the verdict names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    pub node: NodeName,
    /// How it stands.
    pub state: NodeState,
    /// Its agent, if one runs.
    pub agent: Option<AgentFacts>,
    /// The pods of the target there that wait for it.
    pub waiting: Vec<WaitingPod>,
    /// The pods of the target there of which that is not known.
    pub unread: Vec<UnreadPod>,
}

/// Everything that the plan is drawn from.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentRestartFacts<'a> {
    /// What the incident is about.
    pub target: &'a TargetRef,
    /// What the diagnostics said.
    pub verdict: &'a Verdict,
    /// The nodes that the verdict names.
    pub nodes: &'a [NodeFacts],
    /// How many agents of the mesh are Ready, and how many there are.
    pub ready: (u32, u32),
    /// Those of the mesh that are not Ready.
    pub unready: &'a [UnreadyAgent],
    /// The UIDs of all agents.
    pub agents_before: &'a [PodUid],
    /// When that was read.
    pub now: Timestamp,
}

/// Why the fix is not offered. Every text says what to do instead, or what has to change first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentRefusal {
    /// What stands against any fix stands against this one.
    #[error(transparent)]
    Guard(#[from] GuardRefusal),
    /// A restart could leave a second node without an agent.
    #[error(transparent)]
    OthersNotReady(#[from] OtherAgentsNotReady),
    /// It is not known which agent.
    #[error("the verdict names no node: run the triage again, or restart the agent by hand")]
    NoNode,
    /// Too many for one plan.
    #[error("{}", too_many_agents(*count))]
    TooManyNodes {
        /// How many the verdict names.
        count: usize,
    },
    /// The node was taken away.
    #[error("there is no node {0} any more: run the triage again")]
    NodeGone(NodeName),
    /// Nothing is started there.
    #[error("node {0} is not Ready, so no new agent would start there: mend the node first")]
    NodeNotReady(NodeName),
    /// There is nothing to restart.
    #[error("no SPIRE agent runs on {0}: see why its DaemonSet starts none there")]
    NoAgent(NodeName),
    /// Nobody would bring it back on that node.
    #[error("{0} belongs to no DaemonSet, so nothing brings it back on its node: restart it by hand")]
    NotOfADaemonSet(PodRef),
    /// A new agent would get no SVID of its own.
    #[error(
        "the agent of {node} cannot attest its node again ({how}): a new one would get no SVID until its entry is removed \
         on the SPIRE server; do both by hand"
    )]
    AttestsOnce {
        /// Which node.
        node: NodeName,
        /// How that is known.
        how: String,
    },
    /// The same, perhaps.
    #[error(
        "whether the agent of {0} can attest its node again after a restart is not known: say it in the configuration \
         (mesh.agents_attest_again)"
    )]
    AttestationUnknown(NodeName),
    /// The new agent would have the same trouble.
    #[error("a restart of the agent of {node} would repeat what is wrong: {why}")]
    Repeated {
        /// Which node.
        node: NodeName,
        /// What has to be mended first.
        why: String,
    },
    /// They hold valid SVIDs by now, or are gone.
    #[error("no pod of {0} waits for its SPIRE agent any more: run the triage again")]
    NobodyWaits(TargetRef),
    /// None that could be read waits.
    #[error(
        "no pod of {target} is known to wait for its SPIRE agent, since {unread}: mend that first, or look by hand"
    )]
    NotKnownWhoWaits {
        target: TargetRef,
        /// Which pods could not be read.
        unread: String,
    },
}

/// Draws the plan, or says everything that stands against it.
pub fn plan(facts: &AgentRestartFacts<'_>) -> Result<Plan, Vec<AgentRefusal>> {
    let by_verdict = by_verdict(facts.verdict, FixName::RestartSpireAgent).map(AgentRefusal::from);
    let mut refusals: Vec<AgentRefusal> = by_verdict.into_iter().collect();
    // An agent that nobody of the target waits for is left alone.
    let waited_for: Vec<&NodeFacts> = facts.nodes.iter().filter(|node| !node.waiting.is_empty()).collect();
    if facts.nodes.is_empty() {
        refusals.push(AgentRefusal::NoNode);
    } else if waited_for.is_empty() {
        let target = facts.target.clone();
        refusals.push(match unread_in_words(facts.nodes) {
            Some(unread) => AgentRefusal::NotKnownWhoWaits { target, unread },
            None => AgentRefusal::NobodyWaits(target),
        });
    }
    if waited_for.len() > AGENTS_MOST {
        refusals.push(AgentRefusal::TooManyNodes { count: waited_for.len() });
    }
    let agents = || waited_for.iter().filter_map(|node| node.agent.as_ref());
    let planned: Vec<&PodUid> = agents().map(|agent| &agent.uid).collect();
    if !planned.is_empty() {
        refusals.extend(all_others_ready(facts.unready, &planned).err().map(AgentRefusal::from));
    }
    let mut operations = Vec::new();
    for node in &waited_for {
        match restart_of(node, facts.verdict) {
            Ok(restart) => operations.push(Operation::RestartAgent(restart)),
            Err(more) => refusals.extend(more),
        }
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    Ok(Plan::new(PlanContent {
        fix: FixName::RestartSpireAgent,
        target: facts.target.clone(),
        drawn_at: facts.now,
        operations,
        ready: facts.ready,
        budgets: each_once(agents().flat_map(|agent| &agent.budgets)),
        warnings: warnings(&waited_for, facts.nodes),
        pods_before: facts.agents_before.to_vec(),
    }))
}

fn restart_of(facts: &NodeFacts, verdict: &Verdict) -> Result<AgentRestart, Vec<AgentRefusal>> {
    let node = || facts.node.clone();
    let mut refusals: Vec<AgentRefusal> = match facts.state {
        NodeState::Ready => Vec::new(),
        NodeState::NotReady => vec![AgentRefusal::NodeNotReady(node())],
        NodeState::Gone => return Err(vec![AgentRefusal::NodeGone(node())]),
    };
    let Some(agent) = &facts.agent else {
        refusals.push(AgentRefusal::NoAgent(node()));
        return Err(refusals);
    };
    match &agent.attestation {
        Attestation::Again(_) => {}
        Attestation::Once(how) => refusals.push(AgentRefusal::AttestsOnce { node: node(), how: how.clone() }),
        Attestation::Unknown => refusals.push(AgentRefusal::AttestationUnknown(node())),
    }
    refusals.extend(agent.repeated.iter().map(|why| AgentRefusal::Repeated { node: node(), why: why.clone() }));
    refusals.extend(by_budgets(&agent.pod, agent.ready, &agent.budgets).into_iter().map(AgentRefusal::from));
    let is_daemon_set = agent.controller.as_ref().is_some_and(|controller| controller.kind() == "DaemonSet");
    if !is_daemon_set || !refusals.is_empty() {
        if !is_daemon_set {
            refusals.push(AgentRefusal::NotOfADaemonSet(agent.pod.clone()));
        }
        return Err(refusals);
    }
    Ok(AgentRestart {
        node: node(),
        agent: PodInstance { pod: agent.pod.clone(), uid: agent.uid.clone(), controller: agent.controller.clone() },
        waiting: facts.waiting.clone(),
        because: verdict.scenario.title().to_owned(),
    })
}

/// How many pods that could not be read are named; the rest is counted.
const UNREAD_NAMED: usize = 3;

/// Which pods could not be read, and why the first one could not.
fn unread_in_words(nodes: &[NodeFacts]) -> Option<String> {
    let unread: Vec<&UnreadPod> = nodes.iter().flat_map(|node| &node.unread).collect();
    let why = &unread.first()?.why;
    let names: Vec<String> = unread.iter().take(UNREAD_NAMED).map(|unread| unread.pod.to_string()).collect();
    let more = unread.len().saturating_sub(UNREAD_NAMED);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    Some(format!("the SVID of {}{more} could not be read ({why})", names.join(", ")))
}

fn warnings(nodes: &[&NodeFacts], all: &[NodeFacts]) -> Vec<String> {
    let names: Vec<&str> = nodes.iter().map(|node| node.node.as_str()).collect();
    let quiet = format!(
        "until the new agent works, no workload of {} gets or renews an SVID; what holds a valid one goes on",
        names.join(", ")
    );
    let agents = nodes.iter().filter_map(|node| node.agent.as_ref());
    let of_budgets = agents.filter_map(|agent| warning_of_budgets(&agent.pod, &agent.budgets));
    let unread = unread_in_words(all)
        .map(|unread| format!("{unread}: whether it waits too is not known, and it proves nothing of this fix"));
    [quiet].into_iter().chain(of_budgets).chain(unread).collect()
}
