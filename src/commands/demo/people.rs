//! The people of the demo, and the rules of its night.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::{
    approval::ApprovalRule,
    escalation::{self},
    incident::{Act, Command, Destination, IncidentId, Policy},
    people::{Actor, Mention, PersonId, Platform, Role},
};

/// One person of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Persona {
    /// May command.
    OnCall,
    /// May command and approve.
    Security,
}

impl Persona {
    /// The id, as cards show it.
    pub(super) fn user(self) -> &'static str {
        match self {
            Self::OnCall => "on-call",
            Self::Security => "security",
        }
    }

    /// With rights as of now.
    pub(super) fn actor(self, now: Timestamp) -> Actor {
        let roles = match self {
            Self::OnCall => BTreeSet::from([Role::Commander]),
            Self::Security => BTreeSet::from([Role::Commander, Role::Approver]),
        };
        let id = PersonId { platform: Platform::Page, workspace: "demo".to_owned(), user: self.user().to_owned() };
        Actor { id, also: BTreeSet::new(), roles, as_of: now }
    }

    pub(super) fn command(self, incident: IncidentId, act: Act, key: String, now: Timestamp) -> Command {
        Command { incident, actor: self.actor(now), key, act }
    }
}

/// The runbook's levels, and times that fit the demo.
pub(super) fn policy(channel: Destination) -> Policy {
    let groups = ["platform-on-call", "platform-security", "infrastructure"];
    let ladder = escalation::EscalationPolicy::runbook(groups.map(|group| Mention::group(Platform::Page, group)));
    Policy {
        approval: ApprovalRule { needed: 1, expires_after: SignedDuration::from_mins(30) },
        writes_enabled: true,
        ..Policy::usual(ladder, vec![channel])
    }
}
