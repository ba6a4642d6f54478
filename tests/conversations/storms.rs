//! Many services fail at once: people are called once, the storm is diagnosed, and one command takes all of it.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use mtls_medic::{
    clock::VirtualClock,
    simulate::{api::ApiFault, world::Scenario},
};

use super::night::Night;
use crate::fake_slack::Message;

const EVERYWHERE: [(&str, &str); 4] =
    [("web", "gateway"), ("web", "frontend"), ("payments", "checkout"), ("payments", "ledger")];

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_that_spires_server_explains_says_so_on_its_card_and_is_taken_with_one_command() {
    let night = Night::stormy(Scenario::SpireServer).await;
    night.alerts_fire_on(&EVERYWHERE).await;
    // One is shown by itself, or joins the storm where that begins before its diagnosis ends.
    night.channel_shows("incidents opened within a short time").await;
    night.channel_shows("SPIRE server unhealthy at all").await;
    night.channel_shows("service(s) of the storm were looked at").await;
    night.channel_shows("payments svc/checkout").await;
    night.says("U0ONCALL", "triage INC-2").await;
    night.is_told("U0ONCALL", "The diagnostics are running").await;
    night.says("U0SEC", "ack all").await;
    night.is_told("U0SEC", "held back in a storm").await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_one_service_of_the_storm_shows_is_not_blamed_on_the_others() {
    let night = Night::stormy(Scenario::ExpiredCertificate).await;
    night.alerts_fire_on(&EVERYWHERE).await;
    night.channel_shows("expired certificate at web svc/frontend only, of 3 services looked at").await;
    night.ends().await;
}

/// What a bad change to the whole mesh looks like: every service fails in the same minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_services_that_fail_in_one_minute_are_one_card_and_one_call() {
    let clock = Arc::new(VirtualClock::starting_at(Timestamp::now()));
    let night = Night::standing_still(Scenario::SpireServer, clock.clone()).await;
    // A diagnosis takes some seconds, as in a real cluster.
    night.simulation.options.inject("create", "pods/exec", ApiFault::delay(Duration::from_secs(2)));
    night.alerts_fire_on(&EVERYWHERE).await;
    night.channel_shows("Storm: ").await;
    let names: Vec<String> = (0..996).map(|service| format!("service-{service}")).collect();
    for some in names.chunks(100) {
        night.alerts_fire_on(&some.iter().map(|name| ("web", name.as_str())).collect::<Vec<_>>()).await;
    }
    night.channel_shows("Storm: 1000 incidents opened within a short time").await;
    night.channel_shows("SPIRE server unhealthy at").await;
    clock.advance(SignedDuration::from_secs(25));
    night.channel_shows("<@U0LEVEL1>").await;
    night.engine.settled().await.unwrap();
    let cards: Vec<String> = night.slack.messages().iter().filter(|one| one.is_card()).map(Message::seen).collect();
    let (pointers, standing): (Vec<&String>, Vec<&String>) =
        cards.iter().partition(|card| card.contains("Part of *the storm"));
    assert_eq!((pointers.len(), standing.len()), (3, 1), "{cards:#?}");
    let calls = night.slack.messages().iter().filter(|one| one.seen().contains("<@U0LEVEL1>")).count();
    assert_eq!(calls, 1, "{}", night.slack.transcript());
    night.ends().await;
}
