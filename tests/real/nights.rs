//! Nights on real parts, from the counters of real proxies to the end of the incident.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{alerts::Alerts, bed::Bed, installed::Installed, serving::Outside, shops::Shop};

/// SVIDs of the night end after this long.
const SVID_SECONDS: u32 = 90;

/// The bot as the chart installs it, with the rights of its own account and no others.
async fn bot_of(installed: &Installed) -> Outside {
    let mut outside = Outside::with(
        &installed.kubeconfig(),
        json!({
            "cluster": "bed",
            "mesh": Shop::mesh(),
            "approval": { "verification_window": "10s" },
            "escalation": { "hold": "5s" },
        }),
    )
    .await;
    // An SVID has to end first, and pods have to come up.
    outside.slack.patience = Duration::from_mins(4);
    outside
}

/// The incident of a service, once it is open.
async fn incident_of(outside: &Outside, service: &str) -> String {
    let opened = |incident: &Value| incident["key"].as_str().unwrap().ends_with(&format!("/{service}"));
    outside.channel_shows(&format!("svc/{service}")).await;
    let incidents = outside.incidents().await;
    let incident = incidents.iter().find(|incident| opened(incident));
    incident.unwrap_or_else(|| panic!("{incidents:#?}"))["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_keeps_its_old_svid_is_found_restarted_by_two_people_and_proved() {
    let bed = Bed::to_share().await;
    let shop = Shop::opens(&bed, SVID_SECONDS).await;
    let installed = Installed::with_all_rights(&bed).await;
    let outside = bot_of(&installed).await;
    let old = shop.lives("orders").await;
    let bot = outside.starts().await;
    let _alerts = Alerts::over(&shop, &outside);

    // Its proxies do not see that their files were overwritten: the calls fail when the SVID ends.
    let incident = incident_of(&outside, "orders").await;
    outside.card_says(&incident, "Diagnosis: expired certificate").await;
    outside.says("U0ONCALL", &format!("ack {incident}")).await;
    outside.says("U0ONCALL", &format!("fix {incident} restart-pod")).await;
    outside.channel_shows("Approval wanted").await;
    outside.says("U0ONCALL", &format!("approve {incident}")).await;
    outside.slack.tells("U0ONCALL", "somebody else has to approve it").await;
    outside.says("U0SEC", &format!("approve {incident}")).await;
    shop.replaced("orders", &old).await;
    outside.channel_shows("worked").await;

    // The counters recover, and Prometheus and Alertmanager say so.
    outside.card_says(&incident, "🟢").await;
    assert!(bot.asked_to_stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_agents_hanging_they_are_restarted_first_and_then_the_pods_that_kept_the_old_svid() {
    let bed = Bed::to_break().await;
    let shop = Shop::opens(&bed, SVID_SECONDS).await;
    let installed = Installed::with_all_rights(&bed).await;
    let outside = bot_of(&installed).await;
    let old = shop.lives("orders").await;
    let bot = outside.starts().await;
    let _alerts = Alerts::over(&shop, &outside);
    let _broken = bed.broken("spire-agent").await;

    let incident = incident_of(&outside, "orders").await;
    // Others fail as well, each with an incident of its own.
    outside.card_says(&incident, "Diagnosis: SPIRE agent").await;
    outside.says("U0ONCALL", &format!("fix {incident} restart-pod")).await;
    outside.slack.tells("U0ONCALL", "a restarted pod would get no SVID").await;
    outside.says("U0ONCALL", &format!("fix {incident} restart-spire-agent")).await;
    outside.channel_shows("restart the SPIRE agent").await;
    outside.says("U0SEC", &format!("approve {incident}")).await;
    outside.channel_shows("and works.").await;
    assert_eq!(shop.lives("orders").await, old, "only agents were restarted");

    // Its proxies read files and do not see that the new agents overwrote them.
    outside.card_says(&incident, "Diagnosis: expired certificate").await;
    outside.says("U0ONCALL", &format!("fix {incident} restart-pod")).await;
    outside.channel_shows("evict ").await;
    outside.says("U0SEC", &format!("approve {incident}")).await;
    shop.replaced("orders", &old).await;
    outside.card_says(&incident, "🟢").await;
    assert!(bot.asked_to_stop().await.success());
}
