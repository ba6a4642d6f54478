//! The heartbeat: a call of an address every so often, as long as the engine lives, so that a watcher outside notices when
//! the bot itself is dead. It waits for nothing and nothing waits for it.

use std::{fmt, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;

use super::outgoing::{Outgoing, OutgoingError, checked};
use crate::{
    engine::Engine,
    metrics::{Metric, Metrics},
};

/// How long the engine may take for each half of its proof of life; the call itself has the limit of all that goes out.
const ALIVE_WITHIN: Duration = Duration::from_secs(5);

/// The address of the watcher, and how often the bot calls it. The address is a secret: with it, others could keep the
/// watcher quiet.
#[derive(Clone)]
pub struct Heartbeat {
    http: Outgoing,
    url: SecretString,
    every: Duration,
    alive_within: Duration,
    metrics: Metrics,
}

impl fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heartbeat").field("every", &self.every).finish_non_exhaustive()
    }
}

/// How a beat ended; the name is a label of the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// The watcher has it.
    Sent,
    /// The engine is not alive, so the bot sent nothing: the watcher must raise the alarm.
    Withheld,
    /// The watcher could not be reached, or refused it.
    Failed,
}

impl Beat {
    fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Withheld => "withheld",
            Self::Failed => "failed",
        }
    }
}

impl Heartbeat {
    /// Refuses an address that cannot be called, and never shows it.
    pub fn new(http: Outgoing, url: SecretString, every: Duration, metrics: Metrics) -> Result<Self, String> {
        checked(url.expose_secret())
            .map_err(|_| "heartbeat.url: the address is not https, and not on this machine: it is not called")?;
        Ok(Self { http, url, every, alive_within: ALIVE_WITHIN, metrics })
    }

    /// Beats until it is stopped, in real time.
    pub async fn run(self, engine: Arc<Engine>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = self.beat(&engine) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.every) => {}
            }
        }
    }

    /// One beat, if the engine is alive.
    pub async fn beat(&self, engine: &Engine) -> Beat {
        let beat = match engine.pulse(self.alive_within).await {
            Err(error) => {
                tracing::error!(%error, "the engine is not alive: no heartbeat is sent");
                Beat::Withheld
            }
            Ok(()) => match self.http.post(self.url.expose_secret(), "text/plain", None, Vec::new()).await {
                Ok(()) => Beat::Sent,
                Err(error) => {
                    tracing::warn!(error = without_address(&error), "the heartbeat did not get through");
                    Beat::Failed
                }
            },
        };
        self.metrics.count(Metric::HeartbeatsTotal { result: beat.name() }, 1);
        beat
    }
}

/// The error in words that hold nothing of the address but its host.
fn without_address(error: &OutgoingError) -> String {
    match error {
        OutgoingError::Address(_) => "the address is not one that is called".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
