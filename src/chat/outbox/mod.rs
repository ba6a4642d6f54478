//! Cards, posts and mentions on their way into a channel: the rules that every face sends by. An edge: it calls one pure
//! function, sends, and reports.

mod draw;
mod outlived_buttons;
mod post_attempts;
#[cfg(test)]
mod tests;

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use self::{
    outlived_buttons::{PostWithButtons, Shelf},
    post_attempts::PostAttempts,
};
use super::{
    card::{Card, Line, Link, Press},
    posts::{self, Post, Raw},
    rate_limits::SendTurn,
};
use crate::{
    clock::Clock,
    engine::{Delivery, Done, MessageRef, Perform, PerformError, Task},
    escalation::LevelNumber,
    incident::{Destination, Incident, Lacks, MentionPost, Notice, Outcome, Work},
    people::{Mention, Platform, Role},
};

/// A message as one platform sends it.
pub trait Sent: Clone + Debug + Send + Sync + 'static {
    /// What its buttons ask for.
    fn presses(&self) -> Vec<Press>;
    /// Whether it is a card, which is drawn anew by its own effect.
    fn is_card(&self) -> bool;
    /// The same message without its buttons, and a line in their place.
    fn without_buttons(&self, why: &Line) -> Self;
    /// Raw output that did not fit, whole.
    fn file(&self) -> Option<&Raw>;
    /// The message as it is when the file could not be uploaded.
    fn without_file(&self) -> Self;
    /// How many pieces were cut or left out.
    fn cuts(&self) -> usize;
}

/// Why a platform did not do what it was asked.
pub trait SendError: std::error::Error + Into<PerformError> + Send + 'static {
    /// The platform said no, so that nothing was done: no answer was lost.
    fn is_certain(&self) -> bool;
    /// The platform would say no again.
    fn is_refusal(&self) -> bool;
    /// The message is not there any more.
    fn is_gone(&self) -> bool;
    /// More was written since than is looked through for a message of ours: whether it is there is not known.
    fn is_beyond_reach(&self) -> bool;
}

/// Where a message goes.
#[derive(Debug, Clone, Copy)]
pub struct Whither<'a> {
    pub channel: &'a str,
    /// The thread, by its root message.
    pub thread: Option<&'a str>,
    /// Whether a message of a thread is shown in the channel too.
    pub broadcast: bool,
    /// Whose turn it is after the platform made us wait.
    pub turn: SendTurn,
    /// The message that this one takes the place of, because somebody deleted it.
    pub instead_of: Option<&'a str>,
}

/// What one platform does for the outbox: it draws, sends and finds.
#[async_trait]
pub trait Carrier: Clone + Debug + Send + Sync + 'static {
    type Message: Sent;
    type Error: SendError;

    fn platform(&self) -> Platform;
    /// Counts a call that went out, and how many posts wait.
    fn count_call(&self);
    fn set_waiting(&self, posts: usize);

    fn card(&self, card: &Card, key: &str) -> Self::Message;
    fn post(&self, post: &Post, mentions: &[Mention], key: &str) -> Self::Message;

    /// Sends a message that carries our key, and returns its id.
    async fn send(&self, to: Whither<'_>, message: &Self::Message, key: &str) -> Result<String, Self::Error>;
    /// Replaces a message of ours.
    async fn edit(&self, to: Whither<'_>, id: &str, message: &Self::Message) -> Result<(), Self::Error>;
    /// Looks for a message of ours by its key wherever `send` may have put it: in its thread, and in the channel since then, for
    /// it may have gone out before its card did.
    async fn find(&self, to: Whither<'_>, since: Timestamp, key: &str) -> Result<Option<String>, Self::Error>;
    /// The messages of a thread that may be ours.
    async fn thread(&self, channel: &str, root: &str) -> Result<Vec<(String, Self::Message)>, Self::Error>;
    /// Puts raw text beside a message.
    async fn upload(&self, to: Whither<'_>, raw: &Raw) -> Result<(), Self::Error>;
    /// The address under which people find a message of ours.
    async fn link(&self, channel: &str, id: &str) -> Result<String, Self::Error>;
    /// Why a mention would reach nobody. A group that cannot be looked up is mentioned all the same: a page is not lost
    /// because a lookup failed.
    async fn nobody_behind(&self, mentions: &[Mention]) -> Option<String>;
    /// Who is mentioned when somebody of a role is wanted, on this platform.
    fn holders(&self, role: Role) -> Vec<Mention>;
}

/// The slot of the root message.
const CARD: &str = "card";
/// A post waits for its root message; so many attempts later it goes into the channel by itself, since details that
/// never arrive help nobody.
const WAIT_FOR_ROOT: u32 = 5;
/// How long may be looked for who is behind a mention, and for the mention itself where it may be there already. Both come
/// before a call, and the engine gives one up after 30 s, or 10 s where the journal fails: a call is sooner made twice than not.
const MEMBERS_WITHIN: Duration = Duration::from_secs(2);
const FOUND_WITHIN: Duration = Duration::from_secs(4);
/// How far before the opening our own posts are looked for: The platform's clock and ours may differ.
const LOOK_BACK: SignedDuration = SignedDuration::from_mins(10);

/// What the configuration says about how things are shown.
#[derive(Debug, Clone, Default)]
pub struct Look {
    /// Links on every card: runbook, dashboards.
    pub links: Vec<Link>,
}

/// Performs what goes out on one face.
#[derive(Clone)]
pub struct Outbox<C: Carrier> {
    carrier: C,
    clock: Arc<dyn Clock>,
    look: Look,
    memory: PostAttempts,
    shelf: Arc<Shelf<C::Message>>,
    /// Since when this process remembers, by the clock that nobody sets.
    since: Timestamp,
}

impl<C: Carrier> Outbox<C> {
    /// A face over one carrier.
    pub fn over(carrier: C, clock: Arc<dyn Clock>, look: Look) -> Self {
        let since = clock.steady();
        Self { carrier, clock, look, memory: PostAttempts::default(), shelf: Arc::default(), since }
    }

    /// Whether an incident opened before this process began, which then does not remember all that it sent.
    fn is_older_than_this_process(&self, incident: &Incident) -> bool {
        let age = self.clock.now().duration_since(incident.opened_at);
        age > self.clock.steady().duration_since(self.since)
    }

    /// Sends a message. `clean` says that it is surely not in the channel yet, so that a refusal leaves it so.
    async fn put(&self, to: Whither<'_>, message: &C::Message, key: &str, clean: bool) -> Result<String, C::Error> {
        // The engine may give this up in the middle of the call.
        self.memory.unsure(key);
        let sent = self.carrier.send(to, message, key).await;
        match &sent {
            Ok(_) => self.memory.sent(key),
            Err(error) if clean && error.is_refusal() => self.memory.refused(key),
            Err(error) if clean && error.is_certain() => self.memory.unsent(key),
            Err(_) => {}
        }
        self.carrier.set_waiting(self.memory.waiting());
        sent
    }

    async fn post(&self, task: &Task, to: &Destination, notice: &Notice) -> Result<Done, PerformError> {
        // A card that meets with an outage comes when that is over, and the post in its thread with it.
        let comes_later = self.memory.comes_later(&key(&task.incident, CARD));
        if task.root.is_none() && (task.attempt < WAIT_FOR_ROOT || comes_later) {
            let key = key(&task.incident, &task.key);
            if !self.memory.may_be_there(&key, task.attempt > 1) {
                self.memory.unsent(&key);
            }
            let reason = format!("the card of {} is not in the channel yet", task.incident.id);
            // Counted as an attempt, so that it ends: details that never arrive help nobody.
            return Err(PerformError::Again { reason, after: None });
        }
        let platform = self.carrier.platform();
        let card = task.incident.calls.card_on(platform);
        let mut post = posts::notice(notice, &task.incident).on(platform).with_card(card);
        if matches!(notice, Notice::HandedTo { .. }) {
            post = post.or_links(&self.look.links);
        }
        if !task.writes_enabled {
            post = post.with_writes_off();
        }
        let mut mentions = std::mem::take(&mut post.mentions);
        if post.to_approvers {
            mentions.extend(self.carrier.holders(Role::Approver));
        }
        let id = self.send(task, to, &post, &mentions).await?;
        let outcome = Outcome::Shown { to: to.clone(), first_card: false };
        Ok(done(outcome, to, &task.key, id, task.incident.version))
    }

    async fn call(&self, task: &Task, to: &Destination, level: LevelNumber) -> Result<Done, PerformError> {
        let Work::Mention { mentions, reason, .. } = &task.work else {
            return Err(PerformError::Never { reason: "only a mention calls a level".to_owned() });
        };
        let nobody = tokio::time::timeout(MEMBERS_WITHIN, self.carrier.nobody_behind(mentions)).await;
        if let Some(why) = nobody.ok().flatten() {
            return Ok(Outcome::NobodyBehind { level, why }.into());
        }
        let card = task.incident.calls.card_on(self.carrier.platform());
        let post = posts::call(level, reason, &task.incident).with_card(card).or_links(&self.look.links);
        let id = self.send(task, to, &post, mentions).await?;
        self.carrier.count_call();
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
        let platform = self.carrier.platform();
        let card = task.incident.calls.card_on(platform);
        let post =
            posts::call(level, &call.reason, &task.incident).with_card(card).or_links(&self.look.links).on(platform);
        let message = self.carrier.post(&post, &post.mentions, &key(&task.incident, &call.key));
        note_cuts(&task.incident, &message);
        match self.carrier.edit(root_of(to), &sent.id, &message).await {
            Ok(()) => {}
            Err(error) if error.is_gone() => return Ok(Outcome::NoLongerWanted.into()),
            Err(error) => return Err(error.into()),
        }
        self.shelf.forget(task.incident.id, &sent.id);
        if let Some(standing) = PostWithButtons::sent(&sent.id, &message, task.incident.version) {
            self.shelf.add(task.incident.id, standing);
        }
        Ok(done(Outcome::CallCompleted, to, &call.key, sent.id.clone(), task.incident.version))
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
        let message = self.carrier.post(post, mentions, &key);
        note_cuts(&task.incident, &message);
        let thread = task.root.as_ref().map(|root| root.id.as_str());
        let calls = matches!(task.work, Work::Mention { .. });
        let turn = if calls { SendTurn::Page } else { SendTurn::Rest };
        let whither = Whither { channel: &to.channel, thread, broadcast: post.broadcast, turn, instead_of: None };
        let mut clean = !self.memory.may_be_there(&key, task.attempt > 1);
        let mut known = None;
        if !clean {
            let since = task.wanted.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::UNIX_EPOCH);
            let find = self.carrier.find(whither, since.max(oldest(&task.incident)), &key);
            if calls {
                // A page may be doubled, and is never lost because a search failed or was slow.
                let found = tokio::time::timeout(FOUND_WITHIN, find).await;
                match found.map_err(|_| format!("nothing came within {} s", FOUND_WITHIN.as_secs())) {
                    Ok(Ok(found)) => (clean, known) = (true, found),
                    Ok(Err(error)) => could_not_be_looked_for(task, &error),
                    Err(late) => could_not_be_looked_for(task, &late),
                }
            } else {
                (clean, known) = (true, find.await.map_err(Into::into)?);
            }
        }
        let id = match known {
            Some(id) => {
                self.memory.sent(&key);
                id
            }
            None => self.put(whither, &message, &key, clean).await.map_err(Into::into)?,
        };
        if let Some(standing) = PostWithButtons::sent(&id, &message, task.incident.version) {
            self.shelf.add(task.incident.id, standing);
        }
        // A post that was found may have lost its file to the same crash: two files are better than none.
        if let Some(file) = message.file() {
            let beside = Whither { thread: Some(thread.unwrap_or(&id)), ..whither };
            if let Err(error) = self.carrier.upload(beside, file).await {
                tracing::warn!(incident = %task.incident.id, %error, "the rest of a long output could not be uploaded");
                self.take_back_the_file(whither, &id, &message).await;
            }
        }
        Ok(id)
    }

    /// The post stands: a file that fails takes nothing away that was promised to wake somebody up. But it must not say
    /// that there is one.
    async fn take_back_the_file(&self, to: Whither<'_>, id: &str, message: &C::Message) {
        if let Err(error) = self.carrier.edit(to, id, &message.without_file()).await {
            tracing::warn!(%error, "a post could not be told that its file is missing");
        }
    }
}

impl<C: Carrier> Debug for Outbox<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox").field("carrier", &self.carrier).finish_non_exhaustive()
    }
}

#[async_trait]
impl<C: Carrier> Perform for Outbox<C> {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        match &task.work {
            Work::DrawCard { to } => self.draw(&task, to).await,
            Work::Post { to, notice } => self.post(&task, to, notice).await,
            Work::Mention { to, level, .. } => self.call(&task, to, *level).await,
            Work::UpdateMention { to, level, post } => self.complete(&task, to, *level, post).await,
            _ => Err(PerformError::Never { reason: "a chat only draws, posts and mentions".to_owned() }),
        }
    }
}

/// What marks a message of ours, over all incidents of a channel.
pub(in crate::chat) fn key(incident: &Incident, slot: &str) -> String {
    format!("mtls-medic/{}/{}/{slot}", incident.id, incident.created_at().as_second())
}

fn root_of(to: &Destination) -> Whither<'_> {
    Whither { channel: &to.channel, thread: None, broadcast: false, turn: SendTurn::Rest, instead_of: None }
}

fn in_thread<'a>(to: &'a Destination, root: &'a str) -> Whither<'a> {
    Whither { thread: Some(root), ..root_of(to) }
}

fn done(outcome: Outcome, to: &Destination, slot: &str, id: String, version: u64) -> Done {
    let delivery = Delivery { to: to.clone(), slot: slot.to_owned(), message: MessageRef { id, version } };
    Done { outcome, delivery: Some(delivery), evidence: None }
}

fn could_not_be_looked_for(task: &Task, error: &dyn std::fmt::Display) {
    tracing::warn!(incident = %task.incident.id, %error, "a call could not be looked for, and is sent again");
}

/// The moment from which on our posts can be there.
fn oldest(incident: &Incident) -> Timestamp {
    // The platform's own clock was set by nobody: by one of the two they are there.
    let opened_at = incident.created_at().min(incident.opened_at);
    opened_at.saturating_sub(LOOK_BACK).unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH)
}

fn note_cuts(incident: &Incident, message: &impl Sent) {
    let cuts = message.cuts();
    if cuts > 0 {
        tracing::info!(incident = %incident.id, cuts, "a message was cut to fit into the platform's limits");
    }
}
