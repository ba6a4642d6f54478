//! What goes out on Discord: messages drawn as embeds and carried by the HTTP API.
//!
//! A message is known by its channel and its id (`900/1234`): a thread is a channel of its own, whose id is that of the
//! message that it hangs on.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    error::{ARCHIVED, DiscordError, TOO_LARGE, UNKNOWN_CHANNEL},
    limits::THREAD_NAME,
    message::{self, Message, key_mark},
    rest::Rest,
    snowflake::lowest_id,
};
use crate::{
    chat::{
        Roster,
        bounded::plain,
        card::{Card, Line, Press},
        outbox::{Carrier, Look, Outbox, Sent, Whither},
        posts::{Post, Raw},
        rate_limits::SendTurn,
    },
    clock::Clock,
    metrics::{CallWay, Metric},
    people::{Mention, Platform, Role, Whom},
};

/// The Discord face: performs what goes out.
pub type DiscordOut = Outbox<DiscordCarrier>;

/// What Discord does for the outbox.
#[derive(Debug, Clone)]
pub struct DiscordCarrier {
    rest: Rest,
    guild: String,
    roster: Arc<Roster>,
}

impl Outbox<DiscordCarrier> {
    /// A face over one client.
    pub fn new(rest: Rest, guild: String, roster: Roster, clock: Arc<dyn Clock>, look: Look) -> Self {
        Self::over(DiscordCarrier { rest, guild, roster: Arc::new(roster) }, clock, look)
    }
}

impl Sent for Message {
    fn presses(&self) -> Vec<Press> {
        Self::presses(self)
    }

    fn is_card(&self) -> bool {
        Self::is_card(self)
    }

    fn without_buttons(&self, why: &Line) -> Self {
        Self::without_buttons(self.clone(), why)
    }

    /// On Discord a file is a part of its message, which is sent whole.
    fn file(&self) -> Option<&Raw> {
        None
    }

    fn without_file(&self) -> Self {
        Self::without_file(self.clone())
    }

    fn cuts(&self) -> usize {
        self.cuts
    }
}

/// The channel and the message that an id names; one without a channel is in `channel`.
fn place<'a>(channel: &'a str, id: &'a str) -> (&'a str, &'a str) {
    id.split_once('/').unwrap_or((channel, id))
}

/// Whether a message is by that user: anybody's webhook can copy what stands in ours.
fn is_by(message: &Value, user: &str) -> bool {
    message.pointer("/author/id").and_then(Value::as_str) == Some(user)
}

/// How many posts with buttons are kept of a thread, the newest.
const KEPT_MOST: usize = 100;

impl DiscordCarrier {
    /// Posts into the thread of `root`, which is made when it is not there.
    async fn post_in_thread(&self, to: Whither<'_>, root: &str, letter: &Letter<'_>) -> Result<String, DiscordError> {
        let (channel, root) = place(to.channel, root);
        let sent = match self.post_in(root, letter, to.turn).await {
            Err(error) if error.is(UNKNOWN_CHANNEL) => {
                let (name, _) = plain(letter.key.split('/').nth(1).unwrap_or("Details"), THREAD_NAME);
                self.rest.make_thread(channel, root, &name).await?;
                self.post_in(root, letter, to.turn).await
            }
            other => other,
        };
        sent.map(|id| format!("{root}/{id}"))
    }

    async fn post_in_channel(&self, to: Whither<'_>, letter: &Letter<'_>) -> Result<String, DiscordError> {
        let id = self.post_in(to.channel, letter, to.turn).await?;
        Ok(format!("{}/{id}", to.channel))
    }

    /// Answers the card in the channel. Without the right to read the history Discord takes no answers: then it is a message of
    /// its own, for a call that is not posted wakes nobody.
    async fn answer_in_channel(&self, to: Whither<'_>, answer: &Letter<'_>) -> Result<String, DiscordError> {
        match self.post_in_channel(to, answer).await {
            Err(error) if error.is_of_the_place() => self.post_in_channel(to, &answer.as_its_own()).await,
            other => other,
        }
    }

    async fn post_in(&self, channel: &str, letter: &Letter<'_>, turn: SendTurn) -> Result<String, DiscordError> {
        let message = letter.message;
        match self.rest.post(channel, &letter.body(message), message.file.as_ref(), turn).await {
            // The post stands: it does not wait for a file that the server never takes, and does not say that there is one.
            Err(error) if message.file.is_some() && error.is(TOO_LARGE) => {
                let without = message.clone().without_file();
                self.rest.post(channel, &letter.body(&without), None, turn).await
            }
            other => other,
        }
    }
}

/// A message on its way.
struct Letter<'a> {
    message: &'a Message,
    key: &'a str,
    /// The message that it takes the place of, because somebody deleted that: Discord would answer with the deleted one to
    /// the same nonce.
    instead_of: Option<&'a str>,
    /// The message of the channel that it answers.
    answers: Option<&'a str>,
}

impl<'a> Letter<'a> {
    /// The same as an answer to nothing: a thread says itself what it is about.
    fn as_its_own(&self) -> Letter<'a> {
        Letter { answers: None, ..*self }
    }

    fn body(&self, message: &Message) -> Value {
        let mut body = message.body_once(self.key);
        if let Some(fields) = body.as_object_mut() {
            if let Some(lost) = self.instead_of {
                fields.insert("nonce".to_owned(), json!(key_mark(&format!("{}/{lost}", self.key))));
            }
            if let Some(root) = self.answers {
                fields
                    .insert("message_reference".to_owned(), json!({ "message_id": root, "fail_if_not_exists": false }));
            }
        }
        body
    }
}

#[async_trait]
impl Carrier for DiscordCarrier {
    type Message = Message;
    type Error = DiscordError;

    fn platform(&self) -> Platform {
        Platform::Discord
    }

    fn count_call(&self) {
        self.rest.metrics.count(Metric::CallsSentTotal { way: CallWay::Discord }, 1);
    }

    fn set_waiting(&self, posts: usize) {
        self.rest.metrics.set(Metric::DiscordPostsWaiting, u64::try_from(posts).unwrap_or(u64::MAX));
    }

    fn card(&self, card: &Card, key: &str) -> Message {
        message::card(card, key)
    }

    fn post(&self, post: &Post, mentions: &[Mention], key: &str) -> Message {
        message::post(post, mentions, key)
    }

    /// What the whole channel should see answers the card there: in a thread a mention reaches those alone who follow it.
    /// Where a thread takes no posts they go into the channel too, for details that never arrive help nobody.
    async fn send(&self, to: Whither<'_>, message: &Message, key: &str) -> Result<String, DiscordError> {
        let letter = Letter { message, key, instead_of: to.instead_of, answers: None };
        let Some(root) = to.thread else { return self.post_in_channel(to, &letter).await };
        let answer = Letter { answers: Some(place(to.channel, root).1), ..letter };
        if to.broadcast {
            return self.answer_in_channel(to, &answer).await;
        }
        match self.post_in_thread(to, root, &answer.as_its_own()).await {
            Err(error) if error.is_of_the_place() => self.answer_in_channel(to, &answer).await,
            other => other,
        }
    }

    async fn edit(&self, to: Whither<'_>, id: &str, message: &Message) -> Result<(), DiscordError> {
        let (channel, id) = place(to.channel, id);
        match self.rest.edit(channel, id, &message.body()).await {
            Err(error) if error.is(ARCHIVED) => {
                self.rest.unfold(channel).await?;
                self.rest.edit(channel, id, &message.body()).await
            }
            other => other,
        }
    }

    async fn find(&self, to: Whither<'_>, since: Timestamp, key: &str) -> Result<Option<String>, DiscordError> {
        let me = self.rest.me().await?;
        let thread = to.thread.filter(|_| !to.broadcast).map(|root| place(to.channel, root).1);
        for channel in thread.into_iter().chain([to.channel]) {
            let ours = |message: &Value| {
                let found = is_by(message, &me) && Message::kept(message).is_some_and(|kept| kept.carries(key));
                found.then(|| message.get("id")?.as_str().map(|id| format!("{channel}/{id}"))).flatten()
            };
            match self.rest.newest(channel, &lowest_id(since), 1, ours).await {
                // The thread was not made yet.
                Err(error) if error.is(UNKNOWN_CHANNEL) && thread == Some(channel) => {}
                found => {
                    let mut found = found?;
                    if let Some(id) = found.picked.pop() {
                        return Ok(Some(id));
                    }
                    if !found.is_complete {
                        return Err(DiscordError::BeyondReach);
                    }
                }
            }
        }
        Ok(None)
    }

    /// Calls stand in the channel itself, after the card.
    async fn thread(&self, channel: &str, root: &str) -> Result<Vec<(String, Message)>, DiscordError> {
        let (_, root) = place(channel, root);
        let me = self.rest.me().await?;
        let mut kept = Vec::new();
        for place in [root, channel] {
            let with_buttons = |message: &Value| {
                let id = message.get("id").filter(|_| is_by(message, &me))?.as_str()?;
                Some((format!("{place}/{id}"), Message::kept(message).filter(|kept| !kept.presses().is_empty())?))
            };
            match self.rest.newest(place, root, KEPT_MOST, with_buttons).await {
                Err(error) if error.is(UNKNOWN_CHANNEL) => {}
                found => kept.extend(found?.picked),
            }
        }
        Ok(kept)
    }

    /// No file is beside its message here.
    async fn upload(&self, _: Whither<'_>, _: &Raw) -> Result<(), DiscordError> {
        Ok(())
    }

    async fn link(&self, channel: &str, id: &str) -> Result<String, DiscordError> {
        let (channel, id) = place(channel, id);
        Ok(format!("https://discord.com/channels/{}/{channel}/{id}", self.guild))
    }

    /// Who has a role Discord tells only bots with a privileged right (members intent), which this one does not ask for: a
    /// role that is there counts as somebody, and one that was deleted as nobody.
    async fn nobody_behind(&self, mentions: &[Mention]) -> Option<String> {
        if mentions.is_empty() {
            return Some("nobody is configured to be mentioned".to_owned());
        }
        let wanted: Vec<&str> = mentions
            .iter()
            .map(|mention| match &mention.whom {
                Whom::User(_) => None,
                Whom::Group(role) => Some(role.as_str()),
            })
            .collect::<Option<_>>()?;
        let known = self.rest.roles(&self.guild).await.ok()?;
        let is_gone = |role: &&str| !known.iter().any(|known| known.id == **role);
        wanted.iter().all(is_gone).then(|| format!("the role {} is gone from the server", wanted.join(" and ")))
    }

    fn holders(&self, role: Role) -> Vec<Mention> {
        self.roster.holders(role).iter().filter(|one| one.platform == Platform::Discord).cloned().collect()
    }
}
