//! Complaints of users of other tools, each as a night.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mtls_medic::{
    clock::VirtualClock,
    incident::{Event, FixEnd},
    remediation::Proof,
    simulate::world::{Fault, Scenario},
    triage::{self, Confidence, FixName},
};

use crate::{
    fake_slack::{Message, Trouble},
    night::Night,
};

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_by_a_button_is_seen_by_whoever_types_a_command_and_no_button_stays() {
    let night = Night::calm(Scenario::ExpiredCertificate).await;
    night.alertmanager_fires().await;
    night.channel_shows("expired certificate").await;
    night.presses("U0ONCALL", "Acknowledge").await;
    night.is_told("U0ONCALL", "Nobody else is called").await;
    night.channel_shows("has it").await;
    night.slack.until("no button to acknowledge", |slack| slack.with_button("Acknowledge").is_none()).await;
    night.is_refused("U0SEC", "ack", "has acknowledged it already").await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_healthcheck_is_green_and_that_is_useless_is_not_believed_and_no_restart_leans_on_it() {
    let clock = Arc::new(VirtualClock::starting_at(Timestamp::now()));
    let night = Night::standing_still(Scenario::Healthy, clock.clone()).await;
    night.simulation.world.inject(Fault::AgentStuckButGreen { node: "node-2".to_owned() });
    clock.advance(SignedDuration::from_hours(2));
    night.alertmanager_fires().await;
    night.engine.settled().await.unwrap();
    let verdict = night.incident().await.verdict.unwrap();
    // Its log was read back past the issue of the SVIDs that are over, and shows no renewal for anybody since.
    assert_eq!(
        (verdict.scenario, verdict.confidence),
        (triage::Scenario::SpireAgent, Confidence::Medium),
        "{verdict:#?}"
    );
    assert_eq!(verdict.fixes, [FixName::RestartSpireAgent], "{verdict:#?}");
    let silent = |why: &mtls_medic::triage::StatedReason| {
        why.contains("node-2 is silent: its healthcheck is green, which proves little")
    };
    assert!(verdict.reasons.iter().any(silent), "{:?}", verdict.reasons);
    night.is_refused("U0ONCALL", "fix restart-pod", "a restarted pod would get no SVID").await;
    night.ends().await;
}

async fn a_fix_ends_with(fault: Fault) -> (Night, Proof) {
    let night = Night::calm(Scenario::ExpiredCertificate).await;
    night.alertmanager_fires().await;
    night.channel_shows("expired certificate").await;
    night.simulation.world.inject(fault);
    night.says("U0ONCALL", "fix restart-pod").await;
    night.channel_shows("Approval wanted").await;
    night.says("U0SEC", "approve").await;
    night.until_the_fix_has_ended().await;
    let incident = night.incident().await;
    let FixEnd::Verified { verification } = &incident.past_fixes[0].end else { panic!("{:?}", incident.past_fixes) };
    let proof = verification.proof;
    (night, proof)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_no_traffic_a_fix_is_unproven_and_closes_nothing_and_stops_no_clock() {
    let (night, proof) = a_fix_ends_with(Fault::NoTraffic).await;
    assert_eq!(proof, Proof::Unproven);
    night.channel_shows("unproven").await;
    let incident = night.incident().await;
    assert!(incident.is_live() && incident.ladder.rung().is_some());
    assert!(!night.events().await.iter().any(|event| matches!(event, Event::Closed { .. })));
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_counters_hidden_a_fix_is_never_worked_by_default() {
    let (night, proof) = a_fix_ends_with(Fault::StatsHidden).await;
    assert_ne!(proof, Proof::Worse);
    if proof == Proof::Worked {
        // Then something else than the hidden counters must have shown it.
        let end = format!("{:?}", night.incident().await.past_fixes[0].end);
        assert!(end.contains("answered"), "worked, by what? {end}");
    } else {
        assert!(night.incident().await.is_live());
    }
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_that_says_429_all_night_loses_nothing_and_the_card_comes_before_its_thread() {
    let night = Night::calm(Scenario::ExpiredCertificate).await;
    for _ in 0..3 {
        night.slack.trouble("chat.postMessage", Trouble::RateLimited(1));
        night.slack.trouble("chat.update", Trouble::RateLimited(1));
    }
    night.alertmanager_fires().await;
    night.channel_shows("expired certificate").await;
    night.slack.trouble("chat.postMessage", Trouble::RateLimited(1));
    night.says("U0ONCALL", "fix restart-pod").await;
    night.is_posted("Approval wanted").await;
    night.slack.trouble("chat.postMessage", Trouble::RateLimited(1));
    night.says("U0SEC", "approve").await;
    // The card may say that it worked before the posts that Slack held up are in the channel: wait for each of them.
    night.channel_shows("worked").await;
    let wanted = ["is mentioned", "Approval wanted", "starts, approved by"];
    for words in wanted {
        night.is_posted(words).await;
    }
    let messages = night.slack.messages();
    assert_eq!(messages.iter().filter(|message| message.is_card()).count(), 1);
    let posts: Vec<String> = messages.iter().filter(|message| !message.is_card()).map(Message::seen).collect();
    for words in wanted {
        assert_eq!(posts.iter().filter(|seen| seen.contains(words)).count(), 1, "{words}");
    }
    let order = |words: &str| posts.iter().position(|seen| seen.contains(words)).unwrap();
    assert!(order("Approval wanted") < order("starts, approved by"));
    night.ends().await;
}
