//! Stores what was decided, and decides again when an incident has moved since it was read.

use super::{
    counts::{Ended, Window, windows_of},
    crash::CrashPoint,
    shared::Shared,
};
use crate::{
    incident::{IncidentId, Work},
    journal::{Append, AppendError},
};

/// How often a decision is taken again when its incident has moved meanwhile. Each time somebody else got further.
const DECIDED_AGAIN_MOST: usize = 50;

/// What reads, decides and stores, again where an incident has moved meanwhile.
pub(super) trait Decision: Send {
    /// What it comes to once it is stored.
    type Stored: Send;
    /// Why it may not be stored at all.
    type Error: Send;

    /// Reads, decides and stores once. `None` when it has to be done again, as [`Shared::commit`] says it.
    fn attempt(&mut self) -> impl Future<Output = Result<Option<Self::Stored>, Self::Error>> + Send;
}

/// Decides until it is stored; `None` when something had moved each time.
pub(super) async fn until_stored<D: Decision>(mut decision: D) -> Result<Option<D::Stored>, D::Error> {
    for _ in 0..DECIDED_AGAIN_MOST {
        let stored = decision.attempt().await?;
        if stored.is_some() {
            return Ok(stored);
        }
    }
    Ok(None)
}

impl Shared {
    /// Stores what was decided, ahead of bodies of alerts: the incidents that open by it, or `None` when an incident has
    /// moved since it was read.
    pub(super) async fn commit(&self, append: Append) -> Result<Option<Vec<IncidentId>>, AppendError> {
        let news = ToTell::of(&append, self.crasher.is_some());
        let stored = self.journal.append(append).await;
        self.tell(&news, stored)
    }

    /// The same for bodies of alerts, behind people and outcomes.
    pub(super) async fn commit_alerts(&self, append: Append) -> Result<Option<Vec<IncidentId>>, AppendError> {
        let news = ToTell::of(&append, self.crasher.is_some());
        let stored = self.journal.append_alerts(append).await;
        self.tell(&news, stored)
    }

    /// The same for what an effect came to.
    pub(super) async fn commit_outcome(&self, append: Append) -> Result<Option<()>, AppendError> {
        let news = ToTell::of(&append, self.crasher.is_some());
        let stored = self.journal.append_outcome(append).await.map(|()| Vec::new());
        Ok(self.tell(&news, stored)?.map(drop))
    }

    fn tell(
        &self,
        news: &ToTell,
        stored: Result<Vec<IncidentId>, AppendError>,
    ) -> Result<Option<Vec<IncidentId>>, AppendError> {
        let opened = match stored {
            Ok(opened) => opened,
            Err(AppendError::Conflict) => return Ok(None),
            Err(other) => return Err(other),
        };
        self.listeners.windows.add(&news.windows);
        if let Some(crasher) = &self.crasher {
            for work in &news.works {
                crasher(CrashPoint::Unclaimed, work);
            }
        }
        self.listeners.announce(news.changed.iter().chain(&opened));
        Ok(Some(opened))
    }
}

/// What an append brings, to be told once it is stored.
struct ToTell {
    /// The incidents that change and were there before.
    changed: Vec<IncidentId>,
    /// The windows that end.
    windows: Vec<(Window, Ended)>,
    /// The works that are asked for, if a test wants to know when they are stored and not yet claimed.
    works: Vec<Work>,
}

impl ToTell {
    fn of(append: &Append, with_works: bool) -> Self {
        let changed = append.changes.iter().map(|change| change.after.id);
        let effects = append.changes.iter().flat_map(|change| &change.effects);
        Self {
            changed: changed.filter(|id| *id != IncidentId::UNNUMBERED).collect(),
            windows: windows_of(append),
            works: effects.filter(|_| with_works).map(|effect| effect.work.clone()).collect(),
        }
    }
}
