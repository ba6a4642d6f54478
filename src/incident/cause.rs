//! What can be told to somebody who is called: the cause as far as it is known, and where to look.

use serde::{Deserialize, Serialize};

use super::{CallReason, Incident, Triage, WebAddress, calls::Known};
use crate::triage::{Survey, Verdict};

/// What is known of the cause of this opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause<'a> {
    /// The diagnosis has a verdict.
    Found(&'a Verdict),
    /// A storm was looked at as one.
    Surveyed(&'a Survey),
    /// It is of a cluster that this bot does not look after.
    Elsewhere,
    /// It runs, and has none yet.
    Running,
    /// It could not run, for this reason.
    Failed(&'a str),
    /// It was not begun: no target is known, or a storm is called about as one.
    NotBegun,
}

impl<'a> Cause<'a> {
    /// The cause as it is known now. A verdict of the opening before is not quoted as if it were new.
    pub fn of(incident: &'a Incident) -> Self {
        let opening = incident.reopened_at.unwrap_or(incident.opened_at);
        let done_since = matches!(&incident.triage, Triage::Done { at, .. } if *at >= opening);
        if incident.is_foreign() {
            return Self::Elsewhere;
        }
        if let Some(survey) = incident.survey.as_ref().filter(|survey| done_since || survey.at >= opening) {
            return Self::Surveyed(survey);
        }
        match (&incident.verdict, &incident.triage) {
            (Some(verdict), _) if done_since || verdict.at >= opening => Self::Found(verdict),
            (_, Triage::Running { .. }) => Self::Running,
            (_, Triage::Failed { reason, .. }) => Self::Failed(reason),
            (_, Triage::Done { .. } | Triage::NotRun) => Self::NotBegun,
        }
    }

    /// Whether there is something that can be told: what was found, or why nothing is.
    pub fn is_known(self) -> bool {
        !matches!(self, Self::Running | Self::NotBegun)
    }
}

/// What a call does not say because it was not known when the call was made. It is completed when it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lacks {
    pub cause: bool,
    /// The link to the card.
    pub card: bool,
}

impl Lacks {
    /// What a call that is made now lacks.
    pub fn of(incident: &Incident) -> Self {
        let has_links = incident.channels.iter().any(|channel| channel.face.has_links());
        Self { cause: !Cause::of(incident).is_known(), card: has_links && incident.calls.card.is_none() }
    }

    pub(super) fn without(self, known: Known) -> Self {
        Self { cause: self.cause && !known.cause, card: self.card && !known.card }
    }
}

/// A mention as far as it is needed to write it anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MentionPost {
    /// The slot of its delivery.
    pub key: String,
    /// Why the level is called.
    pub reason: CallReason,
}

/// Where somebody who is called looks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLinks<'a> {
    /// On whichever platform it was posted last: who is called by a pager may be on any.
    pub card: Option<&'a WebAddress>,
    /// The alert's own runbook.
    pub runbook: Option<&'a WebAddress>,
    /// The alert's graph.
    pub graph: Option<&'a WebAddress>,
}

impl<'a> CallLinks<'a> {
    /// The links of an incident. Of its alerts the first that has one is asked; those that fire go first.
    pub fn of(incident: &'a Incident) -> Self {
        let firing = incident.alerts.values().filter(|alert| alert.status == super::AlertStatus::Firing);
        let all = || firing.clone().chain(incident.alerts.values()).map(|alert| &alert.sighting);
        Self {
            card: incident.calls.card.as_ref(),
            runbook: all().find_map(|sighting| sighting.runbook_url.as_ref()),
            graph: all().find_map(|sighting| sighting.generator_url.as_ref()),
        }
    }
}
