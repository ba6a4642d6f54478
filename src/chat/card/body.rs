//! The parts of the card about the alert, the diagnosis and the fixes that fit.

use std::collections::BTreeSet;

use super::{
    LIST_MOST, Line, code, command, command_line, end_line, plain,
    storm::{self, survey_in_words, survey_lines},
    text::{strong, text, time, words},
};
use crate::{
    escalation::{Ladder, Rung},
    incident::{FixEnd, Incident, PastFix, Refusal, Triage, Unseeing, offer, times_without_effect},
    mesh::PodRef,
    triage::{Confidence, FixName, Side, Verdict},
};

/// The first so many items as lines, and a line that counts the rest.
fn bounded<T>(items: &[T], line: impl Fn(&T) -> Line, rest: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = items.iter().take(LIST_MOST).map(line).collect();
    let more = items.len().saturating_sub(LIST_MOST);
    if more > 0 {
        lines.push(words(format!("… and {more} more{rest}")));
    }
    lines
}

fn bullet(rest: impl std::fmt::Display) -> Line {
    words(format!("• {rest}"))
}

/// The first line of an open incident: its state, and what the reader should do.
pub(super) fn in_one_line(incident: &Incident) -> Line {
    let found = match (&incident.triage, &incident.verdict) {
        _ if incident.key.is_of_rule() => "This fault would not be seen now".to_owned(),
        _ if incident.storm.is_some() => match &incident.survey {
            Some(survey) => format!("More incidents than people can be called about: {}", survey_in_words(survey)),
            None => "More incidents are opening than people can be called about".to_owned(),
        },
        _ if incident.is_foreign() => format!("Of cluster {}, so not diagnosed from here", incident.cluster),
        // The last fix is newer than the finding before it.
        (Triage::Done { .. } | Triage::Failed { .. }, Some(_)) if incident.write_since_verdict().is_some() => {
            incident.write_since_verdict().map(in_short).unwrap_or_default()
        }
        (Triage::Running { .. }, _) => "Looking into it now".to_owned(),
        (_, Some(verdict)) => format!("Diagnosis: {}", verdict.scenario),
        (Triage::Failed { .. }, None) => "The diagnostics could not run".to_owned(),
        (Triage::NotRun | Triage::Done { .. }, None) => "Not yet diagnosed".to_owned(),
    };
    let again = if incident.reopened_at.is_some() { "Open again. " } else { "" };
    let mut line = vec![strong(format!("{again}{found}")), text(". ")];
    match &incident.ladder {
        Ladder::Running { rung: Rung::Waiting { level, until }, .. } => {
            line.extend([text(format!("{level} has until ")), time(*until), text(" to acknowledge.")]);
        }
        Ladder::Running { rung: Rung::AllPaged { until }, .. } => {
            line.extend([text("Nobody has acknowledged; all levels are called again at "), time(*until), text(".")]);
        }
        Ladder::Running { rung: Rung::Acknowledged { .. }, holder: Some(holder) } => {
            line.extend([super::person(holder), text(" has it.")]);
        }
        Ladder::Running { rung: Rung::Acknowledged { .. }, holder: None } => line.push(text("Acknowledged.")),
        Ladder::Still | Ladder::Paused { .. } => line.push(text("Nobody is called.")),
    }
    line
}

/// A fix and how it ended, in a few words.
fn in_short(past: &PastFix) -> String {
    let ended = end_line(&past.end).into_iter().next();
    format!("{} {}", past.name, ended.map_or_else(String::new, |ended| plain(&[ended])))
}

/// The lines about a rule that has no data.
pub(in crate::chat) fn why_unseeing(incident: &Incident) -> &'static str {
    let fails = incident.alerts.values().any(|alert| alert.sighting.unseeing == Some(Unseeing::Error));
    if fails { "its rule cannot be evaluated (DatasourceError)" } else { "its rule has no data (DatasourceNoData)" }
}

/// The alert, on what, since when.
pub(super) fn what_is_wrong(incident: &Incident) -> Vec<Line> {
    if let Some(count) = incident.storm {
        let mut lines = vec![vec![
            strong(format!("{count} incidents")),
            text(format!(" have opened in cluster {} since ", incident.cluster)),
            time(incident.opened_at),
            text(". People are called once for all of them. The list: "),
            command_line("incidents"),
            text(". All that are open are taken by "),
            command_line("ack all"),
        ]];
        lines.extend(storm::services(incident));
        return lines;
    }
    if incident.key.is_of_rule() {
        let said = format!(": {}, since ", why_unseeing(incident));
        let mut line = vec![strong(incident.alert.clone()), text(said), time(first_seen(incident))];
        line.push(text(". As long as that lasts, no alert of this name comes."));
        return vec![line];
    }
    let mut lines = vec![vec![
        strong(incident.alert.clone()),
        text(format!(" in cluster {}, since ", incident.cluster)),
        time(first_seen(incident)),
    ]];
    match &incident.target {
        Some(target) => lines.push(vec![text("Service: "), code(target.to_string())]),
        None if incident.is_foreign() => {}
        None => lines.push(vec![
            text("The alert does not say which service it is about. Tell the bot: "),
            command("target", incident.id, "NAMESPACE WORKLOAD"),
        ]),
    }
    let summaries: BTreeSet<&str> =
        incident.alerts.values().filter_map(|alert| alert.sighting.summary.as_deref()).collect();
    let summaries: Vec<&str> = summaries.into_iter().collect();
    let then = if incident.last_write().is_some() { "When it began to fire: " } else { "" };
    lines.extend(bounded(&summaries, |summary| words(format!("{then}{summary}")), " summaries"));
    lines.extend(incident.last_write().map(failing_now));
    if let Some(at) = incident.reopened_at {
        lines.push(vec![text("It fired again soon after closing and was reopened at "), time(at), text(".")]);
    }
    if let Some(since) = incident.stale_since {
        lines.push(vec![
            strong("Stale: "),
            text("the alert has not been repeated since "),
            time(since),
            text(" and never ended. Its source may be down."),
        ]);
    }
    lines
}

/// How much fails since a fix, as the proxies counted it; the alert's own text speaks of what was before.
fn failing_now(past: &PastFix) -> Line {
    let rate = match &past.end {
        FixEnd::Verified { verification } => verification.rate,
        _ => None,
    };
    match rate {
        Some(rate) => vec![
            strong(format!("After {}: {} % fail", past.name, rate.percent())),
            text(format!(" ({} of {}, as its proxies counted from ", rate.failed, rate.of)),
            time(rate.from),
            text(" to "),
            time(rate.until),
            text(")."),
        ],
        None => vec![
            strong(format!("After {}: it is not known how much fails", past.name)),
            text(", because nothing was counted. The alert speaks of what was before."),
        ],
    }
}

fn first_seen(incident: &Incident) -> jiff::Timestamp {
    let firing = incident.alerts.values().map(|alert| alert.sighting.starts_at);
    firing.min().unwrap_or(incident.opened_at)
}

/// Pods, alerts, and what is missing from both.
pub(super) fn blast_radius(incident: &Incident) -> Vec<Line> {
    if incident.storm.is_some() || incident.key.is_of_rule() {
        return Vec::new();
    }
    let firing = incident.alerts.values().filter(|alert| alert.status == crate::incident::AlertStatus::Firing).count();
    let mut lines = vec![words(format!("{firing} of {} alert(s) firing.", incident.alerts.len()))];
    if incident.cut_off > 0 {
        lines.push(vec![
            strong(format!("{} more alert(s) were cut off by Alertmanager", incident.cut_off)),
            text(" (max_alerts): targets are missing here."),
        ]);
    }
    let gone = incident.gone_pods();
    let is_there = |pod: &&PodRef| gone.iter().all(|(old, _)| old != pod);
    if let Some(verdict) = &incident.verdict {
        lines.extend(pods("Shown to be affected: ", &verdict.on.pods.iter().filter(is_there).collect::<Vec<_>>()));
        if !verdict.on.nodes.is_empty() {
            let names: Vec<String> = verdict.on.nodes.iter().take(LIST_MOST).map(ToString::to_string).collect();
            lines.push(vec![text("Nodes: "), code(names.join(" "))]);
        }
    }
    let replaced = |(old, new): &(&PodRef, Option<&PodRef>)| match new {
        Some(new) => vec![text("Replaced since: "), code(old.to_string()), text(" by "), code(new.to_string())],
        None => vec![text("Ended since: "), code(old.to_string())],
    };
    lines.extend(bounded(&gone, replaced, " pods that were replaced"));
    let named: BTreeSet<&PodRef> = incident.alerts.values().filter_map(|alert| alert.sighting.pod.as_ref()).collect();
    let named: Vec<&PodRef> = named.into_iter().filter(is_there).collect();
    lines.extend(pods("Named by the alerts, not checked: ", &named));
    lines
}

fn pods(lead: &str, pods: &[&PodRef]) -> Option<Line> {
    let names: Vec<String> = pods.iter().take(LIST_MOST).map(ToString::to_string).collect();
    let more = pods.len().saturating_sub(LIST_MOST);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!pods.is_empty()).then(|| vec![text(lead.to_owned()), code(names.join(" ")), text(rest)])
}

/// The verdict, or why there is none.
pub(super) fn diagnosis(incident: &Incident) -> Vec<Line> {
    let mut lines = Vec::new();
    match &incident.triage {
        _ if incident.is_foreign() => lines.push(of_another_cluster(incident)),
        Triage::NotRun if incident.storm.is_some() || incident.key.is_of_rule() => {}
        Triage::NotRun if incident.target.is_none() => lines.push(words("Waits for a target.")),
        Triage::NotRun => lines.push(vec![text("Not run. Ask for it: "), command("triage", incident.id, "")]),
        Triage::Running { since, .. } => {
            let they_take = "; from their turn on they take 20 s at most.";
            lines.push(vec![text("The diagnostics were asked for at "), time(*since), text(they_take)]);
        }
        Triage::Failed { reason, .. } => lines.push(vec![
            strong("The diagnostics could not run: "),
            text(format!("{reason}. Try again: ")),
            command("triage", incident.id, ""),
        ]),
        Triage::Done { .. } if incident.verdict.is_none() => {
            lines.push(vec![
                text("Not run since it was opened again. Ask for it: "),
                command("triage", incident.id, ""),
            ]);
        }
        Triage::Done { .. } => {}
    }
    if let Some(past) = incident.write_since_verdict() {
        lines.push(vec![
            strong(format!("Found before {} ran", past.name)),
            text(", so it may no longer hold. Look again: "),
            command("triage", incident.id, ""),
        ]);
    }
    if let Some(verdict) = &incident.verdict {
        lines.extend(verdict_lines(verdict));
    }
    if let Some(survey) = &incident.survey {
        lines.extend(survey_lines(survey));
    }
    lines.extend(earlier(incident));
    lines
}

fn of_another_cluster(incident: &Incident) -> Line {
    let ours = incident.foreign_to.as_deref().unwrap_or_default();
    vec![
        strong("Not from here: "),
        text(format!(
            "this bot looks after {ours}, so it neither looks into cluster {0} nor changes anything there. Ask the bot of {0}, \
             or follow the runbook there by hand.",
            incident.cluster
        )),
    ]
}

/// The finding of before it was opened again.
fn earlier(incident: &Incident) -> Option<Line> {
    let found = incident.earlier.as_ref()?;
    let said = text(format!("Before it was opened again, the diagnosis was: {}, at ", found.scenario.title()));
    Some(vec![said, time(found.at), text(".")])
}

/// The verdict in lines: what, how sure, where, why, and what follows from it.
pub(in crate::chat) fn verdict_lines(verdict: &Verdict) -> Vec<Line> {
    let mut lines = vec![vec![
        strong(verdict.scenario.title()),
        text(format!(" ({}), {}, seen at ", sure(verdict.confidence), side(verdict.on.side))),
        time(verdict.at),
    ]];
    lines.extend(bounded(&verdict.reasons, |reason| bullet(&reason.text), " reasons"));
    if !verdict.consequences.is_empty() {
        let names: Vec<&str> = verdict.consequences.iter().map(|one| one.words()).collect();
        lines.push(words(format!("Follows from it, and needs no fix of its own: {}.", names.join(", "))));
    }
    lines
}

pub(super) fn sure(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "low confidence: one sign only, or checks are missing that could say otherwise",
        Confidence::Medium => "medium confidence: the signs agree, some checks are missing",
        Confidence::High => "high confidence",
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "where the service calls others",
        Side::Server => "where the service is called",
        Side::Both => "on both sides",
        Side::Peer => "on a peer of the service",
        Side::Unknown => "side not known",
    }
}

/// The checks that could not run, and how to make each possible.
pub(super) fn not_checked(incident: &Incident) -> Vec<Line> {
    let Some(verdict) = &incident.verdict else { return Vec::new() };
    bounded(&verdict.not_checked, |not| vec![strong(format!("• {}", not.what)), text(format!(": {}", not.why))], "")
}

/// The fixes that fit with their risk, and those that must never be tried here.
pub(super) fn fixes(incident: &Incident) -> Vec<Line> {
    let shown = incident.is_live() && !incident.is_foreign();
    let Some(verdict) = incident.verdict.as_ref().filter(|_| shown) else { return Vec::new() };
    let mut lines = bounded(&verdict.fixes, |fix| fitting(incident, *fix), " fixes");
    if let Some(step) = verdict.next_by_hand() {
        let fits = if verdict.fixes.is_empty() { "No fix of the runbook fits this diagnosis. " } else { "" };
        lines.push(words(format!("{fits}Next: {step}.")));
    }
    let never = |never: &crate::triage::Contraindicated| {
        vec![strong("• never "), code(never.fix.to_string()), text(format!(": {}", never.reason))]
    };
    lines.extend(bounded(&verdict.never, never, " that must not be tried"));
    lines
}

/// The line about a fix that fits and that this bot does not carry out.
pub(in crate::chat) fn by_hand(why: &Refusal) -> Option<&'static str> {
    match why {
        Refusal::FixNotCarriedOut(_) => Some("The bot cannot do this one: follow the runbook by hand."),
        Refusal::FixLeftOut(_) => Some("The bot is not given the rights for this one: follow the runbook by hand."),
        _ => None,
    }
}

fn fitting(incident: &Incident, fix: FixName) -> Line {
    let mut line = vec![text("• "), code(fix.to_string()), text(format!(": {}.", risk(fix)))];
    let useless = times_without_effect(incident, fix);
    match offer(incident, fix) {
        Err(refusal @ (Refusal::FixNotCarriedOut(_) | Refusal::FixLeftOut(_))) => {
            line.extend(by_hand(&refusal).map(|why| text(format!(" {why}"))));
        }
        Err(Refusal::JustWorked { at, .. }) => {
            line.extend([text(" It worked at "), time(at), text(". Look whether it is needed again: ")]);
            line.push(command("triage", incident.id, ""));
        }
        Err(Refusal::VerdictOutdated { at, .. }) => {
            line.extend([text(" The diagnosis is of "), time(at), text(", too long ago. Look again first: ")]);
            line.push(command("triage", incident.id, ""));
        }
        Err(Refusal::TriedTwice(_)) => {
            line.push(text(format!(" It had no effect {useless} times, so the bot does not repeat it.")));
        }
        _ if useless > 0 => line.push(text(format!(" It had no effect {useless} time(s)."))),
        _ => {}
    }
    line
}

/// What a fix does and what it can cost, in one sentence.
pub(in crate::chat) fn risk(fix: FixName) -> &'static str {
    match fix {
        FixName::RestartPod => {
            "low risk; replaces one pod after the other within its disruption budget, and cuts the connections of each"
        }
        FixName::RestartSpireAgent => {
            "high risk; no workload on that node gets a new SVID until the new agent works; one node at a time"
        }
        FixName::SyncTrustBundle => "medium risk; changes which roots the workloads trust",
        FixName::RolloutRestart => "medium risk; replaces every pod of the workload",
        FixName::EnforceStrictMtls => "high risk; clients without mTLS are cut off at once",
        FixName::SetDestinationruleIstioMutual => "medium risk; changes how every client calls this host",
        FixName::RestartPodOfPeer => "not a fix of this incident",
    }
}
