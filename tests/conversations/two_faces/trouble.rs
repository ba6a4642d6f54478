//! Platforms that are in trouble: nothing that people wait for is lost, doubled, or out of its order.

use jiff::{SignedDuration, Timestamp};
use mtls_medic::{
    clock::{Clock, VirtualClock},
    incident::{Act, Command},
    people::{Actor, Role},
};

use super::{Fakes, Night, ON_CALL, On, SECURITY, Setting, on_discord, on_each_face, on_slack};
use crate::{fake_rest, fake_slack};

/// How many messages wait.
const WAITING: usize = 500;

impl Night {
    /// The platform answers nothing, or answers again.
    fn is_down(&self, on: On, down: bool) {
        match on {
            On::Slack => self.slack().is_down(down),
            On::Discord => self.discord().is_down(down),
        }
    }

    /// What somebody asks for where the bot is still reached.
    async fn submits(&self, on: On, key: &str, act: Act, now: Timestamp) {
        let id = if on == On::Slack { on_slack(ON_CALL[0]) } else { on_discord(ON_CALL[1]) };
        let actor = Actor { id, also: [].into(), roles: [Role::Commander].into(), as_of: now };
        let incident = self.incident().await.id;
        self.inbox.submit(&Command { incident, actor, key: key.to_owned(), act }).await.unwrap();
    }

    /// Does what is due until that time.
    async fn passes_to(&self, clock: &VirtualClock, end: Timestamp) {
        self.engine.settled().await.unwrap();
        while clock.now() < end {
            let due = self.engine.next_due().await.unwrap().unwrap_or(end);
            clock.set(due.clamp(clock.now(), end));
            self.engine.settled().await.unwrap();
        }
    }
}

async fn outage(on: On) {
    let (night, clock) = Night::diagnosed(on).await;
    let before = night.seen(on).len();
    night.is_down(on, true);
    let end = clock.now() + SignedDuration::from_mins(10);
    for number in 1..=WAITING {
        let text = format!("note {number:03} of the outage");
        night.submits(on, &text, Act::Note { text: text.clone() }, clock.now()).await;
    }
    let escalate = Act::Escalate { from: None };
    night.submits(on, "escalate", escalate, clock.now()).await;
    night.passes_to(&clock, end).await;
    assert_eq!(night.seen(on).len(), before, "nothing gets through");

    night.is_down(on, false);
    night.settles(&clock).await;
    let after = &night.seen(on)[before..];
    assert!(after[0].contains(&on.mention(["U0LEVEL2", "100000000000000702"])), "pages first: {}", after[0]);
    let notes: Vec<&String> = after.iter().filter(|seen| seen.contains("of the outage")).collect();
    assert_eq!(notes.len(), WAITING, "none is lost and none is doubled");
    for (number, seen) in (1..).zip(notes) {
        assert!(seen.contains(&format!("note {number:03} of")), "in their order: {number} is {seen}");
    }
    let calls = night.seen(on).iter().filter(|seen| seen.contains("is mentioned")).count();
    assert_eq!(calls, 2, "L1 before the outage and L2 after it");
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_ten_minutes_loses_none_of_500_messages_keeps_their_order_and_lets_pages_go_first() {
    on_each_face(outage).await;
}

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
