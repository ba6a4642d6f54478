//! Calls people past the journal when it cannot be written: nothing else the bot owes can be kept then, or is even known.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;

use super::{Task, build::Shared, dispatch::HARD_LIMIT, progress::Progress};
use crate::{
    incident::{CallReason, Event, Incident, IncidentId, IncidentKey, Work, apply, begin},
    journal::JournalError,
};

/// So many looks in a row must fail: one alone may be a moment's load.
const FAILED_LOOKS: u32 = 2;

/// Whether people know that the journal fails.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    failed: u32,
    raised: bool,
}

impl Alarm {
    /// The journal works.
    pub(super) fn over(&mut self) {
        if self.raised {
            tracing::info!("the journal can be written again");
        }
        *self = Self::default();
    }

    /// The journal failed at one more look. The first level is called once, by pager and in the channel, as soon as any of
    /// that gets through.
    pub(super) async fn failed(&mut self, shared: &Shared, error: &JournalError) {
        self.failed = self.failed.saturating_add(1);
        if self.raised || self.failed < FAILED_LOOKS {
            return;
        }
        let tasks = calls(shared, &error.to_string());
        if tasks.is_empty() {
            tracing::error!("nobody can be called about the journal: no pager and no channel is configured");
            self.raised = true;
        }
        let sent = join_all(tasks.into_iter().map(|task| send(shared, task))).await;
        self.raised |= sent.contains(&true);
    }
}

async fn send(shared: &Shared, task: Task) -> bool {
    let Some(performer) = shared.performers.get(&task.work.room()) else { return false };
    let sent = tokio::time::timeout(HARD_LIMIT.min(Duration::from_secs(10)), performer.perform(task)).await;
    match sent {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            tracing::error!(%error, "people could not be called about the journal");
            false
        }
        Err(_) => {
            tracing::error!("people could not be called about the journal in time");
            false
        }
    }
}

/// The calls of the first level about an incident that is stored nowhere.
fn calls(shared: &Shared, why: &str) -> Vec<Task> {
    let (policy, now) = (shared.policy(), shared.clock.now());
    let opened = Event::Opened {
        id: IncidentId::UNNUMBERED,
        key: IncidentKey(format!("{}/mtls-medic/journal", shared.cluster)),
        alert: "MtlsMedicJournalFails".to_owned(),
        cluster: shared.cluster.clone(),
        target: None,
        policy: Box::new(policy.escalation.clone()),
        channels: policy.channels.clone(),
        quiet: false,
    };
    let (Some(mut incident), Some(climb)) = (begin(&opened, now), policy.escalation.open(now)) else {
        return Vec::new();
    };
    let what = "the bot cannot store anything: look at its log, and call by hand until it can".to_owned();
    apply(&mut incident, &Event::CouldNot { what, reason: why.to_owned() }, now);
    let incident = Arc::new(incident);
    let reason = CallReason::Evidence { because: format!("the bot itself is in trouble: {why}") };
    let works = climb.call.iter().flat_map(|number| {
        let (level, rung) = (*number, climb.rung);
        let known = policy.escalation.level(level);
        let pager = known.and_then(|known| known.pager.clone()).or_else(|| policy.escalation.fallback_pager.clone());
        let by_pager = pager.map(|pager| Work::CallPager { pager, level, reason: reason.clone(), rung });
        let mentions = known.map(|known| known.mentions.clone()).unwrap_or_default();
        let by_mention = policy.channels.iter().map(|to| {
            let (to, mentions, reason) = (to.clone(), mentions.clone(), reason.clone());
            Work::Mention { to, level, mentions, reason, rung }
        });
        by_pager.into_iter().chain(by_mention.collect::<Vec<_>>())
    });
    works.map(|work| task(&incident, work, now.as_second())).collect()
}

fn task(incident: &Arc<Incident>, work: Work, second: i64) -> Task {
    Task {
        // Another episode is another page.
        key: format!("journal-fails-{second}-{}", work.room().name()),
        work,
        incident: incident.clone(),
        attempt: 1,
        root: None,
        writes_enabled: false,
        progress: Progress::default(),
    }
}
