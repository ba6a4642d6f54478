//! Answers that are kept by the key of their request, so that a repeat gets the first answer again.

use super::submit_error::SubmitError;
use crate::{
    incident::{Answer, Refusal},
    journal::StoredAnswer,
    people::PersonId,
};

/// The key under which the answer to a person's request is kept.
pub(super) fn request_key(who: &PersonId, key: &str) -> String {
    format!("{}/{}/{}/{key}", who.platform, who.workspace, who.user)
}

/// An answer that was given before.
pub(super) fn replayed(answer: StoredAnswer) -> Result<Answer, SubmitError> {
    match answer {
        StoredAnswer::Done(text) => Ok(Answer { text }),
        StoredAnswer::Refused(text) => Err(SubmitError::Refused(Refusal::SaidBefore(text))),
    }
}
