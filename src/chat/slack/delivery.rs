//! Cards, posts and mentions on their way into the channel. An edge: it calls one pure function, sends, and reports.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{
    block_kit::{self, Message},
    client::{Client, Whither},
    error::SlackError,
    outlived_buttons::{PostWithButtons, Shelf, without_buttons},
    people::Directory,
    post_attempts::PostAttempts,
    rate_limits::SendTurn,
};
use crate::{
    chat::{
        card::{Card, Link},
        wording::{self, Post},
    },
    engine::{Delivery, Done, MessageRef, Perform, PerformError, Task},
    escalation::LevelNumber,
    incident::{Destination, Incident, Lacks, MentionPost, Notice, Outcome, WebAddress, Work},
    people::{Mention, Platform, Role, Whom},
};
use std::{sync::Arc, time::Duration};

/// The slot of the root message.
const CARD: &str = "card";
/// A post waits for its root message; so many attempts later it goes into the channel by itself, since details that
/// never arrive help nobody.
const WAIT_FOR_ROOT: u32 = 5;
/// Slack's answers for a user group that somebody deleted or switched off: nobody is behind it.
const GONE: [&str; 2] = ["no_such_subteam", "subteam_not_found"];
/// How long the link to a card that was just posted may take.
const LINK_WITHIN: Duration = Duration::from_secs(3);
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
    memory: PostAttempts,
    shelf: Arc<Shelf>,
    /// Since when this process remembers, by the clock that nobody sets.
    since: Timestamp,
}

impl SlackOut {
    /// A face over one client.
    pub fn new(client: Client, directory: Arc<Directory>, look: Look) -> Self {
        let (memory, shelf, since) = (PostAttempts::default(), Arc::default(), directory.steady());
        Self { client, directory, look, memory, shelf, since }
    }

    /// Whether an incident opened before this process began, which then does not remember all that it sent.
    fn is_older_than_this_process(&self, incident: &Incident) -> bool {
        let age = self.directory.now().duration_since(incident.opened_at);
        age > self.directory.steady().duration_since(self.since)
    }

    async fn draw(&self, task: &Task, to: &Destination) -> Result<Done, PerformError> {
        let incident = &task.incident;
        let key = key(incident, CARD);
        let mut card = Card::of(incident).with_progress(task.progress.looked().as_ref());
        card.links.clone_from(&self.look.links);
        let card = if task.writes_enabled { card } else { card.with_writes_off() };
        let card = card.with_backlog(self.memory.waiting(), self.directory.now());
        let message = block_kit::card(&card, &key);
        note_cuts(incident, &message);
        let known = match &task.root {
            Some(root) => Some(root.id.clone()),
            // A drawing takes the place of an older one of the same slot, whose answer may have been lost: a card of
            // before this process began is looked for at its first attempt too.
            None if self.memory.may_be_there(&key, task.attempt > 1 || self.is_older_than_this_process(incident)) => {
                self.find(task, to, None, &key).await?
            }
            None => None,
        };
        let mut posted = task.root.is_none();
        let id = match known {
            Some(id) => match self.client.update(&to.channel, &id, &message.text, &message.blocks).await {
                Ok(()) => id,
                // Somebody deleted it: a card is always owed.
                Err(SlackError::Refused { code, .. }) if code == "message_not_found" => {
                    posted = true;
                    self.put(root_of(to), &message, &key, true).await?
                }
                Err(error) => return Err(error.into()),
            },
            None => self.put(root_of(to), &message, &key, true).await?,
        };
        match &task.root {
            Some(root) => self.clear_away(incident, to, &root.id).await?,
            None if !self.is_older_than_this_process(incident) => self.shelf.learn(incident.id, []),
            None => {}
        }
        let outcome = if posted {
            Outcome::CardPosted { to: to.clone(), link: self.link_of(to, &id).await }
        } else {
            Outcome::Shown { to: to.clone(), first_card: false }
        };
        Ok(done(outcome, to, CARD, id, incident.version))
    }

    /// The link to a message. One that cannot be had soon holds nothing up: calls are then made without it.
    async fn link_of(&self, to: &Destination, id: &str) -> Option<WebAddress> {
        let asked = tokio::time::timeout(LINK_WITHIN, self.client.permalink(&to.channel, id));
        let link = match asked.await {
            Ok(Ok(link)) => WebAddress::parse(&link),
            Ok(Err(error)) => {
                tracing::info!(%error, "the link to a card is not known");
                None
            }
            Err(_) => None,
        };
        link.filter(|link| link.as_str().starts_with("https://"))
    }

    /// Sends a message. `clean` says that it is surely not in the channel yet, so that a refusal leaves it so.
    async fn put(&self, to: Whither<'_>, message: &Message, key: &str, clean: bool) -> Result<String, SlackError> {
        let sent = self.client.post(to, message, key).await;
        match &sent {
            Ok(_) => self.memory.sent(key),
            Err(SlackError::RateLimited { .. } | SlackError::Refused { .. }) if clean => self.memory.unsent(key),
            Err(_) => self.memory.unsure(key),
        }
        let waiting = u64::try_from(self.memory.waiting()).unwrap_or(u64::MAX);
        self.client.metrics.set("slack_posts_waiting", &[], waiting);
        sent
    }

    /// Takes the buttons off posts whose question was decided, by whichever way. A failure has the card drawn again, and
    /// this tried again with it.
    async fn clear_away(&self, incident: &Incident, to: &Destination, root: &str) -> Result<(), SlackError> {
        if !self.shelf.knows(incident.id) {
            match self.client.thread(&to.channel, root, PostWithButtons::kept).await {
                Ok(posts) => self.shelf.learn(incident.id, posts),
                // Draw the card all the same: the next drawing looks again, and so does the next press.
                Err(error) => tracing::warn!(incident = %incident.id, %error, "old buttons could not be looked for"),
            }
        }
        for (post, why) in self.shelf.outlived(incident) {
            let blocks = without_buttons(&post.blocks, &why);
            match self.client.update(&to.channel, &post.id, &post.text, &blocks).await {
                Ok(()) | Err(SlackError::Refused { .. }) => self.shelf.forget(incident.id, &post.id),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn post(&self, task: &Task, to: &Destination, notice: &Notice) -> Result<Done, PerformError> {
        if task.root.is_none() && task.attempt < WAIT_FOR_ROOT {
            let key = key(&task.incident, &task.key);
            if !self.memory.may_be_there(&key, task.attempt > 1) {
                self.memory.unsent(&key);
            }
            let reason = format!("the card of {} is not in the channel yet", task.incident.id);
            // Counted as an attempt, so that it ends: details that never arrive help nobody.
            return Err(PerformError::Again { reason, after: None });
        }
        let mut post = wording::notice(notice, &task.incident).on(Platform::Slack);
        if matches!(notice, Notice::HandedTo { .. }) {
            post = post.or_links(&self.look.links);
        }
        if !task.writes_enabled {
            post = post.with_writes_off();
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
        let post = wording::call(level, reason, &task.incident).or_links(&self.look.links);
        let id = self.send(task, to, &post, mentions).await?;
        self.client.metrics.count("calls_sent_total", &[("way", "slack")], 1);
        let unexplained =
            Lacks::of(&task.incident).cause.then(|| MentionPost { key: task.key.clone(), reason: reason.clone() });
        let outcome = Outcome::Mentioned { level, to: to.clone(), unexplained };
        Ok(done(outcome, to, &task.key, id, task.incident.version))
    }

    /// Writes a mention anew, with the cause in it. Nobody is mentioned by an edit.
    async fn complete(
        &self,
        task: &Task,
        to: &Destination,
        level: LevelNumber,
        call: &MentionPost,
    ) -> Result<Done, PerformError> {
        let Some(sent) = &task.root else { return Ok(Outcome::NoLongerWanted.into()) };
        let post = wording::call(level, &call.reason, &task.incident).or_links(&self.look.links).on(Platform::Slack);
        let message = block_kit::post(&post, &post.mentions, &key(&task.incident, &call.key));
        note_cuts(&task.incident, &message);
        match self.client.update(&to.channel, &sent.id, &message.text, &message.blocks).await {
            Ok(()) => {}
            Err(SlackError::Refused { code, .. }) if code == "message_not_found" => {
                return Ok(Outcome::NoLongerWanted.into());
            }
            Err(error) => return Err(error.into()),
        }
        self.shelf.forget(task.incident.id, &sent.id);
        if let Some(standing) = PostWithButtons::sent(&sent.id, &message, task.incident.version) {
            self.shelf.add(task.incident.id, standing);
        }
        Ok(done(Outcome::CallCompleted, to, &call.key, sent.id.clone(), task.incident.version))
    }

    /// Why a mention would reach nobody. A group that cannot be looked up is mentioned all the same: a page is not lost
    /// because a lookup failed.
    async fn nobody_behind(&self, mentions: &[Mention]) -> Option<String> {
        if mentions.is_empty() {
            return Some("nobody is configured to be mentioned".to_owned());
        }
        let mut empty = Vec::new();
        for mention in mentions {
            match &mention.whom {
                Whom::User(_) => return None,
                Whom::Group(group) => match self.client.members(group).await {
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
        let calls = matches!(task.work, Work::Mention { .. });
        let turn = if calls { SendTurn::Page } else { SendTurn::Rest };
        let whither = Whither { channel: &to.channel, thread, broadcast: post.broadcast, turn };
        let mut clean = !self.memory.may_be_there(&key, task.attempt > 1);
        let mut known = None;
        if !clean {
            match self.find(task, to, thread, &key).await {
                Ok(found) => (clean, known) = (true, found),
                // A page may be doubled, and is never lost because a search failed.
                Err(error) if calls => {
                    tracing::warn!(incident = %task.incident.id, %error, "a call could not be looked for, and is sent again");
                }
                Err(error) => return Err(error.into()),
            }
        }
        let id = match known {
            Some(id) => {
                self.memory.sent(&key);
                id
            }
            None => self.put(whither, &message, &key, clean).await?,
        };
        if let Some(standing) = PostWithButtons::sent(&id, &message, task.incident.version) {
            self.shelf.add(task.incident.id, standing);
        }
        // A post that was found may have lost its file to the same crash: two files are better than none.
        if let Some(file) = &message.file {
            let beside = Whither { thread: Some(thread.unwrap_or(&id)), ..whither };
            if let Err(error) = self.client.upload(beside, file).await {
                tracing::warn!(incident = %task.incident.id, %error, "the rest of a long output could not be uploaded");
                self.take_back_the_file(to, &id, &message).await;
            }
        }
        Ok(id)
    }

    /// The post stands: a file that fails takes nothing away that was promised to wake somebody up. But it must not say
    /// that there is one.
    async fn take_back_the_file(&self, to: &Destination, id: &str, message: &Message) {
        let blocks = message.without_file();
        if let Err(error) = self.client.update(&to.channel, id, &message.text, &blocks).await {
            tracing::warn!(%error, "a post could not be told that its file is missing");
        }
    }

    async fn find(
        &self,
        task: &Task,
        to: &Destination,
        thread: Option<&str>,
        key: &str,
    ) -> Result<Option<String>, SlackError> {
        let since = oldest(&task.incident);
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
            Work::UpdateMention { to, level, post } => self.complete(&task, to, *level, post).await,
            _ => Err(PerformError::Never { reason: "Slack only draws, posts and mentions".to_owned() }),
        }
    }
}

/// What marks a message of ours, over all incidents of a channel.
pub(super) fn key(incident: &Incident, slot: &str) -> String {
    format!("mtls-medic/{}/{}/{slot}", incident.id, incident.created_at().as_second())
}

fn root_of(to: &Destination) -> Whither<'_> {
    Whither { channel: &to.channel, thread: None, broadcast: false, turn: SendTurn::Rest }
}

fn done(outcome: Outcome, to: &Destination, slot: &str, id: String, version: u64) -> Done {
    let delivery = Delivery { to: to.clone(), slot: slot.to_owned(), message: MessageRef { id, version } };
    Done { outcome, delivery: Some(delivery), evidence: None }
}

/// A message id as Slack writes them, for the moment from which on our posts can be there.
fn oldest(incident: &Incident) -> String {
    // Slack's own clock was set by nobody: by one of the two they are there.
    let opened_at = incident.created_at().min(incident.opened_at);
    let from = opened_at.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{}.000000", from.as_second().max(0))
}

fn note_cuts(incident: &Incident, message: &Message) {
    if message.cuts > 0 {
        tracing::info!(incident = %incident.id, cuts = message.cuts, "a message was cut to fit into Slack's limits");
    }
}
