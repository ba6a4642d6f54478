//! An API server that refuses, is too busy or breaks off while an approved fix runs: what people are told of the pod is
//! what is known of it.

use mtls_medic::{
    incident::{Event, FixEnd},
    simulate::{api::ApiFault, world::Scenario},
};

use crate::night::Night;

async fn a_fix_runs_against(prepare: impl FnOnce(&Night)) -> (Night, FixEnd) {
    let night = Night::calm(Scenario::ExpiredCertificate).await;
    night.alertmanager_fires().await;
    night.channel_shows("expired certificate").await;
    night.says("U0ONCALL", "fix restart-pod").await;
    night.channel_shows("Approval wanted").await;
    prepare(&night);
    night.says("U0SEC", "approve").await;
    night.until_the_fix_has_ended().await;
    let end = night.incident().await.past_fixes[0].end.clone();
    (night, end)
}

fn evictions_meet(fault: ApiFault) -> impl FnOnce(&Night) {
    |night| night.simulation.options.inject("create", "pods/eviction", fault)
}

async fn nobody_is_sent_to_look_at_an_unknown_pod(night: &Night) {
    let unsure = |event: &Event| matches!(event, Event::CouldNot { what, .. } if what.contains("not known"));
    assert!(!night.events().await.iter().any(unsure));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_the_bot_lacks_is_told_at_once_with_what_to_grant_and_that_nothing_was_written() {
    let (night, end) = a_fix_runs_against(|night| night.simulation.options.deny("create", "pods/eviction")).await;
    let FixEnd::Failed { reason, .. } = end else { panic!("{end:?}") };
    assert!(reason.contains("create pods/eviction in "), "{reason}");
    night.channel_shows("nothing was written").await;
    nobody_is_sent_to_look_at_an_unknown_pod(&night).await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_api_server_is_asked_again_and_the_fix_goes_on() {
    let busy = ApiFault::status(429, "too many requests, please try again later").retry_after(1).times(2);
    let (night, end) = a_fix_runs_against(evictions_meet(busy)).await;
    assert!(matches!(end, FixEnd::Verified { .. }), "{end:?}");
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_stays_busy_ends_the_fix_as_not_done() {
    let busy = ApiFault::status(429, "too many requests, please try again later").retry_after(1);
    let (night, end) = a_fix_runs_against(evictions_meet(busy)).await;
    let FixEnd::Failed { reason, .. } = end else { panic!("{end:?}") };
    assert!(reason.contains("it was not done, because") && reason.contains("nothing was changed"), "{reason}");
    nobody_is_sent_to_look_at_an_unknown_pod(&night).await;
    night.ends().await;
}

/// The rehearsal passes and every real answer is lost or a server error: then it is not known, and that is said.
#[tokio::test(flavor = "multi_thread")]
async fn server_errors_after_the_rehearsal_are_not_taken_for_not_done() {
    let (night, end) = a_fix_runs_against(|night| {
        for _ in 0..8 {
            let options = &night.simulation.options;
            options.inject("create", "pods/eviction", ApiFault::delay(std::time::Duration::ZERO).times(1));
            options.inject("create", "pods/eviction", ApiFault::status(500, "etcd lost its leader").times(1));
        }
    })
    .await;
    assert!(matches!(end, FixEnd::Unknown { .. }), "{end:?}");
    night.ends().await;
}
