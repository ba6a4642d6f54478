//! Everything fails at once, and people still get through.

use std::sync::Mutex;

use futures::future::join_all;

use super::*;
use crate::{
    engine::Inbox,
    incident::{Act, AlertDelivery, AlertSighting, AlertStatus, Command, SwitchRequest},
    people::{Actor, PersonId, Platform, Role},
};

/// Of an alert of `service`, which is one incident; each pod is an alert of its own.
fn alert(service: &str, pod: usize, status: &str, starts_at: i64) -> AlertSighting {
    serde_json::from_value(serde_json::json!({
        "key": format!("c/a/web/{service}"), "fingerprint": format!("{service}-{pod}"), "name": "a", "status": status,
        "starts_at": Timestamp::from_second(starts_at).unwrap(), "cluster": "c", "target": null, "pod": null,
        "labels": {"pod": format!("{service}-{pod}")}, "summary": "calls fail",
    }))
    .unwrap()
}

fn body(group: &str, alerts: Vec<AlertSighting>) -> AlertDelivery {
    AlertDelivery { group_key: group.to_owned(), status: AlertStatus::Firing, alerts, truncated: 0 }
}

fn engineer() -> Actor {
    let id = PersonId { platform: Platform::Slack, workspace: "T0TEAM".to_owned(), user: "U0ONCALL".to_owned() };
    Actor { id, also: [].into(), roles: [Role::Commander, Role::Approver].into(), as_of: Timestamp::UNIX_EPOCH }
}

async fn note(inbox: &Inbox, incident: IncidentId, key: &str) {
    let act = Act::Note { text: "looking at it".to_owned() };
    inbox.submit(&Command { incident, actor: engineer(), key: key.to_owned(), act }).await.unwrap();
}

#[tokio::test]
async fn three_hundred_groups_of_one_incident_at_once_are_stored_together_and_none_is_sent_away() {
    let bot = TestBot::new();
    let engine = bot.built().await;
    let inbox = engine.inbox();
    let before = engine.transactions();
    let bodies: Vec<_> = (0..300).map(|pod| body(&format!("g{pod}"), vec![alert("web", pod, "firing", 0)])).collect();
    for accepted in join_all(bodies.iter().map(|body| inbox.deliver(body))).await {
        accepted.unwrap();
    }
    let live = inbox.live(10).await.unwrap();
    assert_eq!(live.iter().map(|stored| stored.incident.alerts.len()).collect::<Vec<_>>(), [300]);
    assert_eq!(live[0].incident.id, IncidentId::new(1), "no number is used up by those that were decided on again");
    let transactions = engine.transactions() - before;
    assert!(transactions <= 3, "{transactions} transactions");
}

#[tokio::test]
async fn what_each_of_the_bodies_stored_together_came_to_is_said_to_its_own_sender() {
    let bot = TestBot::new();
    let engine = bot.built().await;
    let inbox = engine.inbox();
    let opens = body("g1", vec![alert("web", 1, "firing", 0), alert("db", 1, "firing", 0)]);
    let repeats = body("g1", vec![alert("web", 1, "firing", 0)]);
    let changes = body("g2", vec![alert("web", 2, "firing", 0)]);
    let accepted = join_all([&opens, &repeats, &changes].map(|body| inbox.deliver(body))).await;
    let accepted: Vec<_> = accepted.into_iter().map(Result::unwrap).collect();
    let counts = accepted.iter().map(|one| (one.opened.len(), one.changed.len(), one.repeated));
    assert_eq!(counts.collect::<Vec<_>>(), [(2, 0, 0), (0, 0, 1), (0, 1, 0)]);
}

#[tokio::test]
async fn a_group_that_was_cut_ends_also_what_a_body_that_came_with_it_opened() {
    let bot = TestBot::new();
    let engine = bot.built().await;
    let inbox = engine.inbox();
    let opens = body("g1", vec![alert("web", 1, "firing", 0), alert("web", 2, "firing", 0)]);
    let mut ends = body("g1", vec![alert("web", 1, "resolved", 0)]);
    (ends.status, ends.truncated) = (AlertStatus::Resolved, 1);
    for accepted in join_all([&opens, &ends].map(|body| inbox.deliver(body))).await {
        accepted.unwrap();
    }
    assert!(!inbox.live(1).await.unwrap()[0].incident.is_firing());
}

#[tokio::test]
async fn a_note_and_the_kill_switch_do_not_wait_behind_nine_hundred_alerts_that_flap() {
    let bot = TestBot::new();
    let engine = bot.built().await;
    let inbox = engine.inbox();
    let flap = |round: i64| {
        let status = if round % 2 == 0 { "firing" } else { "resolved" };
        body("g", (0..960).map(|pod| alert("web", pod, status, round / 2)).collect())
    };
    inbox.deliver(&flap(0)).await.unwrap();
    let order = Mutex::new(Vec::new());
    let ended = |what: &'static str| order.lock().unwrap().push(what);
    let bodies = join_all((1..=8).map(|round| {
        let (inbox, body, ended) = (inbox.clone(), flap(round), &ended);
        async move {
            inbox.deliver(&body).await.unwrap();
            ended("body");
        }
    }));
    let person = async {
        note(&inbox, IncidentId::new(1), "note").await;
        ended("note");
        let request =
            SwitchRequest { on: false, actor: engineer(), key: "off".to_owned(), reason: "let it be".to_owned() };
        inbox.switch_writes(&request).await.unwrap();
        ended("switch");
    };
    tokio::join!(bodies, person);
    let order = order.into_inner().unwrap();
    let bodies_before = |what| order.iter().take_while(|one| **one != what).filter(|one| **one == "body").count();
    assert!(bodies_before("note") <= 2, "{order:?}");
    assert!(bodies_before("switch") <= 4, "{order:?}");
}

/// What comes within a few seconds; a test that waits longer waits for ever.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it is held up")
}

#[tokio::test]
async fn an_incident_that_somebody_decides_on_holds_up_its_own_alerts_in_their_order_and_no_others() {
    let bot = TestBot::new();
    let engine = bot.built().await;
    let inbox = engine.inbox();
    inbox.deliver(&body("g", vec![alert("web", 0, "firing", 0)])).await.unwrap();
    let busy = inbox.0.turns.of([IncidentId::new(1)]).await;
    let fires = body("g", vec![alert("web", 1, "firing", 0)]);
    let with_another = body("g2", vec![alert("web", 2, "firing", 0), alert("db", 0, "firing", 0)]);
    let mut ends = body("g", vec![alert("web", 1, "resolved", 0)]);
    ends.status = AlertStatus::Resolved;
    let behind = body("g3", vec![alert("db", 1, "firing", 0)]);
    let held_up = join_all([&fires, &with_another, &ends, &behind].map(|body| {
        let (inbox, body) = (inbox.clone(), body.clone());
        tokio::spawn(async move { inbox.deliver(&body).await })
    }));
    for service in 0..20 {
        let other = body("g", vec![alert(&format!("other{service}"), 0, "firing", 0)]);
        // The group is that of bodies that are held up, which a new one must not pass.
        let other = AlertDelivery { group_key: format!("g-{service}"), ..other };
        soon(inbox.deliver(&other)).await.unwrap();
    }
    let other_alert_of_it = inbox.incident(IncidentId::new(1)).await.unwrap().unwrap().incident.alerts.len();
    assert_eq!(other_alert_of_it, 1, "nobody passes the person who decides on it");
    drop(busy);
    for accepted in soon(held_up).await {
        accepted.unwrap().unwrap();
    }
    let web = inbox.incident(IncidentId::new(1)).await.unwrap().unwrap().incident;
    let firing = web.alerts.iter().map(|(fingerprint, alert)| (&*fingerprint.0, alert.status));
    let (on, over) = (AlertStatus::Firing, AlertStatus::Resolved);
    assert_eq!(firing.collect::<Vec<_>>(), [("web-0", on), ("web-1", over), ("web-2", on)]);
    let key = IncidentKey("c/a/web/db".to_owned());
    assert_eq!(inbox.0.journal.newest_of(&key).await.unwrap().unwrap().incident.alerts.len(), 2);
}

#[tokio::test]
async fn bodies_that_were_held_up_together_are_stored_together() {
    let bot = TestBot::new();
    let engine = bot.built().await;
    let inbox = engine.inbox();
    inbox.deliver(&body("g", vec![alert("web", 0, "firing", 0)])).await.unwrap();
    let busy = inbox.0.turns.of([IncidentId::new(1)]).await;
    let before = engine.transactions();
    let bodies: Vec<_> = (1..=200).map(|pod| body(&format!("g{pod}"), vec![alert("web", pod, "firing", 0)])).collect();
    let sent = join_all(bodies.iter().map(|body| inbox.deliver(body)));
    let all_wait = async {
        soon(inbox.deliver(&body("other", vec![alert("db", 0, "firing", 0)]))).await.unwrap();
        drop(busy);
    };
    let (answers, ()) = tokio::join!(sent, all_wait);
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    let transactions = engine.transactions() - before;
    assert!(transactions <= 5, "{transactions} transactions");
}

#[tokio::test]
async fn a_body_whose_incident_cannot_be_read_fails_alone() {
    let bot = TestBot::new();
    let engine = bot.built().await;
    let inbox = engine.inbox();
    inbox.deliver(&body("g", vec![alert("web", 0, "firing", 0)])).await.unwrap();
    crate::journal::damage(&bot.journal_file(), IncidentId::new(1)).await;
    let bodies: Vec<_> = ["a", "web", "b", "d"]
        .map(|service| body(&format!("g-{service}"), vec![alert(service, 1, "firing", 0)]))
        .into_iter()
        .collect();
    let answers = join_all(bodies.iter().map(|body| inbox.deliver(body))).await;
    let stored: Vec<_> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(stored, [true, false, true, true], "{answers:?}");
}

#[tokio::test]
async fn what_an_edit_of_a_card_came_to_waits_for_nobody_who_decides_on_its_incident() {
    let night = night(false).await;
    let shared = night.engine.inbox().0;
    let busy = shared.turns.of([IncidentId::new(1)]).await;
    let claim = night.journal.claim(CHAT, Timestamp::UNIX_EPOCH, Timestamp::MAX, 1).await.unwrap().remove(0);
    let shown = crate::incident::Outcome::Shown { to: slack(), first_card: false };
    let finished = crate::engine::finish::finish(&shared, &claim, SignedDuration::ZERO, Ok(shown.into()));
    soon(finished).await;
    assert_eq!(night.journal.unfinished(Timestamp::MAX).await.unwrap(), 0);
    drop(busy);
}
