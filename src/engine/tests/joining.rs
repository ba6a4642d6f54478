//! An alert that does not name its service, and the person who says which one it is: it has an incident already.

use std::collections::BTreeSet;

use super::*;
use crate::{
    clock::Clock,
    engine::{Inbox, SubmitError},
    incident::{Act, AlertDelivery, AlertSighting, AlertStatus, Answer, Command, Fingerprint, IncidentStatus, Refusal},
    mesh::{Namespace, TargetRef},
    people::{Actor, PersonId, Platform, Role},
};

/// A night with an incident of frontend (INC-1) and one of a group without a target (INC-2).
struct Two {
    _bot: TestBot,
    clock: Arc<VirtualClock>,
    inbox: Inbox,
}

fn three() -> Timestamp {
    "2026-11-24T03:00:00Z".parse().unwrap()
}

fn frontend() -> TargetRef {
    TargetRef::parse(Namespace::parse("web").unwrap(), "svc/frontend").unwrap()
}

fn alert(target: Option<TargetRef>, fingerprint: &str, status: AlertStatus) -> AlertSighting {
    let key = if target.is_some() { "c/a/web/frontend" } else { "c/a//team=platform" };
    AlertSighting {
        status,
        target,
        ..AlertSighting::firing("a", "c", IncidentKey(key.to_owned()), Fingerprint(fingerprint.to_owned()), three())
    }
}

fn person(user: &str) -> PersonId {
    PersonId { platform: Platform::Slack, workspace: "T0".to_owned(), user: user.to_owned() }
}

impl Two {
    async fn open() -> Self {
        let bot = TestBot::new().at(three()).ruled_by(lessons::with_two_levels());
        let two = Self { clock: bot.clock.clone(), inbox: bot.built().await.inbox(), _bot: bot };
        two.fires(Some(frontend()), &["f1"]).await;
        two.fires(None, &["g1", "g2"]).await;
        two
    }

    async fn told(&self, target: Option<TargetRef>, fingerprints: &[&str], status: AlertStatus) {
        let alerts = fingerprints.iter().map(|fingerprint| alert(target.clone(), fingerprint, status)).collect();
        let group_key = if target.is_some() { "frontend" } else { "group" }.to_owned();
        self.inbox.deliver(&AlertDelivery { group_key, status, alerts, truncated: 0 }).await.unwrap();
    }

    async fn fires(&self, target: Option<TargetRef>, fingerprints: &[&str]) {
        self.told(target, fingerprints, AlertStatus::Firing).await;
    }

    async fn fires_one(&self, fingerprint: &str) {
        self.fires(None, &[fingerprint]).await;
    }

    async fn says(&self, user: &str, incident: u32, act: Act) -> Result<Answer, SubmitError> {
        let roles = BTreeSet::from([Role::Commander]);
        let actor = Actor { id: person(user), also: BTreeSet::new(), roles, as_of: self.clock.now() };
        let key = format!("{user}-{incident}-{act:?}");
        self.inbox.submit(&Command { incident: IncidentId::new(incident), actor, key, act }).await
    }

    async fn joins(&self, user: &str) -> String {
        self.says(user, 2, Act::SetTarget { target: frontend() }).await.unwrap().text
    }

    async fn incident(&self, id: u32) -> Incident {
        self.inbox.incident(IncidentId::new(id)).await.unwrap().unwrap().incident
    }

    async fn firing(&self, id: u32) -> Vec<String> {
        let incident = self.incident(id).await;
        let firing = incident.alerts.iter().filter(|(_, alert)| alert.status == AlertStatus::Firing);
        firing.map(|(fingerprint, _)| fingerprint.0.clone()).collect()
    }

    fn passes(&self, minutes: i64) {
        self.clock.set(self.clock.now() + SignedDuration::from_mins(minutes));
    }

    async fn holder(&self, id: u32) -> Option<String> {
        match self.incident(id).await.ladder {
            escalation::Ladder::Running { holder, .. } => holder.map(|holder| holder.user),
            _ => None,
        }
    }

    async fn lines(&self, id: u32) -> Vec<String> {
        self.incident(id).await.history.into_iter().map(|line| line.text).collect()
    }
}

#[tokio::test]
async fn an_alert_that_turns_out_to_be_about_a_service_with_an_open_incident_joins_that_one() {
    let two = Two::open().await;
    insta::assert_snapshot!(two.joins("U0ONCALL").await, @"INC-1 is open for web svc/frontend already, so INC-2 joined it: its alerts go on there, and nobody is called for INC-2 any more. You have INC-1 now.");
    assert_eq!(two.incident(2).await.joined(), Some(IncidentId::new(1)));
    assert_eq!(two.firing(1).await, ["f1", "g1", "g2"]);
    assert_eq!(two.holder(1).await.as_deref(), Some("U0ONCALL"), "working is acknowledging");
    assert_eq!(two.inbox.live(10).await.unwrap().len(), 1);
    insta::assert_debug_snapshot!((two.lines(1).await, two.lines(2).await), @r#"
(
    [
        "opened",
        "calling L1",
        "INC-2 joined, said by U0ONCALL",
        "acknowledged by U0ONCALL",
    ],
    [
        "opened",
        "calling L1",
        "joined INC-1, said by U0ONCALL",
    ],
)
"#);

    // What its source tells later reaches the joined incident.
    two.fires(None, &["g1", "g3"]).await;
    assert_eq!(two.firing(1).await, ["f1", "g1", "g2", "g3"]);
    two.told(None, &["g1", "g2", "g3"], AlertStatus::Resolved).await;
    assert_eq!(two.firing(1).await, ["f1"]);
    two.told(Some(frontend()), &["f1"], AlertStatus::Resolved).await;
    assert!(matches!(two.incident(1).await.status, IncidentStatus::Clearing { .. }));
    assert_eq!(two.inbox.newest(10).await.unwrap().len(), 2, "and opens nothing");
}

#[tokio::test]
async fn a_resolved_group_that_was_cut_ends_also_the_alerts_that_went_on_in_another_incident() {
    let two = Two::open().await;
    two.joins("U0ONCALL").await;
    let status = AlertStatus::Resolved;
    let alerts = vec![alert(None, "g1", status)];
    two.inbox.deliver(&AlertDelivery { group_key: "group".to_owned(), status, alerts, truncated: 1 }).await.unwrap();
    assert_eq!(two.firing(1).await, ["f1"]);
}

#[tokio::test]
async fn who_has_the_incident_that_joins_has_the_one_that_it_joins_unless_somebody_has_that() {
    let two = Two::open().await;
    two.says("U0FIRST", 2, Act::Acknowledge).await.unwrap();
    let said = two.joins("U0SECOND").await;
    assert!(said.ends_with("U0FIRST, who had INC-2, has INC-1 now."), "{said}");
    assert_eq!(two.holder(1).await.as_deref(), Some("U0FIRST"));

    let held = Two::open().await;
    held.says("U0FIRST", 1, Act::Acknowledge).await.unwrap();
    held.joins("U0SECOND").await;
    assert_eq!(held.holder(1).await.as_deref(), Some("U0FIRST"));
}

#[tokio::test]
async fn an_incident_that_was_about_to_close_goes_on_with_the_alerts_that_join_it() {
    let two = Two::open().await;
    two.told(Some(frontend()), &["f1"], AlertStatus::Resolved).await;
    two.joins("U0ONCALL").await;
    assert_eq!(two.incident(1).await.status, IncidentStatus::Open);
    assert_eq!(two.firing(1).await, ["g1", "g2"]);
}

#[tokio::test]
async fn after_the_joined_incident_has_closed_its_alerts_reopen_it_soon_and_open_a_new_one_later() {
    let two = Two::open().await;
    two.joins("U0ONCALL").await;
    two.says("U0ONCALL", 1, Act::Resolve { reason: None, anyway: true }).await.unwrap();
    two.passes(1);
    two.fires(None, &["g1"]).await;
    assert_eq!(two.inbox.live(10).await.unwrap().len(), 0, "the firing that somebody closed");
    two.told(None, &["g1"], AlertStatus::Resolved).await;
    two.passes(10);
    let mut again = alert(None, "g1", AlertStatus::Firing);
    again.starts_at = two.clock.now();
    let deliver = async |again: &AlertSighting| {
        let (group_key, status) = ("group".to_owned(), AlertStatus::Firing);
        two.inbox
            .deliver(&AlertDelivery { group_key, status, alerts: vec![again.clone()], truncated: 0 })
            .await
            .unwrap();
    };
    deliver(&again).await;
    assert!(two.incident(1).await.is_live(), "it is the same story");

    two.says("U0SECOND", 1, Act::Resolve { reason: None, anyway: true }).await.unwrap();
    two.passes(120);
    again.starts_at = two.clock.now();
    deliver(&again).await;
    let live = two.inbox.live(10).await.unwrap();
    assert_eq!(
        (live[0].incident.id, &live[0].incident.target),
        (IncidentId::new(3), &None),
        "who knows what it is this time"
    );
}

#[tokio::test]
async fn no_alert_is_lost_that_comes_while_its_incident_joins_another_one() {
    let two = Two::open().await;
    let names: Vec<String> = (0..8).map(|number| format!("n{number}")).collect();
    let coming = names.iter().map(|name| two.fires_one(name));
    let (said, _) = tokio::join!(two.joins("U0ONCALL"), futures::future::join_all(coming));
    assert!(said.contains("joined it"), "{said}");
    assert_eq!(two.firing(1).await.len(), 11);
    assert_eq!(two.inbox.newest(10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_command_for_an_incident_that_joined_another_is_told_where_to_go() {
    let two = Two::open().await;
    two.joins("U0ONCALL").await;
    let refused = two.says("U0SECOND", 2, Act::Acknowledge).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Refused(Refusal::Joined { into, .. }) if into.number() == 1), "{refused}");
    insta::assert_snapshot!(refused, @"INC-2 joined INC-1, which is about the same service: give the command there, as in `ack INC-1`");
}

#[tokio::test]
async fn a_target_for_which_nothing_is_open_is_set_as_ever() {
    let two = Two::open().await;
    let other = TargetRef::parse(Namespace::parse("web").unwrap(), "svc/backend").unwrap();
    two.says("U0ONCALL", 2, Act::SetTarget { target: other.clone() }).await.unwrap();
    assert_eq!(two.incident(2).await.target, Some(other.clone()));
    // A target that a person set is found as well.
    two.says("U0ONCALL", 1, Act::SetTarget { target: other }).await.unwrap();
    assert_eq!(two.incident(1).await.joined(), Some(IncidentId::new(2)));
}

#[tokio::test]
async fn each_group_of_a_joined_incident_takes_back_only_what_it_said_itself_was_cut_off() {
    let two = Two::open().await;
    two.joins("U0ONCALL").await;
    let status = AlertStatus::Firing;
    let body = |group: &str, alerts: Vec<AlertSighting>, truncated| AlertDelivery {
        group_key: group.to_owned(),
        status,
        alerts,
        truncated,
    };
    let frontends = |cut| body("frontend", vec![alert(Some(frontend()), "f1", status)], cut);
    let of_group = |cut| body("group", vec![alert(None, "g1", status)], cut);
    let missing = async |delivery: AlertDelivery| {
        two.inbox.deliver(&delivery).await.unwrap();
        two.incident(1).await.cut_off
    };
    assert_eq!(missing(frontends(5)).await, 5);
    assert_eq!(missing(of_group(0)).await, 5, "the other group is whole, and its body says nothing of this one");
    let version = two.incident(1).await.version;
    for _ in 0..5 {
        assert_eq!((missing(frontends(5)).await, missing(of_group(0)).await), (5, 5));
    }
    assert_eq!(two.incident(1).await.version, version, "what is repeated stores no event");
    assert_eq!(missing(of_group(2)).await, 7);
    assert_eq!(missing(frontends(0)).await, 2);
    let over = AlertDelivery {
        status: AlertStatus::Resolved,
        ..body("group", vec![alert(None, "g1", AlertStatus::Resolved)], 2)
    };
    assert_eq!(missing(over).await, 0, "of a group that is over nothing is missing");
    assert_eq!(two.firing(1).await, ["f1"]);
}

/// As a journal of the version before has it, in which the newest body had the word.
#[tokio::test]
async fn what_an_older_version_counted_as_cut_off_is_taken_back_by_the_next_whole_body() {
    let mut incident = Two::open().await.incident(1).await;
    incident.cut_off = 7;
    assert!(!incident.is_news_of_cut_off("frontend", 7));
    assert!(incident.is_news_of_cut_off("frontend", 0));
    let whole = Event::AlertsCutOff { count: 0, group: Some("frontend".to_owned()) };
    crate::incident::apply(&mut incident, &whole, three());
    assert_eq!(incident.cut_off, 0);
    for number in 0..30 {
        let group = format!("group-{number}");
        if incident.is_news_of_cut_off(&group, 1) {
            crate::incident::apply(&mut incident, &Event::AlertsCutOff { count: 1, group: Some(group) }, three());
        }
    }
    assert_eq!(incident.cut_off_by.len(), 20, "and groups without number are not kept apart");
}

/// The body that ends all that an incident can keep apart brings one more: it must not look as if nothing fired.
#[tokio::test]
async fn a_full_incident_whose_alerts_all_end_in_the_body_that_brings_another_goes_on() {
    let two = Two::open().await;
    let names: Vec<String> = (0..crate::incident::ALERTS_MOST).map(|number| format!("pod-{number}")).collect();
    let of = |status| names.iter().map(move |name| alert(Some(frontend()), name, status));
    two.told(Some(frontend()), &["f1"], AlertStatus::Resolved).await;
    let deliver = async |alerts: Vec<AlertSighting>| {
        let (group_key, status) = ("frontend".to_owned(), AlertStatus::Firing);
        two.inbox.deliver(&AlertDelivery { group_key, status, alerts, truncated: 0 }).await.unwrap();
    };
    deliver(of(AlertStatus::Firing).collect()).await;
    let new = alert(Some(frontend()), "new", AlertStatus::Firing);
    deliver(of(AlertStatus::Resolved).chain([new]).collect()).await;
    assert_eq!(two.firing(1).await, ["new"]);
    let incident = two.incident(1).await;
    assert_eq!((&incident.status, incident.cut_off), (&IncidentStatus::Open, 0));
}

/// What people and alerts do while somebody else decides on these incidents waits, and is then stored at once: none of it
/// is decided on in vain.
async fn waits_for(two: &Two, incidents: &[u32], act: impl Future<Output = ()>) {
    let busy = two.inbox.0.turns.of(incidents.iter().copied().map(IncidentId::new)).await;
    let mut act = Box::pin(act);
    // What waits for no turn asks the journal a few times, and is done.
    let meanwhile = async {
        for _ in 0..100 {
            two.inbox.live(10).await.unwrap();
        }
    };
    tokio::select! {
        () = &mut act => panic!("it was decided without the turn of {incidents:?}"),
        () = meanwhile => {}
    }
    drop(busy);
    act.await;
}

#[tokio::test]
async fn an_incident_joins_another_only_when_nobody_else_decides_on_either() {
    for busy in [1, 2] {
        let two = Two::open().await;
        waits_for(&two, &[busy], async { drop(two.joins("U0ONCALL").await) }).await;
        assert_eq!(two.incident(2).await.joined(), Some(IncidentId::new(1)));
    }
}

#[tokio::test]
async fn alerts_of_an_incident_that_joined_another_wait_for_who_decides_on_that() {
    let two = Two::open().await;
    two.joins("U0ONCALL").await;
    waits_for(&two, &[1], two.fires(None, &["g3"])).await;
    assert!(two.firing(1).await.contains(&"g3".to_owned()));
}

#[tokio::test]
async fn all_incidents_are_taken_once_nobody_else_decides_on_them() {
    for busy in [1, 2] {
        let two = Two::open().await;
        waits_for(&two, &[busy], async {
            two.says("U0ONCALL", 1, Act::AcknowledgeAll).await.unwrap();
        })
        .await;
        assert_eq!(
            (two.holder(1).await, two.holder(2).await),
            (Some("U0ONCALL".to_owned()), Some("U0ONCALL".to_owned()))
        );
    }
}
