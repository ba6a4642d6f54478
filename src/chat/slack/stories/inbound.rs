//! What people ask, over signed HTTP: who is heard, what they are told, and what they cannot do.

use axum::{Router, http::StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    SlackStory, channel, directory,
    fake_slack::{BOT_TOKEN, SIGNING_SECRET, Signer, Trouble},
    home, night,
    outbound::call,
    root,
};
use crate::{
    chat::{
        AT_ONCE_MOST, Whose,
        slack::{Asked, Client, Home, SlackReception, router},
    },
    engine::{Perform, Task},
    escalation::LevelNumber,
    http::Bodies,
    incident::{Act, Incident, IncidentId, Keeper, Notice, OwnCluster, Work},
    remediation::{Plan, PlanContent, PlanId},
    triage::FixName,
};

impl SlackStory {
    fn routes(&self) -> Router {
        router(self.desk.clone(), SIGNING_SECRET.to_owned().into(), self.clock.clone(), Bodies::default())
    }

    fn signer(&self) -> Signer {
        use crate::clock::Clock;
        Signer::at(self.clock.now().as_second())
    }

    async fn says(&self, user: &str, text: &str) {
        self.sends(&self.slack.typed(user, text)).await;
    }

    async fn sends(&self, fields: &Value) {
        let response = self.signer().command(&self.routes(), fields).await;
        assert_eq!(response.status(), StatusCode::OK);
        self.desk.quiet().await;
    }

    async fn presses(&self, user: &str, label: &str) {
        let payload = self.slack.pressed(user, label);
        let response = self.signer().interaction(&self.routes(), &payload).await;
        assert_eq!(response.status(), StatusCode::OK);
        self.desk.quiet().await;
    }

    /// The card, and the question to the approvers below it.
    async fn asks_for_approval(&self) {
        let card = self.out.perform(self.task("card", Work::DrawCard { to: channel() })).await.unwrap();
        let ts = card.delivery.unwrap().message.id;
        let notice = Notice::ApprovalWanted { plan: night::plan().id() };
        let ask = self.task("ask-1", Work::Post { to: channel(), notice });
        self.out.perform(Task { root: root(&ts), ..ask }).await.unwrap();
    }

    /// From now on what is asked reaches the bot of this cluster, which alerts may also call by other names.
    fn is_the_bot_of(&mut self, cluster: &str, also: &[&str]) {
        let own = OwnCluster::new(cluster, also.iter().map(|name| (*name).to_owned()));
        let whose = Whose::new(own, Keeper::new(cluster, false));
        let client =
            Client::new(&self.slack.api(), &BOT_TOKEN.to_owned().into()).unwrap().counted(self.metrics.clone());
        let home = Home { whose, ..home(&self.slack) };
        let directory = directory(&client, &self.clock);
        self.desk = SlackReception::desk(self.inbox.clone(), client, directory, home, self.clock.clone());
    }

    fn last_told(&self, user: &str) -> String {
        self.slack.whispers(user).pop().unwrap_or_default()
    }
}

#[tokio::test]
async fn the_requester_cannot_approve_and_somebody_of_the_approvers_group_can_by_button_and_command_alike() {
    let night = SlackStory::of(night::asking()).await;
    night.asks_for_approval().await;
    night.presses("U0ONCALL", "Approve").await;
    assert_eq!(night.last_told("U0ONCALL"), "You asked for this fix, so somebody else has to approve it");
    night.says("U0ONCALL", "approve").await;
    assert_eq!(night.last_told("U0ONCALL"), "You asked for this fix, so somebody else has to approve it");
    night.says("U0STRANGER", "approve").await;
    assert!(night.last_told("U0STRANGER").starts_with("Only people who may approve fixes"));
    assert!(night.commands().is_empty());
    assert!(night.slack.with_button("Approve").is_some(), "a refused press leaves the button to others");

    night.presses("U0SEC", "Approve").await;
    assert_eq!(night.last_told("U0SEC"), "Approved: it starts now.");
    assert_eq!(night.commands(), [Act::Approve { plan: Some(night::plan().id()) }]);
    let post = night.slack.messages()[1].clone();
    assert!(post.buttons().is_empty(), "buttons go away at the click");
    assert!(post.seen().contains("~ <@U0SEC>: Approve"), "{}", post.seen());
    assert!(!night.slack.messages()[0].buttons().is_empty(), "the card is redrawn by its own effect");
}

#[tokio::test]
async fn the_first_characters_of_a_plan_are_enough_to_approve_it() {
    let night = SlackStory::of(night::asking()).await;
    night.says("U0SEC", &format!("approve {}", night::plan().id().short())).await;
    let typed = PlanId::typed(night::plan().id().short());
    assert_eq!(
        night.commands(),
        [Act::Approve { plan: typed }],
        "which plan it means is decided for every face at once"
    );
    night.says("U0SEC", "approve 00000000").await;
    assert!(night.last_told("U0SEC").contains("That plan is not the one that waits now"));
}

#[tokio::test]
async fn commands_reach_the_engine_with_who_asked_and_slacks_own_key() {
    let night = SlackStory::of(night::diagnosed()).await;
    let fields = night.slack.typed("U0ONCALL", "fix restart-pod");
    night.sends(&fields).await;
    let command = night.inbox.commands.lock().unwrap()[0].clone();
    assert_eq!(command.incident, IncidentId::new(7));
    assert_eq!(command.actor.id, night::who("U0ONCALL"));
    assert_eq!(command.key, format!("slack/{}", fields["trigger_id"].as_str().unwrap()));
    assert_eq!(command.act, Act::ProposeFix { fix: FixName::RestartPod });
    assert_eq!(night.last_told("U0ONCALL"), "Done.");
}

#[tokio::test]
async fn help_incidents_and_status_are_told_to_one_person_only() {
    let night = SlackStory::of(night::diagnosed()).await;
    night.says("U0STRANGER", "help").await;
    let help = night.last_told("U0STRANGER");
    assert!(help.contains("`/mtls status [INC]`") && !help.contains("/mtls approve"), "{help}");
    night.says("U0SEC", "").await;
    assert!(night.last_told("U0SEC").contains("/mtls approve"));
    night.says("U0SEC", "incidents").await;
    assert!(night.last_told("U0SEC").contains("INC-7 MTLSHandshakeFailureRateHigh"));
    night.says("U0SEC", "status").await;
    assert!(night.last_told("U0SEC").contains("expired certificate"));
    night.says("U0SEC", "statsu").await;
    assert!(night.last_told("U0SEC").contains("Did you mean `/mtls status [INC]`?"));
    night.says("U0SEC", "status INC-99").await;
    assert!(night.last_told("U0SEC").contains("There is no INC-99"));
    assert!(night.slack.messages().is_empty(), "nothing of this is for the channel");
}

#[tokio::test]
async fn what_is_not_signed_by_slack_just_now_is_refused() {
    let night = SlackStory::of(night::opened()).await;
    let fields = night.slack.typed("U0ONCALL", "ack");
    let forged = Signer { secret: "guess".to_owned(), ..night.signer() };
    let old = Signer { timestamp: night.signer().timestamp - 301, ..night.signer() };
    for signer in [forged, old] {
        assert_eq!(signer.command(&night.routes(), &fields).await.status(), StatusCode::UNAUTHORIZED);
    }
    night.desk.quiet().await;
    assert!(night.commands().is_empty());
    assert!(night.counted("slack_refusals_total{reason=\"bad_signature\"} 2"));
}

#[tokio::test]
async fn other_workspaces_and_other_channels_are_not_heard() {
    let night = SlackStory::of(night::opened()).await;
    for (field, value, told) in
        [("team_id", "T0OTHER", "its own workspace only"), ("channel_id", "C0OTHER", "its incident channel only")]
    {
        let mut fields = night.slack.typed("U0ONCALL", "ack");
        fields[field] = json!(value);
        night.sends(&fields).await;
        assert!(night.last_told("U0ONCALL").contains(told));
    }
    night.out.perform(night.task("card", Work::DrawCard { to: channel() })).await.unwrap();
    let mut payload = night.slack.pressed("U0ONCALL", "Acknowledge");
    payload["user"]["team_id"] = json!("T0OTHER");
    night.signer().interaction(&night.routes(), &payload).await;
    night.desk.quiet().await;
    assert!(night.last_told("U0ONCALL").contains("its own workspace only"), "a shared channel brings strangers");
    assert!(night.counted("slack_refusals_total{reason=\"foreign_team\"} 2"));
    assert!(night.counted("slack_refusals_total{reason=\"foreign_channel\"} 1"));
    assert!(night.commands().is_empty());
}

#[tokio::test]
async fn an_answer_goes_to_slack_and_nowhere_else_whatever_address_a_payload_names() {
    let night = SlackStory::of(night::opened()).await;
    let other = super::FakeSlack::open().await;
    let mut fields = night.slack.typed("U0ONCALL", "help");
    fields["response_url"] = json!(format!("{}/hooks/H1", other.hooks()));
    night.sends(&fields).await;
    assert_eq!(night.slack.calls("chat.postEphemeral"), 1, "told another way");
    assert!(other.whispers("U0ONCALL").is_empty());
}

#[tokio::test]
async fn rights_that_cannot_be_looked_up_are_not_given_and_last_five_minutes_at_most() {
    let night = SlackStory::of(night::asking()).await;
    night.slack.trouble("usergroups.users.list", Trouble::Down);
    night.says("U0SEC", "approve").await;
    assert!(night.commands().is_empty());
    night.says("U0SEC", "note seen").await;
    assert!(night.commands().is_empty(), "an approver is no commander");
    night.says("U0SEC", "approve").await;
    assert_eq!(night.commands().len(), 1);
    // Slack fails from now on: what was seen is believed for five minutes.
    night.clock.advance(SignedDuration::from_mins(4));
    night.slack.trouble("usergroups.users.list", Trouble::Down);
    night.says("U0SEC", "approve").await;
    assert_eq!(night.commands().len(), 2);
    night.clock.advance(SignedDuration::from_mins(2));
    night.slack.trouble("usergroups.users.list", Trouble::Down);
    night.says("U0SEC", "approve").await;
    assert_eq!(night.commands().len(), 2);
}

#[tokio::test]
async fn an_old_escalate_button_says_which_level_it_was_drawn_for() {
    let night = SlackStory::of(night::opened()).await;
    night.out.perform(night.task("card", Work::DrawCard { to: channel() })).await.unwrap();
    night.presses("U0ONCALL", "Escalate").await;
    assert_eq!(night.commands(), [Act::Escalate { from: Some(LevelNumber(1)) }]);
}

#[tokio::test]
async fn a_press_for_the_bot_of_another_cluster_is_answered_with_whose_it_is_and_decides_nothing() {
    let of = |cluster| Some(Keeper::new(cluster, false));
    let red = Incident { id: IncidentId::new(7).kept_by(of("red")), ..night::opened() };
    let mut night = SlackStory::of(red).await;
    night.out.perform(night.task("call", call())).await.unwrap();
    let before = night.slack.messages().last().unwrap().seen();
    // Slack hands it to the bot of blue, which has an INC-7 of its own.
    night.is_the_bot_of("blue", &[]);
    night.presses("U0ONCALL", "Acknowledge").await;
    assert_eq!(
        night.last_told("U0ONCALL"),
        "That is INC-7 of red, and this is the bot of blue: ask again until the bot of red hears you, and give each bot an \
         app of its own, because what is asked of one app goes to any of the bots that share it"
    );
    assert!(night.commands().is_empty());
    assert_eq!(night.slack.messages().last().unwrap().seen(), before, "the buttons stay for the bot whose they are");
    assert!(night.counted("slack_refusals_total{reason=\"other_bot\"} 1"));
    // Another name of its own cluster is its own.
    night.is_the_bot_of("blue", &["red"]);
    night.presses("U0ONCALL", "Acknowledge").await;
    assert_eq!(night.commands(), [Act::Acknowledge]);
}

#[tokio::test]
async fn a_button_of_before_buttons_carried_the_cluster_still_works() {
    let mut night = SlackStory::of(night::opened()).await;
    night.out.perform(night.task("call", call())).await.unwrap();
    let drawn: String =
        night.slack.pressed("U0ONCALL", "Acknowledge")["actions"][0]["value"].as_str().unwrap().to_owned();
    assert_eq!(drawn, r#"{"incident":7,"act":{"act":"acknowledge"}}"#, "as a card of an earlier version has it");
    night.is_the_bot_of("blue", &[]);
    let ours = Incident { id: IncidentId::new(7).kept_by(Some(Keeper::new("blue", false))), ..night::opened() };
    *night.inbox.incidents.lock().unwrap() = vec![ours.into()];
    night.presses("U0ONCALL", "Acknowledge").await;
    assert_eq!(night.commands(), [Act::Acknowledge]);
}

#[tokio::test]
async fn a_command_about_one_of_several_incidents_has_to_name_it() {
    let night = SlackStory::of(night::opened()).await;
    let other = Incident { id: IncidentId::new(8), ..night::opened() };
    night.inbox.incidents.lock().unwrap().push(other.into());
    night.says("U0ONCALL", "ack").await;
    assert!(night.last_told("U0ONCALL").contains("2 incidents are open (INC-7, INC-8)"));
    night.says("U0ONCALL", "ack inc-8").await;
    assert_eq!(night.inbox.commands.lock().unwrap()[0].incident, IncidentId::new(8));
}

#[tokio::test]
async fn a_bot_that_is_busy_says_so_instead_of_letting_requests_pile_up() {
    let night = SlackStory::of(night::opened()).await;
    let mut told = Vec::new();
    // Nothing runs between these, so that none of them is done before the last one comes.
    let asked = Asked::command(&night.slack.typed("U0ONCALL", "help")).unwrap();
    for _ in 0..=AT_ONCE_MOST {
        told.push(night.desk.take(asked.clone()));
    }
    assert_eq!(told.iter().filter(|told| told.is_ok()).count(), AT_ONCE_MOST);
    let response = night.signer().command(&night.routes(), &night.slack.typed("U0ONCALL", "help")).await;
    let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("the bot is busy: try again in a moment"));
}

#[tokio::test]
async fn a_press_that_finds_the_bot_busy_is_not_silent() {
    let night = SlackStory::of(night::asking()).await;
    night.asks_for_approval().await;
    let payload = night.slack.pressed("U0SEC", "Approve");
    let asked = Asked::command(&night.slack.typed("U0ONCALL", "help")).unwrap();
    for _ in 0..AT_ONCE_MOST {
        night.desk.take(asked.clone()).unwrap();
    }
    let response = night.signer().interaction(&night.routes(), &payload).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "Slack shows that it failed");
    night.desk.quiet().await;
    assert!(night.slack.whispers("U0SEC").concat().contains("your press was not taken"), "and the bot says why");
    assert!(night.commands().is_empty());
}

#[tokio::test]
async fn buttons_do_not_stay_clickable_while_a_press_is_being_decided() {
    let night = SlackStory::of(night::asking()).await;
    night.asks_for_approval().await;
    night.presses("U0SEC", "Approve").await;
    let post = night.slack.messages()[1].clone();
    assert!(post.earlier.last().unwrap().contains("~ <@U0SEC> pressed Approve"), "{:?}", post.earlier);
    assert!(!post.earlier.last().unwrap().contains('['), "no button is left: {:?}", post.earlier);
}

#[tokio::test]
async fn somebody_who_may_press_nothing_does_not_take_the_buttons_from_the_others() {
    let night = SlackStory::of(night::asking()).await;
    night.asks_for_approval().await;
    night.presses("U0STRANGER", "Approve").await;
    assert_eq!(night.slack.messages()[1].edits, 0);
    assert_eq!(night.slack.messages()[1].buttons().len(), 2);
}

#[tokio::test]
async fn an_old_or_replayed_approve_press_is_harmless_and_takes_its_buttons_away() {
    let night = SlackStory::of(night::asking()).await;
    night.asks_for_approval().await;
    let old = night.slack.pressed("U0SEC", "Approve");
    // Meanwhile the cluster moved: another plan waits for approval.
    let mut moved = night::asking();
    let plan = moved.fix.as_mut().unwrap().plan.as_mut().unwrap();
    *plan = Plan::new(PlanContent { budgets: Vec::new(), ..(**plan).clone() });
    assert_ne!(moved.fix.as_ref().unwrap().plan_id(), Some(night::plan().id()));
    *night.inbox.incidents.lock().unwrap() = vec![moved.into()];
    for _ in 0..2 {
        night.signer().interaction(&night.routes(), &old).await;
        night.desk.quiet().await;
    }
    assert!(night.commands().is_empty(), "nothing is approved");
    assert!(night.last_told("U0SEC").contains("That plan is not the one that waits now"));
    let post = night.slack.messages()[1].clone();
    assert!(post.buttons().is_empty() && post.seen().contains("no longer the one that waits"), "{}", post.seen());
}

#[tokio::test]
async fn handing_to_a_name_is_refused_so_that_the_calls_do_not_stop_for_nobody() {
    let night = SlackStory::of(night::opened()).await;
    for wrong in ["@jane", "jane", "<@jane>", "<@C0NIGHT>"] {
        night.says("U0ONCALL", &format!("handoff INC-7 {wrong}")).await;
        let told = night.last_told("U0ONCALL");
        assert!(told.contains("pick the person from the list") && told.contains("`/mtls handoff INC-7 L2`"), "{told}");
    }
    assert!(night.commands().is_empty());
    night.says("U0ONCALL", "handoff INC-7 <@U0SEC|jane>").await;
    assert_eq!(night.commands().len(), 1);
}

#[tokio::test]
async fn a_request_that_slack_sends_twice_carries_the_same_key() {
    let night = SlackStory::of(night::opened()).await;
    let fields = night.slack.typed("U0ONCALL", "note seen");
    night.sends(&fields).await;
    night.sends(&fields).await;
    let keys: Vec<String> = night.inbox.commands.lock().unwrap().iter().map(|command| command.key.clone()).collect();
    assert_eq!(keys[0], keys[1], "so that the engine gives the first answer again");
}

#[tokio::test]
async fn a_body_of_nonsense_is_refused_and_one_of_another_kind_is_left_alone() {
    let night = SlackStory::of(night::opened()).await;
    let (signer, routes) = (night.signer(), night.routes());
    assert_eq!(signer.command(&routes, &json!({ "text": "ack" })).await.status(), StatusCode::BAD_REQUEST);
    let view = json!({ "type": "view_submission" });
    assert_eq!(signer.interaction(&routes, &view).await.status(), StatusCode::OK);
    let huge = json!({ "type": "block_actions", "text": "x".repeat(600 * 1024) });
    assert_eq!(signer.interaction(&routes, &huge).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}
