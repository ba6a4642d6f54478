//! The story played to its end on the terminal, by played people who act on what they see.

use std::{
    io::{Write, stdout},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use super::{
    DemoError,
    people::Persona,
    rightly::{RightEnd, right_end},
    stage::{self, Stage},
};
use crate::{
    chat::terminal::{Shape, Terminal},
    clock::{Clock, SpedClock},
    engine::SubmitError,
    escalation::{LevelNumber, Rung},
    incident::{
        Act, CloseReason, Destination, Face, FixEnd, FixPhase, Incident, IncidentId, IncidentStatus, LevelCall,
        PastFix, Triage, offer,
    },
    journal::StoredIncident,
    remediation::{PlanId, Proof},
    simulate::world::Scenario as Night,
    triage::Scenario,
};

/// How fast the clock runs unless told otherwise: a quarter of an hour in as many seconds.
const RATE: f64 = 60.0;
/// A story that is not over by then, in real time, has failed.
const REAL_LIMIT: Duration = Duration::from_secs(55);
/// How long, by the demo's clock, a mesh in which nothing is broken is watched: twice the window of the alert.
const QUIET: Duration = Duration::from_mins(10);

/// How the story ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum DemoEnding {
    /// As it should: what was done, in one sentence.
    Rightly(String),
    /// Something else.
    Failed(String),
}

pub(super) async fn run(night: Night, speed: Option<f64>, shape: Shape) -> Result<ExitCode, DemoError> {
    let clock = stage::clock(speed.unwrap_or(RATE));
    let terminal = Arc::new(Terminal::new(clock.clone(), Box::new(print)).in_the_shape_of(shape));
    let channel = Destination { face: Face::Terminal, channel: "incidents".to_owned() };
    terminal.say("demo", &format!("a simulated mesh where {}; the clock runs {}x", night.summary(), clock.rate()));
    let stage = Stage::set(clock.clone(), night, channel, terminal.clone()).await?;
    let right = right_end(night);
    let mut players = Players {
        stage: &stage,
        terminal: &terminal,
        clock: &clock,
        right,
        acts: 0,
        own_was_refused: false,
        stuck: false,
    };
    let limit = if right == RightEnd::Quiet { QUIET.div_f64(clock.rate()).min(REAL_LIMIT) } else { REAL_LIMIT };
    let ending = if let Ok(ending) = tokio::time::timeout(limit, players.play()).await {
        ending
    } else if right == RightEnd::Quiet && stage.bot.inbox.newest(1).await.is_ok_and(|stored| stored.is_empty()) {
        DemoEnding::Rightly("nothing is broken: no alert fired, and nobody was called".to_owned())
    } else {
        DemoEnding::Failed(format!("the story was not over after {} s", limit.as_secs()))
    };
    stage.clear().await;
    let (text, code) = match ending {
        DemoEnding::Rightly(how) => (how, ExitCode::SUCCESS),
        DemoEnding::Failed(why) => (format!("failed: {why}"), ExitCode::from(1)),
    };
    terminal.say("demo", &text);
    Ok(code)
}

fn print(line: &str) {
    // A reader that has seen enough (`| head`) ends no story.
    drop(writeln!(stdout(), "{line}"));
}

struct Players<'a> {
    stage: &'a Stage,
    terminal: &'a Terminal,
    clock: &'a Arc<SpedClock>,
    right: RightEnd,
    acts: u32,
    /// Whether somebody has tried to approve what they asked for themselves, to show that nobody can.
    own_was_refused: bool,
    /// Whether nothing that the bot offers was left to try.
    stuck: bool,
}

impl Players<'_> {
    async fn play(&mut self) -> DemoEnding {
        let inbox = self.stage.bot.inbox.clone();
        let mut changes = inbox.changes();
        loop {
            match self.as_posted().await {
                Ok(stored) => {
                    if let Some(incident) = stored.first().map(|stored| &stored.incident) {
                        if let Some(ending) = self.ending(incident) {
                            return ending;
                        }
                        if let Some((who, act, typed)) = self.next_act(incident) {
                            self.says(incident.id, who, act, &typed).await;
                            continue;
                        }
                    }
                }
                Err(error) => return DemoEnding::Failed(error.to_string()),
            }
            // A face that is too far behind reads the state again, which the loop does anyway.
            drop(changes.recv().await);
        }
    }

    /// The newest incident, once everything that is due has been posted: people answer what they have read.
    async fn as_posted(&self) -> Result<Vec<StoredIncident>, SubmitError> {
        let inbox = &self.stage.bot.inbox;
        let version = |stored: &[StoredIncident]| stored.first().map(|stored| stored.incident.version);
        loop {
            let before = inbox.newest(1).await?;
            self.stage.bot.engine.settled().await?;
            let stored = inbox.newest(1).await?;
            if version(&stored) == version(&before) {
                return Ok(stored);
            }
        }
    }

    fn ending(&self, incident: &Incident) -> Option<DemoEnding> {
        let found = incident.verdict.as_ref().map(|verdict| verdict.scenario);
        if let IncidentStatus::Closed { reason, .. } = &incident.status {
            let by_itself = *reason == CloseReason::AlertsResolved;
            return Some(closed(self.right, &incident.past_fixes, found, by_itself));
        }
        let called = called_above_the_first(incident).filter(|_| self.stuck)?;
        Some(match self.right {
            RightEnd::Called(cause, level) if found == Some(cause) && called.0 >= level.0 => DemoEnding::Rightly(
                format!("the cause was named ({cause}), the runbook has no fix for it, and {called} is called"),
            ),
            _ => {
                let found = found.map_or("nothing", Scenario::as_str);
                DemoEnding::Failed(format!(
                    "not mended: {found} was named, nothing was left to try, and {called} is called"
                ))
            }
        })
    }

    /// What somebody does next, given what they see.
    fn next_act(&mut self, incident: &Incident) -> Option<(Persona, Act, String)> {
        if incident.status != IncidentStatus::Open || !matches!(incident.triage, Triage::Done { .. }) {
            return None;
        }
        if let Some(fix) = &incident.fix {
            return self.vote(&fix.phase, fix.plan_id());
        }
        let on_call = |act, typed: String| Some((Persona::OnCall, act, typed));
        if !self.stuck && !matches!(incident.ladder.rung(), Some(Rung::Acknowledged { .. })) {
            // Nobody answers before everybody who is called has heard it.
            if !incident.calls.asked.iter().all(LevelCall::got_through) {
                return None;
            }
            return on_call(Act::Acknowledge, "/mtls ack".to_owned());
        }
        let mended = incident.past_fixes.last().is_some_and(worked);
        let offered = incident.verdict.as_ref().map(|verdict| verdict.fixes.as_slice()).unwrap_or_default();
        if let Some(fix) = offered.iter().find(|fix| offer(incident, **fix).is_ok()) {
            return on_call(Act::ProposeFix { fix: *fix }, format!("/mtls fix {fix}"));
        }
        if mended || self.stuck {
            return None;
        }
        self.stuck = true;
        // The verdict may have called the right level by itself.
        if called_above_the_first(incident).is_some() {
            return None;
        }
        on_call(Act::Escalate { from: None }, "/mtls escalate".to_owned())
    }

    fn vote(&mut self, phase: &FixPhase, plan: Option<PlanId>) -> Option<(Persona, Act, String)> {
        if !matches!(phase, FixPhase::Asking { .. }) {
            return None;
        }
        let who = if self.own_was_refused { Persona::Security } else { Persona::OnCall };
        self.own_was_refused = true;
        Some((who, Act::Approve { plan }, "(presses Approve)".to_owned()))
    }

    async fn says(&mut self, incident: IncidentId, who: Persona, act: Act, typed: &str) {
        self.terminal.typed(who.user(), typed);
        self.acts = self.acts.saturating_add(1);
        let command = who.command(incident, act, format!("auto-{}", self.acts), self.clock.now());
        let told = match self.stage.bot.inbox.submit(&command).await {
            Ok(answer) => answer.text,
            Err(SubmitError::Refused(refusal)) => refusal.to_string(),
            Err(other) => other.to_string(),
        };
        self.terminal.say(&format!("-> {}", who.user()), &format!("(only to {}) {told}", who.user()));
    }
}

/// Whether a fix was proved to have worked.
fn worked(past: &PastFix) -> bool {
    matches!(&past.end, FixEnd::Verified { verification } if verification.proof == Proof::Worked)
}

/// The highest level above the first that was called and reached.
fn called_above_the_first(incident: &Incident) -> Option<LevelNumber> {
    let reached = incident.calls.first.iter().map(|first| first.level);
    reached.filter(|level| *level > LevelNumber::FIRST).max()
}

/// How an incident that has closed ended.
fn closed(right: RightEnd, fixes: &[PastFix], found: Option<Scenario>, by_itself: bool) -> DemoEnding {
    let wrote: Vec<&PastFix> = fixes.iter().filter(|past| past.wrote()).collect();
    let proved = wrote.last().is_some_and(|past| worked(past));
    let RightEnd::Mended(causes) = right else {
        return DemoEnding::Failed("it closed, and nothing of the runbook mends it".to_owned());
    };
    let rightly = found == causes.last().copied() && wrote.len() == causes.len();
    if rightly && proved && by_itself {
        let names: Vec<&str> = wrote.iter().map(|past| past.name.as_str()).collect();
        return DemoEnding::Rightly(format!(
            "diagnosed, mended by two people ({}), verified and closed",
            names.join(", then ")
        ));
    }
    DemoEnding::Failed(format!(
        "it closed, but diagnosed rightly: {rightly}, fix proved: {proved}, by itself: {by_itself}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        incident::{FixNumber, Run},
        remediation::Verification,
        triage::FixName,
    };

    fn past(name: FixName, proof: Proof) -> PastFix {
        PastFix {
            number: FixNumber(1),
            name,
            requester: None,
            run: Run { steps_done: 1, ..Run::default() },
            plan: None,
            results: Vec::new(),
            verifies: None,
            end: FixEnd::Verified { verification: Verification { proof, reasons: Vec::new(), rate: None } },
            at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_night_ends_well_only_if_each_cause_was_named_and_mended_and_it_closed_by_itself() {
        let right = RightEnd::Mended(&[Scenario::SpireAgent, Scenario::ExpiredCertificate]);
        let (agent, pods) = (FixName::RestartSpireAgent, FixName::RestartPod);
        let both = [past(agent, Proof::Unproven), past(pods, Proof::Worked)];
        let well = |fixes: &[PastFix], found, by_itself| {
            matches!(closed(right, fixes, Some(found), by_itself), DemoEnding::Rightly(_))
        };
        assert!(well(&both, Scenario::ExpiredCertificate, true));
        assert!(!well(&both, Scenario::ExpiredCertificate, false), "somebody closed it");
        assert!(!well(&both, Scenario::SpireAgent, true), "the second cause was not named");
        assert!(!well(&both[1..], Scenario::ExpiredCertificate, true), "the agent was left alone");
        assert!(!well(&[past(agent, Proof::Worked), past(pods, Proof::Unproven)], Scenario::ExpiredCertificate, true));
    }
}
