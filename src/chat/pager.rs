//! Pagers beside the mention: a generic webhook, and PagerDuty's Events API v2.

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use hyper::StatusCode;
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::outgoing::{Outgoing, OutgoingError};
use crate::{
    engine::{Done, Perform, PerformError, Task},
    escalation::PagerName,
    incident::{CallReason, Lacks, Outcome, Work, page_key},
    legible,
    metrics::{CallWay, Metric, Metrics},
};

mod body;

pub use body::{CallAct, PagerMessage, generic, pagerduty};

/// The pause before the bot repeats a call that the pager refused: people have to mend the configuration first.
const REFUSED_AGAIN: SignedDuration = SignedDuration::from_secs(30);
/// The pause before the bot repeats a call that found no connection.
const UNREACHED_AGAIN: SignedDuration = SignedDuration::from_secs(5);
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
    /// PagerDuty, or another service that speaks its Events API v2.
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

    /// Makes every page link to the runbook.
    pub fn with_runbook(self, runbook: Option<&str>) -> Self {
        Self { runbook: runbook.map(Arc::from), ..self }
    }

    /// Counts every call in `metrics`.
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }
}

#[async_trait]
impl Perform for Pagers {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        let incident = &*task.incident;
        let call = |key, level, act| PagerMessage { key, level, act, incident, runbook: self.runbook.as_deref() };
        match &task.work {
            Work::CallPager { pager: name, level, reason, .. } => {
                let (key, lacks) = (page_key(incident, &task.key), Lacks::of(incident));
                let call = call(&key, *level, CallAct::Trigger(why(reason)));
                self.send(name, "call", &call).await.map_err(|error| call_failed(name, &error))?;
                self.metrics.count(Metric::CallsSentTotal { way: CallWay::Pager }, 1);
                Ok(Outcome::PagerCalled { level: *level, page: Some((name.clone(), key)), lacks }.into())
            }
            Work::UpdatePage { pager: name, level, key } => {
                let call = call(key, *level, CallAct::Update);
                self.send(name, "update", &call).await.map_err(|error| failed(name, &error))?;
                Ok(Outcome::CallCompleted.into())
            }
            Work::EndPage { pager: name, level, key, how } => {
                let call = call(key, *level, CallAct::End(*how));
                self.send(name, "end", &call).await.map_err(|error| failed(name, &error))?;
                Ok(Outcome::PageEnded.into())
            }
            _ => Err(PerformError::Never { reason: "the pagers only call people".to_owned() }),
        }
    }
}

/// Why a pager did not take a call.
enum SendError {
    /// The configuration does not name it.
    NotConfigured,
    /// The call failed.
    Failed(OutgoingError),
}

impl Pagers {
    async fn send(&self, name: &PagerName, act: &'static str, call: &PagerMessage<'_>) -> Result<(), SendError> {
        let count = |result| {
            self.metrics.count(Metric::PagerCallsTotal { pager: name.0.as_str(), act, result }, 1);
        };
        let Some(pager) = self.by_name.get(name) else {
            count("not_configured");
            return Err(SendError::NotConfigured);
        };
        let (url, authorization) = match pager {
            Pager::Generic { url, token } => {
                (url, token.as_ref().map(|token| format!("Bearer {}", token.expose_secret())))
            }
            Pager::PagerDuty { url, .. } => (url, None),
        };
        let body = legible::document(pager.body(call)).to_string().into_bytes();
        let sent = self.http.post(url.expose_secret(), "application/json", authorization.as_deref(), body);
        let sent = sent.await;
        count(sent.as_ref().map_or_else(result_of, |()| "sent"));
        sent.map_err(SendError::Failed)
    }
}

impl Pager {
    fn body(&self, call: &PagerMessage<'_>) -> Value {
        match self {
            Self::Generic { .. } => generic(call),
            Self::PagerDuty { routing_key, .. } => pagerduty(routing_key.expose_secret(), call),
        }
    }
}

/// An error as the label of a metric.
fn result_of(error: &OutgoingError) -> &'static str {
    match error {
        OutgoingError::Status { status: StatusCode::TOO_MANY_REQUESTS, .. } => "rate_limited",
        OutgoingError::Status { status, .. } if status.is_server_error() => "server_error",
        OutgoingError::Status { .. } | OutgoingError::Address(_) => "refused",
        OutgoingError::Unreachable { .. } | OutgoingError::Roots(_) => "unreachable",
        OutgoingError::Unanswered { .. } => "unanswered",
    }
}

/// A call of people that failed stays due. One that the pager certainly did not take is told apart: what it may have taken
/// is ended when somebody has the incident.
fn call_failed(name: &PagerName, error: &SendError) -> PerformError {
    let wait = match error {
        SendError::Failed(error) if !error.is_refusal() => None,
        SendError::Failed(OutgoingError::Unreachable { .. }) => Some(UNREACHED_AGAIN),
        SendError::Failed(_) | SendError::NotConfigured => Some(REFUSED_AGAIN),
    };
    match (failed(name, error), wait) {
        (PerformError::Again { reason, after }, Some(wait)) => {
            PerformError::Waiting { reason, after: Some(after.unwrap_or(wait)) }
        }
        (other, _) => other,
    }
}

/// A pager that refuses for good (400, 401, 404) is set up wrongly, which people can mend: it is tried again.
fn failed(name: &PagerName, error: &SendError) -> PerformError {
    let error = match error {
        SendError::NotConfigured => {
            let reason = format!("there is no pager {}: add it to the configuration (pagers)", name.0);
            return PerformError::Again { reason, after: None };
        }
        SendError::Failed(error) => error,
    };
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

#[cfg(test)]
mod tests;
