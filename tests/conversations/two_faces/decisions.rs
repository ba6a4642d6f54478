//! Who decides, and how often: rejected, taken back, pressed twice, by two at once, with an old button or by another's.

use std::sync::Arc;

use jiff::SignedDuration;
use mtls_medic::{
    clock::VirtualClock,
    incident::{Event, FixEnd, FixPhase},
};

use super::{Night, ON_CALL, OTHER, On, SECURITY, on_each_face};

impl Night {
    /// An incident whose cause is known and that nobody has.
    pub(super) async fn diagnosed(on: On) -> (Self, Arc<VirtualClock>) {
        let (night, clock) = Self::still(on).await;
        night.alertmanager_delivers("firing-one-service.json").await;
        night.settles(&clock).await;
        night.all_show("expired certificate").await;
        (night, clock)
    }

    /// One whose fix was asked for and waits for approval.
    pub(super) async fn asking(on: On) -> (Self, Arc<VirtualClock>) {
        let (night, clock) = Self::diagnosed(on).await;
        night.says(on, ON_CALL, "fix", &[("fix", "restart-pod")]).await;
        night.is_told(on, ON_CALL, "restart-pod").await;
        night.settles(&clock).await;
        night.all_show("Approval wanted").await;
        (night, clock)
    }

    async fn ended(&self) -> FixEnd {
        let incident = self.incident().await;
        assert!(incident.fix.is_none(), "{:?}", incident.fix);
        incident.past_fixes[0].end.clone()
    }
}

async fn rejected(on: On) {
    let (night, clock) = Night::asking(on).await;
    let approve = night.holds_down(on, OTHER, "Approve").await;
    night.says(on, SECURITY, "reject", &[]).await;
    night.is_told(on, SECURITY, "Rejected").await;
    night.settles(&clock).await;
    assert!(matches!(night.ended().await, FixEnd::Rejected { .. }), "{:?}", night.ended().await);
    night.all_show(&format!("was rejected by {}", on.mention(SECURITY))).await;
    // The old button decides nothing any more, and says how it was decided.
    night.arrives(on, OTHER, &approve).await;
    night.is_told(on, OTHER, &format!("Restart-pod was rejected by {}", on.mention(SECURITY))).await;
    assert_eq!(night.approvals().await, 0);
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_rejected_is_not_approved_by_a_button_that_was_drawn_before() {
    on_each_face(rejected).await;
}

async fn withdrawn(on: On) {
    let (night, clock) = Night::asking(on).await;
    let approve = night.holds_down(on, SECURITY, "Approve").await;
    night.is_refused(on, OTHER, "withdraw", &[], "Only the person who asked for the fix").await;
    night.says(on, ON_CALL, "withdraw", &[]).await;
    night.is_told(on, ON_CALL, "Withdrawn").await;
    night.settles(&clock).await;
    assert!(matches!(night.ended().await, FixEnd::Withdrawn), "{:?}", night.ended().await);
    night.arrives(on, SECURITY, &approve).await;
    night.is_told(on, SECURITY, "was withdrawn").await;
    assert_eq!(night.approvals().await, 0);
    // It can be asked for again, and this one is approved.
    night.says(on, OTHER, "fix", &[("fix", "restart-pod")]).await;
    night.is_told(on, OTHER, "restart-pod").await;
    night.settles(&clock).await;
    night.says(on, SECURITY, "approve", &[]).await;
    night.is_told(on, SECURITY, "Approved: restart-pod runs now").await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asked_takes_a_fix_back_while_others_vote_and_nobody_else_can() {
    on_each_face(withdrawn).await;
}

async fn replayed(on: On) {
    let (night, clock) = Night::asking(on).await;
    let press = night.holds_down(on, SECURITY, "Approve").await;
    let words = "Approved: restart-pod runs now";
    night.arrives(on, SECURITY, &press).await;
    night.is_told(on, SECURITY, words).await;
    // The platform sends it again, because our answer came late.
    let told = night.times_told(on, SECURITY, words);
    night.arrives(on, SECURITY, &press).await;
    night.is_told_again(on, SECURITY, words, told).await;
    night.settles(&clock).await;
    assert_eq!(night.approvals().await, 1);
    assert_eq!(night.seen(on).iter().filter(|seen| seen.contains("starts, approved by")).count(), 1);
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_that_is_sent_twice_is_decided_once_and_answered_twice() {
    on_each_face(replayed).await;
}

async fn command_twice(on: On) {
    let (night, _) = Night::diagnosed(on).await;
    let words = "Nobody else is called";
    let mut told = 0;
    match on {
        On::Slack => {
            let typed = night.slack().typed(ON_CALL[0], "ack");
            for _ in 0..2 {
                let signer = crate::fake_slack::Signer::at(night.clock.now().as_second());
                assert!(signer.command(&night.bot, &typed).await.status().is_success());
                night.is_told_again(on, ON_CALL, words, told).await;
                told = night.times_told(on, ON_CALL, words);
            }
        }
        On::Discord => {
            let command = night.person(ON_CALL).commands("ack", &[]);
            for _ in 0..2 {
                night.arrives(on, ON_CALL, &command).await;
                night.is_told_again(on, ON_CALL, words, told).await;
                told = night.times_told(on, ON_CALL, words);
            }
        }
    }
    let taken = night.events().await.iter().filter(|event| matches!(event, Event::Acknowledged { .. })).count();
    assert_eq!(taken, 1);
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_the_platform_sends_twice_is_decided_once_and_answered_alike() {
    on_each_face(command_twice).await;
}

async fn expired(on: On) {
    let (night, clock) = Night::asking(on).await;
    let incident = night.incident().await;
    let FixPhase::Asking { question } = &incident.fix.as_ref().unwrap().phase else { panic!("{incident:?}") };
    clock.set(question.expires_at - SignedDuration::from_secs(1));
    let press = night.holds_down(on, SECURITY, "Approve").await;
    clock.set(question.expires_at);
    night.settles(&clock).await;
    assert!(matches!(night.ended().await, FixEnd::Expired), "{:?}", night.ended().await);
    night.arrives(on, SECURITY, &press).await;
    night.is_told(on, SECURITY, "Nobody approved restart-pod in time").await;
    assert_eq!(night.approvals().await, 0);
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_expired_is_not_approved_by_its_old_button() {
    on_each_face(expired).await;
}

async fn at_once(on: On) {
    let (night, clock) = Night::asking(on).await;
    let approve = night.holds_down(on, SECURITY, "Approve").await;
    let reject = night.holds_down(on, OTHER, "Reject").await;
    tokio::join!(night.arrives(on, SECURITY, &approve), night.arrives(on, OTHER, &reject));
    let was_told = |who, yes: &str, no: &str| {
        let night = &night;
        let (yes, no) = (yes.to_owned(), no.to_owned());
        async move {
            let is_so = || night.times_told(on, who, &yes) + night.times_told(on, who, &no) > 0;
            match on {
                On::Slack => night.slack().until(&yes, |_| is_so()).await,
                On::Discord => night.discord().until(&yes, |_| is_so()).await,
            }
            night.times_told(on, who, &yes) > 0
        }
    };
    let approved =
        was_told(SECURITY, "Approved: restart-pod runs now", &format!("was rejected by {}", on.mention(OTHER))).await;
    let rejected = was_told(OTHER, "Rejected", &format!("was approved by {}", on.mention(SECURITY))).await;
    assert_ne!(approved, rejected, "one of them decided, and the other is told how");
    night.settles(&clock).await;
    assert_eq!(night.approvals().await, usize::from(approved));
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_who_press_at_once_one_decides_and_the_other_is_told_how() {
    on_each_face(at_once).await;
}

async fn of_another_cluster(on: On) {
    let (night, clock) = Night::asking(on).await;
    let other = night.beside("blue").await;
    other.alertmanager_delivers("firing-one-service.json").await;
    other.settles(&clock).await;
    let before = other.decisions().await;
    // A press of the first bot's question reaches the second, which has an INC-1 of its own.
    let press = match on {
        On::Slack => night.holds_down(on, SECURITY, "Approve").await,
        On::Discord => {
            let (message, id) = night.discord().with_button("Approve").unwrap();
            night.person(SECURITY).presses(&message, &id.replacen("1?", "1!", 1))
        }
    };
    other.arrives(on, SECURITY, &press).await;
    other.is_told(on, SECURITY, "That is INC-1 of prod-eu-1, and this is the bot of blue").await;
    assert_eq!(other.decisions().await, before);
    assert!(matches!(night.incident().await.fix.unwrap().phase, FixPhase::Asking { .. }));
    // It is still there for the bot whose it is.
    night.decides(on, SECURITY, "Approve").await;
    night.is_told(on, SECURITY, "Approved: restart-pod runs now").await;
    other.ends().await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_for_the_bot_of_another_cluster_in_the_same_channel_decides_nothing() {
    on_each_face(of_another_cluster).await;
}

async fn removed(on: On) {
    let (night, clock) = Night::asking(on).await;
    // The question was drawn while OTHER approved; since then they have left the group or lost the role.
    let leaver = night.leaves(on, OTHER);
    clock.advance(SignedDuration::from_mins(6));
    night.settles(&clock).await;
    let before = night.decisions().await;
    let press = night.holds_down(on, leaver, "Approve").await;
    night.arrives(on, leaver, &press).await;
    night.is_told(on, leaver, "people who may approve").await;
    assert_eq!(night.decisions().await, before);
    night.decides(on, SECURITY, "Approve").await;
    night.is_told(on, SECURITY, "Approved: restart-pod runs now").await;
    night.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_removed_presses_an_old_button_for_nothing() {
    on_each_face(removed).await;
}
