//! A little Prometheus and Alertmanager: watches the world's failure rate and sends real webhook bodies.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, header};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{clock::Clock, simulate::world::World};

/// The alert's window and threshold: over 5 % over 5 minutes.
const WINDOW: SignedDuration = SignedDuration::from_mins(5);
const THRESHOLD: f64 = 0.05;
/// How often the rule is evaluated, on the demo's clock.
const EVERY: SignedDuration = SignedDuration::from_secs(15);

/// What is watched: the service that the demo's scenarios break.
pub(super) const NAMESPACE: &str = "web";
pub(super) const SERVICE: &str = "frontend";

pub(super) struct Prometheus {
    pub(super) world: Arc<World>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) webhook: SocketAddr,
    pub(super) token: String,
}

impl Prometheus {
    /// Evaluates until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let mut samples = self.history();
        let mut firing_since: Option<Timestamp> = None;
        loop {
            let now = self.clock.now();
            if let Some(rate) = self.world.failure_rate(NAMESPACE, SERVICE) {
                samples.push_back((now, rate));
            }
            samples.retain(|(at, _)| now.duration_since(*at) <= WINDOW);
            let over = average(&samples).filter(|average| *average > THRESHOLD);
            match (over, firing_since) {
                (Some(rate), since) => {
                    let since = since.unwrap_or(now);
                    firing_since = Some(since);
                    self.send(&client, "firing", since, rate).await;
                }
                (None, Some(since)) => {
                    firing_since = None;
                    self.send(&client, "resolved", since, 0.0).await;
                }
                (None, None) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep_until(now + EVERY) => {}
            }
        }
    }

    /// The minutes before the demo began: what was broken then is broken now.
    fn history(&self) -> VecDeque<(Timestamp, f64)> {
        let now = self.clock.now();
        let rate = self.world.failure_rate(NAMESPACE, SERVICE);
        rate.map(|rate| (now - WINDOW / 2, rate)).into_iter().collect()
    }

    async fn send(&self, client: &Client<HttpConnector, Full<Bytes>>, status: &str, since: Timestamp, rate: f64) {
        let labels = json!({"alertname": "MTLSHandshakeFailureRateHigh", "cluster": "demo", "namespace": NAMESPACE,
            "service": SERVICE, "severity": "critical"});
        let body = json!({
            "version": "4", "status": status, "receiver": "mtls-medic", "truncatedAlerts": 0,
            "groupKey": "{}/{alertname=\"MTLSHandshakeFailureRateHigh\"}:{namespace=\"web\", service=\"frontend\"}",
            "groupLabels": labels, "commonLabels": labels, "commonAnnotations": {}, "externalURL": "http://localhost",
            "alerts": [{"status": status, "labels": labels, "startsAt": since, "endsAt": "0001-01-01T00:00:00Z",
                "annotations": {"summary": format!("{NAMESPACE}/{SERVICE} fails {:.0} % of its mTLS handshakes", rate * 100.0)},
                "generatorURL": "http://localhost", "fingerprint": "718ce7ef8b62f99a"}],
        });
        let request = Request::post(format!("http://{}/webhooks/alertmanager", self.webhook))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())));
        let Ok(request) = request else { return };
        match client.request(request).await {
            Ok(response) if response.status().is_success() => drop(response.into_body().collect().await),
            Ok(response) => {
                tracing::warn!(status = %response.status(), "the demo's alert was refused; it is sent again");
            }
            Err(error) => tracing::warn!(%error, "the demo's alert was not delivered; it is sent again"),
        }
    }
}

fn average(samples: &VecDeque<(Timestamp, f64)>) -> Option<f64> {
    let count = f64::from(u32::try_from(samples.len()).unwrap_or(u32::MAX));
    (!samples.is_empty()).then(|| samples.iter().map(|(_, rate)| rate).sum::<f64>() / count)
}
