//! Pagers beside the mention: a generic webhook, and PagerDuty's Events API v2.

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use hyper::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    card::{survey_in_words, utc},
    outgoing::{Outgoing, OutgoingError},
};
use crate::{
    engine::{Done, Perform, PerformError, Task},
    escalation::{LevelNumber, PagerName, Rung},
    http::Metrics,
    incident::{CallReason, Incident, Outcome, PageEnd, Work},
};

/// PagerDuty's limit of a summary, in characters (Events API v2).
const SUMMARY_MOST: usize = 1_024;
/// PagerDuty's limit of a dedup key, in characters (Events API v2).
const DEDUP_KEY_MOST: usize = 255;
/// PagerDuty's address (Events API v2).
pub const PAGERDUTY_EVENTS: &str = "https://events.pagerduty.com/v2/enqueue";

/// One pager of the configuration.
#[derive(Clone)]
pub enum Pager {
    /// A webhook that takes our own JSON.
    Generic {
        /// Its address.
        url: SecretString,
        /// A bearer token, if it wants one.
        token: Option<SecretString>,
    },
    /// PagerDuty, or whatever speaks its Events API v2.
    PagerDuty {
        /// [`PAGERDUTY_EVENTS`], or another base for tests and the EU service.
        url: SecretString,
        /// The integration's routing key.
        routing_key: SecretString,
    },
}

impl fmt::Debug for Pager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // An address is often itself the secret.
            Self::Generic { .. } => f.write_str("Generic"),
            Self::PagerDuty { .. } => f.write_str("PagerDuty"),
        }
    }
}

/// All pagers of the configuration.
#[derive(Debug, Clone)]
pub struct Pagers {
    http: Outgoing,
    by_name: Arc<BTreeMap<PagerName, Pager>>,
    runbook: Option<Arc<str>>,
    metrics: Metrics,
}

impl Pagers {
    /// The pagers by name.
    pub fn new(http: Outgoing, by_name: BTreeMap<PagerName, Pager>) -> Self {
        Self { http, by_name: Arc::new(by_name), runbook: None, metrics: Metrics::default() }
    }

    /// The same, whose pages link to the runbook.
    pub fn with_runbook(self, runbook: Option<&str>) -> Self {
        Self { runbook: runbook.map(Arc::from), ..self }
    }

    /// The same, which count their calls here.
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }
}

#[async_trait]
impl Perform for Pagers {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        match &task.work {
            Work::CallPager { pager: name, level, reason, .. } => {
                let key = page_key(&task.key, &task.incident);
                let call = Call { key: &key, level: *level, reason, incident: &task.incident, runbook: self.runbook() };
                self.send(name, "call", &|pager| pager.trigger(&call)).await?;
                self.metrics.count("calls_sent_total", &[("way", "pager")], 1);
                Ok(Outcome::PagerCalled { level: *level, page: Some((name.clone(), key)) }.into())
            }
            Work::EndPage { pager: name, key, how, .. } => {
                self.send(name, "end", &|pager| pager.end(key, *how, &task.incident)).await?;
                Ok(Outcome::PageEnded.into())
            }
            _ => Err(PerformError::Never { reason: "the pagers only call people".to_owned() }),
        }
    }
}

impl Pagers {
    fn runbook(&self) -> Option<&str> {
        self.runbook.as_deref()
    }

    async fn send(
        &self,
        name: &PagerName,
        act: &'static str,
        body: &(dyn Fn(&Pager) -> Value + Sync),
    ) -> Result<(), PerformError> {
        let count = |result| {
            self.metrics.count("pager_calls_total", &[("pager", name.0.as_str()), ("act", act), ("result", result)], 1);
        };
        let Some(pager) = self.by_name.get(name) else {
            count("not_configured");
            let reason = format!("there is no pager {}: add it to the configuration (pagers)", name.0);
            return Err(PerformError::Again { reason, after: None });
        };
        let (url, authorization) = match pager {
            Pager::Generic { url, token } => {
                (url, token.as_ref().map(|token| format!("Bearer {}", token.expose_secret())))
            }
            Pager::PagerDuty { url, .. } => (url, None),
        };
        let body = body(pager).to_string().into_bytes();
        let sent = self.http.post(url.expose_secret(), "application/json", authorization.as_deref(), body);
        let sent = sent.await;
        count(sent.as_ref().map_or_else(result_of, |_| "sent"));
        sent.map(drop).map_err(|error| failed(name, &error))
    }
}

impl Pager {
    fn trigger(&self, call: &Call<'_>) -> Value {
        match self {
            Self::Generic { .. } => generic(call),
            Self::PagerDuty { routing_key, .. } => pagerduty(routing_key.expose_secret(), call),
        }
    }

    /// The body that ends a page: nobody is rung for what somebody has, or what is over.
    fn end(&self, key: &str, how: PageEnd, incident: &Incident) -> Value {
        let action = match how {
            PageEnd::Acknowledge => "acknowledge",
            PageEnd::Resolve => "resolve",
        };
        match self {
            Self::Generic { .. } => json!({
                "schema": "mtls-medic.page/v1",
                "action": action,
                "key": key,
                "incident": incident.id.to_string(),
                "cluster": incident.cluster,
            }),
            Self::PagerDuty { routing_key, .. } => json!({
                "routing_key": routing_key.expose_secret(),
                "event_action": action,
                "dedup_key": key,
            }),
        }
    }
}

/// One call, as its body says it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The name that the pager knows it by: one a call, the same when that call is sent again.
    pub key: &'a str,
    /// Who is called.
    pub level: LevelNumber,
    /// Why.
    pub reason: &'a CallReason,
    /// About what.
    pub incident: &'a Incident,
    /// The runbook's address.
    pub runbook: Option<&'a str>,
}

/// One name a call: a level that is called again is rung again.
fn page_key(effect: &str, incident: &Incident) -> String {
    // By the bot's own cluster: the bot of the incident's cluster may page the same people about its own INC-7.
    let cluster = incident.foreign_to.as_ref().unwrap_or(&incident.cluster);
    format!("mtls-medic/{cluster}/{}/{effect}", incident.id).chars().take(DEDUP_KEY_MOST).collect()
}

/// An error as the label of a metric.
fn result_of(error: &OutgoingError) -> &'static str {
    match error {
        OutgoingError::Status { status: StatusCode::TOO_MANY_REQUESTS, .. } => "rate_limited",
        OutgoingError::Status { status, .. } if status.is_server_error() => "server_error",
        OutgoingError::Status { .. } | OutgoingError::Address(_) => "refused",
        OutgoingError::Unreachable { .. } | OutgoingError::Roots(_) => "unreachable",
    }
}

/// A pager that refuses a call for good (400, 401, 404) is set up wrongly, which people can mend: it stays due.
fn failed(name: &PagerName, error: &OutgoingError) -> PerformError {
    let hint = match error {
        OutgoingError::Status { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, .. } => "; check its token",
        OutgoingError::Status { status: StatusCode::BAD_REQUEST, .. } => "; check its routing key",
        _ => "",
    };
    let after = match error {
        OutgoingError::Status { after, .. } => *after,
        _ => None,
    };
    PerformError::Again { reason: format!("pager {}: {error}{hint}", name.0), after }
}

fn why(reason: &CallReason) -> &'static str {
    match reason {
        CallReason::Opened => "opened",
        CallReason::Unanswered => "unanswered",
        CallReason::Escalated { .. } => "escalated",
        CallReason::HandedOver { .. } => "handed_over",
        CallReason::Idle => "idle",
        CallReason::Repeat => "repeat",
        CallReason::FiringAgain => "firing_again",
        CallReason::Evidence { .. } => "evidence",
    }
}

fn summary(level: LevelNumber, incident: &Incident) -> String {
    let target = incident.target.as_ref().map_or_else(|| "target not known".to_owned(), ToString::to_string);
    if let Some(count) = incident.storm {
        let found = incident.survey.as_ref().map_or_else(|| "not yet diagnosed".to_owned(), survey_in_words);
        let text = format!("{} {level}: {count} incidents at once in {}, {found}", incident.id, incident.cluster);
        return text.chars().take(SUMMARY_MOST).collect();
    }
    let found = match &incident.verdict {
        _ if incident.is_foreign() => "not diagnosed, since this bot looks after another cluster",
        Some(verdict) => verdict.scenario.title(),
        None => "not yet diagnosed",
    };
    let text = format!("{} {level}: {} on {target} in {}, {found}", incident.id, incident.alert, incident.cluster);
    text.chars().take(SUMMARY_MOST).collect()
}

/// What the person who is woken does first.
fn what_to_do(incident: &Incident) -> String {
    format!("Acknowledge in Slack: /mtls ack {}", incident.id)
}

/// Who is called when nobody answers, and when.
fn next(incident: &Incident) -> Option<String> {
    let rung = incident.ladder.rung()?;
    let until = utc(rung.until());
    let above = match rung {
        Rung::Waiting { level, .. } => incident.policy.above(*level),
        Rung::AllPaged { .. } | Rung::Acknowledged { .. } => None,
    };
    Some(match above {
        Some(above) => format!("unanswered, {} {} is called at {until}", above.number, above.team),
        None => format!("unanswered, every level is called at {until}"),
    })
}

fn team(call: &Call<'_>) -> Option<String> {
    call.incident.policy.level(call.level).map(|known| known.team.clone())
}

/// The generic webhook's body.
pub fn generic(call: &Call<'_>) -> Value {
    let incident = call.incident;
    json!({
        "schema": "mtls-medic.page/v1",
        "action": "trigger",
        "key": call.key,
        "incident": incident.id.to_string(),
        "alert": incident.alert,
        "cluster": incident.cluster,
        "target": incident.target.as_ref().map(ToString::to_string),
        "level": call.level.0,
        "team": team(call),
        "reason": why(call.reason),
        "summary": summary(call.level, incident),
        "opened_at": incident.opened_at.to_string(),
        "answer_by": incident.ladder.rung().map(|rung| rung.until().to_string()),
        "what_to_do": what_to_do(incident),
        "next": next(incident),
        "runbook": call.runbook,
    })
}

/// PagerDuty's body. One alert a call: a level that is called again is rung again, also while the alert before is open.
pub fn pagerduty(routing_key: &str, call: &Call<'_>) -> Value {
    let incident = call.incident;
    let links: Vec<Value> =
        call.runbook.into_iter().map(|runbook| json!({ "href": runbook, "text": "Runbook" })).collect();
    json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": call.key,
        "payload": {
            "summary": summary(call.level, incident),
            "source": incident.cluster,
            "severity": "critical",
            "timestamp": incident.opened_at.to_string(),
            "component": incident.target.as_ref().map(ToString::to_string),
            "class": incident.alert,
            "custom_details": {
                "what_to_do": what_to_do(incident),
                "team": team(call),
                "next": next(incident),
                "reason": why(call.reason),
                "answer_by": incident.ladder.rung().map(|rung| utc(rung.until())),
                "reasons": incident.verdict.as_ref().map(|verdict| verdict.reasons.iter().take(8).collect::<Vec<_>>()),
            },
        },
        "links": links,
    })
}

#[cfg(test)]
mod tests;
