//! Calls people past the journal when it cannot be written: nothing else the bot owes can be kept then, or is even known.

use std::{mem, sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::Instant;

use super::{
    alarm_pages::{self, AlarmPage},
    dispatch::HARD_LIMIT,
    perform::{PerformError, Task},
    progress::Progress,
    shared::Shared,
};
use crate::{
    escalation::PagerName,
    incident::{CallReason, Event, Incident, IncidentId, IncidentKey, Outcome, PageEnd, Work, apply, begin, page_key},
    journal::JournalError,
};

/// So many looks in a row must fail: one alone may be a moment's load.
const FAILED_LOOKS: u32 = 2;
/// And so many must go well until it is over: a disk that fails now and then rings once, and not at each of its moments.
const GOOD_LOOKS: u32 = 3;
/// How long one call may take.
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// When the end of a page is tried again that did not get through: nobody waits for it.
const END_AGAIN: Duration = Duration::from_mins(1);
/// How often: a pager that is away for longer than an hour is left to people.
const ENDS_MOST: u32 = 60;

/// Whether people know that the journal fails.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    failed: u32,
    good: u32,
    /// The calls of the time in which it fails, each for one level and way.
    calls: Option<Vec<AlarmCall>>,
    /// Pages that still have to be ended.
    ends: Vec<Attempt>,
    /// Pages that an earlier process sent about this and did not end.
    left: Vec<AlarmPage>,
    /// Whether pages are kept beside the journal.
    is_kept: bool,
}

/// A call of one level by one way. Its key stays while the journal fails, so that a repeat rings no second page.
#[derive(Debug)]
struct AlarmCall {
    attempt: Attempt,
    /// Whether it may have got through: only one that the other side certainly did not take has not.
    rings: bool,
    /// Whether it certainly got through.
    is_through: bool,
}

/// What is tried until it gets through.
#[derive(Debug)]
struct Attempt {
    task: Task,
    /// Not again before this.
    again: Option<Instant>,
}

impl Alarm {
    /// An alarm that ends the pages of an earlier process as well, once the journal works.
    pub(super) async fn after_start(shared: &Shared) -> Self {
        let left = alarm_pages::kept(&shared.journal).await;
        Self { is_kept: !left.is_empty(), left, ..Self::default() }
    }

    /// The journal worked at one more look. Once it is over, the pages about it are ended.
    pub(super) async fn works(&mut self, shared: &Shared) {
        self.failed = 0;
        self.good = self.good.saturating_add(1);
        if self.good >= GOOD_LOOKS {
            self.is_over(shared);
        }
        let still = join_all(mem::take(&mut self.ends).into_iter().map(|end| ended(end, shared))).await;
        self.ends = still.into_iter().flatten().collect();
        if self.is_kept && self.calls.is_none() && self.left.is_empty() && self.ends.is_empty() {
            alarm_pages::forget(shared).await;
            self.is_kept = false;
        }
    }

    /// Every page about it is to be ended: those of this process that may ring, and those of an earlier one.
    fn is_over(&mut self, shared: &Shared) {
        let (calls, left) = (self.calls.take(), mem::take(&mut self.left));
        if calls.is_none() && left.is_empty() {
            return;
        }
        tracing::info!("the journal can be written again");
        let ring = calls.into_iter().flatten().filter(|call| call.rings).filter_map(|call| call.page());
        let mut pages: Vec<AlarmPage> = ring.collect();
        pages.extend(left);
        pages.sort_by(|one, other| (&one.pager, &one.key).cmp(&(&other.pager, &other.key)));
        pages.dedup_by(|one, other| (&one.pager, &one.key) == (&other.pager, &other.key));
        self.ends.extend(pages.into_iter().filter_map(|page| end_of(page, shared)));
    }

    /// The journal failed at one more look. The first level is called once by each way that there is, by pager and in the
    /// channel: what did not get through is tried again, by itself.
    pub(super) async fn failed(&mut self, shared: &Shared, error: &JournalError) {
        self.good = 0;
        self.failed = self.failed.saturating_add(1);
        if self.calls.is_none() && self.failed < FAILED_LOOKS {
            return;
        }
        if self.calls.is_none() {
            let calls = begun(shared, &error.to_string());
            let pages: Vec<_> = self.left.iter().cloned().chain(calls.iter().filter_map(AlarmCall::page)).collect();
            if !pages.is_empty() {
                alarm_pages::keep(shared, &pages).await;
                self.is_kept = true;
            }
            self.calls = Some(calls);
        }
        let calls = self.calls.get_or_insert_default();
        join_all(calls.iter_mut().map(|call| call.make(shared))).await;
    }
}

impl AlarmCall {
    async fn make(&mut self, shared: &Shared) {
        if self.is_through || !self.attempt.is_due() {
            return;
        }
        match self.attempt.made(shared).await {
            Ok(Outcome::NobodyBehind { why, .. }) => {
                tracing::error!(why, "nobody was called about the journal this way");
            }
            Ok(_) => (self.is_through, self.rings) = (true, true),
            Err(PerformError::Again { .. }) => self.rings = true,
            Err(PerformError::Waiting { .. } | PerformError::Refused { .. } | PerformError::Never { .. }) => {}
        }
    }

    /// The page that it sends, where it is a pager's.
    fn page(&self) -> Option<AlarmPage> {
        let Task { work: Work::CallPager { pager, level, .. }, .. } = &self.attempt.task else { return None };
        let key = page_key(&self.attempt.task.incident, &self.attempt.task.key);
        Some(AlarmPage { pager: pager.clone(), level: *level, key })
    }
}

/// The end of a page.
fn end_of(AlarmPage { pager, level, key }: AlarmPage, shared: &Shared) -> Option<Attempt> {
    let incident = Arc::new(begin(&opened(shared), shared.clock.now())?);
    let work = Work::EndPage { pager, level, key, how: PageEnd::Resolve };
    Some(Attempt { task: task(&incident, work, "end".to_owned()), again: None })
}

impl Attempt {
    fn is_due(&self) -> bool {
        self.again.is_none_or(|again| again <= Instant::now())
    }

    async fn made(&mut self, shared: &Shared) -> Result<Outcome, PerformError> {
        let made = perform(shared, self.task.clone()).await;
        self.task.attempt = self.task.attempt.saturating_add(1);
        if let Err(error) = &made {
            tracing::error!(%error, work = self.task.work.room().name(), "people could not be told about the journal");
        }
        let asked_for = match &made {
            Err(PerformError::Again { after, .. } | PerformError::Waiting { after, .. }) => *after,
            _ => None,
        };
        let asked_for = asked_for.and_then(|after| Duration::try_from(after).ok());
        self.again = asked_for.and_then(|after| Instant::now().checked_add(after));
        made
    }

    /// Whether it has been tried for long enough.
    fn is_given_up(&self) -> bool {
        let is_given_up = self.task.attempt > ENDS_MOST;
        if is_given_up && let Work::EndPage { pager: PagerName(pager), key, .. } = &self.task.work {
            tracing::error!(pager, key, "a page about the journal could not be ended: end it by hand");
        }
        is_given_up
    }
}

async fn perform(shared: &Shared, task: Task) -> Result<Outcome, PerformError> {
    let Some(performer) = shared.settings.performers.get(&task.work.room()) else {
        return Err(PerformError::Never { reason: "nothing is connected that could do it".to_owned() });
    };
    let late = |_| PerformError::Again { reason: format!("no answer in {} s", CALL_WITHIN.as_secs()), after: None };
    let answered = tokio::time::timeout(CALL_WITHIN.min(HARD_LIMIT), performer.perform(task)).await;
    answered.map_err(late)?.map(|done| done.outcome)
}

/// Ends a page; what is left to do for that, if anything is.
async fn ended(mut end: Attempt, shared: &Shared) -> Option<Attempt> {
    if end.is_due() {
        if end.made(shared).await.is_ok() || end.is_given_up() {
            return None;
        }
        end.again = end.again.max(Instant::now().checked_add(END_AGAIN));
    }
    Some(end)
}

/// The calls of a time in which the journal fails, as it begins.
fn begun(shared: &Shared, why: &str) -> Vec<AlarmCall> {
    let tasks = calls(shared, why);
    if tasks.is_empty() {
        tracing::error!("nobody can be called about the journal: no pager and no channel is configured");
    }
    let call = |task| AlarmCall { attempt: Attempt { task, again: None }, rings: false, is_through: false };
    tasks.into_iter().map(call).collect()
}

/// How an incident begins that is stored nowhere.
fn opened(shared: &Shared) -> Event {
    let policy = shared.rules.policy();
    Event::Opened {
        id: IncidentId::UNNUMBERED,
        key: IncidentKey(format!("{}/mtls-medic/journal", shared.settings.cluster)),
        alert: "MtlsMedicJournalFails".to_owned(),
        cluster: shared.settings.cluster.clone(),
        target: None,
        policy: Box::new(policy.escalation.clone()),
        channels: policy.channels.clone(),
        quiet: false,
    }
}

/// The calls of the first level about it.
fn calls(shared: &Shared, why: &str) -> Vec<Task> {
    let (policy, now) = (shared.rules.policy(), shared.clock.now());
    let (Some(mut incident), Some(climb)) = (begin(&opened(shared), now), policy.escalation.open(now)) else {
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
    let keyed = |(way, work): (usize, Work)| {
        let room = work.room().name();
        let key = match &work {
            // One name for all times in which it fails: who comes after a restart ends the page, and a pager takes the next
            // one for a new one once this has ended.
            Work::CallPager { .. } => format!("journal-fails-{room}-{way}"),
            // A post is looked for before it is repeated: one of another time is not this one.
            _ => format!("journal-fails-{}-{room}-{way}", now.as_second()),
        };
        task(&incident, work, key)
    };
    works.enumerate().map(keyed).collect()
}

fn task(incident: &Arc<Incident>, work: Work, key: String) -> Task {
    Task {
        key,
        work,
        incident: incident.clone(),
        attempt: 1,
        wanted: incident.opened_at,
        root: None,
        writes_enabled: false,
        progress: Progress::default(),
    }
}
