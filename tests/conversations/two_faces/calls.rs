//! Calls, and the card that they hang on.

use std::time::Duration;

use jiff::SignedDuration;
use mtls_medic::{escalation::windows::DIAGNOSIS_WAIT, simulate::api::ApiFault};

use super::{Night, ON_CALL, On, on_each_face};

/// How long the API server takes for its first answer, in real time: as long as the call needs to be sent, on a busy machine.
const SLOW: Duration = Duration::from_secs(4);

async fn completed(on: On) {
    let (night, clock) = Night::still(on).await;
    // The diagnosis takes longer than a call waits.
    night.simulation.options.inject("*", "*", ApiFault::delay(SLOW).times(1));
    night.alertmanager_delivers("firing-one-service.json").await;
    clock.advance(DIAGNOSIS_WAIT);
    night.all_show("The diagnosis is still running; this message will say the cause.").await;
    let calls = |night: &Night| {
        let is_call = |seen: &String| seen.contains("is mentioned: a new incident");
        night.seen(on).into_iter().filter(is_call).collect::<Vec<_>>()
    };
    assert_eq!(calls(&night).len(), 1);
    night.all_show("expired certificate").await;
    night.settles(&clock).await;
    let completed = calls(&night);
    assert_eq!(completed.len(), 1, "it was written anew, and not sent again: {completed:#?}");
    assert!(completed[0].contains("Diagnosis: expired certificate"), "{}", completed[0]);
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_could_not_wait_is_completed_with_the_cause_and_calls_nobody_again() {
    on_each_face(completed).await;
}

async fn all_again(on: On) {
    let (night, clock) = Night::diagnosed(on).await;
    for minutes in [15, 30, 120, 60] {
        clock.advance(SignedDuration::from_mins(minutes));
        night.settles(&clock).await;
    }
    let seen = night.seen(on);
    for level in 1..=3 {
        let who = [format!("U0LEVEL{level}"), format!("10000000000000070{level}")];
        let mention = on.mention([&who[0], &who[1]]);
        let again = seen.iter().filter(|seen| seen.contains(&mention) && seen.contains("is mentioned again")).count();
        assert!(again >= 1, "L{level} is called again: {seen:#?}");
    }
    night.says(on, ON_CALL, "ack", &[]).await;
    night.is_told(on, ON_CALL, "Nobody else is called").await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_last_window_is_over_all_levels_are_called_by_name_again() {
    on_each_face(all_again).await;
}

async fn deleted(on: On) {
    let (night, clock) = Night::diagnosed(on).await;
    night.deletes_the_card(on);
    assert!(!night.seen(on).iter().any(|seen| seen.contains("On the hook")), "{:#?}", night.seen(on));
    night.says(on, ON_CALL, "ack", &[]).await;
    night.is_told(on, ON_CALL, "Nobody else is called").await;
    night.settles(&clock).await;
    let cards: Vec<String> = night.seen(on).into_iter().filter(|seen| seen.contains("On the hook")).collect();
    assert_eq!(cards.len(), 1, "{cards:#?}");
    assert!(cards[0].contains(&on.mention(ON_CALL)), "the new card shows who has it: {}", cards[0]);
    // What comes next stands in the new card's thread.
    night.says(on, ON_CALL, "note", &[("text", "still here")]).await;
    night.is_told(on, ON_CALL, "Noted in INC-1").await;
    night.settles(&clock).await;
    assert!(night.is_in_the_thread_of_the_card(on, "still here"), "{:#?}", night.seen(on));
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_card_itself_is_posted_again_when_somebody_deleted_it_and_what_follows_hangs_on_it() {
    on_each_face(deleted).await;
}
