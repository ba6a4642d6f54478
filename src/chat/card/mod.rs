//! What an incident's card shows, drawn from its state alone: the same on every face (chat notes, "what the two share").
//!
//! It shows absolute times, because a clock that stands still on a screen lies (design section 2).

mod body;
mod button;
mod progress;
mod storm;
mod text;

#[cfg(test)]
pub(crate) mod tests;

pub(in crate::chat) use body::{by_hand, risk, verdict_lines, why_unseeing};
pub use button::{Button, Confirm, Press, Style};
pub(in crate::chat) use button::{ask_for_fixes, taking, votes};
pub(in crate::chat) use progress::{end_line, level_name, plan_lines};
pub(in crate::chat) use storm::{survey_in_words, survey_lines};
pub use text::{
    COMMAND, Line, Span, code, command, command_line, joined, lasted, people, person, plain, sentence, strong, text,
    time, utc, with_people, words,
};

use jiff::Timestamp;

use crate::engine::ChecksSoFar;
use crate::escalation::{Ladder, Rung};
use crate::incident::{CloseReason, Incident, IncidentId, IncidentStatus};
use crate::people::Platform;

/// How many items of one list are shown; the rest is counted. More does not fit on a phone at 3 a.m.
pub const LIST_MOST: usize = 8;

/// How an incident stands, at one glance. A face gives each a colour and also says the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It fires and nobody has it.
    Unanswered,
    /// It fires and somebody has it, or a fix runs.
    InHand,
    /// All alerts are resolved; it is about to close.
    Clearing,
    /// It has ended.
    Closed,
}

impl State {
    /// How `incident` stands.
    pub fn of(incident: &Incident) -> Self {
        let held = matches!(&incident.ladder, Ladder::Running { rung: Rung::Acknowledged { .. }, .. });
        match incident.status {
            IncidentStatus::Closed { .. } => Self::Closed,
            IncidentStatus::Clearing { .. } => Self::Clearing,
            IncidentStatus::Open if held => Self::InHand,
            IncidentStatus::Open => Self::Unanswered,
        }
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::InHand => "in hand",
            Self::Clearing => "clearing",
            Self::Closed => "closed",
        }
    }

    /// Its colour as `#rrggbb`: red, amber, blue, green.
    pub fn colour(self) -> &'static str {
        match self {
            Self::Unanswered => "#d1242f",
            Self::InHand => "#bf8700",
            Self::Clearing => "#0969da",
            Self::Closed => "#1a7f37",
        }
    }

    /// Its sign, for faces that have no colours.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Unanswered => "🔴",
            Self::InHand => "🟠",
            Self::Clearing => "🔵",
            Self::Closed => "🟢",
        }
    }
}

/// What a section of the card is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardPart {
    /// The alert, since when, and on what.
    WhatIsWrong,
    /// Which pods, how many alerts, what was cut off.
    BlastRadius,
    /// The verdict with its reasons, and what follows from it.
    Diagnosis,
    /// What could not be checked.
    NotChecked,
    /// The fixes that fit, with their risk, and those that must not be tried.
    Fixes,
    /// The fix under way.
    Progress,
    /// The fixes that have ended.
    Tried,
    /// Who is called, until when, and who is next.
    OnTheHook,
    /// What the bot could not do.
    Troubles,
}

impl CardPart {
    /// Its heading.
    pub fn heading(self) -> &'static str {
        match self {
            Self::WhatIsWrong => "What is wrong",
            Self::BlastRadius => "Blast radius",
            Self::Diagnosis => "Diagnosis",
            Self::NotChecked => "Not checked",
            Self::Fixes => "What can be done",
            Self::Progress => "Fix under way",
            Self::Tried => "What was tried",
            Self::OnTheHook => "On the hook",
            Self::Troubles => "What the bot could not do",
        }
    }
}

/// One part of the card; never without lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What it is about.
    pub part: CardPart,
    /// What it says.
    pub lines: Vec<Line>,
}

/// A link: to the runbook, a graph, the card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it leads to.
    pub label: String,
    /// A web address. Each face leaves out what it cannot show as one.
    pub url: String,
}

impl Link {
    /// The label of a runbook's link: an alert's own stands in place of the configured one.
    pub const RUNBOOK: &str = "Runbook";
}

/// One incident as every face shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Which incident.
    pub incident: IncidentId,
    /// The version of the incident that was drawn.
    pub version: u64,
    /// How it stands.
    pub state: State,
    /// Its title, without the state. Holds text from outside.
    pub title: String,
    /// The one line to read first.
    pub headline: Line,
    /// The rest, most important first.
    pub sections: Vec<Section>,
    /// The usual next steps: only what can work now.
    pub buttons: Vec<Button>,
    /// Where to read on; the faces put the configured ones here.
    pub links: Vec<Link>,
}

impl Card {
    /// Draws the card.
    pub fn of(incident: &Incident) -> Self {
        let parts = [
            (CardPart::OnTheHook, progress::on_the_hook(incident)),
            (CardPart::WhatIsWrong, body::what_is_wrong(incident)),
            (CardPart::Diagnosis, body::diagnosis(incident)),
            (CardPart::Progress, progress::fix(incident)),
            (CardPart::Tried, progress::tried(incident)),
            (CardPart::Fixes, body::fixes(incident)),
            (CardPart::BlastRadius, body::blast_radius(incident)),
            (CardPart::NotChecked, body::not_checked(incident)),
            (CardPart::Troubles, progress::troubles(incident)),
        ];
        Self {
            incident: incident.id,
            version: incident.version,
            state: State::of(incident),
            title: title(incident),
            headline: headline(incident),
            sections: parts
                .into_iter()
                .filter(|(part, lines)| !lines.is_empty() && is_shown(incident, *part))
                .map(|(part, lines)| Section { part, lines })
                .collect(),
            buttons: button::of(incident),
            links: Vec::new(),
        }
    }

    /// The card as it is drawn while fixes are switched off: no button that cannot work, and one line that says why.
    pub fn with_writes_off(mut self) -> Self {
        self.buttons.retain(|button| !button.press.needs_writes());
        if let Some(fixes) = self.sections.iter_mut().find(|section| section.part == CardPart::Fixes) {
            fixes.lines.push(sentence("Fixes are switched off, so the bot only diagnoses. Approvers: `writes on`, if the configuration allows fixes (writes)."));
        }
        self
    }

    /// The card as it is drawn while a triage runs that has looked at this much.
    pub fn with_progress(mut self, looked: Option<&ChecksSoFar>) -> Self {
        let diagnosis = self.sections.iter_mut().find(|section| section.part == CardPart::Diagnosis);
        if let (Some(looked), Some(diagnosis)) = (looked, diagnosis) {
            let line = vec![
                text(format!("Looked at {} things so far, the newest: ", looked.checks)),
                code(looked.newest.clone()),
            ];
            diagnosis.lines.insert(diagnosis.lines.len().min(1), line);
        }
        self
    }

    /// The card as it is drawn while posts wait because this platform takes them slower; `at` is now.
    pub fn with_backlog(mut self, waiting: usize, platform: Platform, at: Timestamp) -> Self {
        if waiting == 0 {
            return self;
        }
        let line = vec![
            text(format!("{waiting} post(s) of the bot waited at ")),
            time(at),
            text(format!(", because {platform} takes them slower now. Calls go first, and nothing is left out.")),
        ];
        match self.sections.iter_mut().find(|section| section.part == CardPart::Troubles) {
            Some(troubles) => troubles.lines.push(line),
            None => self.sections.push(Section { part: CardPart::Troubles, lines: vec![line] }),
        }
        self
    }

    #[cfg(test)]
    /// The section of that part, if it has anything to say.
    pub fn section(&self, part: CardPart) -> Option<&Section> {
        self.sections.iter().find(|section| section.part == part)
    }

    /// One line for notifications and screen readers.
    pub fn summary(&self) -> String {
        format!("{} ({}): {}", self.title, self.state.word(), plain(&self.headline))
    }
}

/// A card whose incident joined a storm is a pointer to that one's.
fn is_shown(incident: &Incident, part: CardPart) -> bool {
    let points_away = incident.joined.is_some() && incident.is_live();
    !points_away || matches!(part, CardPart::OnTheHook | CardPart::WhatIsWrong | CardPart::Progress)
}

fn title(incident: &Incident) -> String {
    let about = incident.target.as_ref().map_or_else(|| "target not known".to_owned(), ToString::to_string);
    match incident.storm {
        _ if incident.key.is_of_rule() => format!("{} {} would not be seen now", incident.id, incident.alert),
        Some(count) => format!("{} Storm: {count} incidents opened within a short time", incident.id),
        None => format!("{} {}: {about}", incident.id, incident.alert),
    }
}

fn headline(incident: &Incident) -> Line {
    match &incident.status {
        IncidentStatus::Closed { at, reason: CloseReason::AlertsResolved } => {
            vec![strong("Closed"), text(" at "), time(*at), text(": its alerts stayed resolved.")]
        }
        IncidentStatus::Closed { at, reason: CloseReason::Joined { into, by } } => vec![
            strong(format!("Joined {}", into.kept_like(incident.id))),
            text(" at "),
            time(*at),
            text(", said by "),
            person(by),
            text(": its alerts go on there."),
        ],
        IncidentStatus::Closed { at, reason: CloseReason::Person(by) } => {
            let because = by.why.clone().unwrap_or_else(|| "no reason was given".to_owned());
            vec![
                strong("Closed"),
                text(" by "),
                person(&by.who),
                text(" at "),
                time(*at),
                text(format!(": {because}.")),
            ]
        }
        IncidentStatus::Clearing { until } => vec![
            strong("All alerts are resolved."),
            text(" It closes by itself at "),
            time(*until),
            text(" unless they fire again."),
        ],
        IncidentStatus::Open => match incident.joined {
            Some(storm) => {
                vec![text("Part of "), strong(format!("the storm {}", storm.kept_like(incident.id))), text(".")]
            }
            None => body::in_one_line(incident),
        },
    }
}
