//! The state of an incident, as its events made it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AlertSighting, AlertStatus, Calls, CloseReason, Destination, EvidenceDigest, Fingerprint, Fix, FixNumber,
    IncidentId, IncidentKey, PastFix, Refusal, RunNumber, StormLook,
};
use crate::{
    escalation::{self, Ladder},
    mesh::{PodRef, TargetRef},
    remediation::{Plan, StepNumber, StepResult},
    triage::{FixName, Scenario, Survey, Verdict},
};

/// How many alerts an incident keeps apart: its state is read and written as a whole with every event.
pub const ALERTS_MOST: usize = 1_000;

/// Whether an incident is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "life", rename_all = "snake_case")]
pub enum IncidentStatus {
    /// Something fires.
    Open,
    /// Every alert is resolved; it closes when the hold time is over.
    Clearing {
        /// When that is.
        until: Timestamp,
    },
    /// It has ended.
    Closed { at: Timestamp, reason: CloseReason },
}

/// One alert of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// As it was last seen to change.
    pub sighting: AlertSighting,
    /// Whether it fires now.
    pub status: AlertStatus,
    /// Alertmanager's group that it was last seen to change in.
    #[serde(default)]
    pub group: Option<String>,
    /// When the firing that was seen before this one began, by its own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_before: Option<Timestamp>,
}

/// What the diagnostics say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "triage", rename_all = "snake_case")]
pub enum Triage {
    /// Not run: no target is known yet, or a storm goes on.
    NotRun,
    /// Running since then; the verdict before, if any, still stands below.
    Running {
        /// Which run.
        run: RunNumber,
        /// Since when.
        since: Timestamp,
    },
    Done {
        /// Which run.
        run: RunNumber,
        at: Timestamp,
    },
    /// It could not run.
    Failed {
        /// Which run.
        run: RunNumber,
        reason: String,
    },
}

/// A verdict of an opening that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierVerdict {
    /// What it said.
    pub scenario: Scenario,
    pub at: Timestamp,
}

/// One line of the incident's history, for the card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryLine {
    pub at: Timestamp,
    pub text: String,
}

/// One incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its name.
    pub id: IncidentId,
    /// How many events it has.
    pub version: u64,
    /// Its identity.
    pub key: IncidentKey,
    /// The alert's name.
    pub alert: String,
    /// Which cluster.
    pub cluster: String,
    /// The cluster that this bot looks after, where the incident's is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_to: Option<String>,
    /// What it is about.
    pub target: Option<TargetRef>,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When it opened, by the clock of that moment, where the clock was set since: its messages are known by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When it was opened again last.
    pub reopened_at: Option<Timestamp>,
    /// Whether it is open.
    #[serde(rename = "life")]
    pub status: IncidentStatus,
    pub alerts: BTreeMap<Fingerprint, Alert>,
    /// How many alerts are missing here, because they were cut off the webhook's bodies.
    pub cut_off: u64,
    /// The same by Alertmanager's group, as the newest body of each said.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cut_off_by: BTreeMap<String, u64>,
    /// Since when its source has been silent, if it has.
    pub stale_since: Option<Timestamp>,
    /// Whether it opened within a storm.
    pub quiet: bool,
    /// The incident that stands for the storm which it joined after it was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<IncidentId>,
    /// For the incident that stands for a storm: how many incidents opened in it.
    pub storm: Option<u32>,
    /// For the incident that stands for a storm: which services were looked at last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm_look: Option<StormLook>,
    /// For the incident that stands for a storm: what its newest diagnostics came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub survey: Option<Survey>,
    /// The ladder's rules as they stood when it opened.
    pub policy: escalation::EscalationPolicy,
    /// Where on the ladder it stands.
    pub ladder: Ladder,
    /// Who was called, and which pages still ring.
    #[serde(default)]
    pub calls: Calls,
    /// Where it is shown.
    pub channels: Vec<Destination>,
    /// The diagnostics.
    pub triage: Triage,
    /// The newest verdict of this opening.
    pub verdict: Option<Verdict>,
    /// The fixes that the configuration left out when that verdict was reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<FixName>,
    /// What was found before it was opened again last.
    #[serde(default)]
    pub earlier: Option<EarlierVerdict>,
    /// Where the evidence of the newest verdict is kept.
    pub evidence: Option<EvidenceDigest>,
    /// The fix under way.
    pub fix: Option<Fix>,
    /// The fixes that have ended, oldest first.
    pub past_fixes: Vec<PastFix>,
    /// The newest lines of its history, oldest first.
    pub history: Vec<HistoryLine>,
    /// What could not be done, newest last.
    pub troubles: Vec<HistoryLine>,
}

impl Incident {
    /// Whether something can still be done about it.
    pub fn is_live(&self) -> bool {
        !matches!(self.status, IncidentStatus::Closed { .. })
    }

    /// When it opened, by the clock of that moment: unlike [`Self::opened_at`] this stays when the clock is set.
    pub fn created_at(&self) -> Timestamp {
        self.created_at.unwrap_or(self.opened_at)
    }

    /// When it was opened, or opened again last.
    pub fn this_opening(&self) -> Timestamp {
        self.reopened_at.unwrap_or(self.opened_at)
    }

    /// The newest fix of this opening that changed something in the cluster and has ended.
    pub fn last_write(&self) -> Option<&PastFix> {
        let newest = self.past_fixes.iter().rev().find(|past| past.wrote());
        newest.filter(|past| past.at >= self.this_opening())
    }

    /// The newest write that ended after the verdict, which speaks of what was before it.
    pub fn write_since_verdict(&self) -> Option<&PastFix> {
        self.last_write().filter(|past| self.verdict.as_ref().is_some_and(|verdict| past.at >= verdict.at))
    }

    /// The pods that fixes have ended since the verdict, each with the one that took its place, if it was seen.
    pub fn gone_pods(&self) -> Vec<(&PodRef, Option<&PodRef>)> {
        let since = self.verdict.as_ref().map_or(self.this_opening(), |verdict| verdict.at);
        let past = self.past_fixes.iter().filter(|past| past.verifies.is_none() && past.at >= since);
        let past = past.map(|past| (past.plan.as_ref(), &past.results, past.unsettled_step()));
        let now = self.fix.iter().filter(|fix| fix.verifies.is_none());
        let now = now.map(|fix| (fix.plan.as_ref(), &fix.results, fix.unsettled_step()));
        past.chain(now).flat_map(|(plan, results, unsettled)| ended_pods(plan, results, unsettled)).collect()
    }

    /// Whether it tells of the bot itself, whose journal fails: it is stored nowhere, so nobody can acknowledge it.
    pub fn is_of_the_bot(&self) -> bool {
        self.id == IncidentId::UNNUMBERED
    }

    /// Why nothing can be asked of it any more, once it has ended.
    pub(super) fn ended(&self) -> Refusal {
        match self.joined() {
            Some(into) => Refusal::Joined { incident: self.id, into },
            None => Refusal::Closed(self.id),
        }
    }

    /// The incident in which its alerts go on, if it joined another one.
    pub fn joined(&self) -> Option<IncidentId> {
        match &self.status {
            IncidentStatus::Closed { reason: CloseReason::Joined { into, .. }, .. } => Some(into.kept_like(self.id)),
            _ => None,
        }
    }

    /// Whether any alert of it fires.
    pub fn is_firing(&self) -> bool {
        self.alerts.values().any(|alert| alert.status == AlertStatus::Firing)
    }

    /// Whether it can keep one more alert apart.
    pub fn has_room_for(&self, fingerprint: &Fingerprint) -> bool {
        self.alerts.len() < ALERTS_MOST
            || self.alerts.contains_key(fingerprint)
            || self.alerts.values().any(|alert| alert.status == AlertStatus::Resolved)
    }

    /// The number that the next fix gets.
    pub fn next_fix(&self) -> FixNumber {
        let ended = self.past_fixes.iter().map(|fix| fix.number);
        ended.chain(self.fix.iter().map(|fix| fix.number)).max().map_or(FixNumber::FIRST, FixNumber::next)
    }

    /// The newest run of the triage.
    pub fn last_run(&self) -> Option<RunNumber> {
        match &self.triage {
            Triage::NotRun => None,
            Triage::Running { run, .. } | Triage::Done { run, .. } | Triage::Failed { run, .. } => Some(*run),
        }
    }

    /// The number that the next run of the triage gets.
    pub fn next_run(&self) -> RunNumber {
        self.last_run().map_or(RunNumber::FIRST, RunNumber::next)
    }
}

/// The pods that the steps of a fix have ended, each with the one that took its place, if that was seen. `unsettled` is a step
/// that was done and whose effect was not seen.
fn ended_pods<'a>(
    plan: Option<&'a Plan>,
    results: &'a [StepResult],
    unsettled: Option<StepNumber>,
) -> Vec<(&'a PodRef, Option<&'a PodRef>)> {
    let ended_by = |step: StepNumber| Some(plan?.operation(step)?.ends()?.0);
    let seen = (0..).map(StepNumber).zip(results).filter_map(|(step, result)| {
        // Older records do not say it; a plan that was drawn again meanwhile would name others.
        let old = result.ended().or_else(|| ended_by(step))?;
        Some((old, Some(result.in_its_place())))
    });
    seen.chain(unsettled.and_then(ended_by).map(|old| (old, None))).collect()
}
