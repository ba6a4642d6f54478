//! At most one node of the mesh is without a working SPIRE agent for our sake. The lock of the restarts ends with the restart,
//! also with one that failed: whether every other agent is Ready is looked at when a plan is drawn, and again at its write.

use std::fmt;

use crate::mesh::{PodRef, PodUid};

/// An agent that is not Ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadyAgent {
    pub pod: PodRef,
    pub uid: PodUid,
}

/// Agents beside those of a plan are not Ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherAgentsNotReady {
    first: PodRef,
    more: usize,
}

/// Whether no agent but the planned ones is not Ready.
pub fn all_others_ready(unready: &[UnreadyAgent], planned: &[&PodUid]) -> Result<(), OtherAgentsNotReady> {
    let mut others = unready.iter().filter(|agent| !planned.contains(&&agent.uid));
    let Some(first) = others.next() else { return Ok(()) };
    Err(OtherAgentsNotReady { first: first.pod.clone(), more: others.count() })
}

impl fmt::Display for OtherAgentsNotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, more } = self;
        write!(f, "the SPIRE agent {first} is not Ready")?;
        if *more > 0 {
            write!(f, ", nor are {more} more")?;
        }
        write!(
            f,
            ", so a restart could leave a second node without one: bring that agent back first (`kubectl -n {} describe pod {}` \
             says what it lacks)",
            first.namespace, first.name
        )
    }
}

impl std::error::Error for OtherAgentsNotReady {}
