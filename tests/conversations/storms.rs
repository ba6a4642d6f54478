//! Many services fail at once: people are called once, the storm is diagnosed, and one command takes all of it.

use mtls_medic::simulate::world::Scenario;

use super::night::Night;

const EVERYWHERE: [(&str, &str); 4] =
    [("web", "gateway"), ("web", "frontend"), ("payments", "checkout"), ("payments", "ledger")];

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_that_spires_server_explains_says_so_on_its_card_and_is_taken_with_one_command() {
    let night = Night::stormy(Scenario::SpireServer).await;
    night.alerts_fire_on(&EVERYWHERE).await;
    // One is shown by itself; the other three are the storm.
    night.channel_shows("Storm: 3 incidents opened within a short time").await;
    night.channel_shows("SPIRE server unhealthy at all 3 service(s) looked at").await;
    night.channel_shows("3 service(s) of the storm were looked at").await;
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
