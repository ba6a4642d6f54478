//! Private answers to one person.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use crate::{
    chat::{
        LIVE_MOST,
        card::{self, Card, Line, command, command_line, person, strong, text, with_people, words},
        grammar,
    },
    engine::SubmitError,
    incident::{Act, Incident, IncidentId},
    people::{Actor, PersonId, Role},
};

/// How many open incidents are listed.
const LISTED_MOST: usize = 20;

/// The commands of this person; leaves out those that the bot would refuse.
pub(in crate::chat) fn help(actor: &Actor, now: Timestamp, live: &[Arc<Incident>]) -> Vec<Line> {
    let roles: BTreeSet<Role> =
        [Role::Commander, Role::Approver].into_iter().filter(|role| actor.may(*role, now)).collect();
    let mut lines = vec![words("What you can say here (INC may be left out when only one incident is open):")];
    lines.extend(
        grammar::help(&roles).into_iter().map(|(usage, does)| vec![command_line(usage), text(format!(": {does}"))]),
    );
    lines.extend(not_for_foreign(live));
    if roles.is_empty() {
        lines.push(words("More is open to people whose user, group or role is in the configuration (people)."));
    }
    lines
}

/// The open incidents of other clusters: the bot refuses to look into those clusters or to change them.
fn not_for_foreign(live: &[Arc<Incident>]) -> Option<Line> {
    let refused = |incident: &&Arc<Incident>| incident.refused_as_foreign(&Act::Triage).is_some();
    let foreign: Vec<String> = live
        .iter()
        .filter(refused)
        .take(LISTED_MOST)
        .map(|incident| format!("{} (cluster {})", incident.id, incident.cluster))
        .collect();
    (!foreign.is_empty()).then(|| {
        words(format!(
            "Of clusters that this bot does not look after, so without target, triage, fix, approve and verify: {}.",
            foreign.join(", ")
        ))
    })
}

/// Why it was not done, as a sentence.
pub(in crate::chat) fn refusal(error: &SubmitError) -> Vec<Line> {
    let people = match error {
        SubmitError::Refused(refusal) => refusal.people(),
        _ => Vec::new(),
    };
    vec![with_people(sentence(error), &people)]
}

/// An error as a sentence of its own.
pub(in crate::chat) fn sentence(error: &dyn std::error::Error) -> Line {
    let mut said = error.to_string();
    if let Some(first) = said.get(..1).map(str::to_uppercase) {
        said.replace_range(..1, &first);
    }
    card::sentence(&said)
}

/// Somebody else has it: who, and how to take it over.
pub(in crate::chat) fn taken(id: IncidentId, holder: &PersonId) -> Vec<Line> {
    vec![vec![
        person(holder),
        text(" has acknowledged it already. To take it over, name yourself: "),
        command("handoff", id, "@you"),
    ]]
}

/// The open incidents, a line each.
pub(in crate::chat) fn list(live: &[Arc<Incident>]) -> Vec<Line> {
    if live.is_empty() {
        return vec![words("No incident is open.")];
    }
    let mut lines: Vec<Line> = live.iter().take(LISTED_MOST).map(|incident| one(incident)).collect();
    let more = live.len().saturating_sub(LISTED_MOST);
    if more > 0 {
        let at_least = if live.len() < LIVE_MOST { "" } else { "at least " };
        lines.push(words(format!("… and {at_least}{more} more")));
    }
    lines
}

fn one(incident: &Incident) -> Line {
    let card = Card::of(incident);
    let mut line = vec![strong(card.title), text(format!(" ({}) ", card.state.word()))];
    // Times stay times for the reader, so the headline is kept as spans and bounded as one line.
    line.extend(card.headline.into_iter().take(8));
    line
}
