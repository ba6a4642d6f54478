//! kill -9 at every crash point × kind of effect, and a restart: no incident, page or fix is lost, and no fix is repeated.
//!
//! Each case runs a night in a child process (this binary again) that kills itself with SIGKILL at the point; a second
//! process then opens the same journal and plays the night to its end. What was done to the outside world is in a file:
//! posts are looked for by their key before they are repeated, as the Slack face does, and an eviction by its UID.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail")]

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command as Process, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use mtls_medic::{
    approval::Rule,
    clock::SystemClock,
    engine::{CrashPoint, Delivery, Done, Engine, Inbox, MessageRef, Perform, PerformError, Task},
    escalation::{self, Level, LevelNumber},
    incident::{
        Act, AlertDelivery, AlertSighting, AlertStatus, Command, Destination, Face, Fingerprint, FixPhase, Incident,
        IncidentKey, Outcome, Policy, Room, Triage, Work,
    },
    journal::{Journal, Verified, verify_chain},
    mesh::{Namespace, ObjectName, PodRef, PodUid, TargetRef},
    people::{Actor, Mention, PersonId, Platform, Role},
    remediation::{Counters, Operation, Plan, PlannedPod, Sample},
    triage::{Confidence, FixName, On, Scenario, Side, VERDICT_SCHEMA, Verdict},
};

const POINTS: [(&str, CrashPoint); 4] = [
    ("unclaimed", CrashPoint::Unclaimed),
    ("claimed", CrashPoint::Claimed),
    ("acted", CrashPoint::ActedNotRecorded),
    ("recorded", CrashPoint::Recorded),
];
const KINDS: [&str; 8] = ["triage", "plan", "step", "poll", "sample", "card", "post", "mention"];

fn kind(work: &Work) -> &'static str {
    match work {
        Work::Timer { .. } => "timer",
        Work::Triage { .. } => "triage",
        Work::DrawPlan { .. } => "plan",
        Work::RunStep { .. } => "step",
        Work::PollReplacement { .. } => "poll",
        Work::Sample { .. } => "sample",
        Work::DrawCard { .. } => "card",
        Work::Post { .. } => "post",
        Work::Mention { .. } => "mention",
        Work::CallPager { .. } => "pager",
        Work::EndPage { .. } => "page-end",
    }
}

/// The outside world: what was done to it, by key.
struct World(Mutex<PathBuf>);

impl World {
    fn acts(folder: &Path) -> BTreeMap<String, usize> {
        let text = fs::read_to_string(folder.join("acts")).unwrap_or_default();
        text.lines().fold(BTreeMap::new(), |mut acts, line| {
            *acts.entry(line.to_owned()).or_default() += 1;
            acts
        })
    }

    /// Does something unless it was done before: looked for, as a face looks for its key.
    fn once(&self, act: &str) {
        let folder = self.0.lock().unwrap();
        if !Self::acts(&folder).contains_key(act) {
            let mut file = fs::File::options().create(true).append(true).open(folder.join("acts")).unwrap();
            writeln!(file, "{act}").unwrap();
        }
    }
}

fn target() -> TargetRef {
    TargetRef::parse(Namespace::parse("web").unwrap(), "svc/frontend").unwrap()
}

fn pod(name: &str) -> PodRef {
    PodRef { namespace: Namespace::parse("web").unwrap(), name: ObjectName::parse(name).unwrap() }
}

fn uid(name: &str) -> PodUid {
    PodUid::parse(&format!("uid-{name}")).unwrap()
}

fn verdict() -> Verdict {
    Verdict {
        schema: VERDICT_SCHEMA.to_owned(),
        target: target(),
        at: Timestamp::now(),
        scenario: Scenario::ExpiredCertificate,
        confidence: Confidence::High,
        on: On { side: Side::Client, pods: vec![pod("frontend-1")], lives: Vec::new(), nodes: Vec::new() },
        reasons: vec!["the SVID ended".to_owned()],
        ruled_out: Vec::new(),
        consequences: Vec::new(),
        checks: Vec::new(),
        not_checked: Vec::new(),
        fixes: vec![FixName::RestartPod],
        never: Vec::new(),
        call_at_once: None,
    }
}

fn plan() -> Plan {
    let planned = PlannedPod {
        pod: pod("frontend-1"),
        uid: uid("frontend-1"),
        node: None,
        controller: "ReplicaSet/frontend".to_owned(),
        workload: "Deployment/frontend".to_owned(),
        because: "expired".to_owned(),
    };
    Plan {
        fix: FixName::RestartPod,
        target: target(),
        drawn_at: Timestamp::now(),
        operations: vec![Operation::EvictPod(planned)],
        ready: (1, 1),
        budgets: Vec::new(),
        warnings: Vec::new(),
        undo: "nothing".to_owned(),
        kubectl: Vec::new(),
        lives: Vec::new(),
    }
}

#[async_trait]
impl Perform for World {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        let shown = |to: &Destination, slot: &str, outcome: Outcome| {
            let message = MessageRef { id: task.key.clone(), version: task.incident.version };
            Done {
                outcome,
                delivery: Some(Delivery { to: to.clone(), slot: slot.to_owned(), message }),
                evidence: None,
            }
        };
        Ok(match &task.work {
            Work::Triage { run } => {
                Outcome::TriageFinished { run: *run, verdict: Box::new(verdict()), evidence: None }.into()
            }
            Work::DrawPlan { fix } => Outcome::PlanDrawn { fix: *fix, plan: Box::new(plan()) }.into(),
            Work::RunStep { plan, step, .. } => {
                self.once("evict uid-frontend-1");
                Outcome::StepDone { plan: plan.clone(), step: *step }.into()
            }
            Work::PollReplacement { plan, step, .. } => Outcome::ReplacementReady {
                plan: plan.clone(),
                step: *step,
                pod: pod("frontend-2"),
                uid: uid("frontend-2"),
                not_after: Timestamp::now() + SignedDuration::from_hours(1),
            }
            .into(),
            Work::Sample { fix, round } => {
                let seconds = u64::try_from(Timestamp::now().as_millisecond()).unwrap();
                let counters = Counters {
                    server_handshakes: Some(seconds),
                    server_failures: Some(0),
                    requests_answered: Some(seconds),
                    requests_failed: Some(0),
                    new_log_errors: Some(0),
                    ..Counters::default()
                };
                let sample = Sample {
                    pod: pod("frontend-2"),
                    uid: uid("frontend-2"),
                    uptime_seconds: Some(1),
                    at: Timestamp::now(),
                    counters,
                    svid_not_after: Some(Timestamp::now() + SignedDuration::from_hours(1)),
                };
                Outcome::Sampled { fix: *fix, round: *round, samples: vec![sample], unreadable: Vec::new() }.into()
            }
            Work::DrawCard { to } => {
                if task.root.is_none() {
                    self.once("card");
                }
                shown(to, "card", Outcome::Shown { to: to.clone(), first_card: task.root.is_none() })
            }
            Work::Post { to, .. } => {
                self.once(&format!("post {}", task.key));
                shown(to, &task.key, Outcome::Shown { to: to.clone(), first_card: false })
            }
            Work::Mention { to, level, .. } => {
                self.once(&format!("mention {level} {}", task.key));
                shown(to, &task.key, Outcome::Mentioned { level: *level, to: to.clone() })
            }
            _ => Outcome::NoLongerWanted.into(),
        })
    }
}

fn policy() -> Policy {
    Policy {
        escalation: escalation::Policy {
            levels: vec![Level {
                number: LevelNumber(1),
                team: "Platform On-Call".to_owned(),
                window: SignedDuration::from_mins(15),
                mentions: vec![Mention::Group("S1".to_owned())],
                pager: None,
            }],
            repeat_every: SignedDuration::from_hours(1),
            reminder_percent: 33,
            fallback_pager: None,
        },
        approval: Rule { needed: 1, expires_after: SignedDuration::from_mins(10) },
        channels: vec![Destination { face: Face::Page, channel: "incidents".to_owned() }],
        hold: SignedDuration::from_mins(5),
        flap: SignedDuration::from_mins(30),
        stale_after: SignedDuration::from_hours(8),
        storm_per_minute: 10,
        verification_window: SignedDuration::from_millis(50),
        replacement_within: SignedDuration::from_mins(5),
        writes_enabled: true,
    }
}

fn alert() -> AlertDelivery {
    let sighting = AlertSighting {
        key: IncidentKey("prod/web/frontend".to_owned()),
        fingerprint: Fingerprint("f1".to_owned()),
        name: "MTLSHandshakeFailureRateHigh".to_owned(),
        status: AlertStatus::Firing,
        starts_at: Timestamp::from_second(1_700_000_000).unwrap(),
        cluster: "prod".to_owned(),
        target: Some(target()),
        pod: None,
        labels: BTreeMap::new(),
        summary: None,
    };
    AlertDelivery { group_key: "g".to_owned(), status: AlertStatus::Firing, alerts: vec![sighting], truncated: 0 }
}

fn command(incident: &Incident, who: &str, act: Act, key: &str) -> Command {
    let roles = [Role::Commander, Role::Approver].into();
    let id = PersonId { platform: Platform::Page, workspace: "w".to_owned(), user: who.to_owned() };
    Command { incident: incident.id, actor: Actor { id, roles, as_of: Timestamp::now() }, key: key.to_owned(), act }
}

/// What the people of the night do next; each says it once, by its key, as platforms repeat requests.
async fn next_act(inbox: &Inbox, incident: &Incident) {
    if !matches!(incident.triage, Triage::Done { .. }) {
        return;
    }
    let asking = incident.fix.as_ref().is_some_and(|fix| matches!(fix.phase, FixPhase::Asking { .. }));
    if incident.fix.is_none() && incident.past_fixes.is_empty() {
        let act = Act::ProposeFix { fix: FixName::RestartPod };
        drop(inbox.submit(&command(incident, "on-call", act, "propose")).await);
    } else if asking {
        drop(inbox.submit(&command(incident, "security", Act::Approve { plan: None }, "approve")).await);
    }
}

/// Plays the night until the fix has ended. The alert is sent again, as Alertmanager does after a failed delivery.
async fn night(folder: &Path, crash_at: Option<(CrashPoint, &'static str)>) {
    let journal = Journal::open(&folder.join("journal.sqlite")).await.unwrap();
    let world = Arc::new(World(Mutex::new(folder.to_owned())));
    let mut builder = Engine::builder(journal, Arc::new(SystemClock), "prod", policy());
    for room in [Room::Cluster, Room::Execute, Room::Chat(Face::Page)] {
        builder = builder.performer(room, world.clone());
    }
    if let Some((point, of)) = crash_at {
        builder = builder.crasher(Arc::new(move |at, work| {
            if at == point && kind(work) == of {
                let me = std::process::id().to_string();
                drop(Process::new("kill").args(["-9", &me]).status());
                std::process::abort();
            }
        }));
    }
    let engine = builder.build().await.unwrap();
    engine.start();
    let inbox = engine.inbox();
    let mut changes = inbox.changes();
    inbox.deliver(&alert()).await.unwrap();
    loop {
        let newest = inbox.newest(1).await.unwrap();
        let incident = &newest[0].incident;
        if !incident.past_fixes.is_empty() {
            break;
        }
        next_act(&inbox, incident).await;
        drop(tokio::time::timeout(Duration::from_millis(100), changes.recv()).await);
    }
    engine.settled().await.unwrap();
    engine.stop(Duration::from_secs(5)).await;
}

const CHILD: &str = "MTLS_MEDIC_CRASH_TEST";

/// Not a test of its own: what a child process runs. Without its variable it is nothing.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(case) = std::env::var(CHILD) else { return };
    let parts: Vec<&str> = case.split('|').collect();
    let point = POINTS.iter().find(|(name, _)| *name == parts[0]).map(|(_, point)| *point);
    let of = KINDS.iter().find(|kind| **kind == parts[1]).copied();
    night(Path::new(parts[2]), point.zip(of)).await;
}

fn runs(case: &str) -> std::process::ExitStatus {
    Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, case)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_every_point_loses_no_incident_page_or_fix_and_repeats_no_fix() {
    if std::env::var(CHILD).is_ok() {
        return;
    }
    // A night mostly waits, so eight at once.
    let cases = POINTS.iter().flat_map(|(name, _)| KINDS.iter().map(move |of| (*name, *of)));
    futures::stream::iter(cases)
        .map(|(name, of)| tokio::spawn(one_case(name, of)))
        .buffer_unordered(8)
        .for_each(async |ended| ended.unwrap())
        .await;
}

async fn one_case(name: &'static str, of: &'static str) {
    let folder = tempfile::tempdir().unwrap();
    let label = format!("{name} × {of}");
    let case = format!("{name}|{of}|{}", folder.path().display());
    let first = tokio::task::spawn_blocking(move || runs(&case)).await.unwrap();
    assert!(!first.success(), "{label}: the child was not killed");
    let case = format!("none|none|{}", folder.path().display());
    let second = tokio::task::spawn_blocking(move || runs(&case)).await.unwrap();
    assert!(second.success(), "{label}: the night was not played to its end after the restart");

    let acts = World::acts(folder.path());
    assert_eq!(acts.get("evict uid-frontend-1"), Some(&1), "{label}: the fix ran {acts:?}");
    assert_eq!(acts.get("card"), Some(&1), "{label}");
    assert!(acts.keys().any(|act| act.starts_with("mention L1")), "{label}: the page was lost");
    assert!(acts.values().all(|count| *count == 1), "{label}: something was done twice: {acts:?}");

    let journal = Journal::open(&folder.path().join("journal.sqlite")).await.unwrap();
    let stored = journal.newest(10).await.unwrap();
    assert_eq!(stored.len(), 1, "{label}: one incident");
    let links = journal.links(stored[0].incident.id).await.unwrap();
    assert!(matches!(verify_chain(stored[0].incident.id, &links), Verified::Holds { .. }), "{label}");
}
