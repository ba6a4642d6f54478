//! All agents of SPIRE, beyond those of the nodes that are looked at.

use serde::{Deserialize, Serialize};

use crate::mesh::NodeName;

/// How many nodes are named.
pub(crate) const NAMED_MOST: usize = 10;

/// How many agents there are and how many of them are Ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFleet {
    pub agents: u32,
    pub ready: u32,
    /// Nodes whose agent is not Ready, the first ten by name.
    pub not_ready: Vec<NodeName>,
    /// Whether there are more agents than were listed.
    pub cut: bool,
}

impl AgentFleet {
    /// In one line.
    pub(super) fn sentence(&self) -> String {
        let Self { agents, ready, not_ready, cut } = self;
        let first = if *cut { "of those that were listed, " } else { "" };
        let missing = agents.saturating_sub(*ready);
        let named: Vec<&str> = not_ready.iter().map(NodeName::as_str).collect();
        let more = usize::try_from(missing).unwrap_or(usize::MAX).saturating_sub(named.len());
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let not = if named.is_empty() { String::new() } else { format!("; not: {}{more}", named.join(", ")) };
        format!("{first}{ready} of {agents} agents are Ready{not}")
    }
}
