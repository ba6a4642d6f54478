//! Performs the engine's work on the cluster: thin, one plain function a kind of work.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;

use super::{
    ClusterClient, ClusterError, Progress,
    collect::{gather_about, gather_several},
    execute::{NotWritten, Stepped, approved},
    fix::Settled,
    resolve::{FoundPod, resolve},
    sample::{began_after, without_figures},
};
use crate::{
    clock::Clock,
    engine::{self, Done, Perform, PerformError, Task},
    incident::{AlertStatus, Fix, FixNumber, Incident, Outcome, Round, RunNumber, Work},
    mesh::{PodRef, PodUid, TargetRef},
    remediation::{Operation, PlanId, Sample, StepNumber, StepResult},
    triage::{NotChecked, Survey, diagnose},
};

/// The adapter for the rooms Cluster and Execute.
pub struct ClusterAdapter {
    /// For diagnostics, which ask as much at once as they may.
    reach: ClusterClient,
    /// For fixes.
    fixing: ClusterClient,
    clock: Arc<dyn Clock>,
}

/// How many calls of the API server fixes make at once, beside those of diagnostics: a step, and the samples of a plan.
const FIXING_CALLS_MOST: usize = crate::bounds::FIXING_CALLS;

impl ClusterAdapter {
    /// An adapter over one cluster.
    pub fn new(reach: ClusterClient, clock: Arc<dyn Clock>) -> Self {
        let fixing = reach.with_calls_of_its_own(FIXING_CALLS_MOST);
        Self { reach, fixing, clock }
    }

    async fn triage(
        &self,
        run: RunNumber,
        incident: &Incident,
        target: &TargetRef,
        told: engine::Progress,
    ) -> Result<Done, PerformError> {
        let progress: Progress = Arc::new(move |check| told.report(check));
        let firing = incident.alerts.values().filter(|alert| alert.status == AlertStatus::Firing);
        let alerted: Vec<PodRef> = firing.filter_map(|alert| alert.sighting.pod.clone()).collect();
        let evidence = match gather_about(&self.reach, target, &alerted, self.clock.clone(), progress).await {
            Ok(evidence) => evidence,
            Err(error @ (ClusterError::NotFound { .. } | ClusterError::Forbidden { .. })) => {
                return Ok(Outcome::TriageFailed { run, reason: error.to_string() }.into());
            }
            Err(error) => return Err(again(&error)),
        };
        let verdict = Box::new(diagnose(&evidence));
        let bytes = written(&evidence)?;
        let digest = crate::journal::digest(&bytes);
        let outcome = Outcome::TriageFinished { run, verdict, evidence: Some(digest) };
        Ok(Done { outcome, delivery: None, evidence: Some(bytes) })
    }

    /// The diagnostics of a storm: over a few of its services, within the limits of one triage.
    async fn survey(
        &self,
        run: RunNumber,
        services: &[TargetRef],
        told: engine::Progress,
    ) -> Result<Done, PerformError> {
        let progress: Progress = Arc::new(move |check| told.report(check));
        let gathered = gather_several(&self.reach, services, self.clock.clone(), progress).await;
        let (mut seen, mut not_looked_at, mut first_error) = (Vec::new(), Vec::new(), None);
        for (target, gathered) in gathered {
            match gathered {
                Ok(evidence) => seen.push(evidence),
                Err(error) => {
                    not_looked_at.push(NotChecked { what: target.to_string(), why: error.to_string() });
                    first_error.get_or_insert(error);
                }
            }
        }
        if seen.is_empty() {
            return match first_error {
                Some(error @ (ClusterError::NotFound { .. } | ClusterError::Forbidden { .. })) => {
                    Ok(Outcome::TriageFailed { run, reason: error.to_string() }.into())
                }
                Some(error) => Err(again(&error)),
                None => {
                    let reason = "none of its services is known".to_owned();
                    Ok(Outcome::TriageFailed { run, reason }.into())
                }
            };
        }
        let verdicts: Vec<_> = seen.iter().map(diagnose).collect();
        let survey = Box::new(Survey::of(&verdicts, not_looked_at, self.clock.now()));
        let bytes = written(&seen)?;
        let outcome = Outcome::Surveyed { run, survey, evidence: Some(crate::journal::digest(&bytes)) };
        Ok(Done { outcome, delivery: None, evidence: Some(bytes) })
    }

    async fn draw_plan(
        &self,
        fix: FixNumber,
        incident: &Incident,
        target: &TargetRef,
    ) -> Result<Outcome, PerformError> {
        let Some(verdict) = &incident.verdict else {
            return Ok(Outcome::PlanRefused { fix, reasons: vec!["there is no verdict".to_owned()] });
        };
        let name = incident.fix.as_ref().map(|fix| fix.name);
        let Some(name) = name else { return Ok(Outcome::NoLongerWanted) };
        match self.fixing.draw(name, target, verdict, self.clock.now()).await {
            Ok(Ok(plan)) => Ok(Outcome::PlanDrawn { fix, plan: Box::new(plan) }),
            Ok(Err(reasons)) => Ok(Outcome::PlanRefused { fix, reasons }),
            Err(error @ ClusterError::Forbidden { .. }) => {
                Ok(Outcome::PlanRefused { fix, reasons: vec![error.to_string()] })
            }
            Err(error) => Err(again(&error)),
        }
    }

    async fn run_step(
        &self,
        incident: &Incident,
        plan: &PlanId,
        step: StepNumber,
        task: &Task,
    ) -> Result<Outcome, PerformError> {
        let plan = plan.clone();
        let operation = match approved(incident, &plan, step, task.writes_enabled) {
            Ok(operation) => operation,
            Err(reason) => return Ok(Outcome::StepFailed { plan, step, reason }),
        };
        let Some(approved) = incident.fix.as_ref().and_then(|fix| fix.plan.as_ref()) else {
            return Ok(Outcome::NoLongerWanted);
        };
        match self.fixing.carry_out(approved, operation, task.attempt).await {
            Ok(Stepped::Done) => Ok(Outcome::StepDone { plan, step }),
            Ok(Stepped::Moved(what)) => Ok(Outcome::PlanMoved { plan, step, what }),
            Err(not_written) => match not_done(not_written) {
                Ok(reason) => Ok(Outcome::StepFailed { plan, step, reason }),
                Err(error) => Err(error),
            },
        }
    }

    async fn poll(&self, fix: &Fix, target: &TargetRef, plan: &PlanId, step: StepNumber) -> Outcome {
        let operation = fix.plan.as_ref().and_then(|plan| plan.operation(step));
        let Some(operation) = operation else { return Outcome::NoLongerWanted };
        let plan = plan.clone();
        match self.fixing.settled(fix, target, operation, self.clock.now()).await {
            Ok(Settled::Seen(result)) => Outcome::StepSettled { plan, step, result },
            Ok(Settled::Awaited(why)) => Outcome::StepAwaited { plan, step, why },
            Err(error) => Outcome::StepAwaited { plan, step, why: error.to_string() },
        }
    }

    pub(super) async fn sample(&self, fix: &Fix, target: &TargetRef, round: Round) -> Outcome {
        let now = self.clock.now();
        let since = fix.start.iter().map(|sample| now.duration_since(sample.at).as_secs()).max();
        let since = since.filter(|_| round == Round::End);
        let (judged, others) = self.to_sample(fix, target, round).await;
        let read = |pods: Vec<(PodRef, PodUid)>| {
            join_all(pods.into_iter().map(|(pod, uid)| async move {
                let sample = self.fixing.sample(&pod, &uid, since, now).await;
                (pod, uid, sample)
            }))
        };
        let (judged, others) = futures::join!(read(judged), read(others));
        let (mut samples, mut unreadable) = (Vec::new(), Vec::new());
        for (pod, uid, result) in judged {
            let first = fix.start.iter().filter(|_| round == Round::End).find(|first| first.uid == uid);
            match result {
                Ok(sample) if first.is_some_and(|first| began_after(first, &sample)) => {
                    unreadable.push(format!("the proxy of {pod} restarted within the window"));
                    samples.push(without_figures(&pod, &uid, now));
                }
                Ok(sample) => samples.push(sample),
                Err(error) => {
                    unreadable.push(error.to_string());
                    samples.push(without_figures(&pod, &uid, now));
                }
            }
        }
        // Those that live through the fix only show whether it got worse: one that went away says nothing.
        samples.extend(others.into_iter().filter_map(|(_, _, result)| result.ok()));
        Outcome::Sampled { fix: fix.number, round, samples, unreadable }
    }

    /// The pods that a round judges, and those of the target that live through the fix.
    async fn to_sample(&self, fix: &Fix, target: &TargetRef, round: Round) -> (Lives, Lives) {
        let operations = || fix.plan.iter().flat_map(|plan| &plan.operations);
        let owned = |(pod, uid): (&PodRef, &PodUid)| (pod.clone(), uid.clone());
        // Those that live through it show by themselves whether it got worse. A plan that was drawn again names only what is
        // left: the pods of the steps before it prove the fix as well.
        let before = fix.results.iter().flat_map(StepResult::proved_by);
        let mut proving: Lives = operations().flat_map(Operation::proved_by).chain(before).map(owned).collect();
        proving.sort();
        proving.dedup();
        if !proving.is_empty() {
            return (proving, Lives::new());
        }
        let planned: Lives = operations().filter_map(Operation::ends).map(owned).collect();
        if round != Round::Before {
            let lived = |sample: &&Sample| !planned.iter().any(|(_, uid)| *uid == sample.uid);
            let others = fix.before.iter().filter(lived).map(|sample| (sample.pod.clone(), sample.uid.clone()));
            let brought_up = fix.results.iter().filter_map(StepResult::brought_up);
            return (brought_up.map(owned).collect(), others.collect());
        }
        // Without them *worse* cannot be told; the fix does not wait for that.
        let found = resolve(&self.fixing, target).await.unwrap_or_default().pods;
        // What an earlier plan brought up has to prove the fix, so it is no witness.
        let counts =
            |pod: &FoundPod| fix.results.iter().filter_map(StepResult::brought_up).any(|(_, uid)| *uid == pod.uid);
        let lives = |pod: &FoundPod| !counts(pod) && !planned.iter().any(|(_, uid)| *uid == pod.uid);
        let stays = |pod: &FoundPod| pod.ready && pod.sidecar && lives(pod);
        let others = found.into_iter().filter(stays).take(WITNESSES_MOST).map(|pod| (pod.pod, pod.uid));
        let others = others.collect();
        (planned, others)
    }
}

/// What a write that did not come about means for its step: `Ok` is why it never will, `Err` that it is tried again.
/// Only what certainly wrote nothing ends as "not done"; after all else the cluster is looked at first (invariant 8).
fn not_done(not_written: NotWritten) -> Result<String, PerformError> {
    let NotWritten { error, untouched, after } = not_written;
    let reason = error.to_string();
    let for_good =
        matches!(error, ClusterError::Forbidden { .. } | ClusterError::Refused { .. } | ClusterError::Configuration(_));
    match (untouched, for_good) {
        (true, true) => Ok(format!("{reason}; nothing was written")),
        (true, false) => Err(PerformError::Waiting { reason, after }),
        (false, _) => Err(PerformError::Again { reason, after }),
    }
}

/// Pods by name and life.
type Lives = Vec<(PodRef, PodUid)>;

/// How many pods that live through a fix are watched: a few show a trend as well as all.
const WITNESSES_MOST: usize = 3;

fn written<T: serde::Serialize>(evidence: &T) -> Result<Vec<u8>, PerformError> {
    let never = |error| PerformError::Never { reason: format!("the evidence could not be written: {error}") };
    serde_json::to_vec(evidence).map_err(never)
}

fn again(error: &ClusterError) -> PerformError {
    PerformError::Again { reason: error.to_string(), after: None }
}

#[async_trait]
impl Perform for ClusterAdapter {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        let incident = &task.incident;
        if let (Work::Triage { run }, Some(look)) = (&task.work, &incident.storm_look) {
            return self.survey(*run, look.looked_at(), task.progress.clone()).await;
        }
        let Some(target) = &incident.target else { return Ok(Outcome::NoLongerWanted.into()) };
        let fix = incident.fix.as_ref();
        // What was written is looked for, and proved, where it was approved for.
        let of_the_plan = |fix: &'_ Fix| fix.plan.as_ref().map_or_else(|| target.clone(), |plan| plan.target.clone());
        match (&task.work, fix) {
            (Work::Triage { run }, _) => self.triage(*run, incident, target, task.progress.clone()).await,
            (Work::DrawPlan { fix }, _) => Ok(self.draw_plan(*fix, incident, target).await?.into()),
            (Work::RunStep { plan, step, .. }, _) => Ok(self.run_step(incident, plan, *step, &task).await?.into()),
            (Work::AwaitStep { plan, step, .. }, Some(fix)) => {
                Ok(self.poll(fix, &of_the_plan(fix), plan, *step).await.into())
            }
            (Work::Sample { round, .. }, Some(fix)) => Ok(self.sample(fix, &of_the_plan(fix), *round).await.into()),
            _ => Ok(Outcome::NoLongerWanted.into()),
        }
    }
}
