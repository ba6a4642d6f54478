//! What is offered while somebody fills in an option: open incidents, fixes that fit, plans that wait, levels. Pure.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    interaction::Typing,
    limits::{CHOICE, CHOICES, length},
};
use crate::{
    chat::{
        Whose,
        bounded::plain,
        card::Card,
        grammar::{Parameter, Verb},
    },
    escalation::Level,
    incident::{Act, Incident, TypedId, asking, offer},
    triage::FixName,
};

/// One that is offered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Suggestion {
    /// What people see.
    pub name: String,
    /// What stands in the option then.
    pub value: String,
}

impl Suggestion {
    fn new(name: &str, value: impl Into<String>) -> Self {
        Self { name: plain(name, CHOICE).0, value: value.into() }
    }
}

/// What is offered, given the incidents that are open.
pub(super) fn suggest(typing: &Typing, live: &[Arc<Incident>], whose: &Whose) -> Vec<Suggestion> {
    let about = meant(typing, live, whose);
    let all: Vec<Suggestion> = match typing.parameter {
        Parameter::Incident => incidents(typing.chosen.verb, live, whose),
        Parameter::Fix => about.iter().flat_map(|incident| fixes(incident)).collect(),
        Parameter::Plan => about.iter().filter_map(|incident| plan(incident)).collect(),
        Parameter::To => about.iter().flat_map(|incident| levels(incident)).collect(),
        _ => Vec::new(),
    };
    let so_far = typing.so_far.trim().to_lowercase();
    let fits =
        |one: &Suggestion| one.name.to_lowercase().contains(&so_far) || one.value.to_lowercase().contains(&so_far);
    let mut shown: Vec<Suggestion> = Vec::new();
    for one in all.into_iter().filter(fits).filter(|one| (1..=CHOICE).contains(&length(&one.value))) {
        if !shown.iter().any(|other| other.value == one.value) && shown.len() < CHOICES {
            shown.push(one);
        }
    }
    shown
}

/// The body of the answer to Discord.
pub(super) fn body(shown: &[Suggestion]) -> Value {
    let choices: Vec<Value> = shown.iter().map(|one| json!({ "name": one.name, "value": one.value })).collect();
    json!({ "choices": choices })
}

/// The incident that was named before, or all that are open.
fn meant<'a>(typing: &Typing, live: &'a [Arc<Incident>], whose: &Whose) -> Vec<&'a Arc<Incident>> {
    let named = typing.chosen.given.get(&Parameter::Incident).and_then(|typed| typed.trim().parse::<TypedId>().ok());
    let named = named.and_then(|typed| whose.read(&typed).ok());
    live.iter().filter(|incident| named.is_none_or(|id| whose.ours(incident.id) == id)).collect()
}

fn incidents(verb: Verb, live: &[Arc<Incident>], whose: &Whose) -> Vec<Suggestion> {
    let all = (verb == Verb::Ack && live.len() > 1).then(|| {
        let value = whose.to_be_named().map_or_else(|| "all".to_owned(), |cluster| format!("all/{cluster}"));
        Suggestion::new("all that are open", value)
    });
    // The newest first: it is the one that somebody was called for.
    let each = live.iter().rev().map(|incident| {
        let card = Card::of(incident);
        Suggestion::new(&format!("{} ({})", card.title, card.state.word()), whose.ours(incident.id).to_string())
    });
    all.into_iter().chain(each).collect()
}

/// Those that the card offers.
fn fixes(incident: &Incident) -> Vec<Suggestion> {
    let fitting = incident.verdict.as_ref().map(|verdict| verdict.fixes.as_slice()).unwrap_or_default();
    let own = |fix: &FixName| incident.refused_as_foreign(&Act::ProposeFix { fix: *fix }).is_none();
    let offered = fitting.iter().copied().filter(|fix| offer(incident, *fix).is_ok()).filter(own);
    offered.map(|fix| Suggestion::new(&format!("{fix} (fits {})", incident.id), fix.as_str())).collect()
}

fn plan(incident: &Incident) -> Option<Suggestion> {
    let plan = asking(incident)?.0.plan.as_ref()?;
    let id = plan.id();
    Some(Suggestion::new(&format!("{id}: {} of {}", plan.fix, incident.id), id.short()))
}

fn levels(incident: &Incident) -> Vec<Suggestion> {
    let level = |level: &Level| {
        let number = level.number.to_string();
        Suggestion::new(&format!("{number} {}", level.team), number)
    };
    incident.policy.levels.iter().map(level).collect()
}
