//! What was kept and missed of the escalation since the start of the process, for metrics. The journal has each of them as
//! an event; this saves counting them there at every scrape.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use crate::{
    escalation::{LevelNumber, Rung},
    incident::Event,
    journal::Append,
};

/// Which windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// A level was called and had to answer.
    Answer(LevelNumber),
    /// Every level was called.
    AllPaged,
    /// Somebody had it, and had to show a sign of work; this level is called otherwise.
    Idle(LevelNumber),
}

/// How a window ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// Somebody took the incident in time.
    Met,
    /// Nobody did.
    Breached,
}

/// The windows that ended, counted.
pub type Windows = BTreeMap<(Window, Ended), u64>;

/// The counts.
#[derive(Debug, Default)]
pub(super) struct WindowCounts(Mutex<Windows>);

impl WindowCounts {
    /// Counts windows whose ends are stored.
    pub(super) fn add(&self, ended: &[(Window, Ended)]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for one in ended {
            let count = all.entry(*one).or_default();
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn windows(&self) -> Windows {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The windows that end by an append, to be counted once it is stored.
pub(super) fn windows_of(append: &Append) -> Vec<(Window, Ended)> {
    let ends = |event: &Event| match event {
        Event::WindowMet { rung } => Some((window(rung), Ended::Met)),
        Event::WindowBreached { rung } => Some((window(rung), Ended::Breached)),
        _ => None,
    };
    append.changes.iter().flat_map(|change| &change.events).filter_map(ends).collect()
}

fn window(rung: &Rung) -> Window {
    match rung {
        Rung::Waiting { level, .. } => Window::Answer(*level),
        Rung::AllPaged { .. } => Window::AllPaged,
        Rung::Acknowledged { level, .. } => Window::Idle(*level),
    }
}
