//! Why Discord did not do what it was asked, and whether asking again can help.

use jiff::SignedDuration;

use crate::{chat::outbox::SendError, engine::PerformError};

/// Why a call to Discord failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscordError {
    /// Discord asks us to wait (429), or will if we go on.
    #[error("Discord's {call} is rate limited")]
    RateLimited {
        call: &'static str,
        /// For how long.
        after: SignedDuration,
    },
    /// Discord refused.
    #[error("Discord refused to {call}: HTTP {status}, code {code} ({message}){}", hint(*status, *code))]
    Refused {
        call: &'static str,
        status: u16,
        /// Discord's own number for the reason; 0 where it gave none.
        code: u64,
        /// Discord's words for it, bounded.
        message: String,
    },
    /// Discord was not reached, or did not answer in time or with sense.
    #[error("Discord could not be reached to {call}: {reason}")]
    Unreachable { call: &'static str, reason: String },
    /// The answer is longer than is read of one.
    #[error("Discord's answer to {call} is too long")]
    TooLong { call: &'static str },
    /// More was written since than is looked through.
    #[error("more was written in Discord since then than is looked through for a message of ours")]
    BeyondReach,
}

/// "Unknown Channel": also a thread that somebody deleted, or that was never made.
pub(super) const UNKNOWN_CHANNEL: u64 = 10_003;
const UNKNOWN_MESSAGE: u64 = 10_008;
/// "A thread has already been created for this message".
pub(super) const THREAD_IS_THERE: u64 = 160_004;
/// "Invalid Form Body": the message itself is refused.
const INVALID_FORM: u64 = 50_035;
/// "Request entity too large": its file is larger than the server takes.
pub(super) const TOO_LARGE: u64 = 40_005;
const MISSING_ACCESS: u64 = 50_001;
const MISSING_PERMISSIONS: u64 = 50_013;
/// "Missing Permissions" of an answer: without the right to read the history.
const NO_HISTORY: u64 = 160_002;
/// "Thread is archived".
pub(super) const ARCHIVED: u64 = 50_083;

/// What the operator can do about a refusal.
fn hint(status: u16, code: u64) -> &'static str {
    match (status, code) {
        (401, _) => "; check the bot's token",
        (_, MISSING_ACCESS | MISSING_PERMISSIONS) => {
            "; give the bot its permissions in the channel (deploy/discord.md)"
        }
        (_, UNKNOWN_CHANNEL) => "; check discord.channel in the configuration",
        (_, ARCHIVED) => "; somebody locked the thread",
        _ => "",
    }
}

/// Whether every message would be refused so: by the bot's token, its rights or its channel. An operator mends that, and what
/// waited is then sent in its order.
fn is_of_all(status: u16, code: u64) -> bool {
    let place = [MISSING_ACCESS, MISSING_PERMISSIONS, NO_HISTORY, UNKNOWN_CHANNEL, ARCHIVED];
    matches!(status, 401 | 407 | 408) || place.contains(&code) || (status == 403 && code == 0)
}

impl From<DiscordError> for PerformError {
    fn from(error: DiscordError) -> Self {
        let reason = error.to_string();
        match error {
            DiscordError::RateLimited { after, .. } => Self::Again { reason, after: Some(after) },
            DiscordError::Refused { code: INVALID_FORM, .. } => Self::Never { reason },
            DiscordError::BeyondReach => Self::Refused { reason },
            DiscordError::Refused { status, code, .. } if !is_of_all(status, code) => Self::Refused { reason },
            DiscordError::Refused { .. } | DiscordError::Unreachable { .. } | DiscordError::TooLong { .. } => {
                Self::Again { reason, after: None }
            }
        }
    }
}

impl DiscordError {
    /// Whether a message can be sent elsewhere: not where its own form or the bot's token is refused.
    pub(super) fn is_of_the_place(&self) -> bool {
        matches!(self, Self::Refused { code, status, .. } if *code != INVALID_FORM && *status != 401)
    }

    /// Whether Discord gave this number as the reason.
    pub(super) fn is(&self, wanted: u64) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == wanted)
    }
}

impl SendError for DiscordError {
    fn is_certain(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Refused { .. })
    }

    fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    fn is_gone(&self) -> bool {
        self.is(UNKNOWN_MESSAGE) || self.is(UNKNOWN_CHANNEL)
    }

    fn is_beyond_reach(&self) -> bool {
        *self == Self::BeyondReach
    }
}
