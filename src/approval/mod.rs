//! Who may approve a fix, how many are needed, and until when. Pure.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::people::{Actor, PersonId, Role};

/// How many people must approve, and how long the question stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Distinct people other than the requester. At least one (invariant 11).
    pub needed: u8,
    /// After this the question is closed, and the fix has to be asked for again.
    pub expires_after: SignedDuration,
}

/// A fix that waits for votes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Who asked for the fix.
    pub requester: PersonId,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Who has approved so far.
    pub approved_by: BTreeSet<PersonId>,
    /// How many are needed.
    pub needed: u8,
}

/// The effect of a vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vote {
    /// Enough people have approved.
    Approved,
    /// It counts, and so many more are needed.
    Counted { missing: u8 },
}

/// Why a vote does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VoteRefusal {
    /// The requester voted.
    #[error("you asked for this fix, so somebody else has to approve it")]
    OwnRequest,
    /// The voter does not have the role.
    #[error("only {} can approve it", Role::Approver.sentence())]
    NotAnApprover,
    /// Too late.
    #[error("the question expired at {0:.0}: ask for the fix again to see a fresh plan")]
    Expired(Timestamp),
    /// The same person again.
    #[error("you have approved it already; it needs {missing} more")]
    Again {
        /// How many more people are needed.
        missing: u8,
    },
}

impl Question {
    /// Asks for votes on a fix.
    pub fn ask(rule: &Rule, requester: PersonId, now: Timestamp) -> Self {
        let needed = rule.needed.max(1);
        Self { requester, expires_at: now + rule.expires_after, approved_by: BTreeSet::new(), needed }
    }

    /// Counts one vote. People are counted, not clicks or groups, and the requester is never one of them.
    pub fn vote(&self, voter: &Actor, now: Timestamp) -> Result<Vote, VoteRefusal> {
        self.may_vote(voter, now)?;
        let missing = self.missing_with(&voter.id);
        if self.approved_by.contains(&voter.id) {
            return Err(VoteRefusal::Again { missing });
        }
        Ok(if missing == 0 { Vote::Approved } else { Vote::Counted { missing } })
    }

    /// Whether a person may approve at all: the same rule for the button, the command and every other path.
    pub fn may_vote(&self, voter: &Actor, now: Timestamp) -> Result<(), VoteRefusal> {
        if now >= self.expires_at {
            return Err(VoteRefusal::Expired(self.expires_at));
        }
        if voter.id == self.requester {
            return Err(VoteRefusal::OwnRequest);
        }
        if !voter.may(Role::Approver, now) {
            return Err(VoteRefusal::NotAnApprover);
        }
        Ok(())
    }

    fn missing_with(&self, voter: &PersonId) -> u8 {
        let others = self.approved_by.iter().filter(|person| *person != voter).count();
        let counted = u8::try_from(others).unwrap_or(u8::MAX).saturating_add(1);
        self.needed.saturating_sub(counted)
    }
}
