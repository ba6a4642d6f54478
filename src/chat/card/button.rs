//! The buttons for the usual next step. A button is drawn only when it can work now, and carries what it was drawn for,
//! so that an old or doubled press is recognised (design, "messages").

use serde::{Deserialize, Serialize};

use crate::{
    escalation::{Ladder, LevelNumber, Rung},
    incident::{
        Act, CLOSING_WHILE_IT_FIRES, Incident, IncidentId, IncidentStatus, Triage, asking, offer, to_verify, untouched,
    },
    remediation::{Plan, PlanId},
    triage::FixName,
};

/// What a press asks for; it travels through the platform as the button's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Press {
    /// About which incident.
    pub incident: IncidentId,
    /// The cluster of the bot that drew the button. Buttons of earlier versions carry none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// What is asked, with what the button was drawn for.
    pub act: Act,
}

impl Press {
    fn of(incident: IncidentId, act: Act) -> Self {
        Self { incident, cluster: incident.keeper().map(str::to_owned), act }
    }

    /// Whether both ask the same of the same incident. A button of an earlier version carries no cluster.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let same_bot = self.cluster.is_none() || other.cluster.is_none() || self.cluster == other.cluster;
        same_bot && self.incident == other.incident && self.act == other.act
    }

    /// Whether it leads to a write, so that it cannot work while fixes are switched off.
    pub fn needs_writes(&self) -> bool {
        matches!(self.act, Act::ProposeFix { .. } | Act::Approve { .. })
    }
}

/// How a button looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The step that most people want next.
    Primary,
    /// A step that takes something away.
    Danger,
    /// Any other.
    Plain,
}

/// A question that is asked before the press counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirm {
    pub title: String,
    /// What will happen.
    pub text: String,
    /// The word for yes.
    pub yes: String,
}

/// One button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// What it says.
    pub label: String,
    /// How it looks.
    pub style: Style,
    /// What it asks for.
    pub press: Press,
    /// What is asked back first.
    pub confirm: Option<Confirm>,
}

/// The buttons of the card.
pub(super) fn of(incident: &Incident) -> Vec<Button> {
    match incident.status {
        IncidentStatus::Open => {}
        // Nothing is started, and nobody is called: what is left is to take a plan back and to look again.
        IncidentStatus::Clearing { .. } => return withdraw(incident).into_iter().chain(verify(incident)).collect(),
        IncidentStatus::Closed { .. } => return Vec::new(),
    }
    let asks = asking(incident).and_then(|(fix, _)| fix.plan.as_ref());
    let mut buttons = taking(incident);
    buttons.extend(asks.into_iter().flat_map(|plan| votes(incident.id, plan)));
    buttons.extend(withdraw(incident));
    buttons.extend(ask_for_fixes(incident));
    buttons.extend(look_again(incident));
    buttons.extend(escalate(incident));
    buttons.push(resolve(incident));
    buttons.retain(|button| incident.refused_as_foreign(&button.press.act).is_none());
    buttons
}

/// The two answers to a plan that waits.
pub(in crate::chat) fn votes(incident: IncidentId, plan: &Plan) -> [Button; 2] {
    let id = plan.id();
    let confirm = Confirm {
        title: format!("Approve {}?", plan.fix),
        text: format!("Plan {id}: {}.", plan.in_short()),
        yes: "Approve".to_owned(),
    };
    let about = |act| Press::of(incident, act);
    let on = |id: &PlanId| Some(id.clone());
    [
        Button {
            label: format!("Approve {id}"),
            style: Style::Primary,
            press: about(Act::Approve { plan: on(&id) }),
            confirm: Some(confirm),
        },
        Button {
            label: format!("Reject {id}"),
            style: Style::Danger,
            press: about(Act::Reject { plan: on(&id) }),
            confirm: None,
        },
    ]
}

fn plain(incident: &Incident, label: impl Into<String>, act: Act) -> Button {
    Button { label: label.into(), style: Style::Plain, press: Press::of(incident.id, act), confirm: None }
}

/// Taking it, while nobody has.
fn acknowledge(incident: &Incident) -> Option<Button> {
    let waits = matches!(incident.ladder, Ladder::Running { rung: Rung::Waiting { .. } | Rung::AllPaged { .. }, .. });
    let button = Button { style: Style::Primary, ..plain(incident, "Acknowledge", Act::Acknowledge) };
    (waits && incident.status == IncidentStatus::Open).then_some(button)
}

/// Taking it; and for a storm, taking all that are open.
pub(in crate::chat) fn taking(incident: &Incident) -> Vec<Button> {
    let one = acknowledge(incident);
    let all = one.as_ref().filter(|_| incident.storm.is_some());
    let all = all.map(|_| plain(incident, "Acknowledge all that are open", Act::AcknowledgeAll));
    one.into_iter().chain(all).collect()
}

/// Asking for each fix that fits and that the bot can carry out.
pub(in crate::chat) fn ask_for_fixes(incident: &Incident) -> Vec<Button> {
    let fitting = incident.verdict.as_ref().map(|verdict| verdict.fixes.as_slice()).unwrap_or_default();
    let own = |fix: &FixName| incident.refused_as_foreign(&Act::ProposeFix { fix: *fix }).is_none();
    let offered = fitting.iter().copied().filter(|fix| offer(incident, *fix).is_ok()).filter(own);
    let button = |(place, fix): (usize, FixName)| {
        // The verdict names first what mends the cause.
        let style = if place == 0 { Style::Primary } else { Style::Plain };
        Button { style, ..plain(incident, format!("Ask for {fix}"), Act::ProposeFix { fix }) }
    };
    offered.enumerate().map(button).collect()
}

/// Taking the fix back, while nothing of it was written. Only who asked for it can.
fn withdraw(incident: &Incident) -> Option<Button> {
    untouched(incident).map(|fix| plain(incident, format!("Withdraw {}", fix.name), Act::Withdraw))
}

fn verify(incident: &Incident) -> Option<Button> {
    to_verify(incident).is_ok().then(|| plain(incident, "Verify again", Act::Verify))
}

/// Triage again, and watch the counters again where the last fix is not proven.
fn look_again(incident: &Incident) -> Vec<Button> {
    let verify = verify(incident);
    if incident.fix.is_some() || matches!(incident.triage, Triage::Running { .. }) {
        return verify.into_iter().collect();
    }
    let known = incident.storm_look.as_ref().is_some_and(|look| !look.services.is_empty());
    let triage = (incident.target.is_some() || known).then(|| plain(incident, "Triage again", Act::Triage));
    verify.into_iter().chain(triage).collect()
}

/// The level that is on the hook, if one is.
pub(super) fn level_on_the_hook(incident: &Incident) -> Option<LevelNumber> {
    incident.ladder.rung()?.level()
}

fn escalate(incident: &Incident) -> Option<Button> {
    let from = level_on_the_hook(incident)?;
    let above = incident.policy.above(from)?;
    Some(plain(incident, format!("Escalate to {} {}", above.number, above.team), Act::Escalate { from: Some(from) }))
}

fn resolve(incident: &Incident) -> Button {
    let anyway = incident.is_firing();
    let confirm = anyway.then(|| Confirm {
        title: format!("Close {}?", incident.id),
        text: CLOSING_WHILE_IT_FIRES.to_owned(),
        yes: "Close it".to_owned(),
    });
    let act = Act::Resolve { reason: None, anyway };
    Button { style: Style::Danger, confirm, ..plain(incident, "Resolve", act) }
}
