//! Nights on real parts.

use std::time::Duration;

use serde_json::json;

use crate::{bed::Shop, serving::Outside};

/// SVIDs of the night end after this long.
const SVID_SECONDS: u32 = 60;

async fn bot_of(shop: &Shop) -> Outside {
    let mut outside = Outside::with(
        shop.kubeconfig(),
        json!({
            "cluster": "bed",
            "mesh": Shop::mesh(),
            "approval": { "verification_window": "10s" },
            "escalation": { "hold": "2s" },
        }),
    )
    .await;
    // An SVID has to end first, and pods have to come up.
    outside.slack.patience = Duration::from_secs(240);
    outside
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_keeps_its_old_svid_is_found_restarted_by_two_people_and_proved() {
    let shop = Shop::opens(SVID_SECONDS).await;
    let outside = bot_of(&shop).await;
    let old = shop.lives("orders").await;
    let bot = outside.starts().await;
    // Its proxy does not see that its files were overwritten: the calls fail when the SVID ends.
    shop.fails("orders").await;
    outside.alertmanager_says("firing", &shop.labels("orders")).await;

    outside.channel_shows("expired certificate").await;
    outside.says("U0ONCALL", "ack").await;
    outside.says("U0ONCALL", "fix restart-pod").await;
    outside.channel_shows("Approval wanted").await;
    outside.says("U0ONCALL", "approve").await;
    outside.slack.tells("U0ONCALL", "somebody else has to approve it").await;
    outside.says("U0SEC", "approve").await;
    shop.replaced("orders", &old).await;
    outside.channel_shows("worked").await;

    outside.alertmanager_says("resolved", &shop.labels("orders")).await;
    outside.channel_shows("Closed").await;
    assert_eq!(outside.cards(), 1);
    assert!(bot.asked_to_stop().await.success());
}
