//! The calls of Discord's HTTP API that we make. serenity's own client waits inside a call for as long as Discord asks, hides
//! for how long, and reads answers to their end: this one bounds them, and lets the engine wait.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderName},
};
use hyper_util::client::legacy;
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use super::{
    error::{DiscordError, THREAD_IS_THERE},
    permissions::bits,
};
use crate::{
    bounds::{
        DISCORD_ANSWER, DISCORD_ANSWER_WEIGHT, DISCORD_ANSWERS_AT_ONCE, DISCORD_REFUSAL, DISCORD_SENT,
        DISCORD_SENT_AT_ONCE, weigh,
    },
    chat::{
        outgoing::{CALL_LIMIT, Connector, OutgoingError, checked, connector, sender},
        posts::Raw,
        rate_limits::{RateLimits, SendTurn},
    },
    metrics::{Metric, Metrics},
};

/// Discord's own address.
pub const DISCORD_API: &str = "https://discord.com/api/v10";
/// How Discord wants bots to name themselves.
const USER_AGENT: &str = concat!("DiscordBot (mtls-medic, ", env!("CARGO_PKG_VERSION"), ")");
/// The longest wait that Discord can ask of us: a wrong answer must not silence the bot for a day.
const RETRY_AFTER_MOST: f64 = 900.0;
/// How long is waited after a 429 that does not say how long.
const WITHOUT_A_WORD: f64 = 5.0;
/// How many messages one page of a search has.
const PAGE: usize = 25;
/// How many pages are looked through.
const PAGES_MOST: usize = 20;
/// A quiet thread is folded away after a day; a new post unfolds it.
const FOLDED_AFTER_MINUTES: u32 = 1_440;
/// How much of Discord's words for a refusal is kept, in characters.
const WORDS_MOST: usize = 200;
/// How long the rest of an answer is let through that says nothing more, to keep its connection.
const DRAINED_WITHIN: Duration = Duration::from_millis(500);
/// A message with a file and one without are the same call to Discord.
const POST: &str = "post";
const JSON: &str = "application/json";
/// The door of a 429 that is about all calls.
const EVERY_CALL: &str = "every call";

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
    limits: RateLimits,
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
    retry_after: Option<f64>,
    global: bool,
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
            limits: RateLimits::default(),
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

    /// What `pick` takes of the messages of a channel or thread, the newest first, back to that id and as far as is looked:
    /// until it has taken `most`.
    pub async fn newest<T: Send>(
        &self,
        channel: &str,
        back_to: &str,
        most: usize,
        pick: impl Fn(&Value) -> Option<T> + Send + Sync,
    ) -> Result<Vec<T>, DiscordError> {
        let number = |id: &str| id.parse::<u64>().unwrap_or_default();
        let (back_to, mut before, mut picked) = (number(back_to), None::<String>, Vec::new());
        for _ in 0..PAGES_MOST {
            let page = self.page(channel, before.as_deref()).await?;
            let last = page.last().and_then(|message| message.get("id")?.as_str().map(str::to_owned));
            let is_wanted =
                |message: &&Value| message.get("id").and_then(Value::as_str).is_some_and(|id| number(id) >= back_to);
            picked.extend(page.iter().take_while(is_wanted).filter_map(&pick));
            match last {
                Some(last) if picked.len() < most && number(&last) >= back_to => before = Some(last),
                _ => break,
            }
        }
        picked.truncate(most);
        Ok(picked)
    }

    /// One page of messages before an id, the newest first; of fewer and fewer, where so many are more than is read at once.
    async fn page(&self, channel: &str, before: Option<&str>) -> Result<Vec<Value>, DiscordError> {
        let mut limit = PAGE;
        loop {
            let before = before.map(|id| format!("&before={id}")).unwrap_or_default();
            let path = format!("/channels/{channel}/messages?limit={limit}{before}");
            let call = Call::new("read messages", channel, Method::GET, path).reading(Reads::All);
            let name = call.name;
            match self.bytes(call, JSON, Vec::new()).await {
                Ok(answer) if weigh(&answer) <= DISCORD_ANSWER_WEIGHT => return read(name, &answer),
                // One message that is too much is passed over: it is none of ours.
                Ok(answer) if limit == 1 => {
                    let ids: Vec<Named> = read(name, &answer)?;
                    return Ok(ids.into_iter().map(|message| json!({ "id": message.id })).collect());
                }
                Ok(_) => limit /= 5,
                Err(DiscordError::TooLong { .. }) if limit > 1 => limit /= 5,
                Err(error) => return Err(error),
            }
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
        let (name, now) = (call.name, Instant::now());
        // Answers to interactions are not among the calls that Discord limits all together.
        let all = call.with_token.then_some((EVERY_CALL, ""));
        let waits = std::iter::once((call.bucket, call.place)).chain(all);
        let wait = waits.filter_map(|(door, place)| self.limits.wait(door, place, call.turn, now)).max();
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
        self.heed(call, &head.headers);
        if head.status.is_success() {
            return self.taken(call, body).await;
        }
        // Of a refusal the beginning says why; where more comes, its status and its head say enough.
        let body = Limited::new(body, DISCORD_REFUSAL).collect().await.map(Collected::to_bytes).unwrap_or_default();
        match head.status {
            StatusCode::TOO_MANY_REQUESTS => Err(self.told_to_wait(call, &head.headers, &body)),
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

    /// Discord says with each answer how many calls are left of the same kind: the last one shuts the door.
    fn heed(&self, call: &Call<'_>, headers: &HeaderMap) {
        let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
        let left = header(HeaderName::from_static("x-ratelimit-remaining"));
        let opens = header(HeaderName::from_static("x-ratelimit-reset-after"));
        if let (Some(0.0), Some(opens)) = (left, opens) {
            self.limits.shut(call.bucket, call.place, Instant::now() + bounded(opens));
        }
    }

    fn told_to_wait(&self, call: &Call<'_>, headers: &HeaderMap, body: &[u8]) -> DiscordError {
        let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
        let header = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let wait = bounded(refusal.retry_after.or(header).unwrap_or(WITHOUT_A_WORD));
        let (door, place) = if refusal.global { (EVERY_CALL, "") } else { (call.bucket, call.place) };
        self.limits.shut(door, place, Instant::now() + wait);
        self.metrics.count(Metric::DiscordRateLimitedTotal { call: call.name }, 1);
        DiscordError::RateLimited { call: call.name, after: wait.try_into().unwrap_or(SignedDuration::MAX) }
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

/// Seconds of Discord's, which may be anything, as a wait.
fn bounded(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.clamp(0.0, RETRY_AFTER_MOST)).unwrap_or_default()
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
mod tests {
    use std::sync::Mutex;

    use axum::{Router, extract::State, response::IntoResponse};

    use super::*;

    /// What the next answers are, and the calls that came: method and path.
    #[derive(Clone, Default)]
    struct Discord {
        answers: Arc<Mutex<Vec<axum::response::Response>>>,
        calls: Arc<Mutex<Vec<String>>>,
    }

    impl Discord {
        async fn open() -> (Self, Rest) {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let base = format!("http://{}", listener.local_addr().unwrap());
            let discord = Self::default();
            let router = Router::new().fallback(answer).with_state(discord.clone());
            tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
            (discord, Rest::new(&base, &"token".to_owned().into(), Metrics::default()).unwrap())
        }

        fn will_answer(&self, answer: impl IntoResponse) {
            self.answers.lock().unwrap().push(answer.into_response());
        }

        fn calls(&self) -> usize {
            self.calls.lock().unwrap().len()
        }
    }

    async fn answer(State(discord): State<Discord>, request: axum::extract::Request) -> axum::response::Response {
        discord.calls.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
        let next = discord.answers.lock().unwrap().pop();
        next.unwrap_or_else(|| axum::Json(json!({ "id": "1" })).into_response())
    }

    fn asks_to_wait(global: bool) -> impl IntoResponse {
        (StatusCode::TOO_MANY_REQUESTS, axum::Json(json!({ "retry_after": 60.5, "global": global })))
    }

    fn used_up() -> impl IntoResponse {
        let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset-after", "60")];
        (headers, axum::Json(json!({ "id": "1" })))
    }

    #[tokio::test]
    async fn a_429_of_a_channel_holds_back_posts_with_and_without_a_file_and_no_other_channel() {
        let (discord, rest) = Discord::open().await;
        discord.will_answer(asks_to_wait(false));
        let empty = Value::Null;
        let post = |channel| rest.post(channel, &empty, None, SendTurn::Page);
        let file = Raw { title: "checks".to_owned(), text: "x".to_owned() };
        let first = post("7").await.unwrap_err();
        assert_eq!(first, DiscordError::RateLimited { call: "post", after: SignedDuration::from_millis(60_500) });
        assert!(matches!(post("7").await, Err(DiscordError::RateLimited { .. })));
        let with_file = rest.post("7", &json!({}), Some(&file), SendTurn::Rest).await;
        assert!(matches!(with_file, Err(DiscordError::RateLimited { .. })), "{with_file:?}");
        assert_eq!(discord.calls(), 1, "nobody knocks again");
        post("8").await.unwrap();
        rest.edit("7", "1", &json!({})).await.unwrap();
    }

    #[tokio::test]
    async fn a_429_of_all_calls_holds_back_every_channel_and_people_are_answered_all_the_same() {
        let (discord, rest) = Discord::open().await;
        discord.will_answer(asks_to_wait(true));
        rest.post("7", &json!({}), None, SendTurn::Page).await.unwrap_err();
        let other = rest.post("8", &json!({}), None, SendTurn::Page).await;
        assert!(matches!(other, Err(DiscordError::RateLimited { .. })), "{other:?}");
        rest.edit_answer("5", &"of-one".to_owned().into(), &json!({})).await.unwrap();
        assert_eq!(discord.calls(), 2);
    }

    #[tokio::test]
    async fn an_interaction_that_is_used_up_holds_back_no_other_persons_answer() {
        let (discord, rest) = Discord::open().await;
        discord.will_answer(used_up());
        let finishes = async |token: &str| rest.edit_answer("5", &token.to_owned().into(), &Value::Null).await;
        finishes("of-one").await.unwrap();
        finishes("of-another").await.unwrap();
        assert!(matches!(finishes("of-one").await, Err(DiscordError::RateLimited { .. })));
    }

    #[tokio::test]
    async fn a_bucket_that_is_used_up_is_left_alone_before_discord_has_to_refuse() {
        let (discord, rest) = Discord::open().await;
        discord.will_answer(used_up());
        rest.post("7", &json!({}), None, SendTurn::Page).await.unwrap();
        rest.post("7", &json!({}), None, SendTurn::Page).await.unwrap_err();
        assert_eq!(discord.calls(), 1);
    }

    /// An answer that begins and never ends.
    fn endless() -> impl IntoResponse {
        axum::body::Body::from_stream(futures::stream::pending::<Result<Bytes, std::convert::Infallible>>())
    }

    #[tokio::test]
    async fn one_slow_answer_holds_up_no_post_no_edit_and_nobodys_answer() {
        let (discord, rest) = Discord::open().await;
        discord.will_answer(endless());
        let reader = rest.clone();
        let reading = tokio::spawn(async move { reader.newest("7", "0", 1, |_| Some(())).await });
        while rest.long_places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let (empty, token) = (json!({}), "of-one".to_owned().into());
        let others = async {
            rest.post("7", &empty, None, SendTurn::Page).await.unwrap();
            rest.edit("7", "1", &empty).await.unwrap();
            rest.first_answer("1", &token, &empty).await.unwrap();
        };
        tokio::time::timeout(CALL_LIMIT / 2, others).await.expect("they waited for the slow answer");
        reading.abort();
    }

    #[tokio::test]
    async fn what_discord_took_is_done_however_long_the_rest_of_its_answer_takes() {
        let (discord, rest) = Discord::open().await;
        for _ in 0..2 {
            discord.will_answer(endless());
        }
        rest.edit("7", "1", &json!({})).await.unwrap();
        rest.edit_answer("5", &"of-one".to_owned().into(), &json!({})).await.unwrap();
    }
}
