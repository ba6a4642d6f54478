//! The cluster of a night: a file, so that it survives the bot.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use mtls_medic::{
    clock::{Clock, SpedClock},
    engine::{Done, Perform, PerformError, Task},
    incident::{Outcome, Work},
    mesh::{ControllerRef, Namespace, ObjectName, PodRef, PodUid, TargetRef},
    remediation::{Counters, Operation, Plan, PlanContent, PodEviction, Sample, StepResult},
    triage::{Confidence, FixName, On, Scenario, Side, VERDICT_SCHEMA, Verdict},
};

/// The cluster: it survives the bot, and logs every call. Chat and pagers are the real adapters, against a workspace and
/// a pager that live in the parent.
pub struct Cluster {
    folder: PathBuf,
    clock: Arc<SpedClock>,
    one_at_a_time: Mutex<()>,
    triages_hang: bool,
}

impl Cluster {
    pub fn of(folder: &Path, clock: Arc<SpedClock>) -> Self {
        Self { folder: folder.to_owned(), clock, one_at_a_time: Mutex::default(), triages_hang: false }
    }

    /// The same, whose API server answers no diagnosis.
    pub fn with_triages_that_hang(self, hang: bool) -> Self {
        Self { triages_hang: hang, ..self }
    }

    /// What was asked of the cluster of that folder so far.
    pub fn calls(folder: &Path) -> Vec<String> {
        let text = fs::read_to_string(folder.join("calls")).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    fn log(&self, call: &str) {
        let mut file = fs::File::options().create(true).append(true).open(self.folder.join("calls")).unwrap();
        writeln!(file, "{call}").unwrap();
    }

    /// The pod that lives now: each eviction brings the next one up, so a plan that ran twice would evict two.
    fn living(&self) -> String {
        let evicted = Self::calls(&self.folder).iter().filter(|call| call.starts_with("evicted ")).count();
        format!("frontend-{}", evicted + 1)
    }

    /// The UID is the only thing that it looks at, as the API server does; a life that is over is done.
    fn evict(&self, uid: &PodUid) {
        let _one = self.one_at_a_time.lock().unwrap();
        self.log(&format!("asked to evict {}", uid.as_str()));
        if uid.as_str() == format!("uid-{}", self.living()) {
            self.log(&format!("evicted {}", uid.as_str()));
        }
    }
}

pub fn target() -> TargetRef {
    TargetRef::parse(Namespace::parse("web").unwrap(), "svc/frontend").unwrap()
}

fn pod(name: &str) -> PodRef {
    PodRef { namespace: Namespace::parse("web").unwrap(), name: ObjectName::parse(name).unwrap() }
}

fn uid(name: &str) -> PodUid {
    PodUid::parse(&format!("uid-{name}")).unwrap()
}

fn verdict(at: Timestamp) -> Verdict {
    Verdict {
        schema: VERDICT_SCHEMA.to_owned(),
        target: target(),
        at,
        scenario: Scenario::ExpiredCertificate,
        confidence: Confidence::High,
        on: On { side: Side::Client, pods: vec![pod("frontend-1")], lives: Vec::new(), nodes: Vec::new() },
        reasons: vec!["the SVID ended".into()],
        ruled_out: Vec::new(),
        consequences: Vec::new(),
        checks: Vec::new(),
        not_checked: Vec::new(),
        fixes: vec![FixName::RestartPod],
        never: Vec::new(),
        call_at_once: None,
    }
}

fn plan(living: &str, at: Timestamp) -> Plan {
    let planned = PodEviction {
        pod: pod(living),
        uid: uid(living),
        node: None,
        controller: ControllerRef::new("ReplicaSet", "frontend"),
        workload: ControllerRef::new("Deployment", "frontend"),
        because: "expired".to_owned(),
    };
    Plan::new(PlanContent {
        fix: FixName::RestartPod,
        target: target(),
        drawn_at: at,
        operations: vec![Operation::EvictPod(planned)],
        ready: (1, 1),
        budgets: Vec::new(),
        warnings: Vec::new(),
        pods_before: Vec::new(),
    })
}

#[async_trait]
impl Perform for Cluster {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        let now = self.clock.now();
        Ok(match &task.work {
            Work::Triage { .. } if self.triages_hang => std::future::pending().await,
            Work::Triage { run } => {
                Outcome::TriageFinished { run: *run, verdict: Box::new(verdict(now)), evidence: None }.into()
            }
            Work::DrawPlan { fix } => {
                Outcome::PlanDrawn { fix: *fix, plan: Box::new(plan(&self.living(), now)) }.into()
            }
            Work::RunStep { plan, step, .. } => {
                let approved = task.incident.fix.as_ref().and_then(|fix| fix.plan.as_ref()).unwrap();
                self.evict(approved.operations[0].ends().unwrap().1);
                Outcome::StepDone { plan: plan.clone(), step: *step }.into()
            }
            Work::AwaitStep { plan, step, .. } => {
                let (pod, uid) = (pod(&self.living()), uid(&self.living()));
                let result =
                    StepResult::Replaced { old: None, pod, uid, not_after: Some(now + SignedDuration::from_hours(1)) };
                Outcome::StepSettled { plan: plan.clone(), step: *step, result }.into()
            }
            Work::Sample { fix, round } => {
                let samples = vec![sample(&self.living(), now)];
                Outcome::Sampled { fix: *fix, round: *round, samples, unreadable: Vec::new() }.into()
            }
            other => return Err(PerformError::Never { reason: format!("{other:?} is not the cluster's") }),
        })
    }
}

fn sample(living: &str, at: Timestamp) -> Sample {
    let calls = u64::try_from(at.as_millisecond()).unwrap();
    let counters = Counters {
        server_handshakes: Some(calls),
        server_failures: Some(0),
        requests_answered: Some(calls),
        requests_failed: Some(0),
        new_log_errors: Some(0),
        ..Counters::default()
    };
    Sample {
        pod: pod(living),
        uid: uid(living),
        uptime_seconds: Some(1),
        at,
        counters,
        svid_not_after: Some(at + SignedDuration::from_hours(1)),
    }
}
