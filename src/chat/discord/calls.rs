//! The calls that the desk and the gateway need, made by the one client.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::{
    error::DiscordError,
    gateway::{Entrance, FindGateway, NoEntrance, ToMend},
    inbound::{AnswerCalls, NotAnswered},
    rest::Rest,
};
use crate::chat::rate_limits::SendTurn;

impl From<DiscordError> for NotAnswered {
    fn from(error: DiscordError) -> Self {
        match error {
            DiscordError::Refused { status: 404, .. } => Self::Unknown,
            error => Self::Failed(error.to_string()),
        }
    }
}

#[async_trait]
impl AnswerCalls for Rest {
    async fn first(&self, id: &str, token: &SecretString, body: &Value) -> Result<(), NotAnswered> {
        Ok(self.first_answer(id, token, body).await?)
    }

    async fn edit(&self, application: &str, token: &SecretString, message: &Value) -> Result<(), NotAnswered> {
        Ok(self.edit_answer(application, token, message).await?)
    }

    async fn follow_up(&self, application: &str, token: &SecretString, message: &Value) -> Result<(), NotAnswered> {
        Ok(Self::follow_up(self, application, token, message).await?)
    }

    async fn post(&self, channel: &str, message: &Value) -> Result<(), NotAnswered> {
        Self::post(self, channel, message, None, SendTurn::Page).await?;
        Ok(())
    }
}

/// The answer of `GET /gateway/bot`.
#[derive(Deserialize)]
struct GatewayBot {
    url: String,
    session_start_limit: SessionStartLimit,
}

#[derive(Deserialize)]
struct SessionStartLimit {
    remaining: u32,
    /// Milliseconds.
    reset_after: u64,
}

#[async_trait]
impl FindGateway for Rest {
    async fn find(&self) -> Result<Entrance, NoEntrance> {
        let found: Result<GatewayBot, DiscordError> = self.get("say where its gateway is", "/gateway/bot").await;
        match found {
            Ok(found) => Ok(Entrance {
                address: found.url,
                sessions_left: found.session_start_limit.remaining,
                renewed_in: Duration::from_millis(found.session_start_limit.reset_after),
            }),
            Err(error) => {
                let after = match &error {
                    DiscordError::RateLimited { after, .. } => Duration::try_from(*after).ok(),
                    _ => None,
                };
                let mend = matches!(error, DiscordError::Refused { status: 401, .. }).then_some(ToMend::Token);
                Err(NoEntrance { reason: error.to_string(), after, mend })
            }
        }
    }
}
