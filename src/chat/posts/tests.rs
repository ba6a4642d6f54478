//! Every sentence of the thread, as it reads at 3 a.m.

use super::*;
use crate::{
    chat::card::tests as night,
    escalation::{LevelNumber, Rung},
    incident::{
        CallReason, Destination, Event, Face, FirstCall, FixEnd, Follows, Incident, IncidentId, Notice, RunNumber,
        apply,
    },
    remediation::{Proof, StepNumber, StepResult, Verification},
    triage::FixName,
};

fn read(post: &Post) -> String {
    let loud = if post.broadcast { "(channel) " } else { "" };
    let called: Vec<String> = post.mentions.iter().map(|one| format!("{:?} ", one.whom)).collect();
    let buttons: Vec<String> = post.buttons.iter().map(|button| format!("\n[{}]", button.label)).collect();
    format!("{loud}{}{}\n", called.concat(), post.summary() + &buttons.concat())
}

fn verified(proof: Proof) -> FixEnd {
    FixEnd::Verified {
        verification: Verification { proof, reasons: vec!["handshakes grew by 120".to_owned()], rate: None },
    }
}

#[test]
fn every_notice_says_what_happened_and_what_is_next() {
    let (by, until) = (night::who("U0ONCALL"), night::at(15));
    let fix = FixName::RestartPod;
    let ended = |end| Notice::FixEnded { fix, end };
    let notices = [
        Notice::Reminder { level: Some(LevelNumber(1)), until },
        Notice::Reminder { level: None, until },
        Notice::Unreachable {
            level: LevelNumber(2),
            why: "the user group has no members".to_owned(),
            follows: Follows::NextLevel,
        },
        Notice::Unreachable {
            level: LevelNumber(3),
            why: "nobody is in the group".to_owned(),
            follows: Follows::AllLevels,
        },
        Notice::Unreachable {
            level: LevelNumber(1),
            why: "the channel is archived".to_owned(),
            follows: Follows::OtherWay,
        },
        Notice::FellBack { level: LevelNumber(1), pager: "duty".to_owned() },
        Notice::MissedWindow { seconds: 600 },
        Notice::Acknowledged { by: by.clone(), until },
        Notice::HandedTo { to: night::who("U0SEC"), by: by.clone() },
        Notice::TargetWanted,
        Notice::IncidentJoined { incident: IncidentId::new(9), by: by.clone() },
        Notice::TriageFailed { reason: "the API server did not answer".to_owned() },
        Notice::PlanMoved { what: "the pod was replaced meanwhile".to_owned() },
        Notice::QuestionOutdated,
        Notice::FixStarted { fix, by: vec![night::who("U0SEC")] },
        Notice::StepSettled {
            target: "web/a".to_owned(),
            result: StepResult::Replaced {
                old: Some(night::pod("a")),
                pod: night::pod("b"),
                uid: crate::mesh::PodUid::parse("uid-b").unwrap(),
                not_after: Some(night::at(60)),
            },
        },
        Notice::StepSettled {
            target: "spire-system/spire-agent-a".to_owned(),
            result: StepResult::AgentRestarted {
                node: "node-2".parse().unwrap(),
                old: night::pod("spire-agent-a"),
                pod: night::pod("spire-agent-b"),
                uid: crate::mesh::PodUid::parse("uid-b").unwrap(),
                renewed: vec![night::pod("a")],
                stale: vec![night::pod("b"), night::pod("c")],
                not_taken: Vec::new(),
                unread: Vec::new(),
                waited: Vec::new(),
            },
        },
        Notice::Replaced { old: "web/a".to_owned(), new: "web/b".to_owned(), not_after: night::at(60) },
        ended(verified(Proof::Worked)),
        ended(verified(Proof::NoEffect)),
        ended(verified(Proof::Worse)),
        ended(verified(Proof::Unproven)),
        ended(FixEnd::Refused { reasons: vec!["the budget allows no eviction".to_owned()] }),
        ended(FixEnd::Rejected { by: by.clone() }),
        ended(FixEnd::Withdrawn),
        ended(FixEnd::Expired),
        ended(FixEnd::Failed { step: StepNumber(0), reason: "eviction was refused".to_owned() }),
        ended(FixEnd::Unknown { step: StepNumber(0) }),
        ended(FixEnd::Cancelled),
        ended(FixEnd::TargetChanged),
        Notice::Note { by, text: "looking at node-1".to_owned() },
        Notice::Clearing { until },
        Notice::FiringAgain,
        Notice::Closed,
        Notice::Reopened,
        Notice::Stale { last_seen: night::at(0) },
        Notice::CouldNot { what: "call the pager".to_owned(), reason: "it answered 503".to_owned() },
        Notice::Storm { count: 40 },
        Notice::WritesSwitched { on: false, by: night::who("U0SEC"), reason: "it looks like an attack".to_owned() },
        Notice::WritesSwitched { on: true, by: night::who("U0SEC"), reason: String::new() },
        Notice::ClockSet { by: jiff::SignedDuration::from_mins(-60) },
        Notice::ClockSet { by: jiff::SignedDuration::from_secs(90) },
    ];
    let incident = night::opened();
    let posts: Vec<String> = notices.iter().map(|one| read(&notice(one, &incident))).collect();
    insta::assert_snapshot!(posts.join("\n"));
}

#[test]
fn a_fix_that_has_written_something_never_says_that_nothing_was_changed() {
    let ends = [
        FixEnd::Refused { reasons: vec!["another pod has to become Ready first".to_owned()] },
        FixEnd::Rejected { by: night::who("U0SEC") },
        FixEnd::Withdrawn,
        FixEnd::Expired,
        FixEnd::Cancelled,
        FixEnd::TargetChanged,
    ];
    for end in ends {
        // One step was done; then the cluster moved, and the new plan did not come about.
        let mut incident = night::after(Proof::Worked);
        incident.past_fixes[0].end = end.clone();
        let said = read(&notice(&Notice::FixEnded { fix: FixName::RestartPod, end }, &incident));
        assert!(said.contains("What was done before that stays done; nothing more is changed."), "{said}");
        assert!(!said.contains("Nothing was changed"), "{said}");
    }
}

fn reasons() -> [CallReason; 8] {
    let by = night::who("U0ONCALL");
    [
        CallReason::Opened,
        CallReason::Unanswered,
        CallReason::Escalated { by: by.clone() },
        CallReason::HandedOver { by },
        CallReason::Idle,
        CallReason::Repeat,
        CallReason::FiringAgain,
        CallReason::Evidence { because: "the verdict is \"SPIRE server unhealthy\"".to_owned() },
    ]
}

#[test]
fn every_reason_to_call_somebody_is_said() {
    let reasons = reasons();
    let incident = night::opened();
    let posts: Vec<String> = reasons.iter().map(|reason| read(&call(LevelNumber(2), reason, &incident))).collect();
    insta::assert_snapshot!(posts.join("\n"));
    for post in &posts {
        assert!(post.contains("mentioned"), "a mention in a chat is not a page, so it does not say that it is: {post}");
    }
}

#[test]
fn a_call_about_the_bot_itself_says_what_to_do_and_has_nothing_to_acknowledge() {
    let of_the_bot = Incident { id: IncidentId::UNNUMBERED, ..night::opened() };
    let reason = CallReason::Evidence { because: "the bot itself is in trouble: the disk is full".to_owned() };
    let post = call(LevelNumber(1), &reason, &of_the_bot);
    assert!(post.buttons.is_empty());
    insta::assert_snapshot!(read(&post), @r#"
    (channel) Group("S0ONCALL") L1 Platform On-Call is mentioned: the bot itself is in trouble: the disk is full.
    Look at the bot's log and at the volume of its journal. Until it can be written, the bot takes in no alert and calls nobody else: watch Alertmanager by hand. There is nothing to acknowledge.
    "#);
}

#[test]
fn mentioned_again_is_said_only_to_a_level_that_was_called_before() {
    let says_again = |incident: &Incident| {
        let said = |reason: &CallReason| call(LevelNumber(2), reason, incident).summary().contains("mentioned again");
        reasons().iter().filter(|reason| said(reason)).count()
    };
    let mut incident = night::opened();
    assert_eq!(says_again(&incident), 0);
    incident.calls.first.push(FirstCall { level: LevelNumber(1), version: 1 });
    assert_eq!(says_again(&incident), 0, "another level was");
    incident.calls.first.push(FirstCall { level: LevelNumber(2), version: 1 });
    assert_eq!(says_again(&incident), 3, "unanswered, idle, repeat");
}

#[test]
fn a_level_that_is_called_because_of_what_was_found_hears_who_else_is() {
    let rung = Rung::Waiting { level: LevelNumber(1), until: night::at(15) };
    let reason = CallReason::Evidence { because: "the verdict is \"network issue\"".to_owned() };
    let mut incident = night::diagnosed();
    apply(&mut incident, &Event::CalledBeside { level: LevelNumber(3), rung, reason: reason.clone() }, night::at(1));
    insta::assert_snapshot!(read(&call(LevelNumber(3), &reason, &incident)), @r#"
    (channel) User("U0INFRA") L3 Infrastructure is mentioned without waiting, because of what was found: the verdict is "network issue".
    INC-7 MTLSHandshakeFailureRateHigh on web svc/frontend. Diagnosis: expired certificate.
    L1 Platform On-Call is called as well and has until 2026-03-01 03:15:00 UTC. Acknowledging stops the clock for all: /mtls ack INC-7
    [Acknowledge]
    "#);

    let held = Incident { ladder: night::asking().ladder, ..incident };
    insta::assert_snapshot!(read(&call(LevelNumber(3), &reason, &held)), @r#"
    (channel) User("U0INFRA") L3 Infrastructure is mentioned without waiting, because of what was found: the verdict is "network issue".
    INC-7 MTLSHandshakeFailureRateHigh on web svc/frontend. Diagnosis: expired certificate.
    @U0ONCALL has it and needs you. To take it over, name yourself: /mtls handoff INC-7 @you
    "#);
}

#[test]
fn who_holds_it_is_reminded_by_name_when_nothing_is_done() {
    let incident = Incident { fix: None, ..night::asking() };
    let post = notice(&Notice::Reminder { level: Some(LevelNumber(1)), until: night::at(18) }, &incident);
    assert_eq!(post.mentions, [Mention::user(Platform::Slack, "U0ONCALL")]);
    assert!(post.summary().contains("no sign of work"));
}

#[test]
fn a_fix_that_only_a_person_can_do_is_said_to_be_one() {
    let mut incident = night::diagnosed();
    incident.verdict.as_mut().unwrap().fixes = vec![FixName::SyncTrustBundle];
    let said = notice(&Notice::Verdict { run: RunNumber(1) }, &incident).summary();
    assert!(said.contains("The bot cannot do this one: follow the runbook by hand."), "{said}");
    assert!(said.contains("Next: a person does by hand what fits, after the runbook."), "{said}");
}

#[test]
fn the_first_alert_of_another_cluster_says_what_does_not_happen_and_how_that_is_mended() {
    let incident = Incident { foreign_to: Some("blue".to_owned()), ..night::opened() };
    insta::assert_snapshot!(
        read(&notice(&Notice::OtherCluster { ours: "blue".to_owned() }, &incident)),
        @"(channel) An alert of cluster prod, and this bot looks after blue. People are called about it as usual, and nothing is diagnosed or fixed from here: the bot of prod does that. If prod is another name of blue, put it into the configuration, as cluster_also: [prod]: until then none of its alerts is diagnosed. This is said once."
    );
    insta::assert_snapshot!(read(&call(LevelNumber(1), &CallReason::Opened, &incident)), @r#"
    (channel) Group("S0ONCALL") L1 Platform On-Call is mentioned: a new incident.
    INC-7 MTLSHandshakeFailureRateHigh on web svc/frontend. It is of cluster prod, which this bot does not look after: look there.
    Acknowledge by 2026-03-01 03:15:00 UTC, or L2 Platform Security is called. Acknowledging stops the clock: /mtls ack INC-7
    [Acknowledge]
    "#);
}

#[test]
fn a_storm_that_was_looked_at_says_each_cause_with_its_services() {
    let incident = night::stormy();
    insta::assert_snapshot!(read(&notice(&Notice::Verdict { run: RunNumber(1) }, &incident)), @"
    (channel) 3 service(s) of the storm were looked at:
    SPIRE server unhealthy (medium confidence: the signs agree, some checks are missing) at payments svc/checkout, web svc/gateway
    • the healthcheck of spire-server-0 fails
    • web svc/gateway: its SVID ended 40 min ago
    no fault found (high confidence) at web svc/frontend
    Not looked at: web svc/cart: web svc/cart is not there
    Seen at 2026-03-01 03:01:00 UTC. A cause is named only for the services that show it.
    Next: to go on with one service, name its incident, as /mtls incidents lists them; it then gets a card, diagnostics and fixes of its own.
    ");
    insta::assert_snapshot!(read(&call(LevelNumber(1), &CallReason::Opened, &incident)), @r#"
    (channel) Group("S0ONCALL") L1 Platform On-Call is mentioned: a new incident.
    INC-7: 64 incidents opened within a short time in cluster prod. SPIRE server unhealthy at 2 of 3 services looked at.
    Acknowledge by 2026-03-01 03:15:00 UTC, or L2 Platform Security is called. Acknowledging stops the clock: /mtls ack INC-7
    [Acknowledge]
    [Acknowledge all that are open]
    "#);
}

#[test]
fn people_of_each_chat_are_led_to_the_card_in_their_own_and_an_old_incident_has_one_for_all() {
    let mut incident = night::opened();
    let address = |text: &str| crate::incident::WebAddress::parse(text).unwrap();
    let cards = [(Face::Slack, "https://example.slack.com/p1"), (Face::Discord, "https://discord.com/channels/1/2/3")];
    let led_to = |incident: &Incident, platform| {
        let post = call(LevelNumber(1), &CallReason::Opened, incident).with_card(incident.calls.card_on(platform));
        post.links.into_iter().find(|link| link.label == "Card").map(|link| link.url)
    };
    for (face, link) in cards {
        let to = Destination { face, channel: "1".to_owned() };
        apply(&mut incident, &Event::CardPosted { to, link: Some(address(link)) }, night::at(1));
    }
    for (face, link) in cards {
        assert_eq!(led_to(&incident, face.platform()).as_deref(), Some(link));
    }
    incident.calls.cards.remove(&Face::Slack);
    assert_eq!(led_to(&incident, Platform::Slack), None, "a link to the other chat leads nowhere");
    incident.calls.cards.clear();
    let newest = Some(cards[1].1);
    assert_eq!(
        [Platform::Slack, Platform::Discord].map(|chat| led_to(&incident, chat)).each_ref().map(Option::as_deref),
        [newest; 2]
    );
}

#[test]
fn whoever_is_handed_an_incident_is_told_its_cause_and_where_to_look() {
    let mut incident = night::diagnosed();
    incident.calls.card = crate::incident::WebAddress::parse("https://example.slack.com/archives/C0NIGHT/p1");
    let handed = Notice::HandedTo { to: night::who("U0SEC"), by: night::who("U0ONCALL") };
    let post = notice(&handed, &incident);
    insta::assert_snapshot!(post.summary(), @r"
    @U0ONCALL hands INC-7 to @U0SEC. It is yours now; the card at the top says where it stands. To give it on: /mtls handoff INC-7 @user
    INC-7 MTLSHandshakeFailureRateHigh on web svc/frontend. Diagnosis: expired certificate.
    ");
    assert_eq!(post.links.iter().map(|link| link.label.as_str()).collect::<Vec<_>>(), ["Card"]);
}
