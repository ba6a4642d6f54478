//! What is remembered of calls: who was asked in the window that runs, by which way that got through, and which pages
//! still ring. A call is judged when it is made, and this is what it is judged by.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    CallReason, Cause, Destination, Face, Incident, IncidentId, IncidentStatus, Lacks, MentionPost, Triage, WebAddress,
};
use crate::{
    escalation::{
        LevelNumber, PagerName, Rung,
        windows::{DIAGNOSIS_WAIT, JUST_CALLED},
    },
    people::{Mention, Platform},
};

/// How many pages are left ringing, or with somebody who has taken them. Three levels that are called every hour send more
/// within a weekend: the oldest is ended then, since newer ones ring.
pub(super) const PAGES_MOST: usize = 100;
/// The same for mentions that do not say the cause yet.
pub(super) const MENTIONS_MOST: usize = 20;

/// One level's newest call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LevelCall {
    /// Which level.
    pub level: LevelNumber,
    /// The window that its newest call belongs to: an older call of it is superseded.
    pub rung: Rung,
    /// The version of the incident at which it was asked.
    pub version: u64,
    /// Whether the mention got through.
    pub mentioned: bool,
    /// Whether a pager took it.
    pub paged: bool,
    /// The version of the incident at which its page was ended because the alerts had: its pager is called anew if they fire
    /// again, and the new page is named after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rings_again: Option<u64>,
    /// How many ways of calling it were refused for good.
    pub refused: u32,
    /// Whether the fall-back pager was called because the chat could not be reached.
    #[serde(default)]
    pub fell_back: bool,
    /// When it was called beside the window, because of what was found; `None` for a call that the window made.
    #[serde(default)]
    pub beside: Option<Timestamp>,
    /// Why it is called, for a call that was asked for while the diagnosis ran and waits for it.
    #[serde(default)]
    pub waits: Option<CallReason>,
}

impl LevelCall {
    /// Whether the call has reached the level by any way.
    pub fn got_through(&self) -> bool {
        self.mentioned || self.paged || self.fell_back
    }

    /// Its page was ended at `version` because the alerts had: by that page nobody is reached any more.
    pub(super) fn page_ended(&mut self, version: u64) {
        if self.paged {
            self.rings_again = Some(version);
        }
        self.paged = false;
        self.fell_back = false;
    }
}

/// The first time that a level was really called in this opening of the incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstCall {
    /// Which level.
    pub level: LevelNumber,
    /// The version of the incident by then.
    pub version: u64,
}

/// How a page that was sent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageState {
    /// It rings.
    Ringing,
    /// Somebody has the incident.
    Acknowledged,
    /// The incident needs nobody any more.
    Resolved,
}

/// A page that a pager took, or may have taken: its answer was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PagerAlert {
    /// Which pager.
    pub pager: PagerName,
    /// For which level.
    pub level: LevelNumber,
    /// The name under which the pager knows it.
    pub key: String,
    /// How it stands.
    pub state: PageState,
    /// The version of the incident at which that last changed.
    pub version: u64,
    /// What the page does not say yet.
    #[serde(default)]
    pub lacks: Lacks,
    /// The version of the incident at which something that it lacked became known.
    #[serde(default)]
    pub completed: Option<u64>,
}

/// A mention that does not say the cause yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnexplainedMention {
    /// Where it is.
    pub to: Destination,
    /// Which level it calls.
    pub level: LevelNumber,
    pub post: MentionPost,
    /// The version of the incident at which the cause became known.
    pub completed: Option<u64>,
}

/// The calls of an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Calls {
    /// The levels that were asked since somebody last had it.
    pub asked: Vec<LevelCall>,
    /// The pages that pagers took, or may have taken.
    pub pages: Vec<PagerAlert>,
    /// The mentions that are completed when the cause is known.
    pub unexplained: Vec<UnexplainedMention>,
    /// The link to the card that was posted last, of those whose platform has links.
    pub card: Option<WebAddress>,
    /// The links to the cards, by face. Of an incident of before they were kept apart there is `card` alone.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cards: BTreeMap<Face, WebAddress>,
    /// The level that was called because of what was found, since the incident last opened.
    pub by_evidence: Option<LevelNumber>,
    /// The levels that were really called since the incident last opened.
    pub first: Vec<FirstCall>,
}

impl Calls {
    /// The newest call of a level.
    pub fn of(&self, level: LevelNumber) -> Option<&LevelCall> {
        self.asked.iter().find(|asked| asked.level == level)
    }

    /// The link to the card for people of one platform: no other one leads them anywhere.
    pub fn card_on(&self, platform: Platform) -> Option<&WebAddress> {
        if self.cards.is_empty() {
            return self.card.as_ref();
        }
        self.cards.iter().find(|(face, _)| face.platform() == platform).map(|(_, link)| link)
    }

    /// The page of that name.
    pub fn page(&self, key: &str) -> Option<&PagerAlert> {
        self.pages.iter().find(|page| page.key == key)
    }

    /// Whether the newest call of a level is not its first one: only then somebody is called *again*.
    pub fn calls_again(&self, level: LevelNumber) -> bool {
        let first = self.first.iter().find(|first| first.level == level);
        first.is_some_and(|first| self.of(level).is_none_or(|asked| first.version < asked.version))
    }

    /// Whether a level was reached beside the ladder so short a time ago that the ladder need not call it once more.
    pub fn just_reached_beside(&self, level: LevelNumber, now: Timestamp) -> bool {
        self.of(level).is_some_and(|asked| {
            asked.got_through() && asked.beside.is_some_and(|at| now.duration_since(at) < JUST_CALLED)
        })
    }

    pub(super) fn ask(&mut self, fresh: LevelCall) {
        self.asked.retain(|asked| asked.level != fresh.level);
        self.asked.push(fresh);
    }

    pub(super) fn change(&mut self, level: LevelNumber, change: impl FnOnce(&mut LevelCall)) {
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.level == level) {
            change(asked);
        }
    }

    pub(super) fn end_pages(&mut self, state: PageState, version: u64) {
        for page in &mut self.pages {
            let goes_further = match state {
                PageState::Ringing => false,
                PageState::Acknowledged => page.state == PageState::Ringing,
                PageState::Resolved => page.state != PageState::Resolved,
            };
            if goes_further {
                page.state = state;
                page.version = version;
            }
        }
    }

    /// Marks the calls that can say more at this version than when they were made.
    pub(super) fn complete(&mut self, known: Known, version: u64) {
        for page in &mut self.pages {
            let left = page.lacks.without(known);
            if left != page.lacks {
                page.lacks = left;
                page.completed = Some(version);
            }
        }
        if known.cause {
            for mention in &mut self.unexplained {
                mention.completed = Some(version);
            }
        }
    }
}

/// What can be said by now of all that a call may lack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) cause: bool,
    pub(super) card: bool,
}

impl Known {
    pub(super) fn of(incident: &Incident) -> Self {
        Self { cause: Cause::of(incident).is_known(), card: incident.calls.card.is_some() }
    }
}

impl Incident {
    /// The levels that are called beside the window, because of what was found. One to which the ladder has come meanwhile
    /// has a window of its own.
    pub fn called_beside(&self) -> impl Iterator<Item = LevelNumber> {
        let reached = match self.ladder.rung() {
            Some(Rung::Waiting { level, .. }) => Some(*level),
            Some(Rung::AllPaged { .. } | Rung::Acknowledged { .. }) | None => None,
        };
        let beside = self.calls.asked.iter().filter(|asked| asked.beside.is_some()).map(|asked| asked.level);
        beside.filter(move |level| Some(*level) > reached)
    }
}

/// The name that a pager knows a call by: one a call, the same whenever that call is sent. `call` is the key of its effect.
pub fn page_key(incident: &Incident, call: &str) -> String {
    // By the bot's own cluster: the bot of the incident's cluster may page the same people about its own INC-7.
    let cluster = incident.foreign_to.as_ref().unwrap_or(&incident.cluster);
    // However ids are written: an open page is ended with the name that it was sent with.
    let id = IncidentId::new(incident.id.number());
    let key = format!("mtls-medic/{cluster}/{id}/{call}");
    if key.chars().count() <= PAGE_KEY_MOST {
        return key;
    }
    // Cut, two calls of one incident would be one.
    let digest = Sha256::digest(key.as_bytes());
    format!("mtls-medic/{id}/{}", hex::encode(digest))
}

/// PagerDuty's limit of a dedup key, in characters (Events API v2).
const PAGE_KEY_MOST: usize = 255;

/// By which ways the bot calls a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ways {
    pub(super) mention: bool,
    pub(super) pager: bool,
}

impl Ways {
    pub(super) fn of(incident: &Incident, level: LevelNumber) -> Self {
        let known = incident.policy.level(level);
        let pager = known.is_some_and(|level| level.pager.is_some());
        // With nobody to mention, the channel would only be told that nobody can be called while the pager rings.
        Self { mention: !pager || known.is_some_and(|level| !level.mentions.is_empty()), pager }
    }

    /// How many calls that makes.
    pub(super) fn count(self, incident: &Incident, level: LevelNumber) -> usize {
        let mentions = if self.mention { channels_of_call(incident, level).count() } else { 0 };
        mentions.saturating_add(usize::from(self.pager))
    }

    /// What is left to do for `asked`.
    pub(super) fn left(incident: &Incident, asked: &LevelCall) -> Self {
        let all = Self::of(incident, asked.level);
        Self { mention: all.mention && !asked.mentioned, pager: all.pager && !asked.paged }
    }

    pub(super) fn any(self) -> bool {
        self.mention || self.pager
    }
}

/// The channels in which a level is mentioned, each with its place among all: those of the platforms where it has somebody to
/// mention. One with nobody anywhere is told of in all of them.
pub(super) fn channels_of_call(
    incident: &Incident,
    level: LevelNumber,
) -> impl Iterator<Item = (usize, Destination, Vec<Mention>)> {
    let mentions = incident.policy.level(level).map(|level| level.mentions.clone()).unwrap_or_default();
    let nobody = mentions.iter().all(|one| incident.channels.iter().all(|to| to.face.platform() != one.platform));
    incident.channels.clone().into_iter().enumerate().filter_map(move |(place, to)| {
        let own: Vec<Mention> = mentions.iter().filter(|one| one.platform == to.face.platform()).cloned().collect();
        (nobody || !own.is_empty()).then_some((place, to, own))
    })
}

/// Whether a call that was asked for in `rung` is still to be made. A window that has passed does not lose it: it is
/// then late. Only an acknowledgement, an end, a newer call of the same level, or a step down the ladder does. A call
/// beside the window is above it on the ladder, and one that was made after an acknowledgement calls for help.
pub(super) fn call_wanted(incident: &Incident, level: LevelNumber, rung: &Rung) -> bool {
    if incident.status != IncidentStatus::Open || incident.quiet {
        return false;
    }
    let Some(running) = incident.ladder.rung() else { return false };
    let reaches = match running {
        Rung::Waiting { level: at, .. } => level <= *at,
        Rung::AllPaged { .. } => true,
        Rung::Acknowledged { .. } => false,
    };
    let asked = incident.calls.of(level);
    let beside = asked.is_some_and(|asked| asked.beside.is_some());
    let newest = asked.map_or(running == rung, |asked| asked.rung == *rung);
    (reaches || beside) && newest
}

/// When a call is due. One that waits for the diagnosis is due when that has had its time, at the latest.
pub(super) fn due_of_call(incident: &Incident, level: LevelNumber, now: Timestamp) -> Timestamp {
    let waits = incident.calls.of(level).is_some_and(|asked| asked.waits.is_some());
    match &incident.triage {
        Triage::Running { since, .. } if waits => now.max(*since + DIAGNOSIS_WAIT),
        _ => now,
    }
}
