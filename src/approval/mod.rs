//! Who may approve a fix, how many are needed, and until when. Pure.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::people::{Actor, PersonId, Role};

/// How many people must approve, and how long the question stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRule {
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
    /// Of those who approved on another platform than the requester's: by which id each is known on that of the requester.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub known_beside_requester: BTreeSet<PersonId>,
}

/// The people who let a fix run, kept with it so that the write can count them again (invariants 10 and 11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quorum {
    /// How many are needed.
    pub needed: u8,
    /// Each by the one id that counts: that of the requester's platform.
    pub people: BTreeSet<PersonId>,
}

impl Quorum {
    /// Whether enough people stand in it, the requester not counted.
    pub fn is_met(&self, requester: &PersonId) -> bool {
        let others = self.people.iter().filter(|person| *person != requester).count();
        others >= usize::from(self.needed.max(1))
    }
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
    /// Nobody can tell whether the voter is the requester, who is known by an id of another platform.
    #[error(
        "it was asked for on another platform, and the configuration does not say who you are there (people.same): somebody \
         else on that platform has to approve it"
    )]
    AnotherPlatform,
    /// The same person again.
    #[error("you have approved it already; it needs {missing} more")]
    Again {
        /// How many more people are needed.
        missing: u8,
    },
}

impl Question {
    /// Asks for votes on a fix.
    pub fn ask(rule: &ApprovalRule, requester: PersonId, now: Timestamp) -> Self {
        let needed = rule.needed.max(1);
        Self {
            requester,
            expires_at: now + rule.expires_after,
            approved_by: BTreeSet::new(),
            needed,
            known_beside_requester: BTreeSet::new(),
        }
    }

    /// Counts one vote. People are counted, not clicks or groups, and the requester is never one of them.
    pub fn vote(&self, voter: &Actor, now: Timestamp) -> Result<Vote, VoteRefusal> {
        self.may_vote(voter, now)?;
        let counted = |id: &PersonId| self.approved_by.contains(id) || self.known_beside_requester.contains(id);
        if counted(&voter.id) || voter.also.iter().any(counted) {
            return Err(VoteRefusal::Again { missing: self.missing() });
        }
        let missing = self.missing().saturating_sub(1);
        Ok(if missing == 0 { Vote::Approved } else { Vote::Counted { missing } })
    }

    /// Whether a person may approve at all: the same rule for the button, the command and every other path.
    pub fn may_vote(&self, voter: &Actor, now: Timestamp) -> Result<(), VoteRefusal> {
        if now >= self.expires_at {
            return Err(VoteRefusal::Expired(self.expires_at));
        }
        if voter.is(&self.requester) {
            return Err(VoteRefusal::OwnRequest);
        }
        if !voter.may(Role::Approver, now) {
            return Err(VoteRefusal::NotAnApprover);
        }
        match self.counts_as(voter) {
            Some(_) => Ok(()),
            None => Err(VoteRefusal::AnotherPlatform),
        }
    }

    /// The id by which a vote counts as one person: that of the requester's platform (invariant 11).
    pub fn counts_as<'a>(&self, voter: &'a Actor) -> Option<&'a PersonId> {
        voter.known_beside(&self.requester)
    }

    /// Those who have voted, and this voter: one who is not known on the requester's platform is nobody.
    pub fn quorum_with(&self, voter: &Actor) -> Quorum {
        let beside = |id: &&PersonId| id.is_beside(&self.requester);
        let people = self.approved_by.iter().filter(beside).chain(&self.known_beside_requester);
        Quorum { needed: self.needed, people: people.chain(self.counts_as(voter)).cloned().collect() }
    }

    /// How many more people are needed.
    fn missing(&self) -> u8 {
        let counted = u8::try_from(self.approved_by.len()).unwrap_or(u8::MAX);
        self.needed.saturating_sub(counted)
    }
}
