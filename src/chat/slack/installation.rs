//! What the app was installed with: who the token is, which scopes it has, whether the bot is in the channel. For `doctor`.

use hyper::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::{
    client::{Client, Identity},
    error::SlackError,
};
use crate::chat::OutgoingError;

/// A scope of the bot's token, and what is lost without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// Slack's name of it.
    pub name: &'static str,
    /// What does not work without it.
    pub without_it: &'static str,
}

const fn scope(name: &'static str, without_it: &'static str) -> Scope {
    Scope { name, without_it }
}

/// The scopes that the app's manifest asks for.
pub const SCOPES: [Scope; 7] = [
    scope("commands", "nobody can type /mtls"),
    scope("chat:write", "no card, message or mention is posted"),
    scope("files:write", "raw output does not reach the thread"),
    scope("usergroups:read", "members of user groups are not known, so they may not command or approve"),
    scope("users:read", "it is not checked whether a person is of this workspace"),
    scope("channels:history", "after a crash, a message in a public channel may be posted twice"),
    scope("groups:history", "after a crash, a message in a private channel may be posted twice"),
];

/// Who the token is, and what it may do.
#[derive(Debug, Clone)]
pub struct Installation {
    /// Workspace and user.
    pub identity: Identity,
    /// The scopes that it was given; `None` where Slack did not say.
    pub scopes: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct AuthTestAnswer {
    ok: bool,
    #[serde(default)]
    error: String,
}

impl Client {
    /// Asks Slack who the token is; its scopes stand in a header of the answer.
    pub async fn installation(&self) -> Result<Installation, SlackError> {
        const METHOD: &str = "auth.test";
        let address = format!("{}/{METHOD}", self.base());
        // Wrapped again, so that an error that prints what was sent prints nothing.
        let authorization = SecretString::from(format!("Bearer {}", self.token.token_value.0));
        let sent = self.outgoing.post_and_see(
            &address,
            "application/json",
            Some(authorization.expose_secret()),
            b"{}".to_vec(),
        );
        let unreachable = |reason: String| SlackError::Unreachable { method: METHOD, reason };
        let (headers, body) = sent.await.map_err(|error| match error {
            OutgoingError::Status { status: StatusCode::TOO_MANY_REQUESTS, after, .. } => {
                SlackError::RateLimited { method: METHOD, after }
            }
            other => unreachable(other.to_string()),
        })?;
        let strange = |_| unreachable("the answer was not what Slack documents".to_owned());
        let answer: AuthTestAnswer = serde_json::from_slice(&body).map_err(strange)?;
        if !answer.ok {
            return Err(SlackError::Refused { method: METHOD, code: answer.error });
        }
        let identity = serde_json::from_slice(&body).map_err(strange)?;
        let scopes = headers.get("x-oauth-scopes").and_then(|value| value.to_str().ok());
        let scopes = scopes.map(|list| list.split(',').map(|one| one.trim().to_owned()).collect());
        Ok(Installation { identity, scopes })
    }

    /// Whether the bot is in a channel: Slack shows a bot only the messages of channels that it is in. (Asking for the
    /// channel itself would take a scope more.)
    pub async fn is_in(&self, channel: &str) -> Result<(), SlackError> {
        self.get::<Value>("conversations.history", &[("channel", channel), ("limit", "1")]).await.map(drop)
    }
}
