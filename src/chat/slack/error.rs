//! Why Slack did not do what it was asked, and whether asking again can help.

use jiff::SignedDuration;
use slack_morphism::errors::SlackClientError;

use super::transport::AnswerTooLong;
use crate::engine::PerformError;

/// The longest wait that Slack can ask of us: a wrong header must not silence the bot for a day.
const RETRY_AFTER_MOST: SignedDuration = SignedDuration::from_mins(15);
/// How long is waited after a 429 that does not say how long.
const WITHOUT_A_WORD: SignedDuration = SignedDuration::from_secs(5);

/// Why a call to Slack failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlackError {
    /// Slack asks us to wait (429).
    #[error("Slack's {method} is rate limited")]
    RateLimited {
        /// Which call.
        method: &'static str,
        /// For how long.
        after: Option<SignedDuration>,
    },
    /// Slack refused.
    #[error("Slack refused {method}: {code}{}", hint(code))]
    Refused {
        /// Which call.
        method: &'static str,
        /// Slack's name for the reason.
        code: String,
    },
    /// Slack was not reached, or did not answer in time or with sense.
    #[error("Slack's {method} could not be reached: {reason}")]
    Unreachable {
        /// Which call.
        method: &'static str,
        reason: String,
    },
    /// The answer is longer than is read of one.
    #[error("Slack's answer to {method} is too long")]
    TooLong {
        /// Which call.
        method: &'static str,
    },
    /// More was written since than is looked through.
    #[error("more was written in Slack since then than is looked through for a message of ours")]
    BeyondReach,
}

/// What the operator can do about a refusal.
fn hint(code: &str) -> &'static str {
    match code {
        "not_in_channel" => "; invite the bot to the channel",
        "channel_not_found" | "is_archived" => "; check the channel's id in the configuration",
        "missing_scope" => "; add the scope to the app's manifest and install it again",
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            "; check the bot's token"
        }
        _ => "",
    }
}

/// Refusals of every message: Slack or an operator mends them, and what waited is then sent in its order. All others are about
/// the one message that was sent.
const OF_ALL: [&str; 20] = [
    "not_in_channel",
    "channel_not_found",
    "is_archived",
    "restricted_action",
    "missing_scope",
    "no_permission",
    "access_denied",
    "not_authed",
    "invalid_auth",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "not_allowed_token_type",
    "org_login_required",
    "team_access_not_granted",
    "ekm_access_denied",
    "fatal_error",
    "internal_error",
    "service_unavailable",
    "request_timeout",
];

/// Refusals of the message itself: sending it again would change nothing. All others are mended by Slack or an operator.
const OF_THE_MESSAGE: [&str; 10] = [
    "invalid_blocks",
    "invalid_blocks_format",
    "msg_too_long",
    "msg_blocks_too_long",
    "no_text",
    "invalid_arguments",
    "invalid_array_arg",
    "too_many_attachments",
    "metadata_too_large",
    "metadata_must_be_sent_from_app",
];

impl From<SlackError> for PerformError {
    fn from(error: SlackError) -> Self {
        let reason = error.to_string();
        match error {
            SlackError::RateLimited { after, .. } => Self::Again { reason, after },
            SlackError::Refused { code, .. } if OF_THE_MESSAGE.contains(&code.as_str()) => Self::Never { reason },
            SlackError::BeyondReach => Self::Refused { reason },
            SlackError::Refused { code, .. } if !OF_ALL.contains(&code.as_str()) => Self::Refused { reason },
            SlackError::Refused { .. } | SlackError::Unreachable { .. } | SlackError::TooLong { .. } => {
                Self::Again { reason, after: None }
            }
        }
    }
}

/// slack-morphism's errors carry whole answers, which may hold texts of the channel: only their kind is kept.
pub(super) fn translate(method: &'static str, error: SlackClientError) -> SlackError {
    match error {
        SlackClientError::RateLimitError(limit) => {
            let after = limit.retry_after.and_then(|wait| SignedDuration::try_from(wait).ok());
            SlackError::RateLimited { method, after: Some(after.unwrap_or(WITHOUT_A_WORD).min(RETRY_AFTER_MOST)) }
        }
        SlackClientError::ApiError(refused) if refused.code == "ratelimited" => {
            SlackError::RateLimited { method, after: Some(WITHOUT_A_WORD) }
        }
        SlackClientError::ApiError(refused) => SlackError::Refused { method, code: refused.code },
        SlackClientError::HttpError(http) => {
            SlackError::Unreachable { method, reason: format!("HTTP status {}", http.status_code) }
        }
        SlackClientError::ProtocolError(_) => {
            SlackError::Unreachable { method, reason: "the answer was not what Slack documents".to_owned() }
        }
        SlackClientError::SystemError(error)
            if error.cause.as_ref().is_some_and(|cause| cause.is::<AnswerTooLong>()) =>
        {
            SlackError::TooLong { method }
        }
        SlackClientError::HttpProtocolError(_)
        | SlackClientError::EndOfStream(_)
        | SlackClientError::SystemError(_)
        | SlackClientError::SocketModeProtocolError(_) => {
            SlackError::Unreachable { method, reason: "the connection failed".to_owned() }
        }
    }
}
