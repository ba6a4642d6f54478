//! What every face asks the engine for. The engine's inbox implements it.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    engine::SubmitError,
    incident::{Answer, Command, Incident, IncidentId, SwitchRequest, TakeAll},
};

/// The way in for people's requests.
#[async_trait]
pub trait Ask: Send + Sync + 'static {
    /// Decides on one command; returns after commit. A key that was seen before gets the first answer again.
    async fn submit(&self, command: Command) -> Result<Answer, SubmitError>;
    /// Takes every incident that is open.
    async fn take_all(&self, request: TakeAll) -> Result<Answer, SubmitError>;
    /// Switches fixes off or on, for every incident.
    async fn switch_writes(&self, request: SwitchRequest) -> Result<Answer, SubmitError>;
    /// One incident, if it exists.
    async fn incident(&self, id: IncidentId) -> Result<Option<Arc<Incident>>, SubmitError>;
    /// The incidents that are open, oldest first: the newest [`LIVE_MOST`] of them.
    async fn live(&self) -> Result<Vec<Arc<Incident>>, SubmitError>;
}

#[async_trait]
impl Ask for crate::engine::Inbox {
    async fn submit(&self, command: Command) -> Result<Answer, SubmitError> {
        Self::submit(self, &command).await
    }

    async fn take_all(&self, request: TakeAll) -> Result<Answer, SubmitError> {
        Self::take_all(self, &request).await
    }

    async fn switch_writes(&self, request: SwitchRequest) -> Result<Answer, SubmitError> {
        Self::switch_writes(self, &request).await
    }

    async fn incident(&self, id: IncidentId) -> Result<Option<Arc<Incident>>, SubmitError> {
        Ok(Self::incident(self, id).await?.map(|stored| Arc::new(stored.incident)))
    }

    async fn live(&self) -> Result<Vec<Arc<Incident>>, SubmitError> {
        let stored = Self::live(self, u32::try_from(LIVE_MOST).unwrap_or(u32::MAX)).await?;
        Ok(stored.into_iter().rev().map(|stored| Arc::new(stored.incident)).collect())
    }
}

/// The most open incidents that a chat looks through.
pub const LIVE_MOST: usize = 100;
