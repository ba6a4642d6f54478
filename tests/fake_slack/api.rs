//! The Web API, with Slack's own checks of what it is sent.

use std::collections::{BTreeSet, HashMap};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State as Of},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Json, Response},
    routing::{any, get, post},
};
use serde_json::{Value, json};

use super::{APP_TOKEN, BOT_TOKEN, CHANNEL, FakeSlack, File, Message, State, TEAM, Trouble, socket};

pub fn router(slack: FakeSlack) -> Router {
    Router::new()
        .route("/api/{method}", any(call))
        .route("/upload/{id}", post(upload))
        .route("/hooks/{id}", post(hook))
        .route("/link", get(socket::link))
        .with_state(slack)
}

async fn call(
    Of(slack): Of<FakeSlack>,
    Path(method): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut arguments = serde_json::from_slice::<Value>(&body).unwrap_or_else(|_| json!({}));
    for (name, value) in query {
        arguments[name] = Value::String(value);
    }
    let trouble = slack.lock().next_trouble(&method);
    match &trouble {
        Some(Trouble::RateLimited(seconds)) => {
            let body = Json(json!({ "ok": false, "error": "ratelimited" }));
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())], body).into_response();
        }
        Some(Trouble::Down) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Trouble::Refuses(error)) => return Json(json!({ "ok": false, "error": error })).into_response(),
        Some(Trouble::AnswerLost) | None => {}
    }
    let token = if method == "apps.connections.open" { APP_TOKEN } else { BOT_TOKEN };
    let given = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let answer =
        if given == format!("Bearer {token}") { answer(&slack, &method, &arguments) } else { Err("invalid_auth") };
    slack.change();
    if matches!(trouble, Some(Trouble::AnswerLost)) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let answer = Json(match answer {
        Ok(mut answer) => {
            answer["ok"] = json!(true);
            answer
        }
        Err(error) => json!({ "ok": false, "error": error }),
    });
    ([("x-oauth-scopes", scopes(&slack))], answer).into_response()
}

/// Every answer says what the token may do, as Slack's do.
fn scopes(slack: &FakeSlack) -> String {
    let missing = &slack.lock().scopes_missing;
    let given = [
        "commands",
        "chat:write",
        "files:write",
        "usergroups:read",
        "users:read",
        "channels:history",
        "groups:history",
    ];
    given.into_iter().filter(|scope| !missing.iter().any(|one| one == scope)).collect::<Vec<_>>().join(",")
}

fn answer(slack: &FakeSlack, method: &str, given: &Value) -> Result<Value, &'static str> {
    let mut state = slack.lock();
    let text = |name: &str| given[name].as_str().unwrap_or_default().to_owned();
    match method {
        "auth.test" => Ok(json!({ "team_id": TEAM, "user_id": "U0BOT", "team": "fake", "user": "mtls-medic" })),
        "users.info" => {
            Ok(json!({ "user": { "id": text("user"), "team_id": TEAM, "deleted": false, "is_bot": false } }))
        }
        "usergroups.users.list" => {
            let members = state.groups.get(&text("usergroup")).ok_or("no_such_subteam")?;
            Ok(json!({ "users": members }))
        }
        "chat.postMessage" => post_message(&mut state, given),
        "chat.update" => update(&mut state, given),
        "chat.getPermalink" => {
            let (ts, channel) = (text("message_ts"), text("channel"));
            if !state.messages.iter().any(|message| message.ts == ts) {
                return Err("message_not_found");
            }
            Ok(json!({ "channel": channel,
                "permalink": format!("https://fake.slack.com/archives/{channel}/p{}", ts.replace('.', "")) }))
        }
        "chat.postEphemeral" => {
            check(given)?;
            state.whispers.push((text("user"), text("text")));
            Ok(json!({ "message_ts": "1.0" }))
        }
        "conversations.history" => {
            let oldest = text("oldest");
            page(&state, given, |message| {
                (message.thread.is_none() || message.broadcast) && message.ts.as_str() > oldest.as_str()
            })
        }
        "conversations.replies" => {
            let root = text("ts");
            page(&state, given, |message| message.ts == root || message.thread.as_ref() == Some(&root))
        }
        "apps.connections.open" => Ok(json!({ "url": format!("{}/link", slack.origin.replacen("http", "ws", 1)) })),
        "files.getUploadURLExternal" => {
            let id = state.name("F");
            state.uploads.insert(id.clone(), (text("filename"), None));
            Ok(json!({ "upload_url": format!("{}/upload/{id}", slack.origin), "file_id": id }))
        }
        "files.completeUploadExternal" => {
            let id = given["files"][0]["id"].as_str().ok_or("invalid_arguments")?;
            let (name, content) = state.uploads.remove(id).ok_or("file_not_found")?;
            let content = content.ok_or("file_not_uploaded")?;
            let thread = given["thread_ts"].as_str().map(ToOwned::to_owned);
            state.files.push(File { name, thread, content });
            Ok(json!({ "files": [{ "id": id }] }))
        }
        _ => Err("unknown_method"),
    }
}

/// What Slack refuses (its documentation of Block Kit).
fn check(given: &Value) -> Result<(), &'static str> {
    if given["channel"] != CHANNEL {
        return Err("channel_not_found");
    }
    let units = |value: &Value| value.as_str().unwrap_or_default().encode_utf16().count();
    let blocks = given["blocks"].as_array().ok_or("no_text")?;
    let mut ids = BTreeSet::new();
    let fine = blocks.iter().all(|block| {
        let most = if block["type"] == "header" { 150 } else { 3_000 };
        let has_text = block["type"] == "header" || block["type"] == "section";
        let id = block["block_id"].as_str();
        units(&block["text"]["text"]) <= most
            && (!has_text || units(&block["text"]["text"]) > 0)
            && id.is_none_or(|id| id.len() <= 255 && ids.insert(id.to_owned()))
    });
    if units(&given["text"]) > 40_000 {
        return Err("msg_too_long");
    }
    // Not documented, and measured by many: see the renderer.
    if blocks.iter().map(|block| units(&block["text"]["text"])).sum::<usize>() > 11_000 {
        return Err("msg_blocks_too_long");
    }
    if fine && blocks.len() <= 50 && !blocks.is_empty() { Ok(()) } else { Err("invalid_blocks") }
}

fn post_message(state: &mut State, given: &Value) -> Result<Value, &'static str> {
    check(given)?;
    let thread = given["thread_ts"].as_str().map(ToOwned::to_owned);
    if thread.as_ref().is_some_and(|root| !state.messages.iter().any(|message| message.ts == *root)) {
        return Err("thread_not_found");
    }
    let ts = state.ts();
    state.messages.push(Message {
        ts: ts.clone(),
        channel: CHANNEL.to_owned(),
        thread,
        broadcast: given["reply_broadcast"] == true,
        text: given["text"].as_str().unwrap_or_default().to_owned(),
        blocks: given["blocks"].as_array().unwrap().clone(),
        metadata: given["metadata"].clone(),
        edits: 0,
        earlier: Vec::new(),
    });
    Ok(json!({ "ts": ts, "channel": CHANNEL }))
}

fn update(state: &mut State, given: &Value) -> Result<Value, &'static str> {
    check(given)?;
    let ts = given["ts"].as_str().unwrap_or_default();
    let message = state.messages.iter_mut().find(|message| message.ts == ts).ok_or("message_not_found")?;
    let before = message.seen();
    message.earlier.push(before);
    message.text = given["text"].as_str().unwrap_or_default().to_owned();
    message.blocks = given["blocks"].as_array().unwrap().clone();
    message.edits += 1;
    Ok(json!({ "ts": ts, "channel": CHANNEL }))
}

/// Newest first in pages of three, so that tests turn pages.
fn page(state: &State, given: &Value, wanted: impl Fn(&Message) -> bool) -> Result<Value, &'static str> {
    let skip: usize = given["cursor"].as_str().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
    let all: Vec<&Message> = state.messages.iter().rev().filter(|message| wanted(message)).collect();
    let with_metadata = given["include_all_metadata"] == "true";
    let shown = all.iter().skip(skip).take(3).map(|message| {
        let mut shown = json!({ "ts": message.ts, "text": message.text, "blocks": message.blocks });
        if with_metadata {
            shown["metadata"] = message.metadata.clone();
        }
        shown
    });
    let shown: Vec<Value> = shown.collect();
    let next = if skip + 3 < all.len() { (skip + 3).to_string() } else { String::new() };
    Ok(json!({ "messages": shown, "has_more": !next.is_empty(), "response_metadata": { "next_cursor": next } }))
}

async fn upload(Of(slack): Of<FakeSlack>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    assert!(!headers.contains_key("authorization"), "the token must not go to an upload address");
    match slack.lock().uploads.get_mut(&id) {
        Some((_, content)) => {
            *content = Some(String::from_utf8(body.to_vec()).unwrap());
            "OK".into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A `response_url`: at most five uses.
async fn hook(
    Of(slack): Of<FakeSlack>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    assert!(!headers.contains_key("authorization"), "the token must not go to a response_url");
    let answer = {
        let mut state = slack.lock();
        match state.hooks.get_mut(&id) {
            Some((user, uses)) if *uses < 5 => {
                *uses += 1;
                let user = user.clone();
                assert_eq!(body["response_type"], "ephemeral", "answers are private");
                let blocks = body["blocks"].as_array().map(|blocks| blocks.iter().map(block_text).collect::<Vec<_>>());
                state.whispers.push((user, blocks.unwrap_or_default().join("\n")));
                StatusCode::OK
            }
            _ => StatusCode::NOT_FOUND,
        }
    };
    slack.change();
    answer.into_response()
}

pub fn block_text(block: &Value) -> String {
    let texts = |key: &str| {
        let all = block[key].as_array().cloned().unwrap_or_default();
        all.iter()
            .map(|one| one["text"]["text"].as_str().or(one["text"].as_str()).unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    match block["type"].as_str().unwrap_or_default() {
        "actions" => format!("[{}]", texts("elements").join("] [")),
        "context" => format!("~ {}", texts("elements").join(" · ")),
        _ => block["text"]["text"].as_str().unwrap_or_default().to_owned(),
    }
}
