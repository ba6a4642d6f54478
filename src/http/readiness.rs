//! What must hold, besides the engine's own health, for the bot to be of use.

use std::sync::{Arc, Mutex, PoisonError};

type Check = Arc<dyn Fn() -> bool + Send + Sync>;

/// The conditions of readiness. Cheap to clone; conditions can be added while the server runs.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<Vec<(&'static str, Check)>>>);

impl Readiness {
    /// Adds a condition. Where `holds` is false, `/readyz` answers with `else_said`, which names the next step.
    pub fn require(&self, else_said: &'static str, holds: impl Fn() -> bool + Send + Sync + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((else_said, Arc::new(holds)));
    }

    /// What does not hold.
    pub fn missing(&self) -> Vec<&'static str> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(_, holds)| !holds()).map(|(said, _)| *said).collect()
    }
}
