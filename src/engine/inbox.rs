//! What comes in: alerts, and what people ask. Every answer is given after commit.

use std::sync::Arc;

use super::{accepted::Accepted, command, deliver, shared::Shared, submit_error::SubmitError, switch, take_all};
use crate::{
    incident::{Act, AlertDelivery, Answer, Command, IncidentId, Keeper, Policy, SwitchRequest, TakeAll},
    journal::{StoredEvent, StoredIncident},
};

/// Takes requests. Cheap to clone.
#[derive(Clone)]
pub struct Inbox(pub(super) Arc<Shared>);

impl Inbox {
    /// Takes one command of a person. A key that was seen before gives the first answer again.
    pub async fn submit(&self, command: &Command) -> Result<Answer, SubmitError> {
        if command.act == Act::AcknowledgeAll {
            return self.take_all(&TakeAll { actor: command.actor.clone(), key: command.key.clone() }).await;
        }
        command::take(&self.0, command).await
    }

    /// Takes one webhook body: one transaction over its alerts, and over those of the bodies that came with it.
    pub async fn deliver(&self, delivery: &AlertDelivery) -> Result<Accepted, SubmitError> {
        deliver::deliver(&self.0, delivery).await
    }

    /// Takes all incidents that are open; returns after commit. Asked again with the same key, it gives the first answer;
    /// after a crash in its middle it goes on with those that are left.
    pub async fn take_all(&self, request: &TakeAll) -> Result<Answer, SubmitError> {
        take_all::take_all(&self.0, request).await
    }

    /// Switches fixes off or on; returns after commit. Off is in force for every step that has not begun.
    pub async fn switch_writes(&self, request: &SwitchRequest) -> Result<Answer, SubmitError> {
        switch::switch_writes(&self.0, request).await
    }

    /// One incident.
    pub async fn incident(&self, id: IncidentId) -> Result<Option<StoredIncident>, SubmitError> {
        Ok(self.0.journal.incident(id).await?)
    }

    /// The incidents that are not closed, newest first.
    pub async fn live(&self, most: u32) -> Result<Vec<StoredIncident>, SubmitError> {
        Ok(self.0.journal.live(most).await?)
    }

    /// The newest incidents of any life, newest first.
    pub async fn newest(&self, most: u32) -> Result<Vec<StoredIncident>, SubmitError> {
        Ok(self.0.journal.newest(most).await?)
    }

    /// Everything that happened to an incident.
    pub async fn events(&self, id: IncidentId) -> Result<Vec<StoredEvent>, SubmitError> {
        Ok(self.0.journal.events(id).await?)
    }

    /// The incident whose message this is, for commands that are given in its thread.
    pub async fn incident_of_message(&self, channel: &str, message: &str) -> Result<Option<IncidentId>, SubmitError> {
        Ok(self.0.journal.incident_of_message(channel, message).await?)
    }

    /// The names of incidents as they change, for faces that show them live.
    pub fn changes(&self) -> tokio::sync::broadcast::Receiver<IncidentId> {
        self.0.listeners.changes.subscribe()
    }

    /// The bot that keeps the incidents, as their ids carry it.
    pub fn keeper(&self) -> Option<Keeper> {
        self.0.journal.keeper
    }

    /// The rules in force.
    pub fn policy(&self) -> Policy {
        self.0.rules.policy()
    }
}
