//! An alert of a cluster that this bot does not look after: people are called as usual, and nothing is looked at.

use mtls_medic::{incident::Triage, simulate::world::Scenario};

use super::night::Night;

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_of_another_cluster_is_said_aloud_once_calls_people_and_is_not_diagnosed() {
    let night = Night::elsewhere(Scenario::ExpiredCertificate).await;
    night.alertmanager_fires().await;
    night.channel_shows("An alert of cluster prod-eu-1, and this bot looks after blue.").await;
    night.channel_shows("is mentioned: a new incident").await;
    night.says("U0ONCALL", "help").await;
    night.is_told("U0ONCALL", "Of clusters that this bot does not look after").await;
    night.is_refused("U0ONCALL", "triage", "it can neither look there nor change anything").await;
    night.is_refused("U0ONCALL", "fix restart-pod", "Ask the bot of prod-eu-1").await;
    night.says("U0ONCALL", "ack").await;
    night.is_told("U0ONCALL", "Nobody else is called").await;
    let incident = night.incident().await;
    assert_eq!((incident.triage, incident.verdict), (Triage::NotRun, None));
    assert!(night.slack.with_button("Triage again").is_none() && night.slack.with_button("Ask for").is_none());
    night.alertmanager_resolves().await;
    night.channel_shows("Closed").await;
    night.ends().await;
}
