//! Reads commands: typed as a line of words, or chosen by parts. Pure: the caller hands in the live incidents.

mod chosen;
mod misunderstood;
mod notation;
mod verb;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

#[allow(unused_imports, reason = "the face with typed options reads and draws with them")]
pub use chosen::{Chosen, Parameter, Taken, said, with_names};
pub use misunderstood::Misunderstood;
pub use notation::{ByName, Notation, is_id};
pub use verb::Verb;

use crate::{
    chat::Whose,
    escalation::LevelNumber,
    incident::{Act, HandOffTo, IncidentId, TypedId},
    mesh::{Namespace, TargetRef},
    people::{PersonId, Platform, Role},
    remediation::PlanId,
    triage::FixName,
};

/// The longest command that is read, in bytes: Slack's own limit of a message that people type is lower.
pub const COMMAND_MOST: usize = 8_000;
/// How much of the name of a cluster is repeated, in characters.
const CLUSTER_SHOWN_MOST: usize = 60;
/// Numbers of more digits than this are no incidents; the hash of a plan may be all digits and has eight.
const INCIDENT_DIGITS_MOST: usize = 6;

/// Where something was said, which decides what may be left out of it.
#[derive(Debug, Clone)]
pub struct ParseContext<'a> {
    /// The platform, for the ids of people.
    pub platform: Platform,
    /// How people are written there.
    pub notation: &'a dyn Notation,
    /// The workspace, for the ids of people.
    pub workspace: &'a str,
    /// The incident whose thread it was said in.
    pub thread: Option<IncidentId>,
    /// The incidents that are open.
    pub live: &'a [IncidentId],
    /// Which bot hears it.
    pub whose: Whose,
    /// Which user groups stand for which level, so that an incident can be handed to `@group`.
    pub groups: &'a [(String, LevelNumber)],
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// What can be said.
    Help,
    /// The live incidents.
    Incidents,
    /// Where one stands.
    Status(IncidentId),
    /// Switch fixes off or on, for every incident.
    Writes {
        /// Whether they may run.
        on: bool,
        /// Why; may be empty.
        reason: String,
    },
    /// Take all that are open.
    AckAll,
    /// Something about one.
    Act(IncidentId, Act),
}

/// Reads one command, without the platform's name for all of them.
pub fn parse(text: &str, place: &ParseContext<'_>) -> Result<Said, Misunderstood> {
    if text.len() > COMMAND_MOST {
        return Err(Misunderstood::TooLong { most: COMMAND_MOST });
    }
    let (word, rest) = first_word(text);
    if word.is_empty() {
        return Ok(Said::Help);
    }
    let verb = Verb::parse(word).ok_or_else(|| Misunderstood::verb(word))?;
    match verb {
        Verb::Help => Ok(Said::Help),
        Verb::Incidents => Ok(Said::Incidents),
        Verb::Note => note(rest, place),
        Verb::Writes => writes(rest, place),
        Verb::Resolve => resolve(rest, place),
        Verb::Ack if says_all(rest) => ack_all(rest, place),
        _ => with_words(verb, &rest.split_whitespace().collect::<Vec<_>>(), place),
    }
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.split_once(char::is_whitespace).map_or((text, ""), |(word, rest)| (word, rest.trim_start()))
}

/// A note is taken as it stands, so only a full `INC-42` at its start names the incident, never a bare number.
fn note(rest: &str, place: &ParseContext<'_>) -> Result<Said, Misunderstood> {
    let (word, after) = first_word(rest);
    let named = word.get(..4).filter(|start| start.eq_ignore_ascii_case("inc-")).and_then(|_| word.parse().ok());
    let (incident, text) = match named {
        Some(typed) => (ours(Verb::Note, &typed, place)?, after),
        None => (left_out(Verb::Note, place)?, rest),
    };
    let text = place.notation.text(text);
    if text.trim().is_empty() {
        return Err(Misunderstood::Missing { verb: Verb::Note, what: "the text of the note" });
    }
    Ok(Said::Act(incident, Act::Note { text }))
}

/// `off`, `on`, and each with a cluster where other bots hear it too: `on/blue`. To stop is always safe, whichever bot it is;
/// to let fixes run again is not.
fn writes(rest: &str, place: &ParseContext<'_>) -> Result<Said, Misunderstood> {
    let (word, reason) = first_word(rest);
    let (word, cluster) = word.split_once('/').map_or((word, None), |(word, cluster)| (word, Some(cluster)));
    let on = match word.to_ascii_lowercase().as_str() {
        "on" => true,
        "off" => false,
        _ => return Err(Misunderstood::Missing { verb: Verb::Writes, what: "`on` or `off`" }),
    };
    if let Some(theirs) = cluster.filter(|cluster| !place.whose.is_ours(cluster)) {
        return Err(Misunderstood::AllOfAnother { theirs: theirs.chars().take(CLUSTER_SHOWN_MOST).collect() });
    }
    if let (true, None, Some(cluster)) = (on, cluster, place.whose.to_be_named()) {
        return Err(Misunderstood::WhichBot { verb: Verb::Writes, cluster, example: format!("on/{cluster}") });
    }
    Ok(Said::Writes { on, reason: place.notation.text(reason) })
}

/// Whether it is `all`, or `all/blue`.
fn says_all(rest: &str) -> bool {
    rest.trim().split('/').next().is_some_and(|word| word.eq_ignore_ascii_case("all"))
}

/// All of this bot; where others hear it too, the cluster says of which.
fn ack_all(rest: &str, place: &ParseContext<'_>) -> Result<Said, Misunderstood> {
    let cluster = rest.trim().split_once('/').map(|(_, cluster)| cluster);
    match (cluster, place.whose.to_be_named()) {
        (None, Some(cluster)) => {
            Err(Misunderstood::WhichBot { verb: Verb::Ack, cluster, example: format!("all/{cluster}") })
        }
        (Some(theirs), _) if !place.whose.is_ours(theirs) => {
            Err(Misunderstood::AllOfAnother { theirs: theirs.chars().take(CLUSTER_SHOWN_MOST).collect() })
        }
        _ => Ok(Said::AckAll),
    }
}

fn with_words(verb: Verb, words: &[&str], place: &ParseContext<'_>) -> Result<Said, Misunderstood> {
    let named = words.split_first().and_then(|(first, rest)| Some((incident(first)?, rest)));
    let (incident, words) = if let Some((typed, rest)) = named {
        (ours(verb, &typed, place)?, rest)
    } else if let Some(error) = incident_comes_first(verb, words) {
        return Err(error);
    } else {
        (left_out(verb, place)?, words)
    };
    let act = match (verb, words) {
        (Verb::Status, []) => return Ok(Said::Status(incident)),
        (Verb::Triage, []) => Act::Triage,
        (Verb::Withdraw, []) => Act::Withdraw,
        (Verb::Ack, []) => Act::Acknowledge,
        (Verb::Escalate, []) => Act::Escalate { from: None },
        (Verb::Verify, []) => Act::Verify,
        (Verb::Approve, []) => Act::Approve { plan: None },
        (Verb::Approve, [plan]) => Act::Approve { plan: Some(plan_id(verb, plan)?) },
        (Verb::Reject, []) => Act::Reject { plan: None },
        (Verb::Reject, [plan]) => Act::Reject { plan: Some(plan_id(verb, plan)?) },
        (Verb::Fix, [name]) => Act::ProposeFix { fix: wanted_fix(name)? },
        (Verb::Fix, []) => return Err(Misunderstood::fix("")),
        (Verb::Target, [namespace, workload]) => Act::SetTarget { target: target(namespace, workload)? },
        (Verb::Target, _) => return Err(Misunderstood::Missing { verb, what: "a namespace and a workload" }),
        (Verb::Handoff, [to]) => Act::HandOff { to: hand_off_to(to, place)? },
        (Verb::Handoff, []) => return Err(Misunderstood::Missing { verb, what: "a person or a level" }),
        (_, words) => {
            return Err(Misunderstood::TooMuch { verb, extra: words.first().copied().unwrap_or_default().to_owned() });
        }
    };
    Ok(Said::Act(incident, act))
}

/// `INC-42`, `inc-42` or `42`, and each with a cluster, as `INC-42/blue`.
fn incident(word: &str) -> Option<TypedId> {
    let name = word.split('/').next().unwrap_or_default();
    let bare_and_long = name.len() > INCIDENT_DIGITS_MOST && !name.contains('-');
    if bare_and_long { None } else { word.parse().ok() }
}

/// The incident that was named, if it is this bot's. Where other bots hear it too, its cluster is named as well.
fn ours(verb: Verb, typed: &TypedId, place: &ParseContext<'_>) -> Result<IncidentId, Misunderstood> {
    match (&typed.cluster, place.whose.to_be_named()) {
        (None, Some(cluster)) => {
            Err(Misunderstood::WhichBot { verb, cluster, example: place.whose.ours(typed.incident).to_string() })
        }
        _ => Ok(place.whose.read(typed)?),
    }
}

/// The right order, when an incident is named after the rest: `fix restart-pod INC-7`.
fn incident_comes_first(verb: Verb, words: &[&str]) -> Option<Misunderstood> {
    let full = |word: &&&str| word.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("inc-"));
    let named = words.iter().find(full).and_then(|word| incident(word))?.incident;
    let rest: Vec<&str> = words.iter().filter(|word| !full(word)).copied().collect();
    Some(Misunderstood::Order { verb, incident: named, rest: rest.join(" ") })
}

/// The incident that is meant when none is named.
fn left_out(verb: Verb, place: &ParseContext<'_>) -> Result<IncidentId, Misunderstood> {
    if let Some(cluster) = place.whose.to_be_named() {
        let example = place.live.first().copied().unwrap_or(IncidentId::new(7));
        return Err(Misunderstood::WhichBot { verb, cluster, example: place.whose.ours(example).to_string() });
    }
    match (place.thread, place.live) {
        (Some(thread), _) => Ok(thread),
        (None, [only]) => Ok(*only),
        (None, []) => Err(Misunderstood::NothingOpen),
        (None, several) => Err(Misunderstood::WhichIncident { verb, live: several.to_vec() }),
    }
}

/// The hash of a plan, or its first characters as the card shows them.
fn plan_id(verb: Verb, word: &str) -> Result<PlanId, Misunderstood> {
    PlanId::typed(word).ok_or_else(|| Misunderstood::TooMuch { verb, extra: word.to_owned() })
}

/// The word with which somebody closes an incident whose alert still fires.
const ANYWAY: &str = "anyway";

/// `[INC] [anyway] [REASON]`. The reason is taken as it stands, so a bare number at its start names the incident only
/// where nothing but `anyway` follows: "5 pods were restarted" is a reason.
fn resolve(rest: &str, place: &ParseContext<'_>) -> Result<Said, Misunderstood> {
    let (word, after) = first_word(rest);
    let is_full = |word: &str| word.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("inc-"));
    let alone = after.is_empty() || first_word(after).0.eq_ignore_ascii_case(ANYWAY);
    let named = incident(word).filter(|_| alone || is_full(word));
    let rest = if named.is_some() { after } else { rest };
    let (word, after) = first_word(rest);
    let anyway = word.eq_ignore_ascii_case(ANYWAY);
    let reason = if anyway { after } else { rest };
    let incident = if let Some(typed) = named {
        ours(Verb::Resolve, &typed, place)?
    } else if let Some(error) = incident_comes_first(Verb::Resolve, &[ANYWAY, first_word(reason).0]).filter(|_| anyway)
    {
        return Err(error);
    } else {
        left_out(Verb::Resolve, place)?
    };
    Ok(Said::Act(incident, closing(&place.notation.text(reason), anyway)))
}

fn closing(reason: &str, anyway: bool) -> Act {
    let reason = (!reason.trim().is_empty()).then(|| reason.trim().to_owned());
    Act::Resolve { reason, anyway }
}

fn wanted_fix(name: &str) -> Result<FixName, Misunderstood> {
    FixName::parse(name).ok_or_else(|| Misunderstood::fix(name))
}

fn target(namespace: &str, workload: &str) -> Result<TargetRef, Misunderstood> {
    let namespace = Namespace::parse(namespace).map_err(|error| Misunderstood::Target(error.to_string()))?;
    TargetRef::parse(namespace, workload).map_err(|error| Misunderstood::Target(error.to_string()))
}

fn hand_off_to(word: &str, place: &ParseContext<'_>) -> Result<HandOffTo, Misunderstood> {
    let level = word.strip_prefix(['L', 'l']).and_then(|digits| digits.parse().ok()).map(LevelNumber);
    let group = place
        .notation
        .group(word)
        .and_then(|group| place.groups.iter().find(|(known, _)| known == group))
        .map(|(_, level)| *level);
    if let Some(level) = level.or(group) {
        return Ok(HandOffTo::Level(level));
    }
    let user = place.notation.user(word).ok_or_else(|| Misunderstood::Whom(word.to_owned()))?;
    let workspace = place.workspace.to_owned();
    Ok(HandOffTo::Person(PersonId { platform: place.platform, workspace, user: user.to_owned() }))
}

/// The commands that somebody with these roles can give: nothing is listed that would be refused.
pub fn help(roles: &BTreeSet<Role>) -> Vec<(String, &'static str)> {
    let may = |verb: &Verb| verb.roles().is_empty() || verb.roles().iter().any(|role| roles.contains(role));
    Verb::ALL.into_iter().filter(may).map(|verb| (verb.usage(), verb.description())).collect()
}
