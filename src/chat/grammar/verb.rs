//! The commands, each with its description: one that is added and not described does not compile.

use crate::people::Role;

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// What can be said.
    Help,
    /// The live incidents.
    Incidents,
    /// Where one stands.
    Status,
    /// Say what an alert is about.
    Target,
    /// Diagnose again.
    Triage,
    /// Ask for a fix.
    Fix,
    /// Take that back.
    Withdraw,
    /// Approve a plan.
    Approve,
    /// Refuse a plan.
    Reject,
    /// Take the incident.
    Ack,
    /// Give it to somebody.
    Handoff,
    /// Call the next level.
    Escalate,
    /// Write something down.
    Note,
    /// Watch the counters again.
    Verify,
    /// Close it.
    Resolve,
    /// The kill switch.
    Writes,
}

impl Verb {
    /// Every command, in the order in which a night needs them.
    pub const ALL: [Self; 16] = [
        Self::Help,
        Self::Incidents,
        Self::Status,
        Self::Ack,
        Self::Target,
        Self::Triage,
        Self::Fix,
        Self::Withdraw,
        Self::Approve,
        Self::Reject,
        Self::Verify,
        Self::Note,
        Self::Handoff,
        Self::Escalate,
        Self::Resolve,
        Self::Writes,
    ];

    /// The word that is typed, how the rest is written, and what it does.
    fn entry(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Help => ("help", "", "what you can say"),
            Self::Incidents => ("incidents", "", "the incidents that are open"),
            Self::Status => ("status", "[INC]", "where an incident stands, shown to you only"),
            Self::Target => ("target", "[INC] NAMESPACE WORKLOAD", "say what it is about, when the alert does not"),
            Self::Triage => ("triage", "[INC]", "run the diagnostics again"),
            Self::Fix => ("fix", "[INC] NAME", "ask for a fix: its plan is shown, nothing is changed yet"),
            Self::Withdraw => ("withdraw", "[INC]", "take back the fix that you asked for"),
            Self::Approve => ("approve", "[INC] [PLAN]", "approve the plan that waits; somebody else must have asked"),
            Self::Reject => ("reject", "[INC] [PLAN]", "refuse the plan that waits"),
            Self::Ack => ("ack", "[INC]|all", "take it, or all that are open: calling people stops"),
            Self::Handoff => ("handoff", "[INC] @user|L2", "give it to a person or a level"),
            Self::Escalate => ("escalate", "[INC]", "call the next level now"),
            Self::Note => ("note", "[INC] TEXT", "write something into the incident"),
            Self::Verify => ("verify", "[INC]", "watch the counters again after a fix"),
            Self::Resolve => ("resolve", "[INC] [anyway] [REASON]", "close it; `anyway` while its alert still fires"),
            Self::Writes => ("writes", "off|on [REASON]", "the kill switch: stop every fix, or let them run again"),
        }
    }

    /// The word that is typed.
    pub fn word(self) -> &'static str {
        self.entry().0
    }

    /// How it is written in full, as `fix [INC] NAME`.
    pub fn usage(self) -> String {
        let (word, rest, _) = self.entry();
        if rest.is_empty() { word.to_owned() } else { format!("{word} {rest}") }
    }

    /// What it does.
    pub fn description(self) -> &'static str {
        self.entry().2
    }

    /// The roles that may give it, any of them; none means everybody.
    pub fn roles(self) -> &'static [Role] {
        match self {
            Self::Help | Self::Incidents | Self::Status => &[],
            Self::Approve | Self::Reject => &[Role::Approver],
            Self::Writes => &[Role::Commander, Role::Approver],
            Self::Target
            | Self::Triage
            | Self::Fix
            | Self::Withdraw
            | Self::Ack
            | Self::Handoff
            | Self::Escalate
            | Self::Note
            | Self::Verify
            | Self::Resolve => &[Role::Commander],
        }
    }

    /// The command of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.word().eq_ignore_ascii_case(word))
    }
}
