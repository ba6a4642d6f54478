//! Cards, posts and mentions on their way into the channel. An edge: it calls one pure function, sends, and reports.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{
    block_kit::{self, Message},
    client::{Client, Whither},
    error::SlackError,
    people::Directory,
};
use crate::{
    chat::{
        card::{Card, Link},
        wording::{self, Post},
    },
    engine::{Delivery, Done, MessageRef, Perform, PerformError, Task},
    escalation::LevelNumber,
    incident::{Destination, Incident, Notice, Outcome, Work},
    people::{Mention, Role},
};
use std::sync::Arc;

/// The slot of the root message.
const CARD: &str = "card";
/// A post waits for its root message; so many attempts later it goes into the channel by itself, since details that
/// never arrive help nobody.
const WAIT_FOR_ROOT: u32 = 5;
/// Slack's answers for a user group that somebody deleted or switched off: nobody is behind it.
const GONE: [&str; 2] = ["no_such_subteam", "subteam_not_found"];
/// How far before the opening our own posts are looked for: Slack's clock and ours may differ.
const LOOK_BACK: SignedDuration = SignedDuration::from_mins(10);

/// What the configuration says about how things are shown.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Links on every card: runbook, dashboards.
    pub links: Vec<Link>,
}

/// The Slack face: performs what goes out.
#[derive(Debug, Clone)]
pub struct SlackOut {
    client: Client,
    directory: Arc<Directory>,
    look: Look,
}

impl SlackOut {
    /// A face over one client.
    pub fn new(client: Client, directory: Arc<Directory>, look: Look) -> Self {
        Self { client, directory, look }
    }

    async fn draw(&self, task: &Task, to: &Destination) -> Result<Done, PerformError> {
        let incident = &task.incident;
        let key = key(incident, CARD);
        let mut card = Card::of(incident).with_progress(task.progress.looked().as_ref());
        card.links.clone_from(&self.look.links);
        let card = if task.writes_enabled { card } else { card.with_writes_off() };
        let message = block_kit::card(&card, &key);
        note_cuts(incident, &message);
        let known = match &task.root {
            Some(root) => Some(root.id.clone()),
            None => self.find(task, to, None, &key).await?,
        };
        let id = match known {
            Some(id) => match self.client.update(&to.channel, &id, &message.text, &message.blocks).await {
                Ok(()) => id,
                // Somebody deleted it: a card is always owed.
                Err(SlackError::Refused { code, .. }) if code == "message_not_found" => {
                    self.client.post(root_of(to), &message, &key).await?
                }
                Err(error) => return Err(error.into()),
            },
            None => self.client.post(root_of(to), &message, &key).await?,
        };
        let outcome = Outcome::Shown { to: to.clone(), first_card: task.root.is_none() };
        Ok(done(outcome, to, CARD, id, incident.version))
    }

    async fn post(&self, task: &Task, to: &Destination, notice: &Notice) -> Result<Done, PerformError> {
        if task.root.is_none() && task.attempt < WAIT_FOR_ROOT {
            let reason = format!("the card of {} is not in the channel yet", task.incident.id);
            // No time to come again is named, so that the attempts count.
            return Err(PerformError::Again { reason, after: None });
        }
        let mut post = wording::notice(notice, &task.incident);
        if !task.writes_enabled {
            post.buttons.retain(|button| !button.press.needs_writes());
        }
        let mut mentions = std::mem::take(&mut post.mentions);
        if post.to_approvers {
            mentions.extend(self.directory.holders(Role::Approver));
        }
        let id = self.send(task, to, &post, &mentions).await?;
        let outcome = Outcome::Shown { to: to.clone(), first_card: false };
        Ok(done(outcome, to, &task.key, id, task.incident.version))
    }

    async fn call(&self, task: &Task, to: &Destination, level: LevelNumber) -> Result<Done, PerformError> {
        let Work::Mention { mentions, reason, .. } = &task.work else {
            return Err(PerformError::Never { reason: "only a mention calls a level".to_owned() });
        };
        if let Some(why) = self.nobody_behind(mentions).await {
            return Ok(Outcome::NobodyBehind { level, why }.into());
        }
        let post = wording::call(level, reason, &task.incident);
        let id = self.send(task, to, &post, mentions).await?;
        Ok(done(Outcome::Mentioned { level, to: to.clone() }, to, &task.key, id, task.incident.version))
    }

    /// Why a mention would reach nobody. A group that cannot be looked up is mentioned all the same: a page is not lost
    /// because a lookup failed.
    async fn nobody_behind(&self, mentions: &[Mention]) -> Option<String> {
        if mentions.is_empty() {
            return Some("nobody is configured to be mentioned".to_owned());
        }
        let mut empty = Vec::new();
        for mention in mentions {
            match mention {
                Mention::User(_) => return None,
                Mention::Group(group) => match self.client.members(group).await {
                    Ok(members) if members.is_empty() => empty.push(group.as_str()),
                    Err(SlackError::Refused { code, .. }) if GONE.contains(&code.as_str()) => {
                        empty.push(group.as_str());
                    }
                    _ => return None,
                },
            }
        }
        Some(format!("the user group {} has no members, or is gone", empty.join(" and ")))
    }

    /// Sends into the thread, or into the channel when there is no root message; looks first when an attempt before may
    /// have got through.
    async fn send(
        &self,
        task: &Task,
        to: &Destination,
        post: &Post,
        mentions: &[Mention],
    ) -> Result<String, PerformError> {
        let key = key(&task.incident, &task.key);
        let message = block_kit::post(post, mentions, &key);
        note_cuts(&task.incident, &message);
        let thread = task.root.as_ref().map(|root| root.id.as_str());
        if let Some(id) = self.find(task, to, thread, &key).await? {
            return Ok(id);
        }
        let whither = Whither { channel: &to.channel, thread, broadcast: post.broadcast };
        let id = self.client.post(whither, &message, &key).await?;
        if let Some(file) = &message.file {
            // The beginning stands in the message, so a file that fails takes nothing away that was promised to wake
            // somebody up.
            let beside = Whither { thread: Some(thread.unwrap_or(&id)), ..whither };
            if let Err(error) = self.client.upload(beside, file).await {
                tracing::warn!(incident = %task.incident.id, %error, "the rest of a long output could not be uploaded");
            }
        }
        Ok(id)
    }

    async fn find(
        &self,
        task: &Task,
        to: &Destination,
        thread: Option<&str>,
        key: &str,
    ) -> Result<Option<String>, SlackError> {
        if task.attempt <= 1 {
            return Ok(None);
        }
        let since = oldest(task.incident.opened_at);
        if let Some(found) = self.client.find(&to.channel, thread, &since, key).await? {
            return Ok(Some(found));
        }
        // A page may have gone out before the card did: then it stands in the channel and not in the thread.
        if thread.is_some() && matches!(task.work, Work::Mention { .. }) {
            return self.client.find(&to.channel, None, &since, key).await;
        }
        Ok(None)
    }
}

#[async_trait]
impl Perform for SlackOut {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        match &task.work {
            Work::DrawCard { to } => self.draw(&task, to).await,
            Work::Post { to, notice } => self.post(&task, to, notice).await,
            Work::Mention { to, level, .. } => self.call(&task, to, *level).await,
            _ => Err(PerformError::Never { reason: "Slack only draws, posts and mentions".to_owned() }),
        }
    }
}

/// What marks a message of ours, over all incidents of a channel.
pub(super) fn key(incident: &Incident, slot: &str) -> String {
    format!("mtls-medic/{}/{}/{slot}", incident.id, incident.opened_at.as_second())
}

fn root_of(to: &Destination) -> Whither<'_> {
    Whither { channel: &to.channel, thread: None, broadcast: false }
}

fn done(outcome: Outcome, to: &Destination, slot: &str, id: String, version: u64) -> Done {
    let delivery = Delivery { to: to.clone(), slot: slot.to_owned(), message: MessageRef { id, version } };
    Done { outcome, delivery: Some(delivery), evidence: None }
}

/// A message id as Slack writes them, for the moment from which on our posts can be there.
fn oldest(opened_at: Timestamp) -> String {
    let from = opened_at.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{}.000000", from.as_second().max(0))
}

fn note_cuts(incident: &Incident, message: &Message) {
    if message.cuts > 0 {
        tracing::info!(incident = %incident.id, cuts = message.cuts, "a message was cut to fit into Slack's limits");
    }
}
