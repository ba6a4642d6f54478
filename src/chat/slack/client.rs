//! The calls of Slack's Web API that we make, over slack-morphism's client.

use std::{
    collections::VecDeque,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use slack_morphism::{SlackApiToken, SlackApiTokenValue, SlackClient, errors::SlackClientError};

use super::{
    block_kit::Message,
    error::{SlackError, translate},
    transport::Transport,
};
use crate::chat::{
    outbox::Whither,
    outgoing::{CALL_LIMIT, Outgoing, OutgoingError, checked, connector},
    posts::Raw,
    rate_limits::{RateLimits, SendTurn},
};
use crate::{
    bounds::{SLACK_THREAD, weigh},
    metrics::{Metric, Metrics},
};

/// Slack's own address.
pub const SLACK_API: &str = "https://slack.com/api";
/// How many messages one page of a search for our own post has, at first: where others wrote long ones, the answer is too
/// long, and fewer are asked for.
const PAGE: u32 = 100;
/// How many pages are looked through: a channel with more than 1,000 messages since the incident opened is beyond help.
const PAGES_MOST: usize = 10;
/// The event type of our metadata.
const EVENT_TYPE: &str = "mtls_medic_message";

/// The client.
#[derive(Clone)]
pub struct Client {
    slack: Arc<SlackClient<Transport>>,
    pub(super) token: SlackApiToken,
    /// For addresses that Slack hands out and that must not see the token.
    pub(super) outgoing: Outgoing,
    base: String,
    gates: RateLimits,
    /// Where refusals, 429s and calls are counted.
    pub(super) metrics: Metrics,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.base)
    }
}

#[derive(Deserialize)]
struct Posted {
    ts: String,
}

#[derive(Deserialize)]
struct Members {
    #[serde(default)]
    users: Vec<String>,
}

#[derive(Deserialize)]
struct Messages {
    #[serde(default)]
    messages: Vec<Value>,
    #[serde(default)]
    response_metadata: Option<NextPage>,
}

#[derive(Deserialize)]
struct NextPage {
    #[serde(default)]
    next_cursor: String,
}

#[derive(Deserialize)]
struct Upload {
    upload_url: String,
    file_id: String,
}

/// Who we are, by `auth.test`.
#[derive(Debug, Clone, Deserialize)]
pub struct Identity {
    /// The workspace.
    pub team_id: String,
    /// The bot's user.
    pub user_id: String,
    /// The organisation, on Enterprise Grid.
    #[serde(default)]
    pub enterprise_id: Option<String>,
}

#[derive(Deserialize)]
struct Permalink {
    permalink: String,
}

#[derive(Deserialize)]
struct Opened {
    url: String,
}

impl Client {
    /// A client with one token; `base` is [`SLACK_API`] outside of tests.
    pub fn new(base: &str, token: &SecretString) -> Result<Self, OutgoingError> {
        checked(base)?;
        let connector = connector()?;
        let api = Transport::new(connector.clone(), base);
        Ok(Self {
            slack: Arc::new(SlackClient::new(api)),
            token: SlackApiToken::new(SlackApiTokenValue(token.expose_secret().to_owned())),
            outgoing: Outgoing::new(connector),
            base: base.to_owned(),
            gates: RateLimits::default(),
            metrics: Metrics::default(),
        })
    }

    /// Counts its calls in `metrics`.
    pub fn counted(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// Counts something that was asked and not taken.
    pub(super) fn count_refusal(&self, reason: &'static str) {
        self.metrics.count(Metric::SlackRefusalsTotal { reason }, 1);
    }

    /// The base address.
    pub fn base(&self) -> &str {
        &self.base
    }

    async fn post_json<T: DeserializeOwned + Send>(
        &self,
        method: &'static str,
        body: &Value,
        turn: SendTurn,
    ) -> Result<T, SlackError> {
        let channel = body.get("channel").and_then(Value::as_str).unwrap_or_default();
        let session = self.slack.open_session(&self.token);
        self.through(method, channel, turn, session.http_session_api.http_post(method, body, None)).await
    }

    pub(super) async fn get<T: DeserializeOwned + Send>(
        &self,
        method: &'static str,
        parameters: &[(&'static str, &str)],
    ) -> Result<T, SlackError> {
        let channel = parameters.iter().find(|(name, _)| *name == "channel").map_or("", |(_, value)| *value);
        let session = self.slack.open_session(&self.token);
        let parameters: Vec<(&str, Option<&str>)> =
            parameters.iter().map(|(name, value)| (*name, Some(*value))).collect();
        self.through(method, channel, SendTurn::Page, session.http_session_api.http_get(method, &parameters, None))
            .await
    }

    /// Calls, unless Slack asked us not to; and remembers when it does.
    async fn through<T>(
        &self,
        method: &'static str,
        channel: &str,
        turn: SendTurn,
        call: impl Future<Output = Result<T, SlackClientError>>,
    ) -> Result<T, SlackError> {
        if let Some(wait) = self.gates.wait(method, channel, turn, Instant::now()) {
            return Err(SlackError::RateLimited { method, after: wait.try_into().ok() });
        }
        let result = limited(method, call).await;
        if let Err(SlackError::RateLimited { after, .. }) = &result {
            let wait = after.and_then(|after| Duration::try_from(after).ok()).unwrap_or_default();
            self.metrics.count(Metric::SlackRateLimitedTotal { method }, 1);
            self.gates.shut(method, channel, Instant::now() + wait);
        }
        result
    }

    /// Who we are.
    pub async fn identity(&self) -> Result<Identity, SlackError> {
        self.post_json("auth.test", &json!({}), SendTurn::Page).await
    }

    /// A WebSocket address for Socket Mode; needs the app-level token.
    pub async fn open_socket(&self) -> Result<String, SlackError> {
        self.post_json::<Opened>("apps.connections.open", &json!({}), SendTurn::Page).await.map(|opened| opened.url)
    }

    /// Posts a message with our key and returns its id.
    pub async fn post(&self, to: Whither<'_>, message: &Message, key: &str) -> Result<String, SlackError> {
        let mut body = json!({
            "channel": to.channel,
            "text": message.text,
            "blocks": message.blocks,
            "metadata": { "event_type": EVENT_TYPE, "event_payload": { "key": key } },
            "unfurl_links": false,
            "unfurl_media": false,
            "parse": "none",
            "link_names": false,
        });
        if let (Some(thread), Some(fields)) = (to.thread, body.as_object_mut()) {
            fields.insert("thread_ts".to_owned(), json!(thread));
            fields.insert("reply_broadcast".to_owned(), json!(to.broadcast));
        }
        self.post_json::<Posted>("chat.postMessage", &body, to.turn).await.map(|posted| posted.ts)
    }

    /// Replaces a message of ours.
    pub async fn update(&self, channel: &str, id: &str, text: &str, blocks: &[Value]) -> Result<(), SlackError> {
        // Unlike chat.postMessage, chat.update turns names and links in texts into mentions unless a call forbids it.
        let body = json!({
            "channel": channel,
            "ts": id,
            "text": text,
            "blocks": blocks,
            "parse": "none",
            "link_names": false,
        });
        self.post_json::<Value>("chat.update", &body, SendTurn::Rest).await.map(|_| ())
    }

    /// The address under which people find a message of ours (`chat.getPermalink`; it needs no scope).
    pub async fn permalink(&self, channel: &str, id: &str) -> Result<String, SlackError> {
        let parameters = [("channel", channel), ("message_ts", id)];
        self.get::<Permalink>("chat.getPermalink", &parameters).await.map(|link| link.permalink)
    }

    /// Shows a message to one person only.
    pub async fn whisper(&self, channel: &str, user: &str, message: &Message) -> Result<(), SlackError> {
        let body = json!({ "channel": channel, "user": user, "text": message.text, "blocks": message.blocks });
        self.post_json::<Value>("chat.postEphemeral", &body, SendTurn::Page).await.map(|_| ())
    }

    /// The members of a user group.
    pub async fn members(&self, group: &str) -> Result<Vec<String>, SlackError> {
        self.get::<Members>("usergroups.users.list", &[("usergroup", group)]).await.map(|members| members.users)
    }

    /// One page of messages; of fewer and fewer, where so many are more than is read at once.
    async fn page(&self, method: &'static str, parameters: &[(&'static str, &str)]) -> Result<Messages, SlackError> {
        let mut limit = PAGE;
        loop {
            let text = limit.to_string();
            let parameters: Vec<_> = parameters.iter().copied().chain([("limit", text.as_str())]).collect();
            match self.get(method, &parameters).await {
                Err(SlackError::TooLong { .. }) if limit > 1 => limit = limit.div_ceil(10),
                page => return page,
            }
        }
    }

    /// Looks for a message of ours by its key: in a thread, or in the channel since `oldest` (a message id).
    pub async fn find(
        &self,
        channel: &str,
        thread: Option<&str>,
        oldest: &str,
        key: &str,
    ) -> Result<Option<String>, SlackError> {
        let mut cursor = String::new();
        for _ in 0..PAGES_MOST {
            let mut parameters = vec![("channel", channel), ("include_all_metadata", "true")];
            if !cursor.is_empty() {
                parameters.push(("cursor", cursor.as_str()));
            }
            let page = if let Some(root) = thread {
                parameters.push(("ts", root));
                self.page("conversations.replies", &parameters).await?
            } else {
                parameters.push(("oldest", oldest));
                self.page("conversations.history", &parameters).await?
            };
            if let Some(found) = page.messages.iter().find_map(|message| ours(message, key)) {
                return Ok(Some(found));
            }
            match page.response_metadata {
                Some(next) if !next.next_cursor.is_empty() => cursor = next.next_cursor,
                _ => return Ok(None),
            }
        }
        Err(SlackError::BeyondReach)
    }

    /// Messages of a thread, its root first; bounded as a search is. Of those that `pick` takes the newest are kept, by what
    /// they weigh.
    pub async fn thread<T>(
        &self,
        channel: &str,
        root: &str,
        pick: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, SlackError> {
        let (mut kept, mut total, mut cursor) = (VecDeque::new(), 0_usize, String::new());
        for _ in 0..PAGES_MOST {
            let mut parameters = vec![("channel", channel), ("ts", root)];
            if !cursor.is_empty() {
                parameters.push(("cursor", cursor.as_str()));
            }
            let page = self.page("conversations.replies", &parameters).await?;
            for message in page.messages {
                let Some(picked) = pick(&message) else { continue };
                let size = weigh(message.to_string().as_bytes());
                kept.push_back((size, picked));
                total = total.saturating_add(size);
                while total > SLACK_THREAD
                    && let Some((size, _)) = kept.pop_front()
                {
                    total = total.saturating_sub(size);
                }
            }
            match page.response_metadata {
                Some(next) if !next.next_cursor.is_empty() => cursor = next.next_cursor,
                _ => break,
            }
        }
        Ok(kept.into_iter().map(|(_, picked)| picked).collect())
    }

    /// Puts raw text into a thread as a file: ask for a place, upload, complete (`files.upload` is retired).
    pub async fn upload(&self, to: Whither<'_>, raw: &Raw) -> Result<(), SlackError> {
        let (name, length) = (format!("{}.txt", raw.title), raw.text.len().to_string());
        let place: Upload =
            self.get("files.getUploadURLExternal", &[("filename", name.as_str()), ("length", length.as_str())]).await?;
        let body = raw.text.clone().into_bytes();
        self.outgoing
            .post(&place.upload_url, "application/octet-stream", None, body)
            .await
            .map_err(|error| SlackError::Unreachable { method: "file upload", reason: error.to_string() })?;
        let mut done = json!({ "files": [{ "id": place.file_id, "title": raw.title }], "channel_id": to.channel });
        if let (Some(thread), Some(fields)) = (to.thread, done.as_object_mut()) {
            fields.insert("thread_ts".to_owned(), json!(thread));
        }
        self.post_json::<Value>("files.completeUploadExternal", &done, SendTurn::Rest).await.map(|_| ())
    }
}

/// The id of a message that carries our key, in its metadata or as a block id.
fn ours(message: &Value, key: &str) -> Option<String> {
    let metadata = message.pointer("/metadata/event_payload/key").and_then(Value::as_str) == Some(key);
    let wanted = super::block_kit::id(key);
    let block = message.get("blocks").and_then(Value::as_array).is_some_and(|blocks| {
        blocks.iter().any(|block| block.get("block_id").and_then(Value::as_str) == Some(wanted.as_str()))
    });
    let id = message.get("ts").and_then(Value::as_str)?;
    (metadata || block).then(|| id.to_owned())
}

async fn limited<T>(
    method: &'static str,
    call: impl Future<Output = Result<T, SlackClientError>>,
) -> Result<T, SlackError> {
    match tokio::time::timeout(CALL_LIMIT, call).await {
        Ok(answer) => answer.map_err(|error| translate(method, error)),
        Err(_) => {
            Err(SlackError::Unreachable { method, reason: format!("no answer within {} s", CALL_LIMIT.as_secs()) })
        }
    }
}
