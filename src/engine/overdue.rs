//! Tells the people of an incident that something the bot owes them is late: a post in its thread and a line on its card.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::{shared::Shared, submit_error::SubmitError};
use crate::{
    incident::{Event, Notice, Timer, Work},
    journal::{Append, Overdue},
};

/// The bot reports effects that are later than this.
pub(super) const LATE_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// What was late at the look before. Only what is late at two looks in a row is told: right after a start everything
/// that came due meanwhile is late for a moment.
#[derive(Debug, Default)]
pub(super) struct OverdueWatch(BTreeSet<i64>);

impl OverdueWatch {
    /// Tells, once an incident and episode. A post that says so and is late itself makes no further one.
    pub(super) async fn tell(&mut self, shared: &Shared) -> Result<(), SubmitError> {
        let _still = shared.time.still().await;
        let now = shared.clock.now();
        let before = now.saturating_sub(LATE_AFTER).unwrap_or(now);
        let mut late = shared.journal.overdue(before).await?;
        late.retain(|one| !matches!(one.work, Work::Post { notice: Notice::Overdue { .. }, .. }));
        let known = std::mem::replace(&mut self.0, late.iter().map(|one| one.row).collect());
        for of_one in late.chunk_by(|one, other| one.incident == other.incident) {
            let Some(first) = of_one.iter().find(|one| known.contains(&one.row)) else { continue };
            tell_of(shared, first, of_one).await?;
        }
        Ok(())
    }
}

async fn tell_of(shared: &Shared, first: &Overdue, all: &[Overdue]) -> Result<(), SubmitError> {
    let Some(stored) = shared.journal.incident(first.incident).await? else { return Ok(()) };
    let what = describe(&first.work);
    tracing::error!(incident = %first.incident, what, since = %first.since, error = first.last_error, "an effect is overdue");
    let event = Event::OverdueNoticed { what, since: first.since };
    let change = shared.change(stored.incident, vec![event], shared.clock.now());
    let noticed = all.iter().map(|one| one.row).collect();
    // Where the incident has moved, it is told at the next look.
    shared.commit(Append { changes: vec![change], noticed, ..Append::default() }).await?;
    Ok(())
}

/// What is late, in words that go before "is late".
fn describe(work: &Work) -> String {
    match work {
        Work::Timer { timer: Timer::RungEnds { .. } } => "the end of the escalation window".to_owned(),
        Work::Timer { .. } => "a reminder or deadline".to_owned(),
        Work::Triage { .. } => "the triage".to_owned(),
        Work::DrawPlan { .. } => "the plan of the fix".to_owned(),
        Work::RunStep { .. } => "a step of the fix".to_owned(),
        Work::AwaitStep { .. } => "the look for what a step has come to".to_owned(),
        Work::Sample { .. } => "the reading of the counters".to_owned(),
        Work::DrawCard { .. } => "the drawing of the card".to_owned(),
        Work::Post { .. } => "a message in the thread".to_owned(),
        Work::Mention { level, .. } => format!("the mention of {level}"),
        Work::CallPager { level, .. } => format!("the page to {level}"),
        Work::EndPage { .. } => "the end of a page".to_owned(),
        Work::UpdatePage { level, .. } | Work::UpdateMention { level, .. } => {
            format!("the cause in the call of {level}")
        }
    }
}
