//! How the client heeds Discord's limits, and how it reads answers that are slow.

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

#[tokio::test]
async fn calls_that_discord_counts_in_one_bucket_wait_for_each_other_in_one_place_and_in_no_other() {
    let (discord, rest) = Discord::open().await;
    let in_bucket = |left: &'static str| {
        let headers =
            [("x-ratelimit-bucket", "abcd1234"), ("x-ratelimit-remaining", left), ("x-ratelimit-reset-after", "60")];
        (headers, axum::Json(json!({ "id": "1" })))
    };
    let empty = json!({});
    // Answers are taken from the end.
    discord.will_answer(in_bucket("0"));
    discord.will_answer(in_bucket("1"));
    rest.edit("7", "1", &empty).await.unwrap();
    rest.post("7", &empty, None, SendTurn::Page).await.unwrap();
    let edit = rest.edit("7", "1", &empty).await;
    assert!(matches!(edit, Err(DiscordError::RateLimited { .. })), "{edit:?}");
    rest.edit("8", "1", &empty).await.unwrap();
    assert_eq!(discord.calls(), 3);
}

#[tokio::test]
async fn a_429_from_before_discord_is_about_all_that_comes_from_this_address() {
    let (discord, rest) = Discord::open().await;
    discord.will_answer((StatusCode::TOO_MANY_REQUESTS, [("retry-after", "60")], "error code: 1015"));
    rest.post("7", &json!({}), None, SendTurn::Page).await.unwrap_err();
    rest.post("8", &json!({}), None, SendTurn::Page).await.unwrap_err();
    rest.edit_answer("5", &"of-one".to_owned().into(), &json!({})).await.unwrap_err();
    assert_eq!(discord.calls(), 1, "nobody knocks on");
}

/// Errors are logged and shown: no id of a channel, no token of an interaction stands in one.
#[tokio::test]
async fn no_error_shows_where_it_was_called_or_by_which_token() {
    let (discord, rest) = Discord::open().await;
    let token: SecretString = "the-token-of-one".to_owned().into();
    let mut shown = Vec::new();
    for status in [StatusCode::FORBIDDEN, StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS] {
        discord.will_answer((status, axum::Json(json!({ "message": "no", "code": 1, "retry_after": 0.001 }))));
        shown.push(rest.edit_answer("555", &token, &json!({})).await.unwrap_err());
        discord.will_answer((status, axum::Json(json!({ "message": "no", "code": 1, "retry_after": 0.001 }))));
        shown.push(rest.edit("777", "888", &json!({})).await.unwrap_err());
    }
    let gone = Rest::new("http://127.0.0.1:1", &"secret".to_owned().into(), Metrics::default()).unwrap();
    shown.push(gone.first_answer("999", &token, &json!({})).await.unwrap_err());
    let shown = format!("{shown:?} {}", shown.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    for hidden in ["the-token-of-one", "secret", "555", "777", "888", "999", "/channels", "127.0.0.1"] {
        assert!(!shown.contains(hidden), "{hidden} stands in {shown}");
    }
}
