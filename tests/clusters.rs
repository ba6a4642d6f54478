//! Bots of several clusters, each as the real `serve`: a press that Slack hands to the wrong one, and an alert that
//! Alertmanager sends to the wrong one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail")]

#[path = "fake_pager/mod.rs"]
mod fake_pager;
#[path = "fake_slack/mod.rs"]
mod fake_slack;
#[path = "serving/mod.rs"]
mod serving;

use std::{collections::BTreeMap, sync::Arc};

use mtls_medic::{
    clock::SystemClock,
    simulate::{Simulation, world::Scenario},
};
use serde_json::json;

use serving::{Bot, Outside};

/// A bot on duty, with its cluster.
struct OnDuty {
    outside: Outside,
    _bot: Bot,
    _mesh: Simulation,
    _folder: tempfile::TempDir,
}

async fn bot_of(cluster: &str) -> OnDuty {
    let mesh = Simulation::start(Arc::new(SystemClock), Scenario::ExpiredCertificate, "127.0.0.1:0".parse().unwrap());
    let (mesh, folder) = (mesh.await.unwrap(), tempfile::tempdir().unwrap());
    let kubeconfig = folder.path().join("kubeconfig");
    mesh.write_kubeconfig(&kubeconfig).unwrap();
    let outside = Outside::with(&kubeconfig, json!({ "cluster": cluster })).await;
    let bot = outside.starts().await;
    OnDuty { outside, _bot: bot, _mesh: mesh, _folder: folder }
}

fn frontend_of(cluster: &str) -> BTreeMap<&'static str, String> {
    let labels = [
        ("alertname", "MTLSHandshakeFailureRateHigh"),
        ("cluster", cluster),
        ("namespace", "web"),
        ("service", "frontend"),
    ];
    labels.map(|(name, value)| (name, value.to_owned())).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_and_a_command_for_the_bot_of_another_cluster_are_answered_with_whose_they_are() {
    let (blue, red) = tokio::join!(bot_of("blue"), bot_of("red"));
    for (on_duty, cluster) in [(&blue, "blue"), (&red, "red")] {
        on_duty.outside.alertmanager_says("firing", &frontend_of(cluster)).await;
        on_duty.outside.slack.until("a call", |slack| slack.with_button("Acknowledge").is_some()).await;
    }
    let press = blue.outside.slack.pressed("U0ONCALL", "Acknowledge");
    // Slack spreads what people ask of one app over all its connections.
    red.outside.presses(&press).await;
    red.outside.slack.tells("U0ONCALL", "That is INC-1 of blue, and this is the bot of red").await;
    red.outside.says("U0SEC", "resolve INC-1/blue").await;
    red.outside.slack.tells("U0SEC", "That is INC-1 of blue, and this is the bot of red").await;
    red.outside.card_says("INC-1", "UNANSWERED").await;
    assert_eq!(red.outside.incidents().await[0]["state"], "open");
    blue.outside.presses(&press).await;
    blue.outside.slack.tells("U0ONCALL", "Nobody else is called").await;
    blue.outside.card_says("INC-1", "IN HAND").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_of_another_cluster_reaches_people_and_is_not_diagnosed_here() {
    let blue = bot_of("blue").await;
    blue.outside.alertmanager_says("firing", &frontend_of("red")).await;
    blue.outside.channel_shows("An alert of cluster red, and this bot looks after blue.").await;
    blue.outside.channel_shows("is mentioned: a new incident").await;
    blue.outside.says("U0ONCALL", "triage").await;
    blue.outside.slack.tells("U0ONCALL", "INC-1 is of cluster red, and this bot looks after blue").await;
    // Its own is diagnosed as ever.
    blue.outside.alertmanager_says("firing", &frontend_of("blue")).await;
    blue.outside.card_says("INC-2", "expired certificate").await;
    let incidents = blue.outside.incidents().await;
    let first = incidents.iter().find(|incident| incident["id"] == "INC-1").unwrap();
    assert!(first["verdict"].is_null(), "{first}");
}
