//! The bodies that pagers get: our own JSON for a generic webhook, and events of PagerDuty's Events API v2. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    chat::{
        card::{COMMAND, survey_in_words, utc},
        posts::WITHOUT_A_JOURNAL,
    },
    escalation::{LevelNumber, Rung},
    incident::{CallLinks, Cause, Face, Incident, PageEnd, WebAddress},
    legible,
};

/// PagerDuty's limit of a summary, in characters (Events API v2).
const SUMMARY_MOST: usize = 1_024;
/// The longest text of a diagnosis that could not run, in characters: a line of a page.
const REASON_MOST: usize = 300;
/// How many reasons of a verdict a page gives.
const REASONS_MOST: usize = 8;

/// What a call says of its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallAct {
    /// Somebody is called, for this reason.
    Trigger(&'static str),
    /// The cause, which the page could not name yet. It rings nobody again.
    Update,
    /// Ends the ringing: somebody has the incident, or it is over.
    End(PageEnd),
}

/// One page, as its body says it.
#[derive(Debug, Clone, Copy)]
pub struct PagerMessage<'a> {
    /// The name that the pager knows it by: one a call, the same when that call is sent again.
    pub key: &'a str,
    /// Who is called.
    pub level: LevelNumber,
    /// What the call says.
    pub act: CallAct,
    pub incident: &'a Incident,
    /// The runbook of the configuration, for alerts that name none.
    pub runbook: Option<&'a str>,
}

/// The links of a page.
#[derive(Debug, Clone, Copy)]
struct Links<'a> {
    card: Option<&'a str>,
    runbook: Option<&'a str>,
    graph: Option<&'a str>,
}

impl<'a> PagerMessage<'a> {
    fn links(&self) -> Links<'a> {
        let CallLinks { card, runbook, graph } = CallLinks::of(self.incident);
        Links {
            card: card.map(WebAddress::as_str),
            runbook: runbook.map(WebAddress::as_str).or(self.runbook),
            graph: graph.map(WebAddress::as_str),
        }
    }

    fn reason(&self) -> Option<&'static str> {
        match self.act {
            CallAct::Trigger(reason) => Some(reason),
            CallAct::Update | CallAct::End(_) => None,
        }
    }

    fn team(&self) -> Option<&'a str> {
        self.incident.policy.level(self.level).map(|known| known.team.as_str())
    }

    fn target(&self) -> Option<String> {
        self.incident.target.as_ref().map(ToString::to_string)
    }

    fn summary(&self) -> String {
        let Incident { id, alert, cluster, .. } = self.incident;
        if self.incident.is_of_the_bot() {
            return format!("{}: mtls-medic of {cluster} cannot store anything: no alert is taken in", self.level);
        }
        if let Some(count) = self.incident.storm {
            let text = format!("{id} {}: {count} incidents at once in {cluster}, {}", self.level, cause(self.incident));
            return text.chars().take(SUMMARY_MOST).collect();
        }
        let target = self.target().unwrap_or_else(|| "a target not yet known".to_owned());
        let text = format!("{id} {}: {alert} on {target} in {cluster}, {}", self.level, cause(self.incident));
        text.chars().take(SUMMARY_MOST).collect()
    }

    /// The first step of the person who wakes up, by a way that this bot has.
    fn what_to_do(&self) -> String {
        let id = self.incident.id;
        if self.incident.is_of_the_bot() {
            return WITHOUT_A_JOURNAL.to_owned();
        }
        let faces: BTreeSet<Face> = self.incident.channels.iter().map(|channel| channel.face).collect();
        let chats: Vec<String> =
            faces.iter().filter(|face| face.has_links()).map(|face| face.platform().to_string()).collect();
        if !chats.is_empty() {
            let chats = chats.join(" or ");
            return format!("Acknowledge in {chats}: {COMMAND} ack {id}, or press Acknowledge on the card of {id}");
        }
        if !faces.is_empty() {
            return format!("Acknowledge on the card of {id}");
        }
        let look = self.incident.target.as_ref().map(|target| {
            format!(" Look: mtls-medic triage -n {} {}/{}.", target.namespace, target.kind.short(), target.name)
        });
        let fits = self.incident.verdict.as_ref().filter(|verdict| !verdict.fixes.is_empty()).map(|verdict| {
            let fixes: Vec<&str> = verdict.fixes.iter().map(|fix| fix.as_str()).collect();
            format!(" What fits: {}.", fixes.join(", "))
        });
        let by_hand = if self.links().runbook.is_some() { "after the runbook" } else { "by hand" };
        format!(
            "No chat is configured, so {id} cannot be acknowledged: the calls end when its alert does.{}{} Mend it \
             {by_hand}, or silence the alert.",
            look.unwrap_or_default(),
            fits.unwrap_or_default()
        )
    }

    /// Whether somebody can say that they have it.
    fn can_be_answered(&self) -> bool {
        !self.incident.channels.is_empty() && !self.incident.is_of_the_bot()
    }

    /// By when somebody has to have it.
    fn answer_by(&self) -> Option<Timestamp> {
        self.incident.ladder.rung().filter(|_| self.can_be_answered()).map(Rung::until)
    }

    /// Who is called when nobody answers, and when.
    fn next(&self) -> Option<String> {
        let rung = self.incident.ladder.rung().filter(|_| !self.incident.is_of_the_bot())?;
        let until = utc(rung.until());
        let above = match rung {
            Rung::Waiting { level, .. } => self.incident.policy.above(*level),
            Rung::AllPaged { .. } | Rung::Acknowledged { .. } => None,
        };
        let when = if self.can_be_answered() { "unanswered" } else { "while its alert fires" };
        Some(match above {
            Some(above) => format!("{when}, {} {} is called at {until}", above.number, above.team),
            None => format!("{when}, every level is called at {until}"),
        })
    }
}

/// The cause as the end of a sentence.
fn cause(incident: &Incident) -> String {
    match Cause::of(incident) {
        Cause::Found(verdict) => verdict.scenario.title().to_owned(),
        Cause::Surveyed(survey) => survey_in_words(survey),
        Cause::Elsewhere => "not diagnosed, since this bot looks after another cluster".to_owned(),
        Cause::Running => "the diagnosis is still running".to_owned(),
        Cause::Failed(reason) => {
            format!("the diagnosis could not run: {}", reason.chars().take(REASON_MOST).collect::<String>())
        }
        Cause::NotBegun => "not diagnosed".to_owned(),
    }
}

/// The cause for machines: how far the diagnosis is, and what it found.
fn diagnosis(incident: &Incident) -> Value {
    let (state, verdict) = match Cause::of(incident) {
        Cause::Found(verdict) => ("found", Some(verdict)),
        Cause::Surveyed(_) => ("surveyed", None),
        Cause::Elsewhere => ("elsewhere", None),
        Cause::Running => ("running", None),
        Cause::Failed(_) => ("failed", None),
        Cause::NotBegun => ("not_begun", None),
    };
    json!({
        "state": state,
        "scenario": verdict.map(|verdict| verdict.scenario),
        "confidence": verdict.map(|verdict| verdict.confidence),
        "reasons": verdict.map(|verdict| verdict.reasons.iter().take(REASONS_MOST).collect::<Vec<_>>()),
        "fits": verdict.map(|verdict| verdict.fixes.iter().map(|fix| fix.as_str()).collect::<Vec<_>>()),
        "do_not": verdict.map(|verdict| verdict.never.iter().take(REASONS_MOST).map(|never| {
            format!("{}: {}", never.fix, never.reason)
        }).collect::<Vec<_>>()),
    })
}

/// The generic webhook's body.
pub fn generic(call: &PagerMessage<'_>) -> Value {
    let (incident, links) = (call.incident, call.links());
    let action = match call.act {
        CallAct::Trigger(_) => "trigger",
        CallAct::Update => "update",
        CallAct::End(how) => end(how),
    };
    if let CallAct::End(_) = call.act {
        return json!({
            "schema": "mtls-medic.page/v1",
            "action": action,
            "key": call.key,
            "incident": incident.id.to_string(),
            "cluster": incident.cluster,
        });
    }
    json!({
        "schema": "mtls-medic.page/v1",
        "action": action,
        "key": call.key,
        "incident": incident.id.to_string(),
        "alert": incident.alert,
        "cluster": incident.cluster,
        "target": call.target(),
        "level": call.level.0,
        "team": call.team(),
        "reason": call.reason(),
        "summary": call.summary(),
        "diagnosis": diagnosis(incident),
        "opened_at": legible::moment(incident.opened_at),
        "answer_by": call.answer_by().map(legible::moment),
        "what_to_do": call.what_to_do(),
        "next": call.next(),
        "card": links.card,
        "runbook": links.runbook,
        "graph": links.graph,
    })
}

fn end(how: PageEnd) -> &'static str {
    match how {
        PageEnd::Acknowledge => "acknowledge",
        PageEnd::Resolve => "resolve",
    }
}

/// PagerDuty's body. One alert a call: a level that is called again is rung again, also while the alert before is open. A
/// second trigger with the key of an alert that is open is appended to its log and rings nobody (Events API v2, "alert
/// de-duplication"), so that is how a page is updated; with the key of one that was resolved it would open another.
pub fn pagerduty(routing_key: &str, call: &PagerMessage<'_>) -> Value {
    let (incident, links) = (call.incident, call.links());
    if let CallAct::End(how) = call.act {
        return json!({ "routing_key": routing_key, "event_action": end(how), "dedup_key": call.key });
    }
    let named = [("Card", links.card), ("Runbook", links.runbook), ("Graph", links.graph)];
    let listed = named.into_iter().filter_map(|(text, href)| href.map(|href| json!({ "href": href, "text": text })));
    without_nulls(json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": call.key,
        "client": "mtls-medic",
        "client_url": links.card,
        "payload": {
            "summary": call.summary(),
            "source": incident.cluster,
            "severity": "critical",
            "timestamp": incident.opened_at.to_string(),
            "component": call.target(),
            "class": incident.alert,
            "custom_details": {
                "what_to_do": call.what_to_do(),
                "cause": cause(incident),
                "diagnosis": diagnosis(incident),
                "team": call.team(),
                "next": call.next(),
                "reason": call.reason(),
                "answer_by": call.answer_by().map(utc),
            },
        },
        "links": listed.collect::<Vec<_>>(),
    }))
}

/// PagerDuty's fields are strings or left out.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        other => other,
    }
}
