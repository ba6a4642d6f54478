//! What is remembered of calls: who was asked in the window that runs, by which way that got through, and which pages
//! still ring. A call is judged when it is made, and this is what it is judged by.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CallReason, Event, Incident, Life};
use crate::escalation::{LevelNumber, PagerName, Rung};

/// How many pages are remembered. More than this have not been sent by any ladder within one incident's life.
const PAGES_MOST: usize = 100;

/// A level that was reached beside the ladder this short a time ago is not called once more when the ladder comes to it:
/// two calls within a few minutes tell nobody anything new.
const JUST_CALLED: SignedDuration = SignedDuration::from_mins(5);

/// One level's newest call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
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
    /// How many ways of calling it were refused for good.
    pub refused: u32,
    /// Whether the fall-back pager was called because the chat could not be reached.
    #[serde(default)]
    pub fell_back: bool,
    /// When it was called beside the window, because of what was found; `None` for a call that the window made.
    #[serde(default)]
    pub beside: Option<Timestamp>,
}

impl Asked {
    /// Whether the call has reached the level by any way.
    pub fn got_through(&self) -> bool {
        self.mentioned || self.paged || self.fell_back
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

/// A page that a pager took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
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
}

/// The calls of an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Calls {
    /// The levels that were asked since somebody last had it.
    pub asked: Vec<Asked>,
    /// The pages that pagers took.
    pub pages: Vec<Page>,
    /// The level that was called because of what was found, since the incident last opened.
    pub by_evidence: Option<LevelNumber>,
    /// The levels that were really called since the incident last opened.
    pub first: Vec<FirstCall>,
}

impl Calls {
    /// The newest call of a level.
    pub fn of(&self, level: LevelNumber) -> Option<&Asked> {
        self.asked.iter().find(|asked| asked.level == level)
    }

    /// Whether the newest call of a level is not its first one: only then somebody is called *again*.
    pub fn calls_again(&self, level: LevelNumber) -> bool {
        let first = self.first.iter().find(|first| first.level == level);
        first.is_some_and(|first| self.of(level).is_none_or(|asked| first.version < asked.version))
    }

    /// The levels that are called beside the window, because of what was found.
    pub fn beside(&self) -> impl Iterator<Item = LevelNumber> {
        self.asked.iter().filter(|asked| asked.beside.is_some()).map(|asked| asked.level)
    }

    /// Whether a level was reached beside the ladder so short a time ago that the ladder need not call it once more.
    pub fn just_reached_beside(&self, level: LevelNumber, now: Timestamp) -> bool {
        self.of(level).is_some_and(|asked| {
            asked.got_through() && asked.beside.is_some_and(|at| now.duration_since(at) < JUST_CALLED)
        })
    }

    fn ask(&mut self, fresh: Asked) {
        self.asked.retain(|asked| asked.level != fresh.level);
        self.asked.push(fresh);
    }

    fn change(&mut self, level: LevelNumber, change: impl FnOnce(&mut Asked)) {
        if let Some(asked) = self.asked.iter_mut().find(|asked| asked.level == level) {
            change(asked);
        }
    }

    fn end_pages(&mut self, state: PageState, version: u64) {
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
}

/// Which ways of calling a level are to be gone.
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
    pub(super) fn count(self, incident: &Incident) -> usize {
        let mentions = if self.mention { incident.channels.len() } else { 0 };
        mentions.saturating_add(usize::from(self.pager))
    }

    /// What is left to do for `asked`.
    pub(super) fn left(incident: &Incident, asked: &Asked) -> Self {
        let all = Self::of(incident, asked.level);
        Self { mention: all.mention && !asked.mentioned, pager: all.pager && !asked.paged }
    }

    fn any(self) -> bool {
        self.mention || self.pager
    }
}

/// Whether a call that was asked for in `rung` is still to be made. A window that has passed does not lose it: it is
/// then late. Only an acknowledgement, an end, a newer call of the same level, or a step down the ladder does. A call
/// beside the window is above it on the ladder, and one that was made after an acknowledgement calls for help.
pub(super) fn call_wanted(incident: &Incident, level: LevelNumber, rung: &Rung) -> bool {
    if incident.life != Life::Open || incident.quiet {
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

pub(super) fn apply_calls(incident: &mut Incident, event: &Event, at: Timestamp) {
    let version = incident.version;
    let fresh = |level: LevelNumber, rung: Rung, beside: Option<Timestamp>| Asked {
        level,
        rung,
        version,
        mentioned: false,
        paged: false,
        refused: 0,
        fell_back: false,
        beside,
    };
    match event {
        Event::CalledBeside { level, rung, .. } => {
            incident.calls.ask(fresh(*level, *rung, Some(at)));
            incident.calls.by_evidence = incident.calls.by_evidence.max(Some(*level));
        }
        Event::RungBegan { rung, call, reason } => {
            for level in call {
                incident.calls.ask(fresh(*level, *rung, None));
            }
            // As versions that put the lower levels aside stored it.
            if let (CallReason::Evidence { .. }, Rung::Waiting { level, .. }) = (reason, rung) {
                incident.calls.by_evidence = incident.calls.by_evidence.max(Some(*level));
            }
        }
        Event::LevelCalled { level, by_pager, page } => called(incident, *level, *by_pager, page.as_ref()),
        Event::LevelUnreachable { level, .. } => {
            incident.calls.change(*level, |asked| asked.refused = asked.refused.saturating_add(1));
        }
        Event::FellBack { level, .. } => incident.calls.change(*level, |asked| asked.fell_back = true),
        Event::Acknowledged { .. } | Event::HandedTo { .. } => {
            incident.calls.asked.clear();
            incident.calls.end_pages(PageState::Acknowledged, version);
        }
        Event::ClearingBegan { .. } => {
            // Who was woken by a page that has ended is woken again if it fires again.
            let pages = incident.calls.pages.clone();
            for asked in &mut incident.calls.asked {
                asked.paged &= !pages.iter().any(|page| page.level == asked.level);
            }
            incident.calls.end_pages(PageState::Resolved, version);
        }
        Event::ClearingEnded => ask_again(incident),
        Event::Closed { .. } => {
            incident.calls.asked.clear();
            incident.calls.end_pages(PageState::Resolved, version);
        }
        Event::Reopened => {
            incident.calls.by_evidence = None;
            incident.calls.first.clear();
        }
        _ => {}
    }
}

fn called(incident: &mut Incident, level: LevelNumber, by_pager: bool, page: Option<&(PagerName, String)>) {
    let version = incident.version;
    incident.calls.change(level, |asked| {
        asked.mentioned |= !by_pager;
        asked.paged |= by_pager;
    });
    if incident.calls.first.iter().all(|first| first.level != level) {
        incident.calls.first.push(FirstCall { level, version });
    }
    // An acknowledgement forgets who was asked, so whoever is asked by now was asked after it, for help.
    let for_help = incident.calls.of(level).is_some_and(|asked| asked.beside.is_some());
    let Some((pager, key)) = page else { return };
    // A page that was under way while somebody acknowledged, or while the alerts ended, is ended as well.
    let state = match (&incident.life, incident.ladder.rung()) {
        (Life::Open, Some(Rung::Acknowledged { .. })) if !for_help => PageState::Acknowledged,
        (Life::Open, _) => PageState::Ringing,
        (Life::Clearing { .. } | Life::Closed { .. }, _) => PageState::Resolved,
    };
    let known = &mut incident.calls.pages;
    known.retain(|page| page.state != PageState::Resolved && page.key != *key);
    known.push(Page { pager: pager.clone(), level, key: key.clone(), state, version });
    let surplus = known.len().saturating_sub(PAGES_MOST);
    known.drain(..surplus);
}

/// The window goes on: whoever was not reached yet is called again, since a call that fell into the pause was dropped.
fn ask_again(incident: &mut Incident) {
    let Some(running) = incident.ladder.rung().copied() else { return };
    let is_called = |level: LevelNumber| match running {
        Rung::Waiting { level: at, .. } => level <= at,
        Rung::AllPaged { .. } => true,
        Rung::Acknowledged { .. } => false,
    };
    let mut all = std::mem::take(&mut incident.calls.asked);
    for one in &mut all {
        // The same instant: nothing was dropped, and the call is still there.
        if one.rung != running && (one.beside.is_some() || is_called(one.level)) && Ways::left(incident, one).any() {
            one.rung = running;
            one.version = incident.version;
        }
    }
    incident.calls.asked = all;
}
