//! Which fix can be asked for, voted on, taken back or looked at again now: the rules that card, buttons and `decide` ask.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Fix, FixEnd, FixNumber, FixPhase, Incident, IncidentStatus, PastFix, Refusal, Triage, storm::stands_for_a_storm,
};
use crate::{
    approval::Question,
    remediation::{Proof, is_outdated},
    triage::{FixName, Verdict},
};

/// After so many runs of one fix without effect in one incident, only people decide (lessons: 39 repeats).
const WITHOUT_EFFECT_MOST: usize = 2;

/// Whether `fix` could be asked for when the incident last changed, as its card shows it; else why not, and what to do
/// instead. Whether fixes are switched on at all is asked elsewhere.
pub fn offer(incident: &Incident, fix: FixName) -> Result<(), Refusal> {
    let changed = incident.history.last().map_or(incident.opened_at, |newest| newest.at);
    offer_at(incident, fix, changed)
}

/// Whether `fix` can be asked for now.
pub fn offer_at(incident: &Incident, fix: FixName, now: Timestamp) -> Result<(), Refusal> {
    open(incident)?;
    if let Some(under_way) = &incident.fix {
        return Err(Refusal::FixUnderWay(under_way.name));
    }
    let target = incident.target.as_ref().ok_or_else(|| no_target(incident))?;
    if matches!(incident.triage, Triage::Running { .. }) {
        return Err(Refusal::TriageRunning);
    }
    // A verdict about another service is one of before somebody set the target.
    let verdict = incident.verdict.as_ref().filter(|verdict| verdict.target == *target);
    let verdict = verdict.ok_or(Refusal::NoVerdict(incident.id))?;
    fits(verdict, fix)?;
    carries_out(incident, fix)?;
    if times_without_effect(incident, fix) >= WITHOUT_EFFECT_MOST {
        return Err(Refusal::TriedTwice(fix));
    }
    if let Some(worked) = just_worked(incident, verdict, fix) {
        return Err(Refusal::JustWorked { incident: incident.id, fix, at: worked.at });
    }
    if is_outdated(verdict, now) {
        return Err(Refusal::VerdictOutdated { incident: incident.id, at: verdict.at });
    }
    Ok(())
}

/// Whether this bot can carry a fix out at all: in this version, and with the rights that it is given.
pub fn carries_out(incident: &Incident, fix: FixName) -> Result<(), Refusal> {
    if !FixName::CARRIED_OUT.contains(&fix) {
        return Err(Refusal::FixNotCarriedOut(fix));
    }
    if incident.left_out.contains(&fix) { Err(Refusal::FixLeftOut(fix)) } else { Ok(()) }
}

/// Whether something may be started: not once its alerts are resolved.
pub(super) fn open(incident: &Incident) -> Result<(), Refusal> {
    match &incident.status {
        IncidentStatus::Open => Ok(()),
        IncidentStatus::Clearing { until } => Err(Refusal::Clearing(incident.id, *until)),
        IncidentStatus::Closed { .. } => Err(incident.ended()),
    }
}

/// The fix whose plan waits for votes, with its question.
pub fn asking(incident: &Incident) -> Option<(&Fix, &Question)> {
    let fix = incident.fix.as_ref()?;
    match &fix.phase {
        FixPhase::Asking { question } => Some((fix, question)),
        _ => None,
    }
}

/// The fix that is under way and of whose present plan no write has begun, so that it can still be taken back.
pub fn untouched(incident: &Incident) -> Option<&Fix> {
    let nothing_written =
        |fix: &&Fix| matches!(fix.phase, FixPhase::Drawing | FixPhase::Asking { .. } | FixPhase::Approved { .. });
    incident.fix.as_ref().filter(nothing_written)
}

/// The fix whose effect can be looked at again: the newest one that was seen to do something, unless it
/// was proved to work.
pub fn to_verify(incident: &Incident) -> Result<&PastFix, Refusal> {
    if let Some(fix) = &incident.fix {
        return Err(Refusal::FixUnderWay(fix.name));
    }
    let newest = incident.past_fixes.iter().rev().find(|past| !past.results.is_empty());
    let newest = newest.ok_or(Refusal::NothingToVerify(incident.id))?;
    match &newest.end {
        FixEnd::Verified { verification } if verification.proof == Proof::Worked => {
            Err(Refusal::ProvedAlready { incident: incident.id, fix: newest.name, at: newest.at })
        }
        _ => Ok(newest),
    }
}

/// Why nothing is looked at or changed for an incident without a service.
pub(super) fn no_target(incident: &Incident) -> Refusal {
    if stands_for_a_storm(incident) { Refusal::StandsForMany(incident.id) } else { Refusal::NoTarget(incident.id) }
}

/// How often a fix was done in this incident and proved useless. A later look at the same write is not another write,
/// and what it says last counts.
pub fn times_without_effect(incident: &Incident, fix: FixName) -> usize {
    let mut writes: BTreeMap<FixNumber, Proof> = BTreeMap::new();
    for past in incident.past_fixes.iter().filter(|past| past.name == fix) {
        if let FixEnd::Verified { verification } = &past.end {
            writes.insert(past.verifies.unwrap_or(past.number), verification.proof);
        }
    }
    writes.values().filter(|proof| matches!(proof, Proof::NoEffect | Proof::Worse)).count()
}

/// The fix, if it worked and the verdict is older than that: it speaks of what was before it.
fn just_worked<'a>(incident: &'a Incident, verdict: &Verdict, fix: FixName) -> Option<&'a PastFix> {
    let judged = |past: &&PastFix| past.name == fix && matches!(past.end, FixEnd::Verified { .. });
    let newest = incident.past_fixes.iter().rev().find(judged)?;
    let worked = matches!(&newest.end, FixEnd::Verified { verification } if verification.proof == Proof::Worked);
    (worked && newest.at >= verdict.at).then_some(newest)
}

fn fits(verdict: &Verdict, fix: FixName) -> Result<(), Refusal> {
    if let Some(never) = verdict.never.iter().find(|never| never.fix == fix) {
        return Err(Refusal::FixDoesNotFit { fix, reason: never.reason.clone() });
    }
    if verdict.fixes.contains(&fix) {
        return Ok(());
    }
    let fitting: Vec<&str> = verdict.fixes.iter().map(|fix| fix.as_str()).collect();
    let fitting = if fitting.is_empty() { "none of the runbook's fixes fits".to_owned() } else { fitting.join(", ") };
    let reason = format!("the verdict is \"{}\"; what fits it: {fitting}", verdict.scenario);
    Err(Refusal::FixDoesNotFit { fix, reason })
}
