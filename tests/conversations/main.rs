//! Whole nights: the real engine, journal, cluster client and Slack face, against the simulated mesh over HTTP and a
//! workspace that behaves like Slack. A test reads like the channel.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail")]

mod api_server;
mod clusters;
mod complaints;
#[cfg(feature = "discord")]
#[path = "../fake_discord/interactions.rs"]
mod fake_interactions;
#[cfg(feature = "discord")]
#[path = "../fake_discord/rest.rs"]
mod fake_rest;
#[path = "../fake_slack/mod.rs"]
mod fake_slack;
mod figures;
mod instant;
mod night;
mod refusals;
mod storms;
#[cfg(feature = "discord")]
mod two_faces;
mod working;

use std::time::Duration;

use mtls_medic::{
    incident::{FixEnd, IncidentStatus},
    remediation::Proof,
    simulate::{api::ApiFault, world::Scenario},
};

use night::Night;

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_found_fixed_by_two_people_and_closed() {
    let night = Night::of(Scenario::ExpiredCertificate).await;
    // Slow enough that the card can say how far the diagnostics are.
    night.simulation.options.inject("*", "pods/exec", ApiFault::delay(Duration::from_millis(500)));

    night.alertmanager_fires().await;
    night.channel_shows("is mentioned").await;
    night.channel_shows("expired certificate").await;

    night.says("U0ONCALL", "ack").await;
    night.is_told("U0ONCALL", "Nobody else is called").await;
    // Acknowledged by command: the button of the call goes away, and says who has it.
    night.channel_shows("~ <@U0ONCALL> has it.").await;
    night.says("U0ONCALL", "fix restart-pod").await;
    night.channel_shows("Approval wanted").await;
    night.says("U0ONCALL", "approve").await;
    night.is_told("U0ONCALL", "somebody else has to approve it").await;
    night.says("U0SEC", "approve").await;
    night.channel_shows("was approved by <@U0SEC>").await;

    night.channel_shows("worked").await;
    night.alertmanager_resolves().await;
    night.channel_shows("Closed").await;
    night.channel_shows("🟢").await;

    let incident = night.incident().await;
    assert!(matches!(incident.status, IncidentStatus::Closed { .. }));
    let end = &incident.past_fixes[0].end;
    assert!(matches!(end, FixEnd::Verified { verification } if verification.proof == Proof::Worked), "{end:?}");
    assert_eq!(night.cards(), 1, "one root message, edited in place");
    assert!(night.card_ever_showed("things so far"), "the card shows how far the diagnostics are");
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_agent_frozen_it_is_restarted_first_and_then_the_pods_that_kept_their_old_svid() {
    let night = Night::of(Scenario::ExpiredCertificateAgentFrozen).await;
    night.alertmanager_fires().await;
    night.channel_shows("SPIRE agent issue").await;
    night.says("U0ONCALL", "fix restart-pod").await;
    night.is_told("U0ONCALL", "a restarted pod would get no SVID").await;

    night.says("U0ONCALL", "fix restart-spire-agent").await;
    night.channel_shows("restart the SPIRE agent").await;
    night.says("U0SEC", "approve").await;
    night.channel_shows("and works.").await;
    night.channel_shows("the diagnostics run again, and say what is left to do").await;
    night.channel_shows("did not pick up its new SVID").await;

    night.says("U0ONCALL", "fix restart-pod").await;
    night.channel_shows("1. evict ").await;
    night.says("U0SEC", "approve").await;
    night.channel_shows("worked").await;
    night.alertmanager_resolves().await;
    night.channel_shows("Closed").await;

    let incident = night.incident().await;
    let proofs = incident.past_fixes.iter().map(|past| match &past.end {
        FixEnd::Verified { verification } => verification.proof,
        other => panic!("{other:?}"),
    });
    assert_eq!(proofs.collect::<Vec<_>>(), [Proof::Unproven, Proof::Worked]);
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kill_switch_stops_an_approved_plan_for_everybody_and_outlives_the_command() {
    let night = Night::of(Scenario::ExpiredCertificate).await;
    night.alertmanager_fires().await;
    night.channel_shows("expired certificate").await;
    night.says("U0ONCALL", "fix restart-pod").await;
    night.channel_shows("Approval wanted").await;

    night.says("U0ONCALL", "writes off this looks like an attack").await;
    night.channel_shows("Fixes are off").await;
    night.channel_shows("this looks like an attack").await;
    night.says("U0SEC", "approve").await;
    night.is_told("U0SEC", "switched off").await;
    night.says("U0ONCALL", "writes on").await;
    night.is_told("U0ONCALL", "who may approve fixes").await;

    night.says("U0SEC", "writes on").await;
    night.channel_shows("Fixes may run again").await;
    night.says("U0SEC", "approve").await;
    night.channel_shows("worked").await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_by_person_and_a_wrong_command_gets_the_nearest_right_one() {
    let night = Night::of(Scenario::Healthy).await;
    night.alertmanager_fires().await;
    night.channel_shows("no fault found").await;
    night.says("U0STRANGER", "ack").await;
    night.is_told("U0STRANGER", "may command").await;
    night.says("U0ONCALL", "esclate").await;
    night.is_told("U0ONCALL", "escalate").await;
    night.says("U0ONCALL", "fix restart-pod").await;
    night.is_told("U0ONCALL", "none of the runbook's fixes fits").await;
    night.ends().await;
}
