//! Which operation of a plan.

use serde::{Deserialize, Serialize};

/// Which operation of a plan, from 0. Stored as a bare number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepNumber(pub u32);

impl StepNumber {
    /// The first of a plan.
    pub const FIRST: Self = Self(0);

    /// The one after this.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// As people count, from 1.
    pub fn ordinal(self) -> u32 {
        self.0.saturating_add(1)
    }
}
