//! Pagers beside the mention: a generic webhook, and PagerDuty's Events API v2.

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use hyper::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    card::utc,
    outgoing::{Outgoing, OutgoingError},
};
use crate::{
    engine::{Done, Perform, PerformError, Task},
    escalation::{LevelNumber, PagerName},
    incident::{CallReason, Incident, Outcome, Work},
};

/// PagerDuty's limit of a summary, in characters (Events API v2).
const SUMMARY_MOST: usize = 1_024;
/// PagerDuty's address (Events API v2).
pub const PAGERDUTY_EVENTS: &str = "https://events.pagerduty.com/v2/enqueue";

/// One pager of the configuration.
#[derive(Clone)]
pub enum Pager {
    /// A webhook that takes our own JSON.
    Generic {
        /// Its address.
        url: String,
        /// A bearer token, if it wants one.
        token: Option<SecretString>,
    },
    /// PagerDuty, or whatever speaks its Events API v2.
    PagerDuty {
        /// [`PAGERDUTY_EVENTS`], or another base for tests and the EU service.
        url: String,
        /// The integration's routing key.
        routing_key: SecretString,
    },
}

impl fmt::Debug for Pager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generic { url, .. } => write!(f, "Generic({url})"),
            Self::PagerDuty { url, .. } => write!(f, "PagerDuty({url})"),
        }
    }
}

/// All pagers of the configuration.
#[derive(Debug, Clone)]
pub struct Pagers {
    http: Outgoing,
    by_name: Arc<BTreeMap<PagerName, Pager>>,
}

impl Pagers {
    /// The pagers by name.
    pub fn new(http: Outgoing, by_name: BTreeMap<PagerName, Pager>) -> Self {
        Self { http, by_name: Arc::new(by_name) }
    }
}

#[async_trait]
impl Perform for Pagers {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        let Work::CallPager { pager: name, level, reason, .. } = &task.work else {
            return Err(PerformError::Never { reason: "the pagers only call people".to_owned() });
        };
        let Some(pager) = self.by_name.get(name) else {
            let reason = format!("there is no pager {}: add it to the configuration (pagers)", name.0);
            return Err(PerformError::Again { reason, after: None });
        };
        let (url, authorization, body) = match pager {
            Pager::Generic { url, token } => {
                let bearer = token.as_ref().map(|token| format!("Bearer {}", token.expose_secret()));
                (url, bearer, generic(&task.key, *level, reason, &task.incident))
            }
            Pager::PagerDuty { url, routing_key } => {
                (url, None, pagerduty(routing_key.expose_secret(), *level, reason, &task.incident))
            }
        };
        let sent = self.http.post(url, "application/json", authorization.as_deref(), body.to_string().into_bytes());
        sent.await.map_err(|error| failed(name, &error))?;
        Ok(Outcome::PagerCalled { level: *level }.into())
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
        CallReason::Evidence { .. } => "evidence",
    }
}

fn summary(level: LevelNumber, incident: &Incident) -> String {
    let target = incident.target.as_ref().map_or_else(|| "target not known".to_owned(), ToString::to_string);
    let found = incident.verdict.as_ref().map_or("not yet diagnosed", |verdict| verdict.scenario.title());
    let text = format!("{} {level}: {} on {target} in {}, {found}", incident.id, incident.alert, incident.cluster);
    text.chars().take(SUMMARY_MOST).collect()
}

/// The generic webhook's body; `key` is the same when the same call is sent again.
pub fn generic(key: &str, level: LevelNumber, reason: &CallReason, incident: &Incident) -> Value {
    json!({
        "schema": "mtls-medic.page/v1",
        "key": format!("{}/{key}", incident.id),
        "incident": incident.id.to_string(),
        "alert": incident.alert,
        "cluster": incident.cluster,
        "target": incident.target.as_ref().map(ToString::to_string),
        "level": level.0,
        "team": incident.policy.level(level).map(|known| known.team.clone()),
        "reason": why(reason),
        "summary": summary(level, incident),
        "opened_at": incident.opened_at.to_string(),
        "answer_by": incident.ladder.rung().map(|rung| rung.until().to_string()),
    })
}

/// PagerDuty's body. One alert an incident and level: a repeat raises the same one again and makes no second.
pub fn pagerduty(routing_key: &str, level: LevelNumber, reason: &CallReason, incident: &Incident) -> Value {
    json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": format!("mtls-medic/{}/{}/{level}", incident.cluster, incident.id).chars().take(255).collect::<String>(),
        "payload": {
            "summary": summary(level, incident),
            "source": incident.cluster,
            "severity": "critical",
            "timestamp": incident.opened_at.to_string(),
            "component": incident.target.as_ref().map(ToString::to_string),
            "class": incident.alert,
            "custom_details": {
                "reason": why(reason),
                "answer_by": incident.ladder.rung().map(|rung| utc(rung.until())),
                "reasons": incident.verdict.as_ref().map(|verdict| verdict.reasons.iter().take(8).collect::<Vec<_>>()),
            },
        },
    })
}

#[cfg(test)]
mod tests;
