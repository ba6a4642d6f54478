//! What goes out on Discord: messages drawn as embeds and carried by the HTTP API.
//!
//! A message is known by its channel and its id (`900/1234`): a thread is a channel of its own, whose id is that of the
//! message that it hangs on.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    error::{DiscordError, UNKNOWN_CHANNEL},
    message::{self, Message},
    rest::Rest,
};
use crate::{
    chat::{
        Roster,
        card::{Card, Line, Press},
        outbox::{Carrier, Look, Outbox, SendError as _, Sent, Whither},
        rate_limits::SendTurn,
        wording::{Post, Raw},
    },
    clock::Clock,
    people::{Mention, Platform, Role, Whom},
};

/// The beginning of Discord's time, in milliseconds since 1970.
const DISCORD_EPOCH: i64 = 1_420_070_400_000;
/// How far the time stands above the rest of an id, in bits.
const TIME_SHIFT: u32 = 22;

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

    fn file(&self) -> Option<&Raw> {
        self.file.as_ref()
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

/// The lowest id that Discord can have given at that time.
fn lowest_id(at: Timestamp) -> String {
    let since = at.as_millisecond().saturating_sub(DISCORD_EPOCH).max(0);
    since.saturating_mul(1 << TIME_SHIFT).to_string()
}

/// What the thread of an incident is called: the beginning of its card.
fn thread_name(root: &str) -> String {
    format!("Details {root}")
}

impl DiscordCarrier {
    /// Posts into the thread of `root`, which is made when it is not there.
    async fn post_in_thread(
        &self,
        channel: &str,
        root: &str,
        body: &Value,
        turn: SendTurn,
    ) -> Result<String, DiscordError> {
        match self.rest.post(root, body, turn).await {
            Err(error) if error.is(UNKNOWN_CHANNEL) => {}
            other => return other,
        }
        self.rest.make_thread(channel, root, &thread_name(root)).await?;
        self.rest.post(root, body, turn).await
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
        self.rest.metrics.count("calls_sent_total", &[("way", "discord")], 1);
    }

    fn set_waiting(&self, posts: usize) {
        self.rest.metrics.set("discord_posts_waiting", &[], u64::try_from(posts).unwrap_or(u64::MAX));
    }

    fn card(&self, card: &Card, key: &str) -> Message {
        message::card(card, key)
    }

    fn post(&self, post: &Post, mentions: &[Mention], key: &str) -> Message {
        message::post(post, mentions, key)
    }

    /// Somebody who deletes a card takes its thread along: what belongs there then goes into the channel.
    async fn send(&self, to: Whither<'_>, message: &Message, key: &str) -> Result<String, DiscordError> {
        let body = message.body_once(key);
        if let Some(root) = to.thread {
            let (channel, root) = place(to.channel, root);
            match self.post_in_thread(channel, root, &body, to.turn).await {
                Ok(id) => return Ok(format!("{root}/{id}")),
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error),
            }
        }
        let id = self.rest.post(to.channel, &body, to.turn).await?;
        Ok(format!("{}/{id}", to.channel))
    }

    async fn edit(&self, to: Whither<'_>, id: &str, message: &Message) -> Result<(), DiscordError> {
        let (channel, id) = place(to.channel, id);
        self.rest.edit(channel, id, &message.body()).await
    }

    async fn find(&self, to: Whither<'_>, since: Timestamp, key: &str) -> Result<Option<String>, DiscordError> {
        let channel = to.thread.map_or(to.channel, |root| place(to.channel, root).1);
        let messages = match self.rest.messages(channel, &lowest_id(since)).await {
            // The thread was not made yet.
            Err(error) if error.is(UNKNOWN_CHANNEL) && to.thread.is_some() => return Ok(None),
            other => other?,
        };
        let ours = messages.iter().find(|message| Message::kept(message).is_some_and(|kept| kept.carries(key)));
        Ok(ours.and_then(|message| Some(format!("{channel}/{}", message.get("id")?.as_str()?))))
    }

    async fn thread(&self, channel: &str, root: &str) -> Result<Vec<(String, Message)>, DiscordError> {
        let (_, thread) = place(channel, root);
        let messages = match self.rest.messages(thread, "0").await {
            Err(error) if error.is(UNKNOWN_CHANNEL) => return Ok(Vec::new()),
            other => other?,
        };
        let kept = messages.iter().filter_map(|message| {
            let id = message.get("id")?.as_str()?;
            Some((format!("{thread}/{id}"), Message::kept(message).filter(|kept| !kept.presses().is_empty())?))
        });
        Ok(kept.collect())
    }

    async fn upload(&self, to: Whither<'_>, raw: &Raw) -> Result<(), DiscordError> {
        let (channel, root) = to.thread.map_or((to.channel, to.channel), |root| place(to.channel, root));
        let into = if to.thread.is_some() { root } else { channel };
        self.rest.upload(into, &Message::default().body(), raw).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_when_it_was_given() {
        // The example of Discord's reference: 2016-04-30 11:18:25.796 UTC.
        let at: Timestamp = "2016-04-30T11:18:25.796Z".parse().unwrap();
        assert_eq!(lowest_id(at), (175_928_847_299_117_063_u64 >> 22 << 22).to_string());
        assert_eq!(lowest_id(Timestamp::UNIX_EPOCH), "0");
    }
}
