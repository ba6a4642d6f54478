//! What goes out on Slack: messages drawn as Block Kit and carried by the Web API.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    block_kit::{self, Message},
    client::Client,
    error::SlackError,
    mrkdwn,
    people::Directory,
};
use crate::{
    chat::{
        card::{Card, Line, Press},
        outbox::{Carrier, Look, Outbox, SendError, Sent, Whither},
        posts::{Post, Raw},
    },
    metrics::{CallWay, Metric},
    people::{Mention, Platform, Role, Whom},
};

/// Units of the line that stands where the buttons were.
const WHY_MOST: usize = 500;
/// Slack's answers for a user group that somebody deleted or switched off: nobody is behind it.
const GONE: [&str; 2] = ["no_such_subteam", "subteam_not_found"];

/// The Slack face: performs what goes out.
pub type SlackOut = Outbox<SlackCarrier>;

/// What Slack does for the outbox.
#[derive(Debug, Clone)]
pub struct SlackCarrier {
    client: Client,
    directory: Arc<Directory>,
}

impl Outbox<SlackCarrier> {
    /// A face over one client.
    pub fn new(client: Client, directory: Arc<Directory>, look: Look) -> Self {
        let clock = directory.clock();
        Self::over(SlackCarrier { client, directory }, clock, look)
    }
}

impl Sent for Message {
    fn presses(&self) -> Vec<Press> {
        let actions = self.blocks.iter().filter_map(|block| block.get("elements").and_then(Value::as_array));
        let values = actions.flatten().filter_map(|element| element.get("value").and_then(Value::as_str));
        values.filter_map(|value| serde_json::from_str(value).ok()).collect()
    }

    fn is_card(&self) -> bool {
        is_card(&self.blocks)
    }

    fn without_buttons(&self, why: &Line) -> Self {
        Self { blocks: without_buttons(&self.blocks, why), ..self.clone() }
    }

    fn file(&self) -> Option<&Raw> {
        self.file.as_ref()
    }

    fn without_file(&self) -> Self {
        Self { blocks: Self::without_file(self), ..self.clone() }
    }

    fn cuts(&self) -> usize {
        self.cuts
    }
}

/// Whether these are the blocks of a card.
pub(super) fn is_card(blocks: &[Value]) -> bool {
    blocks.iter().any(|block| block.get("block_id").and_then(Value::as_str).is_some_and(|key| key.ends_with("/card")))
}

/// The blocks without their buttons, and a line in their place.
pub(super) fn without_buttons(blocks: &[Value], why: &Line) -> Vec<Value> {
    let (why, _) = mrkdwn::line(why, WHY_MOST);
    let kind = |block: &Value| block.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    // A line that an earlier press left is replaced by the newer one.
    let mut kept: Vec<Value> =
        blocks.iter().filter(|block| !matches!(kind(block).as_str(), "actions" | "context")).cloned().collect();
    kept.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": why, "verbatim": true }] }));
    kept
}

/// A message as Slack keeps it.
fn kept(message: &Value) -> Option<(String, Message)> {
    let blocks = message.get("blocks").and_then(Value::as_array)?.clone();
    let field = |name: &str| message.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    Some((field("ts")?, Message { text: field("text").unwrap_or_default(), blocks, file: None, cuts: 0 }))
}

impl SendError for SlackError {
    fn is_certain(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Refused { .. })
    }

    fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    fn is_gone(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "message_not_found")
    }

    fn is_beyond_reach(&self) -> bool {
        *self == Self::BeyondReach
    }
}

#[async_trait]
impl Carrier for SlackCarrier {
    type Message = Message;
    type Error = SlackError;

    fn platform(&self) -> Platform {
        Platform::Slack
    }

    fn count_call(&self) {
        self.client.metrics.count(Metric::CallsSentTotal { way: CallWay::Slack }, 1);
    }

    fn set_waiting(&self, posts: usize) {
        self.client.metrics.set(Metric::SlackPostsWaiting, u64::try_from(posts).unwrap_or(u64::MAX));
    }

    fn card(&self, card: &Card, key: &str) -> Message {
        block_kit::card(card, key)
    }

    fn post(&self, post: &Post, mentions: &[Mention], key: &str) -> Message {
        block_kit::post(post, mentions, key)
    }

    async fn send(&self, to: Whither<'_>, message: &Message, key: &str) -> Result<String, SlackError> {
        self.client.post(to, message, key).await
    }

    async fn edit(&self, to: Whither<'_>, id: &str, message: &Message) -> Result<(), SlackError> {
        self.client.update(to.channel, id, &message.text, &message.blocks).await
    }

    async fn find(&self, to: Whither<'_>, since: Timestamp, key: &str) -> Result<Option<String>, SlackError> {
        // The oldest id that Slack can have given by then.
        let oldest = format!("{}.000000", since.as_second());
        if let Some(root) = to.thread
            && let Some(found) = self.client.find(to.channel, Some(root), &oldest, key).await?
        {
            return Ok(Some(found));
        }
        self.client.find(to.channel, None, &oldest, key).await
    }

    async fn thread(&self, channel: &str, root: &str) -> Result<Vec<(String, Message)>, SlackError> {
        // Of a thread only posts with buttons are kept: they are bounded by what they weigh.
        let with_buttons = |message: &Value| kept(message).filter(|(_, message)| !message.presses().is_empty());
        self.client.thread(channel, root, with_buttons).await
    }

    async fn upload(&self, to: Whither<'_>, raw: &Raw) -> Result<(), SlackError> {
        self.client.upload(to, raw).await
    }

    async fn link(&self, channel: &str, id: &str) -> Result<String, SlackError> {
        self.client.permalink(channel, id).await
    }

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

    fn holders(&self, role: Role) -> Vec<Mention> {
        self.directory.holders(role)
    }
}
