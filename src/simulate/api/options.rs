//! What a test or a scenario may break in the API server itself: rights, delays, errors, silence.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Who every caller is: the simulated mesh has one user.
pub const USER: &str = "system:serviceaccount:mtls-medic:mtls-medic";

/// The rules in force. Clones share them, so they can be changed while the server runs.
#[derive(Debug, Clone, Default)]
pub struct Options(Arc<Mutex<Rules>>);

#[derive(Debug, Default)]
struct Rules {
    denied: Vec<Pattern>,
    faults: Vec<(Pattern, ApiFault)>,
}

/// A verb (`get`, `list`, `watch`, `create`, `update`, `patch`, `delete`) and a resource (`pods`, `pods/exec`); `*` is any.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    verb: String,
    resource: String,
}

impl Pattern {
    fn new(verb: &str, resource: &str) -> Self {
        Self { verb: verb.to_owned(), resource: resource.to_owned() }
    }

    fn matches(&self, verb: &str, resource: &str) -> bool {
        (self.verb == "*" || self.verb == verb) && (self.resource == "*" || self.resource == resource)
    }
}

/// What happens to a request instead of, or before, its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiFault {
    delay: Duration,
    then: Then,
    left: Option<u32>,
    retry_after: Option<u32>,
}

/// How a faulty request ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Then {
    /// It is answered after all.
    Answer,
    /// It fails with a status code.
    Status(u16, String),
    /// It is never answered.
    Hang,
    /// It is done, but the connection breaks before all of the answer is there.
    Cut,
}

impl ApiFault {
    /// The answer comes late; in real time, as a slow network would be.
    pub fn delay(by: Duration) -> Self {
        Self { delay: by, then: Then::Answer, left: None, retry_after: None }
    }

    /// The request fails with this status code.
    pub fn status(code: u16, message: &str) -> Self {
        Self { delay: Duration::ZERO, then: Then::Status(code, message.to_owned()), left: None, retry_after: None }
    }

    /// The request is never answered.
    pub fn hang() -> Self {
        Self { delay: Duration::ZERO, then: Then::Hang, left: None, retry_after: None }
    }

    /// The request is done, but its answer is lost: an exec closes without saying how the command ended, any other
    /// connection breaks off.
    pub fn cut() -> Self {
        Self { delay: Duration::ZERO, then: Then::Cut, left: None, retry_after: None }
    }

    /// Only the next `count` requests meet it.
    pub fn times(self, count: u32) -> Self {
        Self { left: Some(count), ..self }
    }

    /// A status asks the client to come again after so many seconds (`Retry-After`).
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// After how many seconds the client is asked to come again.
    pub(super) fn asks_to_wait(&self) -> Option<u32> {
        self.retry_after
    }

    /// How long the request waits.
    pub(super) fn wait(&self) -> Duration {
        self.delay
    }

    /// How it ends.
    pub(super) fn then(&self) -> &Then {
        &self.then
    }
}

impl Options {
    /// Takes a right away: requests get 403, and access reviews say no.
    pub fn deny(&self, verb: &str, resource: &str) {
        self.lock().denied.push(Pattern::new(verb, resource));
    }

    /// Gives back what [`Options::deny`] took with the same words.
    pub fn allow(&self, verb: &str, resource: &str) {
        let given = Pattern::new(verb, resource);
        self.lock().denied.retain(|pattern| *pattern != given);
    }

    /// Breaks requests. The first fault that matches counts.
    pub fn inject(&self, verb: &str, resource: &str, fault: ApiFault) {
        self.lock().faults.push((Pattern::new(verb, resource), fault));
    }

    /// Ends all faults; rights stay as they are.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// Whether the user has a right.
    pub fn may(&self, verb: &str, resource: &str) -> bool {
        !self.lock().denied.iter().any(|pattern| pattern.matches(verb, resource))
    }

    /// The fault that a request meets which counts as any of these verbs; one use of it is counted.
    pub(super) fn meet(&self, verbs: &[&str], resource: &str) -> Option<ApiFault> {
        let mut rules = self.lock();
        let meets = |at: &Pattern| verbs.iter().any(|verb| at.matches(verb, resource));
        let (_, fault) = rules.faults.iter_mut().find(|(at, fault)| meets(at) && fault.left != Some(0))?;
        fault.left = fault.left.map(|left| left.saturating_sub(1));
        Some(fault.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Rules> {
        // Pushes and clears leave the lists whole even when a holder panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
