//! Commands whose parts have names, as platforms with typed options give them.

use std::collections::BTreeMap;

use super::{
    ANYWAY, COMMAND_MOST, Misunderstood, ParseContext, Said, Verb, ack_all, closing, first_word, hand_off_to, incident,
    left_out, ours, plan_id, says_all, target, wanted_fix, writes,
};
use crate::incident::{Act, IncidentId, TypedId};

/// One part of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::EnumIter)]
pub enum Parameter {
    Incident,
    Plan,
    Fix,
    Namespace,
    Workload,
    /// The person or level that gets an incident.
    To,
    /// The words of a note.
    Text,
    /// `off` or `on`.
    Switch,
    /// Close it also while its alert fires.
    Anyway,
    Reason,
}

impl Parameter {
    /// Its name, as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Incident => "incident",
            Self::Plan => "plan",
            Self::Fix => "fix",
            Self::Namespace => "namespace",
            Self::Workload => "workload",
            Self::To => "to",
            Self::Text => "text",
            Self::Switch => "switch",
            Self::Anyway => "anyway",
            Self::Reason => "reason",
        }
    }

    /// What belongs there.
    pub fn description(self) -> &'static str {
        match self {
            Self::Incident => "which one, as in INC-7; left out, the one that is open",
            Self::Plan => "the first characters of its hash, as the card shows them; left out, the one that waits",
            Self::Fix => "which fix",
            Self::Namespace => "its namespace",
            Self::Workload => "as in deploy/frontend, svc/frontend or pod/frontend-0",
            Self::To => "a person, or a level as in L2",
            Self::Text => "what is written down",
            Self::Switch => "off stops every fix; on lets them run again",
            Self::Anyway => "also while its alert still fires",
            Self::Reason => "why, in a few words",
        }
    }
}

/// A part that a command takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    pub what: Parameter,
    pub required: bool,
}

const fn must(what: Parameter) -> Taken {
    Taken { what, required: true }
}

const fn may(what: Parameter) -> Taken {
    Taken { what, required: false }
}

impl Verb {
    /// The parts that it takes, in the order in which they are typed.
    pub fn parameters(self) -> &'static [Taken] {
        use Parameter::{Anyway, Fix, Incident, Namespace, Plan, Reason, Switch, Text, To, Workload};
        const ONE: &[Taken] = &[may(Incident)];
        const VOTE: &[Taken] = &[may(Incident), may(Plan)];
        match self {
            Self::Help | Self::Incidents => &[],
            Self::Status | Self::Triage | Self::Withdraw | Self::Ack | Self::Escalate | Self::Verify => ONE,
            Self::Approve | Self::Reject => VOTE,
            Self::Target => const { &[may(Incident), must(Namespace), must(Workload)] },
            Self::Fix => const { &[may(Incident), must(Fix)] },
            Self::Handoff => const { &[may(Incident), must(To)] },
            Self::Note => const { &[may(Incident), may(Text)] },
            Self::Resolve => const { &[may(Incident), may(Anyway), may(Reason)] },
            Self::Writes => const { &[must(Switch), may(Reason)] },
        }
    }
}

/// A command given by its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    pub verb: Verb,
    pub given: BTreeMap<Parameter, String>,
}

impl Chosen {
    fn get(&self, what: Parameter) -> &str {
        self.given.get(&what).map(|given| given.trim()).unwrap_or_default()
    }

    fn missing(&self, what: &'static str) -> Misunderstood {
        Misunderstood::Missing { verb: self.verb, what }
    }

    fn incident(&self, place: &ParseContext<'_>) -> Result<IncidentId, Misunderstood> {
        match self.get(Parameter::Incident) {
            "" => left_out(self.verb, place),
            named => {
                let typed: TypedId = incident(named).ok_or_else(|| Misunderstood::NoIncident(named.to_owned()))?;
                ours(self.verb, &typed, place)
            }
        }
    }

    /// As it is typed where commands are lines of words.
    pub fn as_typed(&self) -> String {
        let parts = self.verb.parameters().iter().filter_map(|taken| match taken.what {
            Parameter::Anyway => self.given.contains_key(&Parameter::Anyway).then_some(ANYWAY),
            what => Some(self.get(what)).filter(|given| !given.is_empty()),
        });
        std::iter::once(self.verb.word()).chain(parts).collect::<Vec<_>>().join(" ")
    }
}

/// Reads one command.
pub fn said(chosen: &Chosen, place: &ParseContext<'_>) -> Result<Said, Misunderstood> {
    if chosen.given.values().map(String::len).sum::<usize>() > COMMAND_MOST {
        return Err(Misunderstood::TooLong { most: COMMAND_MOST });
    }
    let verb = chosen.verb;
    let text = |what| place.notation.text(chosen.get(what));
    let plan = || match chosen.get(Parameter::Plan) {
        "" => Ok(None),
        named => plan_id(verb, named).map(Some),
    };
    match verb {
        Verb::Help => return Ok(Said::Help),
        Verb::Incidents => return Ok(Said::Incidents),
        Verb::Writes => {
            return writes(&format!("{} {}", chosen.get(Parameter::Switch), chosen.get(Parameter::Reason)), place);
        }
        Verb::Ack if says_all(chosen.get(Parameter::Incident)) => {
            return ack_all(chosen.get(Parameter::Incident), place);
        }
        _ => {}
    }
    let id = chosen.incident(place)?;
    let act = match verb {
        Verb::Help | Verb::Incidents | Verb::Writes | Verb::Status => return Ok(Said::Status(id)),
        Verb::Triage => Act::Triage,
        Verb::Withdraw => Act::Withdraw,
        Verb::Ack => Act::Acknowledge,
        Verb::Escalate => Act::Escalate { from: None },
        Verb::Verify => Act::Verify,
        Verb::Approve => Act::Approve { plan: plan()? },
        Verb::Reject => Act::Reject { plan: plan()? },
        Verb::Fix => Act::ProposeFix { fix: wanted_fix(chosen.get(Parameter::Fix))? },
        Verb::Target => {
            Act::SetTarget { target: target(chosen.get(Parameter::Namespace), chosen.get(Parameter::Workload))? }
        }
        Verb::Handoff => match chosen.get(Parameter::To) {
            "" => return Err(chosen.missing("a person or a level")),
            to => Act::HandOff { to: hand_off_to(to, place)? },
        },
        Verb::Note => match text(Parameter::Text) {
            text if text.is_empty() => return Err(chosen.missing("the text of the note")),
            text => Act::Note { text },
        },
        Verb::Resolve => closing(&text(Parameter::Reason), chosen.given.contains_key(&Parameter::Anyway)),
    };
    Ok(Said::Act(id, act))
}

#[cfg_attr(
    not(any(feature = "discord", test)),
    expect(dead_code, reason = "the face with typed options draws with it")
)]
/// A typed command with the names of its parts, as `fix incident:INC-7 fix:restart-pod`: so people copy it into a platform
/// with typed options. Words that stand for nothing yet (`NAMESPACE`) are named as well.
pub fn with_names(typed: &str) -> String {
    let (word, mut rest) = first_word(typed);
    let Some(verb) = Verb::parse(word) else { return typed.to_owned() };
    let mut parts = vec![verb.word().to_owned()];
    let mut name = |what: Parameter, given: &str| parts.push(format!("{}:{given}", what.name()));
    for taken in verb.parameters() {
        let (word, after) = first_word(rest);
        let stands_for_one = || word.trim_matches(['[', ']']).starts_with("INC") || incident(word).is_some();
        match taken.what {
            _ if word.is_empty() => break,
            Parameter::Text | Parameter::Reason => {
                name(taken.what, rest);
                rest = "";
            }
            Parameter::Incident if !(stands_for_one() || (verb == Verb::Ack && says_all(word))) => {}
            Parameter::Anyway if word.eq_ignore_ascii_case(ANYWAY) => {
                name(taken.what, "True");
                rest = after;
            }
            Parameter::Anyway => {}
            what => {
                name(what, word);
                rest = after;
            }
        }
    }
    parts.join(" ")
}
