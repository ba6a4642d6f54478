//! What changed shortly before: many nights begin with a rollout or a restart. It is context for people, and names no cause.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ContainerEnd, StatedReason};
use crate::mesh::PodRef;

/// What is longer ago is told no more.
const OF_LATE: SignedDuration = SignedDuration::from_hours(1);
/// How many changes are told.
const TOLD_MOST: usize = 5;

/// One change that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum RecentChange {
    /// Pods of the target were created, as in a rollout.
    TargetPodsCreated {
        /// So many.
        count: u32,
        /// Of so many.
        of: u32,
        /// When the newest was.
        at: Timestamp,
    },
    /// A pod of SPIRE was created.
    SpirePodCreated { pod: PodRef, at: Timestamp },
    /// A container of SPIRE ended, and was started again.
    SpireContainerEnded { pod: PodRef, end: ContainerEnd },
}

impl RecentChange {
    fn at(&self) -> Option<Timestamp> {
        match self {
            Self::TargetPodsCreated { at, .. } | Self::SpirePodCreated { at, .. } => Some(*at),
            Self::SpireContainerEnded { end, .. } => end.at,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::TargetPodsCreated { count, of, at } => {
                format!("{count} of {of} pod(s) of the target were created, the newest at {at:.0}")
            }
            Self::SpirePodCreated { pod, at } => format!("{pod} was created at {at:.0}"),
            Self::SpireContainerEnded { pod, end } => format!("the container of {pod} {}", end.words()),
        }
    }
}

/// Whether something lies within the hour before.
pub(crate) fn is_of_late(at: Timestamp, now: Timestamp) -> bool {
    now.duration_since(at) <= OF_LATE
}

/// The line of context, where something changed within the hour before `now`.
pub(super) fn context(changes: &[RecentChange], now: Timestamp) -> Option<StatedReason> {
    let of_late = |change: &&RecentChange| change.at().is_some_and(|at| is_of_late(at, now));
    let mut changes: Vec<&RecentChange> = changes.iter().filter(of_late).collect();
    changes.sort_by_key(|change| std::cmp::Reverse(change.at()));
    let told: Vec<String> = changes.iter().take(TOLD_MOST).map(|change| change.sentence()).collect();
    let more = changes.len().saturating_sub(TOLD_MOST);
    let more = if more == 0 { String::new() } else { format!("; {more} more") };
    let text = format!("in the last hour (context, no cause by itself): {}{more}", told.join("; "));
    (!told.is_empty()).then(|| text.into())
}
