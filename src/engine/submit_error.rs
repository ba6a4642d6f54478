//! Why a request was not taken.

use crate::{
    incident::Refusal,
    journal::{AppendError, JournalError},
};

/// Why a request was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The rules say no; the person sees why.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be stored: try again (5xx).
    #[error("the journal could not store it: {0}")]
    NotStored(String),
    /// Too much is waiting: try again soon (503).
    #[error("too many requests are waiting to be stored: try again in a moment")]
    Busy,
}

impl From<JournalError> for SubmitError {
    fn from(error: JournalError) -> Self {
        Self::NotStored(error.to_string())
    }
}

impl From<AppendError> for SubmitError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Busy | AppendError::Conflict => Self::Busy,
            AppendError::Locked(what) => Self::NotStored(format!("{what} is held")),
            AppendError::NotStored(why) => Self::NotStored(why),
        }
    }
}

impl SubmitError {
    /// The same of the journal as a whole, with the reason said once.
    pub(super) fn of_the_journal(self) -> JournalError {
        match self {
            Self::NotStored(why) => JournalError::NotWritten(why),
            other => JournalError::NotWritten(other.to_string()),
        }
    }
}
