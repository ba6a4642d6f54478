//! The first call waits for the diagnosis, and twenty seconds at most: with the real queue, on a clock that stands still.

use std::sync::Mutex;

use super::*;
use crate::{
    clock::Clock,
    engine::limits::TRIAGES_MOST,
    escalation::{Level, LevelNumber, PagerName, windows::DIAGNOSIS_WAIT},
    incident::{
        Act, AlertDelivery, AlertSighting, AlertStatus, Cause, Command, Fingerprint, Outcome, PageState, page_key,
    },
    mesh::{Namespace, TargetRef},
    people::{Actor, PersonId, Platform, Role},
};

/// Diagnoses that hang until they are let go, and a pager that notes what it is told, or goes quiet in the middle.
#[derive(Default)]
struct Responders {
    told: Mutex<Vec<String>>,
    triages: Mutex<u32>,
    /// The answer to a call never comes, although the call does.
    loses_answers: Mutex<bool>,
    let_go: Notify,
    more: Notify,
}

impl Responders {
    async fn until(&self, what: &str, there: impl Fn(&Self) -> bool) {
        let seen = async {
            loop {
                let more = self.more.notified();
                if there(self) {
                    return;
                }
                more.await;
            }
        };
        let came = tokio::time::timeout(Duration::from_secs(20), seen).await;
        assert!(came.is_ok(), "{what}: {:?}", self.told.lock().unwrap());
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    fn notes(&self, what: String) {
        self.told.lock().unwrap().push(what);
        self.more.notify_one();
    }
}

#[async_trait]
impl Perform for Responders {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        let key = page_key(&task.incident, &task.key);
        Ok(match &task.work {
            Work::Triage { run } => {
                *self.triages.lock().unwrap() += 1;
                self.more.notify_one();
                self.let_go.notified().await;
                Outcome::TriageFailed { run: *run, reason: "it hung".to_owned() }
            }
            Work::CallPager { level, pager, .. } => {
                let cause = if Cause::of(&task.incident).is_known() { "with the cause" } else { "without the cause" };
                self.notes(format!("{} is paged {cause}", task.incident.id));
                if *self.loses_answers.lock().unwrap() {
                    return Err(PerformError::Again { reason: "the connection was cut".to_owned(), after: None });
                }
                let lacks = crate::incident::Lacks::of(&task.incident);
                Outcome::PagerCalled { level: *level, page: Some((pager.clone(), key)), lacks }
            }
            Work::EndPage { key, .. } => {
                self.notes(format!("{key} is ended"));
                Outcome::PageEnded
            }
            Work::UpdatePage { key, .. } => {
                self.notes(format!("{key} is updated"));
                Outcome::CallCompleted
            }
            _ => Outcome::NoLongerWanted,
        }
        .into())
    }
}

fn one_level_with_a_pager() -> Policy {
    let level = Level {
        number: LevelNumber(1),
        team: "Platform On-Call".to_owned(),
        window: SignedDuration::from_mins(15),
        mentions: Vec::new(),
        pager: Some(PagerName("duty".to_owned())),
    };
    Policy { escalation: escalation::EscalationPolicy::of(vec![level]), ..policy() }
}

/// What outlives an engine of a night.
struct CalledBot {
    bot: TestBot,
    clock: Arc<VirtualClock>,
    hands: Arc<Responders>,
}

impl CalledBot {
    fn set() -> Self {
        let hands = Arc::default();
        let bot = TestBot::new().ruled_by(one_level_with_a_pager()).with([Room::Cluster, Room::Pager], &hands);
        Self { clock: bot.clock.clone(), bot, hands }
    }
}

async fn fires(engine: &Engine, service: usize) {
    comes(engine, vec![alert(service, "pod-1", AlertStatus::Firing)]).await;
}

fn alert(service: usize, pod: &str, status: AlertStatus) -> AlertSighting {
    let name = format!("svc/shop-{service}");
    AlertSighting {
        status,
        target: Some(TargetRef::parse(Namespace::parse("web").unwrap(), &name).unwrap()),
        ..AlertSighting::firing(
            "a",
            "c",
            IncidentKey(format!("c/a/web/{service}")),
            Fingerprint(format!("f{service}-{pod}")),
            Timestamp::UNIX_EPOCH,
        )
    }
}

/// One body of Alertmanager.
async fn comes(engine: &Engine, alerts: Vec<AlertSighting>) {
    let (group_key, status) = ("g".to_owned(), AlertStatus::Firing);
    engine.inbox().deliver(&AlertDelivery { group_key, status, alerts, truncated: 0 }).await.unwrap();
}

async fn somebody_takes(engine: &Engine, number: u32, now: Timestamp) {
    let id = PersonId { platform: Platform::Slack, workspace: "T0".to_owned(), user: "U0".to_owned() };
    let actor = Actor { id, also: [].into(), roles: [Role::Commander].into(), as_of: now };
    let command =
        Command { incident: IncidentId::new(number), actor, key: format!("ack-{number}"), act: Act::Acknowledge };
    engine.inbox().submit(&command).await.unwrap();
}

/// The pagers' room has looked by the time that it is now, and found nothing to do.
async fn nothing_is_called(engine: &Engine, hands: &Responders) {
    engine.pulse(Duration::from_secs(20)).await.unwrap();
    let waits = engine.shared.journal.backlog(engine.shared.clock.now()).await.unwrap();
    assert_eq!(waits.due.get(Room::Pager.name()), None, "no call is due or being made");
    assert_eq!(hands.told(), Vec::<String>::new());
}

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

#[tokio::test]
async fn ten_diagnoses_that_hang_delay_no_page_past_twenty_seconds_and_what_they_say_is_added() {
    let stage = CalledBot::set();
    let CalledBot { clock, hands, .. } = &stage;
    let engine = stage.bot.started().await;
    for service in 0..10 {
        fires(&engine, service).await;
    }
    hands.until("the diagnoses run", |hands| *hands.triages.lock().unwrap() == TRIAGES_MOST).await;
    clock.set(in_seconds(19));
    nothing_is_called(&engine, hands).await;
    clock.set(Timestamp::UNIX_EPOCH + DIAGNOSIS_WAIT);
    hands.until("ten pages", |hands| hands.told().len() == 10).await;
    assert!(hands.told().iter().all(|told| told.ends_with("without the cause")), "{:?}", hands.told());
    hands.let_go.notify_one();
    hands.until("an update", |hands| hands.told().iter().any(|told| told.ends_with("is updated"))).await;
    engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn the_end_of_the_diagnosis_releases_the_page_at_once_and_it_is_sent_once() {
    let stage = CalledBot::set();
    let CalledBot { clock, hands, .. } = &stage;
    let engine = stage.bot.started().await;
    fires(&engine, 1).await;
    hands.let_go.notify_one();
    hands.until("the page", |hands| !hands.told().is_empty()).await;
    engine.settled().await.unwrap();
    clock.set(in_seconds(60));
    engine.settled().await.unwrap();
    assert_eq!(hands.told(), ["INC-1 is paged with the cause"]);
    engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_page_that_waits_over_a_restart_goes_out_when_its_twenty_seconds_are_over() {
    let stage = CalledBot::set();
    let CalledBot { clock, hands, .. } = &stage;
    let engine = stage.bot.started().await;
    fires(&engine, 1).await;
    hands.until("the diagnosis runs", |hands| *hands.triages.lock().unwrap() == 1).await;
    clock.set(in_seconds(12));
    engine.stop(Duration::ZERO).await;
    drop(engine);

    let engine = stage.bot.started().await;
    hands.until("it is diagnosed again", |hands| *hands.triages.lock().unwrap() == 2).await;
    nothing_is_called(&engine, hands).await;
    clock.set(in_seconds(20));
    hands.until("the page", |hands| hands.told() == ["INC-1 is paged without the cause"]).await;
    engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_page_whose_answer_is_lost_is_ended_as_soon_as_somebody_has_the_incident() {
    let stage = CalledBot::set();
    let CalledBot { clock, hands, .. } = &stage;
    *hands.loses_answers.lock().unwrap() = true;
    let engine = stage.bot.started().await;
    fires(&engine, 1).await;
    hands.let_go.notify_one();
    hands.until("the page", |hands| !hands.told().is_empty()).await;
    engine.settled().await.unwrap();
    somebody_takes(&engine, 1, clock.now()).await;
    hands.until("its end", |hands| hands.told().len() == 2).await;
    let key = hands.told()[1].clone();
    assert!(key.starts_with("mtls-medic/c/INC-1/pager:") && key.ends_with(":L1 is ended"), "{key}");
    engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_page_that_a_process_sent_and_did_not_remember_is_ended_when_somebody_takes_the_incident_before_it_is_sent_again()
 {
    let stage = CalledBot::set();
    let CalledBot { clock, hands, .. } = &stage;
    let engine = stage.bot.started().await;
    fires(&engine, 1).await;
    hands.until("the diagnosis runs", |hands| *hands.triages.lock().unwrap() == 1).await;
    engine.stop(Duration::ZERO).await;
    clock.set(in_seconds(20));
    // The process took the page up, and died before anybody could store what it came to.
    let (now, until) = (clock.now(), in_seconds(60));
    let claims = engine.shared.journal.claim(Room::Pager, now, until, 10).await.unwrap();
    assert_eq!(claims.len(), 1);
    drop(engine);

    let engine = stage.bot.built().await;
    somebody_takes(&engine, 1, clock.now()).await;
    engine.start();
    clock.set(in_seconds(61));
    hands.until("its end", |hands| !hands.told().is_empty()).await;
    assert!(hands.told()[0].ends_with(":L1 is ended"), "{:?}", hands.told());
    engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_body_in_which_one_alert_ends_and_another_begins_leaves_the_page_ringing() {
    let stage = CalledBot::set();
    let CalledBot { hands, .. } = &stage;
    let engine = stage.bot.started().await;
    fires(&engine, 1).await;
    hands.let_go.notify_one();
    hands.until("the page", |hands| !hands.told().is_empty()).await;
    engine.settled().await.unwrap();
    let body = [("pod-1", AlertStatus::Resolved), ("pod-2", AlertStatus::Firing)];
    comes(&engine, body.map(|(pod, status)| alert(1, pod, status)).to_vec()).await;
    engine.settled().await.unwrap();
    assert_eq!(hands.told(), ["INC-1 is paged with the cause"], "neither ended nor rung anew");
    let incident = engine.inbox().incident(IncidentId::new(1)).await.unwrap().unwrap().incident;
    assert!(incident.is_firing() && incident.history.iter().all(|line| line.text != "all alerts resolved"));
    engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_page_that_ended_and_fires_again_in_one_moment_is_made_anew() {
    let stage = CalledBot::set();
    let CalledBot { hands, .. } = &stage;
    let engine = stage.bot.started().await;
    fires(&engine, 1).await;
    hands.let_go.notify_one();
    hands.until("the page", |hands| !hands.told().is_empty()).await;
    engine.settled().await.unwrap();
    comes(&engine, vec![alert(1, "pod-1", AlertStatus::Resolved)]).await;
    comes(&engine, vec![alert(1, "pod-2", AlertStatus::Firing)]).await;
    engine.settled().await.unwrap();
    let told = hands.told();
    assert_eq!(told.iter().filter(|told| told.ends_with("is paged with the cause")).count(), 2, "{told:?}");
    assert_eq!(told.iter().filter(|told| told.ends_with("is ended")).count(), 1, "{told:?}");
    let pages = engine.inbox().incident(IncidentId::new(1)).await.unwrap().unwrap().incident.calls.pages;
    let rings = pages.iter().filter(|page| page.state == PageState::Ringing).count();
    assert_eq!(rings, 1, "{pages:?}");
    engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_page_that_was_never_tried_is_not_ended() {
    let stage = CalledBot::set();
    let CalledBot { clock, hands, .. } = &stage;
    let engine = stage.bot.started().await;
    fires(&engine, 1).await;
    somebody_takes(&engine, 1, clock.now()).await;
    clock.set(in_seconds(30));
    hands.until("the diagnosis runs", |hands| *hands.triages.lock().unwrap() >= 1).await;
    hands.let_go.notify_one();
    engine.settled().await.unwrap();
    assert_eq!(hands.told(), Vec::<String>::new());
    engine.stop(Duration::ZERO).await;
}
