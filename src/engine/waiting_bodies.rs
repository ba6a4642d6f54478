//! Bodies of alerts on their way. Those that wait are decided on and stored together: many groups of one incident cost one
//! reading and one writing of it, and none of them is decided on in vain because another was faster.
//!
//! A body about an incident that somebody is deciding on at the moment is held up until that is done; what came with it,
//! or after it about other incidents, is not.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;

use super::{accepted::Accepted, submit_error::SubmitError};
use crate::incident::{AlertDelivery, IncidentKey};

/// How many bodies may wait; the sender of one more gets 503 and comes again.
const WAITING_MOST: usize = 4096;
/// How many alerts are stored together, unless one body has more: some 50 ms of the journal's writer.
const ALERTS_TOGETHER: usize = 512;
/// How many bodies are.
const BODIES_TOGETHER: usize = 256;

pub(super) type Answered = Result<Accepted, SubmitError>;

/// The answer to the sender of a body.
pub(super) enum SenderTold {
    /// It is held up: it is stored with others that are.
    HeldUp,
    Answered(Answered),
}

/// A body, and who waits for its answer.
pub(super) struct WaitingBody {
    pub(super) body: AlertDelivery,
    sender: mpsc::Sender<SenderTold>,
    /// Kept as long as it is held up.
    _held_up: Option<HeldUp>,
}

impl WaitingBody {
    pub(super) fn answer(self, answer: Answered) {
        self.tell(SenderTold::Answered(answer));
    }

    fn tell(&self, told: SenderTold) {
        // There is room for the two that it is ever told; a sender that has gone wants to know nothing.
        drop(self.sender.try_send(told));
    }
}

/// What bodies are about: one never passes an earlier one about the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Key(IncidentKey),
    Group(String),
}

fn about(body: &AlertDelivery) -> BTreeSet<About> {
    let keys = body.alerts.iter().flat_map(|alert| [Some(&alert.key), alert.earlier_key.as_ref()]).flatten();
    keys.cloned().map(About::Key).chain([About::Group(body.group_key.clone())]).collect()
}

/// How many bodies that are held up are about each of these.
type HeldUpAbout = Arc<Mutex<BTreeMap<About, usize>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a body among those that are held up, until it is dropped.
struct HeldUp {
    about: BTreeSet<About>,
    all: HeldUpAbout,
}

impl HeldUp {
    fn new(about: BTreeSet<About>, all: HeldUpAbout) -> Self {
        let mut counts = lock(&all);
        for one in &about {
            let count = counts.entry(one.clone()).or_default();
            *count = count.saturating_add(1);
        }
        drop(counts);
        Self { about, all }
    }
}

impl Drop for HeldUp {
    fn drop(&mut self) {
        let mut counts = lock(&self.all);
        for one in &self.about {
            if let Some(count) = counts.get_mut(one) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    counts.remove(one);
                }
            }
        }
    }
}

/// Bodies that are stored together, in the order in which they came.
#[derive(Default)]
pub(super) struct BodyQueue {
    waiting: Mutex<VecDeque<WaitingBody>>,
    /// Held while some are stored. Who gets it stores for all who wait.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl BodyQueue {
    /// The bodies that are stored next.
    pub(super) fn next(&self) -> Vec<WaitingBody> {
        let mut waiting = lock(&self.waiting);
        let (mut bodies, mut alerts) = (Vec::new(), 0_usize);
        while let Some(WaitingBody { body, .. }) = waiting.front() {
            alerts = alerts.saturating_add(body.alerts.len());
            if !bodies.is_empty() && (alerts > ALERTS_TOGETHER || bodies.len() >= BODIES_TOGETHER) {
                break;
            }
            bodies.extend(waiting.pop_front());
        }
        bodies
    }
}

/// The bodies that wait.
#[derive(Default)]
pub(super) struct WaitingBodies {
    pub(super) fresh: BodyQueue,
    /// Those that are held up.
    pub(super) held_up: BodyQueue,
    held_up_about: HeldUpAbout,
}

impl WaitingBodies {
    /// Lets a body wait; returns where its sender hears the answer.
    pub(super) fn enter(&self, body: AlertDelivery) -> Result<mpsc::Receiver<SenderTold>, SubmitError> {
        let held_up = lock(&self.held_up.waiting).len();
        let mut waiting = lock(&self.fresh.waiting);
        if waiting.len().saturating_add(held_up) >= WAITING_MOST {
            return Err(SubmitError::Busy);
        }
        let (sender, told) = mpsc::channel(2);
        waiting.push_back(WaitingBody { body, sender, _held_up: None });
        Ok(told)
    }

    /// Whether an earlier body about the same is held up.
    pub(super) fn is_behind(&self, body: &AlertDelivery) -> bool {
        let counts = lock(&self.held_up_about);
        !counts.is_empty() && about(body).iter().any(|one| counts.contains_key(one))
    }

    /// Leaves a body for later.
    pub(super) fn hold_up(&self, waiting: WaitingBody) {
        let held_up = HeldUp::new(about(&waiting.body), self.held_up_about.clone());
        waiting.tell(SenderTold::HeldUp);
        lock(&self.held_up.waiting).push_back(WaitingBody { _held_up: Some(held_up), ..waiting });
    }
}
