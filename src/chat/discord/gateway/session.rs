//! A session outlives its connections; what ends it, and what only a person can mend. Pure.

use std::time::Duration;

use serenity::constants::close_codes;

/// What is needed to go on where a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub id: String,
    /// Where Discord wants it resumed.
    pub address: String,
    /// The last event that was heard.
    pub sequence: u64,
}

/// Why Discord refuses the bot, when trying again does not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ToMend {
    #[error(
        "Discord refuses the bot's token: make a new one in the Developer Portal (Bot, Reset Token) and put it where the \
         configuration reads it"
    )]
    Token,
    #[error("Discord refuses the gateway intents that this version of the bot asks for (none): update the bot")]
    Intents,
    #[error("the bot is in too many servers for one connection: remove it from those that it does not serve")]
    Servers,
    #[error("Discord speaks this version of its gateway no more: update the bot")]
    Version,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    /// How long a session was there and alive, if one was.
    pub open_for: Option<Duration>,
    /// Whether the next connection has to begin a new session.
    pub forgets_session: bool,
    pub mend: Option<ToMend>,
}

/// Invalid version of the API; serenity does not name it.
const INVALID_VERSION: u16 = 4012;
/// Discord no longer documents it and still sends it.
const SESSION_NO_LONGER_VALID: u16 = 4006;

impl Left {
    /// It never was good.
    pub fn failed() -> Self {
        Self { open_for: None, forgets_session: false, mend: None }
    }

    /// What a close code says, if there was one.
    /// <https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes>
    pub fn by_code(code: Option<u16>) -> Self {
        let mend = match code {
            Some(close_codes::AUTHENTICATION_FAILED) => Some(ToMend::Token),
            Some(close_codes::INVALID_GATEWAY_INTENTS | close_codes::DISALLOWED_GATEWAY_INTENTS) => {
                Some(ToMend::Intents)
            }
            Some(close_codes::INVALID_SHARD | close_codes::SHARDING_REQUIRED) => Some(ToMend::Servers),
            Some(INVALID_VERSION) => Some(ToMend::Version),
            _ => None,
        };
        let ends_session = matches!(
            code,
            Some(
                close_codes::NOT_AUTHENTICATED
                    | close_codes::ALREADY_AUTHENTICATED
                    | SESSION_NO_LONGER_VALID
                    | close_codes::INVALID_SEQUENCE
                    | close_codes::SESSION_TIMEOUT
            )
        );
        Self { open_for: None, forgets_session: ends_session || mend.is_some(), mend }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_close_code_of_discords_table_says_whether_the_session_goes_on_and_who_has_to_mend_it() {
        let told: Vec<String> = [None, Some(1000), Some(1001), Some(1006)]
            .into_iter()
            .chain((4000..=4014).map(Some))
            .map(|code| {
                let left = Left::by_code(code);
                let next = if left.forgets_session { "new session" } else { "resume" };
                let mend = left.mend.map(|mend| format!(", {mend:?}")).unwrap_or_default();
                format!("{}: {next}{mend}", code.map_or("none".to_owned(), |code| code.to_string()))
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        none: resume
        1000: resume
        1001: resume
        1006: resume
        4000: resume
        4001: resume
        4002: resume
        4003: new session
        4004: new session, Token
        4005: new session
        4006: new session
        4007: new session
        4008: resume
        4009: new session
        4010: new session, Servers
        4011: new session, Servers
        4012: new session, Version
        4013: new session, Intents
        4014: new session, Intents
        ");
    }
}
