//! Draws the card again while a triage runs, so that people see how far it is.

use std::time::Duration;

use jiff::SignedDuration;

use super::{progress::Progress, shared::Shared};
use crate::{
    incident::{Incident, RunNumber, redraw},
    journal::Append,
};

/// How far apart two drawings of one card for the sake of progress are at least: platforms take about one edit a second.
const DRAWN_EVERY: SignedDuration = SignedDuration::from_secs(2);
/// Has the card drawn again whenever the triage got further, until it is dropped with the triage. The drawing is an
/// ordinary effect of the card's slot, so that it never overtakes a newer state.
pub(super) async fn keep_drawing(shared: &Shared, incident: &Incident, run: RunNumber, progress: &Progress) {
    loop {
        let earliest = shared.clock.now() + DRAWN_EVERY;
        progress.more().await;
        shared.clock.sleep_until(earliest).await;
        let Some(looked) = progress.looked() else { continue };
        let effects = redraw(incident, shared.clock.now(), &format!("run-{run}-{}", looked.checks));
        let append = Append { redraws: vec![(incident.id, effects)], ..Append::default() };
        if let Err(error) = shared.journal.append(append).await {
            tracing::debug!(%error, "the progress of a triage is not shown");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
