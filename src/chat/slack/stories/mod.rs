//! Nights in a Slack channel, against a workspace that behaves like Slack.

mod calls;
#[path = "../../../../tests/fake_slack/mod.rs"]
mod fake_slack;
mod hostile;
mod inbound;
mod outbound;
mod questions;
mod socket;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::{Client, Directory, Home, SlackDesk, SlackOut, SlackReception};
use crate::{
    chat::{Ask, Look, Roster, Whose, card::tests as night},
    clock::VirtualClock,
    engine::{MessageRef, Progress, SubmitError, Task},
    incident::{
        Act, Answer, Command, Destination, Event, Face, FixPhase, Incident, IncidentId, Policy, Refusal, SwitchRequest,
        TakeAll, Taken, Work, answer_to_switch, apply, decide_switch, may_take_all, share,
    },
    metrics::Metrics,
    people::{Mention, Platform, Role},
};
use fake_slack::{APP_TOKEN, BOT_TOKEN, CHANNEL, FakeSlack, TEAM};

/// Decides as the engine does, as far as these stories go.
struct FakeInbox {
    clock: Arc<VirtualClock>,
    incidents: Mutex<Vec<Arc<Incident>>>,
    commands: Mutex<Vec<Command>>,
}

#[async_trait]
impl Ask for FakeInbox {
    async fn submit(&self, command: Command) -> Result<Answer, SubmitError> {
        use crate::clock::Clock;
        let now = self.clock.now();
        let incident = self.incident(command.incident).await?.ok_or(Refusal::NoIncident(command.incident))?;
        let text = match &command.act {
            Act::Approve { plan } => {
                let fix = incident.fix.as_ref().ok_or(Refusal::NothingToApprove(incident.id))?;
                let FixPhase::Asking { question } = &fix.phase else { panic!("{:?}", fix.phase) };
                question.vote(&command.actor, now).map_err(Refusal::from)?;
                let waiting = fix.plan_id().unwrap();
                if plan.as_ref().is_some_and(|plan| !waiting.is_meant_by(plan)) {
                    return Err(Refusal::OtherPlan.into());
                }
                "Approved: it starts now."
            }
            _ if !command.actor.may(Role::Commander, now) => return Err(Refusal::NotAllowed(Role::Commander).into()),
            _ => "Done.",
        };
        self.commands.lock().unwrap().push(command);
        Ok(Answer { text: text.to_owned() })
    }

    async fn incident(&self, id: IncidentId) -> Result<Option<Arc<Incident>>, SubmitError> {
        Ok(self.incidents.lock().unwrap().iter().find(|incident| incident.id == id).cloned())
    }

    async fn take_all(&self, request: TakeAll) -> Result<Answer, SubmitError> {
        use crate::clock::Clock;
        may_take_all(&request.actor, self.clock.now())?;
        let (mut taken, policy) = (Taken::default(), Policy::usual(night::policy(), Vec::new()));
        for incident in self.live().await? {
            taken.count(&incident, &share(&incident, &request.actor, self.clock.now(), &policy));
        }
        Ok(taken.answer())
    }

    async fn switch_writes(&self, request: SwitchRequest) -> Result<Answer, SubmitError> {
        use crate::clock::Clock;
        let switch = decide_switch(&request, true, self.clock.now())?;
        Ok(answer_to_switch(&switch))
    }

    async fn live(&self) -> Result<Vec<Arc<Incident>>, SubmitError> {
        Ok(self.incidents.lock().unwrap().iter().filter(|incident| incident.is_live()).cloned().collect())
    }
}

/// A bot at home in a fake workspace. U0ONCALL commands by name; the members of S0APPROVERS approve.
struct SlackStory {
    slack: FakeSlack,
    clock: Arc<VirtualClock>,
    inbox: Arc<FakeInbox>,
    out: SlackOut,
    desk: Arc<SlackDesk>,
    metrics: Metrics,
}

impl SlackStory {
    async fn of(incident: Incident) -> Self {
        let slack = FakeSlack::open().await;
        slack.group("S0ONCALL", &["U0ONCALL"]);
        slack.group("S0APPROVERS", &["U0SEC"]);
        let clock = Arc::new(VirtualClock::starting_at(night::at(5)));
        let inbox = Arc::new(FakeInbox {
            clock: clock.clone(),
            incidents: Mutex::new(vec![Arc::new(incident)]),
            commands: Mutex::default(),
        });
        let metrics = Metrics::default();
        let client = Client::new(&slack.api(), &BOT_TOKEN.to_owned().into()).unwrap().counted(metrics.clone());
        let directory = directory(&client, &clock);
        let look = Look { links: Vec::new() };
        let out = SlackOut::new(client.clone(), directory.clone(), look);
        let desk = SlackReception::desk(inbox.clone(), client, directory, home(&slack), clock.clone());
        Self { slack, clock, inbox, out, desk, metrics }
    }

    /// Somebody sets the clock, and what is stored is moved with it.
    fn clock_is_set(&self, by: jiff::SignedDuration) {
        use crate::clock::Clock;
        self.clock.set_by(by);
        let mut incident = (*self.incident()).clone();
        apply(&mut incident, &Event::ClockSet { by, told: true }, self.clock.now());
        self.inbox.incidents.lock().unwrap()[0] = Arc::new(incident);
    }

    fn counted(&self, line: &str) -> bool {
        self.metrics.render().contains(line)
    }

    /// The same workspace and a process that remembers nothing.
    fn restarted(self) -> Self {
        let client = Client::new(&self.slack.api(), &BOT_TOKEN.to_owned().into()).unwrap();
        let directory = Directory::new(client.clone(), TEAM.to_owned(), Roster::default(), self.clock.clone());
        Self { out: SlackOut::new(client, Arc::new(directory), Look { links: Vec::new() }), ..self }
    }

    fn incident(&self) -> Arc<Incident> {
        self.inbox.incidents.lock().unwrap()[0].clone()
    }

    fn task(&self, key: &str, work: Work) -> Task {
        Task {
            key: key.to_owned(),
            work,
            incident: self.incident(),
            attempt: 1,
            wanted: jiff::Timestamp::UNIX_EPOCH,
            root: None,
            writes_enabled: true,
            progress: Progress::default(),
        }
    }

    fn commands(&self) -> Vec<Act> {
        self.inbox.commands.lock().unwrap().iter().map(|command| command.act.clone()).collect()
    }
}

fn directory(client: &Client, clock: &Arc<VirtualClock>) -> Arc<Directory> {
    let roster = Roster {
        commanders: vec![Mention::user(Platform::Slack, "U0ONCALL")],
        approvers: vec![Mention::group(Platform::Slack, "S0APPROVERS")],
        ..Roster::default()
    };
    Arc::new(Directory::new(client.clone(), TEAM.to_owned(), roster, clock.clone()))
}

fn home(slack: &FakeSlack) -> Home {
    Home {
        team: TEAM.to_owned(),
        enterprise: None,
        channels: [CHANNEL.to_owned()].into(),
        whose: Whose::default(),
        groups: Vec::new(),
        hooks: slack.hooks(),
    }
}

fn channel() -> Destination {
    Destination { face: Face::Slack, channel: CHANNEL.to_owned() }
}

#[expect(clippy::unnecessary_wraps, reason = "it is put where a task has one or none")]
fn root(id: &str) -> Option<MessageRef> {
    Some(MessageRef { id: id.to_owned(), version: 1 })
}
