//! Platforms that are in trouble: nothing that people wait for is lost, doubled, or out of its order.

use jiff::SignedDuration;

use super::{Fakes, Night, ON_CALL, On, SECURITY, Setting, on_each_face};
use crate::{fake_rest, fake_slack};

async fn limited(on: On) {
    let faces = [on];
    let mut setting = Setting::on(&faces);
    for level in &mut setting.policy.escalation.levels {
        level.window = SignedDuration::from_hours(12);
    }
    let night = Night::of(setting, Fakes::default()).await;
    let slow_down = |times| {
        for _ in 0..times {
            match on {
                On::Slack => {
                    night.slack().trouble("chat.postMessage", fake_slack::Trouble::RateLimited(1));
                    night.slack().trouble("chat.update", fake_slack::Trouble::RateLimited(1));
                }
                On::Discord => {
                    night.discord().trouble("POST messages", fake_rest::Trouble::RateLimited(1.0, false));
                    night.discord().trouble("PATCH messages", fake_rest::Trouble::RateLimited(1.0, false));
                }
            }
        }
    };
    slow_down(3);
    night.alertmanager_delivers("firing-one-service.json").await;
    night.all_show("expired certificate").await;
    slow_down(1);
    night.says(on, ON_CALL, "fix", &[("fix", "restart-pod")]).await;
    night.is_told(on, ON_CALL, "You have it now.").await;
    night.all_show("Approval wanted").await;
    slow_down(1);
    night.says(on, SECURITY, "approve", &[]).await;
    night.all_show("worked").await;
    let wanted = ["is mentioned", "Approval wanted", "starts, approved by"];
    for words in wanted {
        night.posts(on, words).await;
    }
    let posts: Vec<String> = night.seen(on).into_iter().filter(|seen| !is_card(seen)).collect();
    for words in wanted {
        assert_eq!(posts.iter().filter(|seen| seen.contains(words)).count(), 1, "{words}: {posts:#?}");
    }
    let place = |words: &str| posts.iter().position(|seen| seen.contains(words));
    assert!(place("Approval wanted") < place("starts, approved by"));
    assert_eq!(night.seen(on).iter().filter(|seen| is_card(seen)).count(), 1);
    night.ends().await;
}

/// The card alone says who is on the hook.
fn is_card(seen: &str) -> bool {
    seen.contains("On the hook")
}

impl Night {
    /// Waits for a message of its own, not for words on the card.
    async fn posts(&self, on: On, words: &str) {
        let is_posted = || self.seen(on).iter().any(|seen| !is_card(seen) && seen.contains(words));
        match on {
            On::Slack => self.slack().until(words, |_| is_posted()).await,
            On::Discord => self.discord().until(words, |_| is_posted()).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_says_429_all_night_loses_nothing_and_doubles_nothing() {
    on_each_face(limited).await;
}
