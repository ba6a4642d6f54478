//! Every refusal that a person can get: in private, with the next step, and nothing has changed.

use mtls_medic::incident::Event;

use super::{Night, ON_CALL, OTHER, On, SECURITY, STRANGER, on_each_face};

/// The parts of a command, by their names.
type Options<'a> = &'a [(&'a str, &'a str)];

const FIX: Options<'static> = &[("fix", "restart-pod")];

async fn strangers_are_refused(on: On) {
    let (night, _) = Night::asking(on).await;
    let commands: [(&str, Options<'_>); 8] = [
        ("ack", &[]),
        ("resolve", &[]),
        ("escalate", &[]),
        ("note", &[("text", "I was here")]),
        ("triage", &[]),
        ("fix", FIX),
        ("withdraw", &[]),
        ("verify", &[]),
    ];
    for (verb, options) in commands {
        night.is_refused(on, STRANGER, verb, options, "people who may command").await;
    }
    for who in [STRANGER, ON_CALL] {
        let words = if who == ON_CALL { "somebody else has to approve it" } else { "people who may approve" };
        for verb in ["approve", "reject"] {
            night.is_refused(on, who, verb, &[], words).await;
        }
    }
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_each_face_who_is_not_on_duty_is_told_who_is_and_changes_nothing() {
    on_each_face(strangers_are_refused).await;
}

async fn before_a_fix(on: On) {
    let (night, _) = Night::diagnosed(on).await;
    let nothing = "No fix is waiting for approval in INC-1";
    let long = "x".repeat(2_001);
    let refused: [(_, &str, Options<'_>, &str); 12] = [
        (SECURITY, "approve", &[], nothing),
        (SECURITY, "reject", &[], nothing),
        (ON_CALL, "withdraw", &[], nothing),
        (ON_CALL, "verify", &[], "nothing to verify"),
        (ON_CALL, "ack", &[("incident", "INC-99")], "There is no INC-99"),
        (ON_CALL, "fix", &[("fix", "restart-spire-agent")], "is refused here: the agent was not seen to be at fault"),
        (ON_CALL, "fix", &[("fix", "restart-everything")], "There is no fix `restart-everything`"),
        (ON_CALL, "target", &[("namespace", "Web"), ("workload", "frontend")], "/mtls target"),
        (ON_CALL, "handoff", &[("to", "L7")], "no level L7"),
        (ON_CALL, "handoff", &[("to", "nobody")], "neither a person nor a level"),
        (ON_CALL, "note", &[("text", &long)], "1 to 2000 characters, this has 2001"),
        (ON_CALL, "approve", &[], "people who may approve"),
    ];
    for (who, verb, options, words) in refused {
        night.is_refused(on, who, verb, options, words).await;
    }
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_each_face_before_a_fix_there_is_nothing_to_approve_withdraw_or_verify() {
    on_each_face(before_a_fix).await;
}

async fn taken(on: On) {
    let (night, clock) = Night::diagnosed(on).await;
    night.says(on, ON_CALL, "ack", &[]).await;
    night.is_told(on, ON_CALL, "Nobody else is called").await;
    night.is_refused(on, SECURITY, "ack", &[], "has acknowledged it already").await;
    for level in ["L2 Platform Security", "L3 Infrastructure"] {
        night.says(on, ON_CALL, "escalate", &[]).await;
        night.is_told(on, ON_CALL, &format!("{level} is called now")).await;
        night.settles(&clock).await;
    }
    night.is_refused(on, ON_CALL, "escalate", &[], "no level above L3").await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_each_face_what_somebody_has_taken_is_theirs_and_above_the_last_level_is_nobody() {
    on_each_face(taken).await;
}

async fn not_theirs(on: On) {
    let (night, _) = Night::asking(on).await;
    night.is_refused(on, SECURITY, "approve", &[("plan", "deadbeef")], "not the one that waits now").await;
    night.is_refused(on, SECURITY, "withdraw", &[], "Only the person who asked for the fix").await;
    night.is_refused(on, SECURITY, "fix", FIX, "is under way already").await;
    night.is_refused(on, OTHER, "fix", FIX, "is under way already").await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_each_face_a_plan_is_approved_by_its_own_hash_and_withdrawn_by_who_asked_alone() {
    on_each_face(not_theirs).await;
}

async fn switched_off_clearing_and_closed(on: On) {
    let (night, clock) = Night::diagnosed(on).await;
    night.says(on, ON_CALL, "writes", &[("switch", "off")]).await;
    night.is_told(on, ON_CALL, "Fixes are off").await;
    night.is_refused(on, ON_CALL, "fix", FIX, "Fixes are switched off").await;
    night.is_refused(on, ON_CALL, "writes", &[("switch", "on")], "who may approve fixes").await;

    night.alertmanager_delivers("resolved-one-service.json").await;
    night.settles(&clock).await;
    for verb in ["ack", "escalate"] {
        night.is_refused(on, ON_CALL, verb, &[], "it closes by itself at").await;
    }

    // With a reason: Discord asks for one in a form.
    night.says(on, ON_CALL, "resolve", &[("reason", "it is over")]).await;
    night.is_told(on, ON_CALL, "losed").await;
    night.settles(&clock).await;
    night.all_show("Closed").await;
    night.is_refused(on, ON_CALL, "ack", &[("incident", "INC-1")], "INC-1 is closed").await;
    let late = [("incident", "INC-1"), ("text", "too late")];
    night.is_refused(on, ON_CALL, "note", &late, "INC-1 is closed").await;
    assert!(!night.events().await.iter().any(|event| matches!(event, Event::FixProposed { .. })));
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_each_face_nothing_new_is_started_with_writes_off_nor_while_it_clears_nor_after_it_is_closed() {
    on_each_face(switched_off_clearing_and_closed).await;
}
