//! What events make of an incident, and what they ask for.

use jiff::Timestamp;

use super::shared::Shared;
use crate::{
    incident::{Event, Incident, Policy, add_effects, apply, begin, effects},
    journal::Change,
};

impl Shared {
    /// What `events` make of an incident, and ask for.
    pub(super) fn change(&self, before: Incident, events: Vec<Event>, at: Timestamp) -> Change {
        let policy = self.rules.policy();
        let mut change = unchanged(before, at);
        extend(&mut change, events, at, &policy);
        change
    }

    /// A new incident.
    pub(super) fn opening(&self, events: Vec<Event>, at: Timestamp) -> Option<Change> {
        let policy = self.rules.policy();
        let mut events = events.into_iter();
        let first = events.next()?;
        let after = begin(&first, at)?;
        let asked = effects(&after, &first, at, &policy);
        let mut change = Change { read_version: 0, after, events: vec![first], effects: asked, at };
        extend(&mut change, events, at, &policy);
        Some(change)
    }
}

/// An incident to which nothing has happened yet.
pub(super) fn unchanged(before: Incident, at: Timestamp) -> Change {
    Change { read_version: before.version, after: before, events: Vec::new(), effects: Vec::new(), at }
}

/// Adds events to a change, in place: a body of a thousand alerts copies no incident a thousand times.
pub(super) fn extend(change: &mut Change, events: impl IntoIterator<Item = Event>, at: Timestamp, policy: &Policy) {
    for event in events {
        apply(&mut change.after, &event, at);
        add_effects(&mut change.effects, effects(&change.after, &event, at, policy));
        change.events.push(event);
    }
}
