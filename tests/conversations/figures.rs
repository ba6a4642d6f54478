//! What the metrics tell about a night.

use axum::body::{Body, to_bytes};
use mtls_medic::{
    http::{Readiness, health_router},
    metrics::Metrics,
    simulate::world::Scenario,
};
use tower::ServiceExt;

use crate::night::Night;

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_was_answered_in_time_is_a_figure_of_its_level() {
    let night = Night::calm(Scenario::ExpiredCertificate).await;
    night.alertmanager_fires().await;
    night.channel_shows("expired certificate").await;
    night.presses("U0ONCALL", "Acknowledge").await;
    night.is_told("U0ONCALL", "Nobody else is called").await;
    let Night { engine, simulation, .. } = night;
    let routes = health_router(engine.clone(), Metrics::default(), Readiness::default());
    let asked = axum::http::Request::get("/metrics").body(Body::empty()).unwrap();
    let answer = routes.oneshot(asked).await.unwrap();
    let text = String::from_utf8(to_bytes(answer.into_body(), 100_000).await.unwrap().to_vec()).unwrap();
    let met = "mtls_medic_escalation_windows_total{level=\"L1\",window=\"answer\",end=\"met\"} 1";
    assert!(text.contains(met), "{text}");
    assert!(text.contains("# TYPE mtls_medic_journal_transactions_total counter"), "{text}");
    engine.stop(std::time::Duration::from_secs(5)).await;
    simulation.stop().await;
}
