//! What people do: type a command, press a button. As signed HTTP requests or through Socket Mode.

use axum::{Router, body::Body, http::Request, response::Response};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tower::ServiceExt;

use super::{CHANNEL, FakeSlack, Message, SIGNING_SECRET, TEAM};

/// Signs requests as Slack does.
pub struct Signer {
    pub timestamp: i64,
    pub secret: String,
}

impl Signer {
    pub fn at(timestamp: i64) -> Self {
        Self { timestamp, secret: SIGNING_SECRET.to_owned() }
    }

    pub fn request(&self, path: &str, body: String) -> Request<Body> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(format!("v0:{}:{body}", self.timestamp).as_bytes());
        let digest: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-slack-request-timestamp", self.timestamp)
            .header("x-slack-signature", format!("v0={digest}"))
            .body(Body::from(body))
            .unwrap()
    }

    /// A command, as Slack sends it.
    pub fn command_request(&self, fields: &Value) -> Request<Body> {
        let fields = fields.as_object().unwrap().iter();
        self.request("/slack/commands", form(fields.map(|(name, value)| (name.as_str(), value.as_str().unwrap()))))
    }

    /// An interaction, as Slack sends it.
    pub fn interaction_request(&self, payload: &Value) -> Request<Body> {
        self.request("/slack/interactivity", form([("payload", payload.to_string().as_str())]))
    }

    /// Sends a command to the bot's routes.
    pub async fn command(&self, bot: &Router, fields: &Value) -> Response {
        bot.clone().oneshot(self.command_request(fields)).await.unwrap()
    }

    /// Sends an interaction to the bot's routes.
    pub async fn interaction(&self, bot: &Router, payload: &Value) -> Response {
        bot.clone().oneshot(self.interaction_request(payload)).await.unwrap()
    }
}

fn form<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

impl FakeSlack {
    /// The fields of a command that somebody typed after `/mtls`.
    pub fn typed(&self, user: &str, text: &str) -> Value {
        json!({
            "command": "/mtls", "text": text, "user_id": user, "team_id": TEAM, "channel_id": CHANNEL,
            "trigger_id": self.lock().name("trigger."), "response_url": self.response_url(user),
        })
    }

    /// The payload of a press of the newest button that says so.
    pub fn pressed(&self, user: &str, label: &str) -> Value {
        let message = self.with_button(label).unwrap_or_else(|| panic!("no button {label:?}:\n{}", self.transcript()));
        let button = message.elements().into_iter().find(|button| says(button, label)).unwrap();
        let action = json!({
            "type": "button", "action_id": button["action_id"], "value": button["value"], "text": button["text"],
            "action_ts": "1.0",
        });
        json!({
            "type": "block_actions", "user": { "id": user, "team_id": TEAM }, "team": { "id": TEAM },
            "channel": { "id": CHANNEL }, "trigger_id": self.lock().name("trigger."),
            "response_url": self.response_url(user), "actions": [action],
            "message": { "ts": message.ts, "text": message.text, "blocks": message.blocks },
        })
    }

    pub fn with_button(&self, label: &str) -> Option<Message> {
        self.messages().into_iter().rev().find(|message| message.elements().iter().any(|button| says(button, label)))
    }

    fn response_url(&self, user: &str) -> String {
        let mut state = self.lock();
        let id = state.name("H");
        state.hooks.insert(id.clone(), (user.to_owned(), 0));
        format!("{}/hooks/{id}", self.origin)
    }
}

fn says(button: &Value, label: &str) -> bool {
    button["text"]["text"].as_str().is_some_and(|text| text.starts_with(label))
}
