//! The calls of Discord's HTTP API that we make. serenity's own client waits inside a call for as long as Discord asks, hides
//! for how long, and reads answers to their end: this one bounds them, and lets the engine wait.

mod doors;
mod pages;

use std::{sync::Arc, time::Duration};

use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::{Bytes, Incoming},
    header,
};
use hyper_util::client::legacy;
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, Semaphore};

use self::doors::Doors;
use super::{
    error::{DiscordError, THREAD_IS_THERE},
    permissions::bits,
};
use crate::{
    bounds::{DISCORD_ANSWER, DISCORD_ANSWERS_AT_ONCE, DISCORD_REFUSAL, DISCORD_SENT, DISCORD_SENT_AT_ONCE},
    chat::{
        outgoing::{CALL_LIMIT, Connector, OutgoingError, checked, connector, sender},
        posts::Raw,
        rate_limits::SendTurn,
    },
    metrics::{Metric, Metrics},
};

/// Discord's own address.
pub const DISCORD_API: &str = "https://discord.com/api/v10";
/// How Discord wants bots to name themselves.
const USER_AGENT: &str = concat!("DiscordBot (mtls-medic, ", env!("CARGO_PKG_VERSION"), ")");
/// A quiet thread is folded away after a day; a new post unfolds it.
const FOLDED_AFTER_MINUTES: u32 = 1_440;
/// How much of Discord's words for a refusal is kept, in characters.
const WORDS_MOST: usize = 200;
/// How long the rest of an answer is let through that says nothing more, to keep its connection.
const DRAINED_WITHIN: Duration = Duration::from_millis(500);
/// A message with a file and one without are the same call to Discord.
const POST: &str = "post";
const JSON: &str = "application/json";

/// One call.
struct Call<'a> {
    /// What it is for, as the end of "refused to".
    name: &'static str,
    /// What Discord counts together with it, of one place: a channel, a server, or an interaction.
    bucket: &'static str,
    place: &'a str,
    method: Method,
    path: String,
    turn: SendTurn,
    reads: Reads,
    /// Interactions are answered by their token, which stands in the path.
    with_token: bool,
}

/// What is read of an answer that is no refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// Nothing: that it was taken is all.
    Nothing,
    /// The message that was sent, for its id.
    Sent,
    /// Messages of people, roles, what the set-up looks at.
    All,
}

impl<'a> Call<'a> {
    fn new(name: &'static str, place: &'a str, method: Method, path: String) -> Self {
        Self { name, bucket: name, place, method, path, turn: SendTurn::Page, reads: Reads::Nothing, with_token: true }
    }

    fn after_pages(self, turn: SendTurn) -> Self {
        Self { turn, ..self }
    }

    fn reading(self, reads: Reads) -> Self {
        Self { reads, ..self }
    }
}

/// The client. Cheap to clone.
#[derive(Clone)]
pub struct Rest {
    http: legacy::Client<Connector, Full<Bytes>>,
    base: String,
    token: SecretString,
    /// So many long answers are read at once, and so many of messages that were sent: none that is slow holds up the others.
    long_places: Arc<Semaphore>,
    sent_places: Arc<Semaphore>,
    doors: Doors,
    /// Who the bot is, once it was asked.
    me: Arc<OnceCell<String>>,
    pub(super) metrics: Metrics,
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rest({})", self.base)
    }
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// A role of a server.
#[derive(Debug, Clone, Deserialize)]
pub struct GuildRole {
    pub id: String,
    pub name: String,
    /// What it allows everywhere on the server, as bits.
    #[serde(deserialize_with = "bits")]
    pub permissions: u64,
    /// Whether everybody may mention it.
    #[serde(default)]
    pub mentionable: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    code: u64,
    message: String,
}

impl Rest {
    /// A client with one bot's token; `base` is [`DISCORD_API`] outside of tests.
    pub fn new(base: &str, token: &SecretString, metrics: Metrics) -> Result<Self, OutgoingError> {
        checked(base)?;
        Ok(Self {
            http: sender(connector()?),
            base: base.trim_end_matches('/').to_owned(),
            token: token.clone(),
            long_places: Arc::new(Semaphore::new(DISCORD_ANSWERS_AT_ONCE)),
            sent_places: Arc::new(Semaphore::new(DISCORD_SENT_AT_ONCE)),
            doors: Doors::default(),
            me: Arc::default(),
            metrics,
        })
    }

    /// Posts a message, with a file where it has one, and returns its id.
    pub async fn post(
        &self,
        channel: &str,
        message: &Value,
        file: Option<&Raw>,
        turn: SendTurn,
    ) -> Result<String, DiscordError> {
        let call = Call::new(POST, channel, Method::POST, format!("/channels/{channel}/messages")).after_pages(turn);
        let call = call.reading(Reads::Sent);
        let Some(file) = file else {
            return self.json::<Named>(call, Some(message)).await.map(|posted| posted.id);
        };
        let (kind, body) = form(message, file);
        let answer = self.bytes(call, &kind, body).await?;
        read::<Named>(POST, &answer).map(|posted| posted.id)
    }

    /// Replaces a message of ours.
    pub async fn edit(&self, channel: &str, id: &str, message: &Value) -> Result<(), DiscordError> {
        let call = Call::new("edit", channel, Method::PATCH, format!("/channels/{channel}/messages/{id}"));
        self.done(call.after_pages(SendTurn::Rest), message).await
    }

    /// Makes the thread of a message, whose id is the message's own. One that is there already is the same thread.
    pub async fn make_thread(&self, channel: &str, message: &str, name: &str) -> Result<(), DiscordError> {
        let path = format!("/channels/{channel}/messages/{message}/threads");
        let body = json!({ "name": name, "auto_archive_duration": FOLDED_AFTER_MINUTES });
        match self.done(Call::new("make a thread", channel, Method::POST, path), &body).await {
            Err(error) if !error.is(THREAD_IS_THERE) => Err(error),
            _ => Ok(()),
        }
    }

    /// Unfolds a thread that was folded away.
    pub async fn unfold(&self, thread: &str) -> Result<(), DiscordError> {
        let call = Call::new("unfold a thread", thread, Method::PATCH, format!("/channels/{thread}"));
        self.done(call, &json!({ "archived": false })).await
    }

    /// Answers an interaction for the first time.
    pub async fn first_answer(&self, id: &str, token: &SecretString, body: &Value) -> Result<(), DiscordError> {
        let path = format!("/interactions/{id}/{}/callback", token.expose_secret());
        self.by_interaction("answer", token, Method::POST, path, body).await
    }

    /// Replaces the first answer to an interaction.
    pub async fn edit_answer(&self, app: &str, token: &SecretString, body: &Value) -> Result<(), DiscordError> {
        let path = format!("/webhooks/{app}/{}/messages/@original", token.expose_secret());
        self.by_interaction("finish an answer", token, Method::PATCH, path, body).await
    }

    /// Says more about an interaction.
    pub async fn follow_up(&self, app: &str, token: &SecretString, body: &Value) -> Result<(), DiscordError> {
        let path = format!("/webhooks/{app}/{}", token.expose_secret());
        self.by_interaction("follow up", token, Method::POST, path, body).await
    }

    async fn by_interaction(
        &self,
        name: &'static str,
        token: &SecretString,
        method: Method,
        path: String,
        body: &Value,
    ) -> Result<(), DiscordError> {
        // Discord counts each interaction by itself: one that is used up holds up no other person's answer. Kept is the
        // token's hash, since anybody with the token can speak in the bot's name.
        let place = hex::encode(Sha256::digest(token.expose_secret().as_bytes()));
        let call = Call { with_token: false, ..Call::new(name, &place, method, path) };
        self.done(call, body).await
    }

    /// Registers the bot's commands in a server, in place of those that were there.
    pub async fn register(&self, app: &str, guild: &str, commands: &Value) -> Result<(), DiscordError> {
        let path = format!("/applications/{app}/guilds/{guild}/commands");
        self.done(Call::new("register commands", guild, Method::PUT, path), commands).await
    }

    /// The id of the bot's own user, by which its messages are known.
    pub async fn me(&self) -> Result<String, DiscordError> {
        let asked = self.me.get_or_try_init(async || {
            self.get::<Named>("say who the bot is", "/users/@me").await.map(|named| named.id)
        });
        asked.await.cloned()
    }

    /// The roles of a server.
    pub async fn roles(&self, guild: &str) -> Result<Vec<GuildRole>, DiscordError> {
        self.get("read the roles", &format!("/guilds/{guild}/roles")).await
    }

    /// What `path` holds, for the set-up: `/users/@me`, a channel, roles.
    pub async fn get<T: DeserializeOwned>(&self, name: &'static str, path: &str) -> Result<T, DiscordError> {
        self.json(Call::new(name, "", Method::GET, path.to_owned()).reading(Reads::All), None).await
    }

    async fn json<T: DeserializeOwned>(&self, call: Call<'_>, body: Option<&Value>) -> Result<T, DiscordError> {
        let name = call.name;
        let sent = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let answer = self.bytes(call, JSON, sent).await?;
        read(name, &answer)
    }

    /// A call of whose answer nothing is read.
    async fn done(&self, call: Call<'_>, body: &Value) -> Result<(), DiscordError> {
        self.bytes(call, JSON, body.to_string().into_bytes()).await.map(drop)
    }

    /// Calls, unless Discord asked us not to; and remembers when it does.
    async fn bytes(&self, call: Call<'_>, kind: &str, body: Vec<u8>) -> Result<Bytes, DiscordError> {
        let name = call.name;
        let wait = self.doors.wait(&call);
        if let Some(wait) = wait {
            return Err(DiscordError::RateLimited {
                call: name,
                after: wait.try_into().unwrap_or(SignedDuration::MAX),
            });
        }
        let answer = tokio::time::timeout(CALL_LIMIT, self.exchange(&call, kind, body)).await;
        answer.unwrap_or_else(|_| {
            let reason = format!("no answer within {} s", CALL_LIMIT.as_secs());
            Err(DiscordError::Unreachable { call: name, reason })
        })
    }

    async fn exchange(&self, call: &Call<'_>, kind: &str, body: Vec<u8>) -> Result<Bytes, DiscordError> {
        // Errors of the connection may show the address, in which an interaction's token stands: kept is their kind.
        let lost = |reason: &str| DiscordError::Unreachable { call: call.name, reason: reason.to_owned() };
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("{}{}", self.base, call.path))
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::CONTENT_TYPE, kind);
        if call.with_token {
            request = request.header(header::AUTHORIZATION, format!("Bot {}", self.token.expose_secret()));
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|_| lost("the address is none"))?;
        let response = self.http.request(request).await.map_err(|_| lost("the connection failed"))?;
        let (head, body) = response.into_parts();
        self.doors.heed(call, &head.headers);
        if head.status.is_success() {
            return self.taken(call, body).await;
        }
        // Of a refusal the beginning says why; where more comes, its status and its head say enough.
        let body = Limited::new(body, DISCORD_REFUSAL).collect().await.map(Collected::to_bytes).unwrap_or_default();
        match head.status {
            StatusCode::TOO_MANY_REQUESTS => {
                let wait = self.doors.told_to_wait(call, &head.headers, &body);
                self.metrics.count(Metric::DiscordRateLimitedTotal { call: call.name }, 1);
                let after = wait.try_into().unwrap_or(SignedDuration::MAX);
                Err(DiscordError::RateLimited { call: call.name, after })
            }
            status if status.is_server_error() => Err(lost(&format!("HTTP status {status}"))),
            status => {
                let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
                let message = refusal.message.chars().take(WORDS_MOST).collect();
                Err(DiscordError::Refused { call: call.name, status: status.as_u16(), code: refusal.code, message })
            }
        }
    }

    /// What is read of the answer to a call that Discord took.
    async fn taken(&self, call: &Call<'_>, body: Incoming) -> Result<Bytes, DiscordError> {
        let (places, most) = match call.reads {
            Reads::Nothing => {
                // It is taken, however long the rest is on its way.
                let _drained = tokio::time::timeout(DRAINED_WITHIN, drain(body)).await;
                return Ok(Bytes::new());
            }
            Reads::Sent => (&self.sent_places, DISCORD_SENT),
            Reads::All => (&self.long_places, DISCORD_ANSWER),
        };
        let lost = |reason: &str| DiscordError::Unreachable { call: call.name, reason: reason.to_owned() };
        let _place = places.acquire().await.map_err(|_| lost("the bot stops"))?;
        let body = Limited::new(body, most).collect().await.map_err(|error| {
            let too_long = error.is::<http_body_util::LengthLimitError>();
            if too_long { DiscordError::TooLong { call: call.name } } else { lost("the connection failed") }
        })?;
        Ok(body.to_bytes())
    }
}

/// Lets the rest of a body through.
async fn drain(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

/// What an answer says. Its text is kept in no error: it may hold what people wrote in the channel. What is read into a type
/// of its own becomes no more than its text; values of any kind are weighed before.
fn read<T: DeserializeOwned>(call: &'static str, answer: &[u8]) -> Result<T, DiscordError> {
    let reason = "the answer was not what Discord documents";
    serde_json::from_slice(answer).map_err(|_| DiscordError::Unreachable { call, reason: reason.to_owned() })
}

/// A message with a file as `multipart/form-data`, with its content type.
fn form(message: &Value, file: &Raw) -> (String, Vec<u8>) {
    // The text must not hold the line that ends it.
    let mut boundary = "mtls-medic-part".to_owned();
    while file.text.contains(&boundary) {
        boundary.push('-');
    }
    let name: String = file
        .title
        .chars()
        .map(|sign| if sign.is_ascii_alphanumeric() || "-._".contains(sign) { sign } else { '-' })
        .collect();
    let body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"payload_json\"\r\nContent-Type: application/json\r\n\r\n\
         {message}\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"files[0]\"; filename=\"{name}.txt\"\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{}\r\n--{boundary}--\r\n",
        file.text
    );
    (format!("multipart/form-data; boundary={boundary}"), body.into_bytes())
}

#[cfg(test)]
mod tests;
