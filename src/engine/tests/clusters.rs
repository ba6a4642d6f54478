//! Alerts of clusters that are not ours, over restarts and changes of the configuration.

use super::{TestBot, policy, slack};
use crate::{
    engine::Inbox,
    incident::{
        AlertDelivery, AlertSighting, AlertStatus, Event, Fingerprint, IncidentKey, OwnCluster, Policy, RunNumber,
    },
    mesh::TargetRef,
};
use jiff::Timestamp;

fn blue(also: &[&str]) -> Policy {
    let cluster = OwnCluster::new("blue", also.iter().map(|name| (*name).to_owned()));
    Policy { cluster, channels: vec![slack()], ..policy() }
}

fn bot_of_blue() -> TestBot {
    TestBot::new().in_cluster("blue").ruled_by(blue(&[]))
}

async fn fires(inbox: &Inbox, cluster: &str, service: &str) {
    let sighting = AlertSighting {
        target: Some(TargetRef::parse("web".parse().unwrap(), service).unwrap()),
        ..AlertSighting::firing(
            "MTLSHandshakeFailureRateHigh",
            cluster,
            IncidentKey(format!("{cluster}/web/{service}")),
            Fingerprint(format!("{cluster}-{service}")),
            Timestamp::UNIX_EPOCH,
        )
    };
    let group_key = "group".to_owned();
    let delivery = AlertDelivery { group_key, status: AlertStatus::Firing, alerts: vec![sighting], truncated: 0 };
    inbox.deliver(&delivery).await.unwrap();
}

/// The clusters that the channel was told aloud, once a telling.
async fn told(inbox: &Inbox) -> Vec<String> {
    let mut told = Vec::new();
    for stored in inbox.newest(100).await.unwrap() {
        let events = inbox.events(stored.incident.id).await.unwrap();
        let loud = events.iter().any(|one| matches!(one.event, Event::OfAnotherCluster { first: true, .. }));
        told.extend(loud.then(|| stored.incident.cluster.clone()));
    }
    told.sort();
    told
}

#[tokio::test]
async fn the_first_alert_of_each_other_cluster_is_said_aloud_once_also_over_a_restart() {
    let bot = bot_of_blue();
    {
        let engine = bot.built().await;
        for service in ["frontend", "backend", "cart"] {
            fires(&engine.inbox(), "red", service).await;
            fires(&engine.inbox(), "blue", service).await;
        }
        assert_eq!(told(&engine.inbox()).await, ["red"]);
    }
    let engine = bot.built().await;
    fires(&engine.inbox(), "red", "search").await;
    fires(&engine.inbox(), "green", "search").await;
    assert_eq!(told(&engine.inbox()).await, ["green", "red"]);
}

#[tokio::test]
async fn a_label_that_is_another_each_time_is_not_said_aloud_for_ever() {
    let bot = bot_of_blue();
    let engine = bot.built().await;
    // As many a minute as are shown one by one.
    for number in 0..40 {
        fires(&engine.inbox(), &format!("made-up-{number}"), "frontend").await;
        engine.inbox().0.incoming.brake.forget();
    }
    assert_eq!(told(&engine.inbox()).await.len(), 20);
}

#[tokio::test]
async fn after_the_configuration_has_learnt_the_name_a_restart_diagnoses_what_is_open() {
    let bot = bot_of_blue();
    {
        let engine = bot.built().await;
        fires(&engine.inbox(), "blue.example.org", "frontend").await;
        assert!(engine.inbox().live(1).await.unwrap()[0].incident.is_foreign());
    }
    let bot = bot.ruled_by(blue(&["blue.example.org"]));
    let engine = bot.built().await;
    super::super::on_start::look_through(engine.inbox().0.clone()).await;
    let incident = engine.inbox().live(1).await.unwrap()[0].incident.clone();
    assert!(!incident.is_foreign());
    assert_eq!(incident.last_run(), Some(RunNumber::FIRST), "its diagnostics were asked for");
    assert_eq!(incident.id.keeper(), Some("blue"));
}
