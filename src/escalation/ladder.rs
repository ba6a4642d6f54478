//! Where on the ladder an incident stands, and where it goes when a window ends.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{EscalationPolicy, Level, LevelNumber, windows::NOTICED_TOO_LATE};
use crate::people::PersonId;

/// A stretch of waiting that ends at a known moment. It names itself, so that a late or doubled notice changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// A level was called and has until `until` to acknowledge.
    Waiting {
        /// Which level.
        level: LevelNumber,
        /// The end of its window.
        until: Timestamp,
    },
    /// Every level was called; all are called again at `until`.
    AllPaged { until: Timestamp },
    /// Somebody acknowledged; without a sign of work by `until` the level is called again.
    Acknowledged {
        /// The level on whose behalf.
        level: LevelNumber,
        /// The end of the idle clock.
        until: Timestamp,
    },
}

impl Rung {
    /// When it ends.
    pub fn until(&self) -> Timestamp {
        match self {
            Self::Waiting { until, .. } | Self::AllPaged { until } | Self::Acknowledged { until, .. } => *until,
        }
    }

    /// The level that is on the hook; `None` once all are.
    pub fn level(&self) -> Option<LevelNumber> {
        match self {
            Self::Waiting { level, .. } | Self::Acknowledged { level, .. } => Some(*level),
            Self::AllPaged { .. } => None,
        }
    }

    fn with_until(self, new: Timestamp) -> Self {
        match self {
            Self::Waiting { level, .. } => Self::Waiting { level, until: new },
            Self::AllPaged { .. } => Self::AllPaged { until: new },
            Self::Acknowledged { level, .. } => Self::Acknowledged { level, until: new },
        }
    }
}

/// The ladder of one incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ladder {
    /// Nobody is called: the incident is closed, or stands in a storm that is called about as one.
    Still,
    /// A window runs.
    Running {
        rung: Rung,
        /// Who is on the hook by name: set by an acknowledgement or a hand-off.
        holder: Option<PersonId>,
    },
    /// The alerts are resolved for now; what was left of the window is kept in case they fire again.
    Paused {
        /// The window that ran.
        rung: Rung,
        /// Who held it.
        holder: Option<PersonId>,
        /// What was left of it.
        left: SignedDuration,
    },
}

/// A step up the ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Climb {
    /// The window that runs now.
    pub rung: Rung,
    /// The levels to call, in order.
    pub call: Vec<LevelNumber>,
    /// Levels that cannot be called at all and were passed over, to be said aloud.
    pub unreachable: Vec<LevelNumber>,
    /// By how much the end of the window before was noticed too late, if it was.
    pub late_by: Option<SignedDuration>,
}

impl Ladder {
    /// The window that runs, if one does.
    pub fn rung(&self) -> Option<&Rung> {
        match self {
            Self::Running { rung, .. } => Some(rung),
            Self::Still | Self::Paused { .. } => None,
        }
    }

    /// Who has the incident, also while its alerts are resolved.
    pub fn holder(&self) -> Option<&PersonId> {
        match self {
            Self::Running { holder, .. } | Self::Paused { holder, .. } => holder.as_ref(),
            Self::Still => None,
        }
    }

    /// Who has the incident and a window that runs.
    pub fn running_holder(&self) -> Option<&PersonId> {
        self.rung().and_then(|_| self.holder())
    }

    /// The ladder as it stands while alerts are resolved.
    pub fn paused(self, now: Timestamp) -> Self {
        match self {
            Self::Running { rung, holder } => {
                Self::Paused { rung, holder, left: rung.until().duration_since(now).max(SignedDuration::ZERO) }
            }
            other => other,
        }
    }

    /// The ladder as it goes on when the alerts fire again.
    pub fn resumed(self, now: Timestamp) -> Self {
        match self {
            Self::Paused { rung, holder, left } => Self::Running { rung: rung.with_until(now + left), holder },
            other => other,
        }
    }
}

impl EscalationPolicy {
    /// The first step: the first level that can be called is called.
    pub fn open(&self, now: Timestamp) -> Option<Climb> {
        let first = self.first()?;
        Some(self.call_from(first.number, now))
    }

    /// Calls `level`, or the next one above it that can be reached; with none left, all are called again later.
    pub fn call_from(&self, level: LevelNumber, starts: Timestamp) -> Climb {
        let (reachable, unreachable) = self.reachable_from(level);
        match reachable {
            Some(level) => {
                let rung = Rung::Waiting { level: level.number, until: starts + level.window };
                Climb { rung, call: vec![level.number], unreachable, late_by: None }
            }
            None => Climb { unreachable, ..self.call_all(starts) },
        }
    }

    /// `level`, or the next one above it that can be reached; and the levels that were passed over on the way there.
    pub fn reachable_from(&self, level: LevelNumber) -> (Option<&Level>, Vec<LevelNumber>) {
        let mut unreachable = Vec::new();
        let mut candidate = self.level(level);
        while let Some(level) = candidate {
            if level.is_reachable() {
                return (Some(level), unreachable);
            }
            unreachable.push(level.number);
            candidate = self.above(level.number);
        }
        (None, unreachable)
    }

    /// The idle clock of somebody who has it on behalf of `level`, started at `starts`.
    pub fn idle(&self, level: LevelNumber, starts: Timestamp) -> Rung {
        let window = self.level(level).map_or(self.repeat_every, |level| level.window);
        Rung::Acknowledged { level, until: starts + window }
    }

    /// Calls every level that can be reached.
    pub fn call_all(&self, starts: Timestamp) -> Climb {
        let (reachable, unreachable): (Vec<_>, Vec<_>) = self.levels.iter().partition(|level| level.is_reachable());
        Climb {
            rung: Rung::AllPaged { until: starts + self.repeat_every },
            call: reachable.iter().map(|level| level.number).collect(),
            unreachable: unreachable.iter().map(|level| level.number).collect(),
            late_by: None,
        }
    }

    /// The step after `ended`, or `None` when another window is running by now: a late or doubled notice.
    pub fn next(&self, running: &Rung, ended: &Rung, now: Timestamp) -> Option<Climb> {
        if running != ended || now < ended.until() {
            return None;
        }
        let late_by = now.duration_since(ended.until());
        let too_late = late_by > NOTICED_TOO_LATE;
        let starts = if too_late { now } else { ended.until() };
        let climb = match ended {
            Rung::Waiting { level, .. } => match self.above(*level) {
                Some(above) => self.call_from(above.number, starts),
                None => self.call_all(starts),
            },
            Rung::AllPaged { .. } => self.call_all(starts),
            Rung::Acknowledged { level, .. } => self.call_from(*level, starts),
        };
        Some(Climb { late_by: too_late.then_some(late_by), ..climb })
    }
}
