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
    stage::{self, Stage},
};
use crate::{
    chat::terminal::Terminal,
    clock::{Clock, SpedClock},
    engine::SubmitError,
    incident::{Act, CloseReason, Destination, Face, FixEnd, FixPhase, Incident, IncidentId, Life, Triage},
    remediation::Proof,
    simulate::world::Scenario as Night,
    triage::{FixName, Scenario},
};

/// How fast the clock runs unless told otherwise: a quarter of an hour in as many seconds.
const RATE: f64 = 60.0;
/// A story that is not over by then, in real time, has failed.
const REAL_LIMIT: Duration = Duration::from_secs(55);
/// How long, by the demo's clock, a mesh in which nothing is broken is watched: twice the window of the alert.
const QUIET: Duration = Duration::from_mins(10);

/// How the story ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ending {
    /// Diagnosed rightly, fixed, verified and closed.
    Closed,
    /// The fix was refused, and the next level was called.
    Escalated,
    /// Nothing was broken, and nothing was said.
    Quiet,
    /// Something else.
    Failed(String),
}

pub(super) async fn run(night: Night, speed: Option<f64>) -> Result<ExitCode, DemoError> {
    let clock = stage::clock(speed.unwrap_or(RATE));
    let terminal = Arc::new(Terminal::new(clock.clone(), Box::new(print)));
    let channel = Destination { face: Face::Terminal, channel: "incidents".to_owned() };
    terminal.say("demo", &format!("a simulated mesh where {}; the clock runs {}x", night.summary(), clock.rate()));
    let stage = Stage::set(clock.clone(), night, channel, terminal.clone()).await?;
    let mut players =
        Players { stage: &stage, terminal: &terminal, clock: &clock, acts: 0, tried_own: false, refused: false };
    let quiet = night == Night::Healthy;
    let limit = if quiet { QUIET.div_f64(clock.rate()).min(REAL_LIMIT) } else { REAL_LIMIT };
    let ending = if let Ok(ending) = tokio::time::timeout(limit, players.play()).await {
        ending
    } else if quiet && stage.bot.inbox.newest(1).await.is_ok_and(|stored| stored.is_empty()) {
        Ending::Quiet
    } else {
        Ending::Failed(format!("the story was not over after {} s", limit.as_secs()))
    };
    stage.clear().await;
    let (text, code) = match &ending {
        Ending::Closed => ("diagnosed, fixed by two people, verified and closed".to_owned(), ExitCode::SUCCESS),
        Ending::Escalated => {
            ("not fixed: the restart was refused, and the next level has it".to_owned(), ExitCode::from(1))
        }
        Ending::Quiet => ("nothing is broken: no alert fired, and nobody was called".to_owned(), ExitCode::SUCCESS),
        Ending::Failed(why) => (format!("failed: {why}"), ExitCode::from(1)),
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
    acts: u32,
    tried_own: bool,
    refused: bool,
}

impl Players<'_> {
    async fn play(&mut self) -> Ending {
        let inbox = self.stage.bot.inbox.clone();
        let mut changes = inbox.changes();
        loop {
            match inbox.newest(1).await {
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
                Err(error) => return Ending::Failed(error.to_string()),
            }
            // A face that is too far behind reads the state again, which the loop does anyway.
            drop(changes.recv().await);
        }
    }

    fn ending(&self, incident: &Incident) -> Option<Ending> {
        if self.refused
            && incident
                .ladder
                .rung()
                .is_some_and(|rung| matches!(rung, crate::escalation::Rung::Waiting { level, .. } if level.0 >= 2))
        {
            return Some(Ending::Escalated);
        }
        let Life::Closed { reason, .. } = &incident.life else { return None };
        let rightly = incident.verdict.as_ref().is_some_and(|verdict| verdict.scenario == Scenario::ExpiredCertificate);
        let end = incident.past_fixes.last().map(|past| &past.end);
        let worked = matches!(end, Some(FixEnd::Verified { verification }) if verification.proof == Proof::Worked);
        let by_itself = *reason == CloseReason::AlertsResolved;
        Some(if rightly && worked && by_itself {
            Ending::Closed
        } else {
            Ending::Failed(format!(
                "it closed, but diagnosed rightly: {rightly}, fix proved: {worked}, by itself: {by_itself}"
            ))
        })
    }

    /// What somebody does next, given what they see.
    fn next_act(&mut self, incident: &Incident) -> Option<(Persona, Act, String)> {
        if incident.life != Life::Open || !matches!(incident.triage, Triage::Done { .. }) {
            return None;
        }
        let acknowledged = matches!(incident.ladder.rung(), Some(crate::escalation::Rung::Acknowledged { .. }));
        if !acknowledged {
            return (!self.refused).then(|| (Persona::OnCall, Act::Acknowledge, "/mtls ack".to_owned()));
        }
        if self.refused {
            let act = Act::Escalate { from: None };
            return Some((Persona::OnCall, act, "/mtls escalate".to_owned()));
        }
        match &incident.fix {
            None if incident.past_fixes.is_empty() => {
                let act = Act::ProposeFix { fix: FixName::RestartPod };
                Some((Persona::OnCall, act, "/mtls fix restart-pod".to_owned()))
            }
            Some(fix) if matches!(fix.phase, FixPhase::Asking { .. }) => {
                let plan = fix.plan_id();
                let who = if self.tried_own { Persona::Security } else { Persona::OnCall };
                self.tried_own = true;
                Some((who, Act::Approve { plan }, "(presses Approve)".to_owned()))
            }
            _ => None,
        }
    }

    async fn says(&mut self, incident: IncidentId, who: Persona, act: Act, typed: &str) {
        self.terminal.say(who.user(), typed);
        self.acts = self.acts.saturating_add(1);
        let proposes = matches!(act, Act::ProposeFix { .. });
        let command = who.command(incident, act, format!("auto-{}", self.acts), self.clock.now());
        let told = match self.stage.bot.inbox.submit(&command).await {
            Ok(answer) => answer.text,
            Err(SubmitError::Refused(refusal)) => {
                self.refused |= proposes;
                refusal.to_string()
            }
            Err(other) => other.to_string(),
        };
        self.terminal.say(&format!("-> {}", who.user()), &format!("(only to {}) {told}", who.user()));
    }
}
