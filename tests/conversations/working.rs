//! What people do is answered with what it means: who has it, what became of a plan, and what closing means.

use mtls_medic::{incident::IncidentStatus, simulate::world::Scenario};

use crate::night::Night;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_a_fix_has_it_and_a_second_approval_hears_that_it_runs() {
    let night = Night::thorough(Scenario::ExpiredCertificate).await;
    night.alertmanager_fires().await;
    night.channel_shows("expired certificate").await;
    night.says("U0ONCALL", "fix restart-pod").await;
    night.is_told("U0ONCALL", "You have it now.").await;
    night.channel_shows("<@U0ONCALL> has it. Nobody else is called for now.").await;
    night.channel_shows("Approval wanted").await;
    let plan = night.incident().await.fix.unwrap().plan_id().unwrap().0;
    night.says("U0SEC", &format!("approve {}", &plan[..8])).await;
    night.channel_shows("was approved by <@U0SEC>").await;
    night.says("U0SEC", &format!("approve {}", &plan[..10])).await;
    night.is_told("U0SEC", "Restart-pod was approved by <@U0SEC> and is running").await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_by_a_command_is_asked_back_while_the_alert_fires_and_its_reason_is_shown() {
    let night = Night::calm(Scenario::Healthy).await;
    night.alertmanager_fires().await;
    night.channel_shows("no fault found").await;
    night.says("U0ONCALL", "resolve the alert is wrong").await;
    night.is_told("U0ONCALL", "Its alert still fires.").await;
    let id = night.incident().await.id;
    night.is_told("U0ONCALL", &format!("/mtls resolve {id} anyway the alert is wrong")).await;
    assert!(night.incident().await.is_live());
    night.says("U0ONCALL", "resolve anyway the alert is wrong").await;
    night.channel_shows("*Closed* by <@U0ONCALL>: the alert is wrong").await;
    assert!(matches!(night.incident().await.status, IncidentStatus::Closed { .. }));
    night.ends().await;
}
