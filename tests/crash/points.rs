//! kill -9 at every crash point × kind of effect, and a restart: no incident, page, post or fix is lost, and no fix, card or
//! post is done twice.
//!
//! Each night runs in a child process (this binary again) that kills itself with SIGKILL at the point; a second process
//! then opens the same journal and plays the night to its end. The world lives on meanwhile: a workspace and a pager in
//! this process, behind the real adapters, and a cluster in a file.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{Command as Process, Stdio},
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use mtls_medic::{
    alertmanager::Authentication,
    approval::ApprovalRule,
    chat::{
        Outgoing, connector,
        pager::{Pager, Pagers},
    },
    clock::{Clock, SpedClock},
    commands::bot::{Bot, Parts},
    engine::{CrashPoint, Crasher, Engine},
    escalation::{self, Level, LevelNumber, PagerName, windows::DIAGNOSIS_WAIT},
    incident::{
        Act, AlertDelivery, AlertSighting, AlertStatus, Command, Destination, Fingerprint, FixPhase, Incident,
        IncidentKey, Policy, Room, Triage, Work,
    },
    journal::{Journal, Verified, verify_chain},
    people::{Actor, Mention, PersonId, Platform, Role},
    triage::FixName,
};
use serde::{Deserialize, Serialize};
use strum::VariantNames;

use crate::{
    chat::{Chat, Of},
    cluster::{Cluster, target},
    fake_pager::FakePager,
};

const POINTS: [(&str, CrashPoint); 4] = [
    ("unclaimed", CrashPoint::Unclaimed),
    ("claimed", CrashPoint::Claimed),
    ("acted", CrashPoint::ActedNotRecorded),
    ("recorded", CrashPoint::Recorded),
];
/// Kinds of work that this night does not come to: its calls wait for a diagnosis that ends at once, so that nothing has to be
/// added to them.
const NOT_OF_THIS_NIGHT: [&str; 2] = ["update_page", "update_mention"];

/// Every other kind that there is.
fn kinds() -> impl Iterator<Item = &'static str> {
    Work::VARIANTS.iter().copied().filter(|kind| !NOT_OF_THIS_NIGHT.contains(kind))
}

/// How fast the clock of a night runs. Claims last 40 s of it, and no call may take longer in real time.
const RATE: i32 = 5;

fn policy(of: Of) -> Policy {
    let level = Level {
        number: LevelNumber(1),
        team: "Platform On-Call".to_owned(),
        window: SignedDuration::from_mins(10),
        mentions: vec![Mention::user(of.platform(), of.level())],
        pager: Some(PagerName("on-call".to_owned())),
    };
    // A timer of the ladder falls into the night: the reminder, after 6 s of its clock.
    let ladder = escalation::EscalationPolicy { reminder_percent: 99, ..escalation::EscalationPolicy::of(vec![level]) };
    let channel = Destination { face: of.face(), channel: of.channel().to_owned() };
    Policy {
        approval: ApprovalRule { needed: 1, expires_after: SignedDuration::from_hours(1) },
        verification_window: SignedDuration::from_secs(10),
        writes_enabled: true,
        ..Policy::usual(ladder, vec![channel])
    }
}

fn alert() -> AlertDelivery {
    let sighting = AlertSighting {
        target: Some(target()),
        ..AlertSighting::firing(
            "MTLSHandshakeFailureRateHigh",
            "prod",
            IncidentKey("prod/web/frontend".to_owned()),
            Fingerprint("f1".to_owned()),
            Timestamp::from_second(1_700_000_000).unwrap(),
        )
    };
    AlertDelivery { group_key: "g".to_owned(), status: AlertStatus::Firing, alerts: vec![sighting], truncated: 0 }
}

fn command(incident: &Incident, who: &str, act: Act, now: Timestamp) -> Command {
    let roles = [Role::Commander, Role::Approver].into();
    // Who decides may be on another platform than the one that is written to.
    let id = PersonId { platform: Platform::Slack, workspace: "T0TEAM".to_owned(), user: who.to_owned() };
    // Each says it once, by its key, as platforms repeat requests.
    Command { incident: incident.id, actor: Actor { id, also: [].into(), roles, as_of: now }, key: who.to_owned(), act }
}

/// What the people of the night do next. Who approves has read the question first.
async fn next_act(engine: &Engine, clock: &SpedClock, incident: &Incident) {
    let inbox = engine.inbox();
    if !matches!(incident.triage, Triage::Done { .. }) {
        return;
    }
    let asking = incident.fix.as_ref().is_some_and(|fix| matches!(fix.phase, FixPhase::Asking { .. }));
    if incident.fix.is_none() && incident.past_fixes.is_empty() {
        // Who works has it, and is called and reminded no more: on this night they begin when they were.
        all_is_said(engine, clock).await;
        let now = clock.now();
        let act = Act::ProposeFix { fix: FixName::RestartPod };
        drop(inbox.submit(&command(incident, "U0ONCALL", act, now)).await);
    } else if asking {
        all_is_said(engine, clock).await;
        let now = clock.now();
        drop(inbox.submit(&command(incident, "U0SEC", Act::Approve { plan: None }, now)).await);
    }
}

/// What a process of the night is told.
#[derive(Serialize, Deserialize)]
struct Case {
    point: String,
    kind: String,
    folder: PathBuf,
    /// When the night began: the clock of every process of it counts from there.
    began: Timestamp,
    /// Which chat is written to, and its API.
    of: Of,
    api: String,
    pager: String,
    /// The night ends with the page of a diagnosis that hangs.
    diagnosis_hangs: bool,
}

impl Case {
    fn clock(&self) -> Arc<SpedClock> {
        let passed = Timestamp::now().duration_since(self.began);
        Arc::new(SpedClock::new(self.began + passed * RATE, f64::from(RATE)))
    }

    async fn bot(&self, clock: Arc<SpedClock>) -> Bot {
        let chat = self.of.performer(&self.api, clock.clone());
        let pager = Pager::Generic { url: self.pager.clone().into(), token: None };
        let by_name = BTreeMap::from([(PagerName("on-call".to_owned()), pager)]);
        let pagers = Arc::new(Pagers::new(Outgoing::new(connector().unwrap()), by_name));
        let cluster = Arc::new(Cluster::of(&self.folder, clock.clone()).with_triages_that_hang(self.diagnosis_hangs));
        let (journal, open) = (self.folder.join("journal.sqlite"), Authentication::AtTheProxy);
        let mut parts = Parts::new(journal, clock, "prod", policy(self.of), open);
        parts.performers = vec![
            (Room::Cluster, cluster.clone()),
            (Room::Execute, cluster),
            (Room::Chat(self.of.face()), chat),
            (Room::Pager, pagers),
        ];
        parts.crasher = self.crasher();
        Bot::start(parts).await.unwrap()
    }

    /// What kills this process at its point.
    fn crasher(&self) -> Option<Crasher> {
        let (_, point) = POINTS.into_iter().find(|(name, _)| *name == self.point)?;
        let of = self.kind.clone();
        Some(Arc::new(move |at, work| {
            if at == point && work.name() == of {
                let me = std::process::id().to_string();
                drop(Process::new("kill").args(["-9", &me]).status());
                std::process::abort();
            }
        }))
    }
}

/// Waits until everything is done that is due in this night: what is tried again, and the reminder.
async fn all_is_said(engine: &Engine, clock: &SpedClock) {
    engine.settled().await.unwrap();
    while let Some(due) = engine.next_due().await.unwrap() {
        if due > clock.now() + SignedDuration::from_mins(4) {
            return;
        }
        clock.sleep_until(due).await;
        engine.settled().await.unwrap();
    }
}

/// Plays the night until the fix has ended and everything that was due is done. The alert is sent again, as Alertmanager
/// does after a failed delivery.
async fn night(case: &Case) {
    let clock = case.clock();
    let Bot { engine, inbox, .. } = case.bot(clock.clone()).await;
    let mut changes = inbox.changes();
    inbox.deliver(&alert()).await.unwrap();
    loop {
        let newest = inbox.newest(1).await.unwrap();
        let incident = &newest[0].incident;
        if !incident.past_fixes.is_empty() {
            break;
        }
        next_act(&engine, &clock, incident).await;
        drop(tokio::time::timeout(Duration::from_millis(100), changes.recv()).await);
    }
    all_is_said(&engine, &clock).await;
    engine.stop(Duration::from_secs(5)).await;
}

/// The page of a diagnosis that hangs, as a process of such a night sees it: twenty seconds after the opening, and not
/// much later, also when a process died meanwhile.
async fn paged_without_a_diagnosis(case: &Case) {
    let clock = case.clock();
    let Bot { engine, inbox, .. } = case.bot(clock.clone()).await;
    let mut changes = inbox.changes();
    inbox.deliver(&alert()).await.unwrap();
    let incident = loop {
        let incident = inbox.newest(1).await.unwrap().remove(0).incident;
        if !incident.calls.pages.is_empty() {
            break incident;
        }
        drop(tokio::time::timeout(Duration::from_millis(100), changes.recv()).await);
    };
    let waited = clock.now().duration_since(incident.opened_at);
    assert!(waited >= DIAGNOSIS_WAIT, "{waited:#}");
    // A machine under load takes seconds of this clock for what takes none.
    assert!(waited < DIAGNOSIS_WAIT + SignedDuration::from_secs(15), "{waited:#}");
    engine.stop(Duration::ZERO).await;
}

const CHILD: &str = "MTLS_MEDIC_CRASH_TEST";

/// Not a test of its own: what a child process runs. Without its variable it is nothing.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(case) = std::env::var(CHILD) else { return };
    let case: Case = serde_json::from_str(&case).unwrap();
    if case.diagnosis_hangs { paged_without_a_diagnosis(&case).await } else { night(&case).await }
}

async fn runs(case: &Case) -> std::process::ExitStatus {
    let case = serde_json::to_string(case).unwrap();
    let run = move || {
        Process::new(std::env::current_exe().unwrap())
            .args(["--exact", "points::child", "--nocapture"])
            .env(CHILD, case)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// What a night came to.
struct KilledNight {
    label: String,
    calls: Vec<String>,
    chat: Chat,
    pages: FakePager,
    _folder: tempfile::TempDir,
}

impl KilledNight {
    /// A night whose first process dies at `point` of a `kind` of work and whose second plays it to its end; with the
    /// point `none`, one that nobody kills.
    async fn killed_at(of: Of, point: &str, kind: &str) -> Self {
        let (chat, pages) = (Chat::open(of).await, FakePager::open().await);
        let folder = tempfile::tempdir().unwrap();
        let label = format!("{point} × {kind}");
        let mut case = Case {
            point: point.to_owned(),
            kind: kind.to_owned(),
            folder: folder.path().to_owned(),
            began: Timestamp::now(),
            of,
            api: chat.api(),
            pager: pages.url(),
            diagnosis_hangs: false,
        };
        if point != "none" {
            assert!(!runs(&case).await.success(), "{label}: the child was not killed");
            "none".clone_into(&mut case.point);
        }
        assert!(runs(&case).await.success(), "{label}: the night was not played to its end");
        let journal = Journal::open(&folder.path().join("journal.sqlite")).await.unwrap();
        let stored = journal.newest(10).await.unwrap();
        assert_eq!(stored.len(), 1, "{label}: one incident");
        let links = journal.links(stored[0].incident.id).await.unwrap();
        assert!(matches!(verify_chain(stored[0].incident.id, &links), Verified::Holds { .. }), "{label}");
        Self { label, calls: Cluster::calls(folder.path()), chat, pages, _folder: folder }
    }

    /// What stands in the channel, message by message: the first words of each, without names and times of this night.
    fn posts(&self) -> Vec<String> {
        let first_words = |text: &str| {
            let same_every_night = |word: &&str| !word.contains(|c: char| c.is_ascii_digit());
            text.split_whitespace().filter(same_every_night).take(4).collect::<Vec<_>>().join(" ")
        };
        let mut posts: Vec<String> = self.chat.posts().iter().map(|text| first_words(text)).collect();
        posts.sort();
        posts
    }

    fn evictions(&self, call: &str) -> usize {
        self.calls.iter().filter(|seen| seen.starts_with(call)).count()
    }

    fn the_fix_ran_once(&self) {
        let label = &self.label;
        assert_eq!(self.evictions("evicted "), 1, "{label}: {:?}", self.calls);
        let asked = if label == "acted × run_step" { 2 } else { 1 };
        assert_eq!(self.evictions("asked to evict "), asked, "{label}: {:?}", self.calls);
    }

    fn there_is_one_card(&self) {
        assert_eq!(self.chat.cards(), 1, "{}:\n{}", self.label, self.chat.transcript());
    }

    fn no_post_is_lost_or_doubled(&self, quiet: &Self) {
        let label = &self.label;
        assert_eq!(self.posts(), quiet.posts(), "{label}: the posts of a night that nobody killed");
    }

    /// A page may be doubled only if the process dies between the pager's answer and our commit. Any kill at the opening
    /// may fall there; one of a later kind, or at another point of the page itself, cannot.
    fn no_page_is_lost_and_one_is_doubled_only_between_the_answer_and_our_commit(&self) {
        let (label, keys) = (&self.label, self.pages.rung());
        let times = match label.split_once(" × ").unwrap() {
            ("acted", "call_pager") => 2..=2,
            (_, "call_pager" | "run_step" | "await_step" | "sample" | "end_page" | "none") => 1..=1,
            _ => 1..=2,
        };
        assert!(times.contains(&keys.len()), "{label}: {keys:?}");
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{label}: a repeat carries the key of the first");
    }
}

/// Plays the night once for each of these kinds of work and each point, and once without a kill.
async fn killed_everywhere(of: Of, kinds: &[&'static str]) {
    let quiet = tokio::spawn(KilledNight::killed_at(of, "none", "none"));
    // A night mostly waits, so many at once.
    let cases = POINTS.iter().flat_map(|(name, _)| kinds.iter().map(move |kind| (*name, *kind)));
    let nights: Vec<_> = futures::stream::iter(cases)
        .map(|(name, kind)| tokio::spawn(KilledNight::killed_at(of, name, kind)))
        .buffer_unordered(14)
        .map(Result::unwrap)
        .collect()
        .await;
    let quiet = quiet.await.unwrap();
    assert!(quiet.posts().len() >= 6, "a night says more than this: {:?}", quiet.posts());
    assert!(quiet.posts().iter().any(|post| post.contains("is mentioned")), "{:?}", quiet.posts());
    for night in nights.iter().chain([&quiet]) {
        night.the_fix_ran_once();
        night.there_is_one_card();
        night.no_post_is_lost_or_doubled(&quiet);
        night.no_page_is_lost_and_one_is_doubled_only_between_the_answer_and_our_commit();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_every_point_loses_no_incident_page_or_post_and_repeats_no_fix() {
    if std::env::var(CHILD).is_err() {
        killed_everywhere(Of::Slack, &kinds().collect::<Vec<_>>()).await;
    }
}

/// The kinds that a chat performs: all others are the same whatever is written to.
#[cfg(feature = "discord")]
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_every_point_of_what_discord_is_sent_loses_and_doubles_no_card_call_or_post() {
    if std::env::var(CHILD).is_err() {
        killed_everywhere(Of::Discord, &["draw_card", "post", "mention"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_the_page_waits_for_the_diagnosis_moves_the_page_by_nothing() {
    if std::env::var(CHILD).is_ok() {
        return;
    }
    let (chat, pages) = (Chat::open(Of::Slack).await, FakePager::open().await);
    let folder = tempfile::tempdir().unwrap();
    let mut case = Case {
        point: "unclaimed".to_owned(),
        kind: "call_pager".to_owned(),
        folder: folder.path().to_owned(),
        began: Timestamp::now(),
        of: Of::Slack,
        api: chat.api(),
        pager: pages.url(),
        diagnosis_hangs: true,
    };
    assert!(!runs(&case).await.success(), "killed when the page was asked for, and before it was due");
    assert!(pages.rung().is_empty());
    "none".clone_into(&mut case.point);
    assert!(runs(&case).await.success(), "the page did not come in time");
    assert_eq!(pages.rung().len(), 1);
}
