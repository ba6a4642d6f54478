//! Calling a level: the one post that wakes people up.

use super::{CARD, Post};
use crate::{
    chat::card::{self, Line, Link, code, command, level_name, person, strong, text, time},
    escalation::{Ladder, LevelNumber, Rung},
    incident::{CallLinks, CallReason, Cause, Incident, WebAddress},
};

/// What to do while the bot's own journal fails.
pub(in crate::chat) const WITHOUT_A_JOURNAL: &str = "Look at the bot's log and at the volume of its journal. Until it can be \
    written, the bot takes in no alert and calls nobody else: watch Alertmanager by hand. There is nothing to acknowledge.";

/// The post that calls `level`. It says "mentioned" and not "paged", because here only that happens. Written anew when the
/// cause is known, it is the same post with the cause in it.
pub fn call(level: LevelNumber, reason: &CallReason, incident: &Incident) -> Post {
    if incident.is_of_the_bot() {
        let mentions = incident.policy.level(level).map(|known| known.mentions.clone()).unwrap_or_default();
        let lines = vec![why(level, reason, incident), vec![text(WITHOUT_A_JOURNAL)]];
        return Post { lines, mentions, broadcast: true, ..Post::default() };
    }
    let mut lines = vec![why(level, reason, incident), about(incident, CauseFollows::Here), what_now(level, incident)];
    lines.retain(|line| !line.is_empty());
    Post {
        lines,
        mentions: incident.policy.level(level).map(|known| known.mentions.clone()).unwrap_or_default(),
        broadcast: true,
        buttons: card::taking(incident),
        links: links(incident),
        ..Post::default()
    }
}

fn why(level: LevelNumber, reason: &CallReason, incident: &Incident) -> Line {
    let name = strong(level_name(incident, level));
    let mut line = vec![name];
    let mentioned = if incident.calls.calls_again(level) { " is mentioned again" } else { " is mentioned" };
    match reason {
        CallReason::Opened if incident.reopened_at.is_some() => {
            line.push(text(" is mentioned: an incident is open again."));
        }
        CallReason::Opened => line.push(text(" is mentioned: a new incident.")),
        CallReason::Unanswered => {
            line.push(text(format!("{mentioned}: nobody of the level before acknowledged in time.")));
        }
        CallReason::Escalated { by } => {
            line.extend([text(" is mentioned: "), person(by), text(" asks for you.")]);
        }
        CallReason::HandedOver { by } => {
            line.extend([text(" is mentioned: "), person(by), text(" hands it over to you.")]);
        }
        CallReason::Idle => {
            let why = "it was acknowledged, and then nothing was done for a whole window.";
            line.push(text(format!("{mentioned}: {why}")));
        }
        CallReason::Repeat => {
            line.push(text(format!("{mentioned}: every level is called now, because nobody has answered.")));
        }
        CallReason::FiringAgain => {
            line.push(text(" is mentioned: it fires again, and you had not been reached before it paused."));
        }
        CallReason::Evidence { because } if incident.is_of_the_bot() => {
            line.push(text(format!(" is mentioned: {because}.")));
        }
        CallReason::Evidence { because } => {
            line.push(text(format!(" is mentioned without waiting, because of what was found: {because}.")));
        }
    }
    line
}

/// Where the cause is said that is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CauseFollows {
    /// In the message itself, which is then written anew.
    Here,
    /// In the thread.
    InTheThread,
}

impl CauseFollows {
    fn says(self) -> &'static str {
        match self {
            Self::Here => "The diagnosis is still running; this message will say the cause",
            Self::InTheThread => "The diagnosis is still running; the thread will say the cause",
        }
    }
}

/// What an incident is about, and its cause.
pub(super) fn about(incident: &Incident, follows: CauseFollows) -> Line {
    if let Some(count) = incident.storm {
        let found = match Cause::of(incident) {
            Cause::Surveyed(survey) => card::survey_in_words(survey),
            Cause::Running => follows.says().to_owned(),
            _ => "Not yet diagnosed".to_owned(),
        };
        let said = format!(": {count} incidents opened within a short time in cluster {}. {found}.", incident.cluster);
        return vec![strong(incident.id.to_string()), text(said)];
    }
    let target = incident.target.as_ref().map_or_else(|| "a target not yet known".to_owned(), ToString::to_string);
    let mut line = vec![strong(incident.id.to_string()), text(format!(" {} on ", incident.alert)), code(target)];
    line.push(match Cause::of(incident) {
        Cause::Elsewhere => {
            text(format!(". It is of cluster {}, which this bot does not look after: look there.", incident.cluster))
        }
        Cause::Found(verdict) => text(format!(". Diagnosis: {}.", verdict.scenario.title())),
        Cause::Running => text(format!(". {}.", follows.says())),
        Cause::Failed(_) => text(". The diagnosis could not run; the thread says why."),
        Cause::NotBegun if incident.target.is_none() => text(". Not diagnosed, since its target is not known."),
        Cause::NotBegun | Cause::Surveyed(_) => text(". Not yet diagnosed."),
    });
    line
}

/// Where to look.
pub(super) fn links(incident: &Incident) -> Vec<Link> {
    let CallLinks { card, runbook, graph } = CallLinks::of(incident);
    let named = [(CARD, card), (Link::RUNBOOK, runbook), ("Graph", graph)];
    let link = |(label, url): (&str, Option<&WebAddress>)| {
        url.map(|url| Link { label: label.to_owned(), url: url.as_str().to_owned() })
    };
    named.into_iter().filter_map(link).collect()
}

fn what_now(called: LevelNumber, incident: &Incident) -> Line {
    if incident.called_beside().any(|level| level == called) {
        return beside(incident);
    }
    match incident.ladder.rung() {
        Some(Rung::Waiting { level, until }) => {
            let next = incident.policy.above(*level).map_or_else(
                || "every level is called again".to_owned(),
                |above| format!("{} {} is called", above.number, above.team),
            );
            vec![
                text("Acknowledge by "),
                time(*until),
                text(format!(", or {next}. Acknowledging stops the clock: ")),
                command("ack", incident.id, ""),
            ]
        }
        Some(Rung::AllPaged { until }) => vec![
            text("All levels are called again at "),
            time(*until),
            text(" unless somebody acknowledges: "),
            command("ack", incident.id, ""),
        ],
        Some(Rung::Acknowledged { .. }) | None => Vec::new(),
    }
}

/// Who has it, or is called, besides somebody who was called because of what was found.
fn beside(incident: &Incident) -> Line {
    let take_over = command("handoff", incident.id, "@you");
    match &incident.ladder {
        Ladder::Running { rung: Rung::Acknowledged { .. }, holder: Some(holder) } => {
            vec![person(holder), text(" has it and needs you. To take it over, name yourself: "), take_over]
        }
        Ladder::Running { rung: Rung::Waiting { level, until }, .. } => vec![
            strong(level_name(incident, *level)),
            text(" is called as well and has until "),
            time(*until),
            text(". Acknowledging stops the clock for all: "),
            command("ack", incident.id, ""),
        ],
        Ladder::Running { .. } | Ladder::Still | Ladder::Paused { .. } => {
            vec![text("Acknowledging stops the clock: "), command("ack", incident.id, "")]
        }
    }
}
