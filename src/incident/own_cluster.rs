//! Which cluster the bot looks after, and what follows for an incident of another: people are called about it, and it is
//! neither diagnosed nor changed from here.

use std::collections::BTreeSet;

use super::{Act, Event, Incident, IncidentStatus, Refusal, Triage};

/// The cluster that the bot looks after, with every value of an alert's cluster label that means it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnCluster {
    name: String,
    values: BTreeSet<String>,
}

impl OwnCluster {
    /// The cluster `name`, which alerts may also call by one of `also`.
    pub fn new(name: &str, also: impl IntoIterator<Item = String>) -> Self {
        Self { name: name.to_owned(), values: also.into_iter().chain([name.to_owned()]).collect() }
    }

    /// Every cluster: for a bot that sees the alerts of one alone, as the demo's.
    pub fn any() -> Self {
        Self::default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this value of the label means it.
    pub fn is(&self, value: &str) -> bool {
        self.values.is_empty() || self.values.contains(value)
    }

    /// The events that put right whose an incident is, where the configuration has learnt another name of the cluster since
    /// it opened: one that turns out to be ours is diagnosed.
    pub fn put_right(&self, incident: &Incident) -> Vec<Event> {
        match (&incident.foreign_to, self.is(&incident.cluster)) {
            (None, false) => vec![Event::OfAnotherCluster { ours: self.name.clone(), first: false }],
            (Some(_), true) => {
                let waits = incident.status == IncidentStatus::Open && !incident.quiet && incident.target.is_some();
                let waits = waits && !matches!(incident.triage, Triage::Running { .. });
                let run = incident.next_run();
                let triage = waits.then_some(Event::TriageStarted { run, by: None });
                [Event::OfOurCluster].into_iter().chain(triage).collect()
            }
            (None, true) | (Some(_), false) => Vec::new(),
        }
    }
}

/// Whether what is asked for looks into the cluster, or changes it.
fn reaches_into_the_cluster(act: &Act) -> bool {
    match act {
        Act::SetTarget { .. } | Act::Triage | Act::ProposeFix { .. } | Act::Approve { .. } | Act::Verify => true,
        Act::Withdraw
        | Act::Reject { .. }
        | Act::Acknowledge
        | Act::AcknowledgeAll
        | Act::HandOff { .. }
        | Act::Escalate { .. }
        | Act::Note { .. }
        | Act::Resolve { .. } => false,
    }
}

/// Marks the opening of an incident of another cluster as the first of it, which the channel is told aloud: a label that
/// never matched ours would otherwise silence every diagnosis. Nothing is said of one that is shown to nobody by itself.
pub fn say_aloud(opening: &mut [Event]) -> bool {
    let quiet = opening.iter().any(|event| matches!(event, Event::Opened { quiet: true, .. }));
    let mark = opening.iter_mut().find_map(|event| match event {
        Event::OfAnotherCluster { first, .. } => Some(first),
        _ => None,
    });
    match mark.filter(|_| !quiet) {
        Some(first) => {
            *first = true;
            true
        }
        None => false,
    }
}

impl Incident {
    /// Whether it is an incident of a cluster that this bot does not look after.
    pub fn is_foreign(&self) -> bool {
        self.foreign_to.is_some()
    }

    /// Why an act is not for this incident because it is of another cluster. The one rule: `decide`, the card's buttons and
    /// the help ask it.
    pub fn refused_as_foreign(&self, act: &Act) -> Option<Refusal> {
        let ours = self.foreign_to.as_ref().filter(|_| reaches_into_the_cluster(act))?;
        Some(Refusal::OtherCluster { incident: self.id, theirs: self.cluster.clone(), ours: ours.clone() })
    }
}
