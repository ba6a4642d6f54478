//! A journal of an earlier release opens in this one and goes on, whatever phase its bot was killed in.

use std::path::{Path, PathBuf};

use mtls_medic::journal::{Journal, Verified, verify_chain};

use crate::{
    fake_slack::FakeSlack,
    mesh::Mesh,
    phase::Phase,
    serving::{Bot, Outside},
};

/// The releases whose journals are kept, as `keep` wrote them.
const RELEASES: [&str; 1] = ["2026-11-27"];

/// The bot of today on the journal of an earlier one; the mesh and the workspace are new, so pods and messages that the
/// journal speaks of are gone.
struct Upgrade {
    mesh: Mesh,
    outside: Outside,
    bot: Bot,
}

impl Upgrade {
    async fn of(release: &str, phase: Phase) -> Self {
        let kept = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/journal").join(release);
        let kept = kept.join(format!("{}.sqlite", phase.name()));
        assert!(phase.is_of(&kept).await, "{} is not in its phase", kept.display());
        let (mesh, outside) = Mesh::and_outside().await;
        outside.inherits(&kept);
        // Else a command would have the key of one of the kept night, and get its answer.
        outside.slack.was_in_use();
        chains_hold(&outside.journal()).await;
        let bot = outside.starts().await;
        let incidents = outside.incidents().await;
        assert!(incidents.iter().any(|incident| incident["id"] == "INC-1"), "{incidents:?}");
        Self { mesh, outside, bot }
    }

    async fn approves(&self) {
        self.outside.slack.until("a plan waits", |slack| slack.with_button("Approve").is_some()).await;
        self.outside.says("U0SEC", "approve").await;
    }

    async fn closes(self) {
        self.outside.alertmanager_sends("resolved-one-service.json").await;
        self.outside.channel_shows("Closed").await;
        self.ends().await;
    }

    async fn ends(self) {
        self.bot.killed();
        chains_hold(&self.outside.journal()).await;
        self.mesh.ends().await;
    }
}

/// Every incident's events are unchanged and in order.
async fn chains_hold(journal: &Path) {
    let journal = Journal::open(journal).await.unwrap();
    for stored in journal.newest(100).await.unwrap() {
        let id = stored.incident.id;
        let links = journal.links(id).await.unwrap();
        assert!(matches!(verify_chain(id, &links), Verified::Holds { .. }), "{id}");
    }
}

/// The hash on the button below the question.
fn plan_asked_about(slack: &FakeSlack) -> Option<String> {
    let question = slack.messages().into_iter().rev().find(|message| message.seen().contains("Approval wanted"))?;
    question.buttons().iter().find_map(|label| label.strip_prefix("Approve ").map(str::to_owned))
}

/// Plays each kept night of this phase to its end.
async fn goes_on<F: Future<Output = ()>>(phase: Phase, plays: impl Fn(Upgrade) -> F) {
    for release in RELEASES {
        plays(Upgrade::of(release, phase).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_was_being_drawn_is_drawn_approved_and_carried_out() {
    goes_on(Phase::Drawing, |night| async move {
        night.approves().await;
        night.outside.channel_shows("worked").await;
        night.closes().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_waited_for_approval_with_an_old_hash_is_drawn_again_and_asks_again() {
    goes_on(Phase::Asking, |night| async move {
        night.outside.channel_shows("The plan is drawn again").await;
        night.outside.slack.until("the new plan asks", |slack| plan_asked_about(slack).is_some()).await;
        let plan = plan_asked_about(&night.outside.slack).unwrap();
        night.outside.says("U0SEC", &format!("approve INC-1 {plan}")).await;
        night.outside.channel_shows("worked").await;
        night.closes().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fix_that_was_approved_is_carried_out() {
    goes_on(Phase::Approved, |night| async move {
        night.outside.channel_shows("worked").await;
        night.closes().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_was_under_way_is_finished_and_the_next_follows() {
    goes_on(Phase::Stepping, |night| async move {
        night.outside.channel_shows("worked").await;
        night.closes().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fix_whose_replacement_is_awaited_holds_up_neither_people_nor_the_end_of_the_incident() {
    goes_on(Phase::Awaiting, |night| async move {
        // In the new mesh the pod lives that was evicted: no replacement comes.
        night.outside.says("U0ONCALL", "ack").await;
        night.outside.card_says("INC-1", "<@U0ONCALL> has it").await;
        night.closes().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_effect_that_was_being_watched_is_judged_unproven_since_its_pods_are_gone() {
    goes_on(Phase::Verifying, |night| async move {
        night.outside.channel_shows("unproven").await;
        night.closes().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_was_clearing_goes_on_when_its_alerts_fire_again() {
    goes_on(Phase::Clearing, |night| async move {
        night.outside.channel_shows("CLEARING").await;
        night.outside.alertmanager_sends("firing-one-service.json").await;
        night.outside.card_says("INC-1", "UNANSWERED").await;
        night.closes().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_was_closed_is_opened_again_or_followed_by_a_new_one() {
    goes_on(Phase::Closed, |night| async move {
        night.outside.alertmanager_sends("firing-one-service.json").await;
        night.outside.channel_shows("UNANSWERED").await;
        night.closes().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_is_still_one_incident_that_can_be_acknowledged() {
    goes_on(Phase::Storm, |night| async move {
        night.outside.says("U0ONCALL", "ack INC-7").await;
        night.outside.card_says("INC-7", "<@U0ONCALL> has it").await;
        night.ends().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kill_switch_is_still_off_until_an_approver_turns_it_on() {
    goes_on(Phase::WritesOff, |night| async move {
        night.outside.says("U0ONCALL", "fix restart-pod").await;
        let refused = |slack: &FakeSlack| slack.whispers("U0ONCALL").iter().any(|told| told.contains("switched off"));
        night.outside.slack.until("the refusal", refused).await;
        night.outside.says("U0SEC", "writes on the freeze is over").await;
        night.outside.slack.until("the answer", |slack| !slack.whispers("U0SEC").is_empty()).await;
        // The diagnosis that is kept is of long ago: it is taken again before a fix.
        night.outside.says("U0ONCALL", "triage INC-1").await;
        let offered = |slack: &FakeSlack| slack.with_button("Ask for restart-pod").is_some();
        night.outside.slack.until("the fix is offered again", offered).await;
        night.outside.says("U0ONCALL", "fix restart-pod").await;
        night.approves().await;
        night.outside.channel_shows("worked").await;
        night.closes().await;
    })
    .await;
}
