//! The people of the demo, and the rules of its night.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::{
    approval::Rule,
    escalation::{self, Level, LevelNumber},
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
        Actor { id, roles, as_of: now }
    }

    pub(super) fn command(self, incident: IncidentId, act: Act, key: String, now: Timestamp) -> Command {
        Command { incident, actor: self.actor(now), key, act }
    }
}

/// The runbook's levels, and times that fit the demo.
pub(super) fn policy(channel: Destination) -> Policy {
    let level = |number: u8, team: &str, mention: &str, minutes: i64| Level {
        number: LevelNumber(number),
        team: team.to_owned(),
        window: SignedDuration::from_mins(minutes),
        mentions: vec![Mention::Group(mention.to_owned())],
        pager: None,
    };
    Policy {
        escalation: escalation::Policy {
            levels: vec![
                level(1, "Platform On-Call", "platform-on-call", 15),
                level(2, "Platform Security", "platform-security", 30),
                level(3, "Infrastructure", "infrastructure", 60),
            ],
            repeat_every: SignedDuration::from_hours(1),
            reminder_percent: 33,
            fallback_pager: None,
        },
        approval: Rule { needed: 1, expires_after: SignedDuration::from_mins(30) },
        channels: vec![channel],
        hold: SignedDuration::from_mins(5),
        flap: SignedDuration::from_mins(30),
        stale_after: SignedDuration::from_hours(8),
        storm_per_minute: 10,
        verification_window: SignedDuration::from_mins(2),
        replacement_within: SignedDuration::from_mins(5),
        writes_enabled: true,
    }
}
