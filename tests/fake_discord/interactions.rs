//! What people do on Discord: give a command, press a button, fill in a form. As signed HTTP requests, or as events of the
//! gateway. Signed by another implementation of Ed25519 than the one that verifies.
#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

use std::sync::atomic::{AtomicU64, Ordering};

use axum::{Router, body::Body, http::Request, response::Response};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tower::ServiceExt;

/// The application, the server, its only channel and another one.
pub const APPLICATION: &str = "100000000000000100";
pub const GUILD: &str = "100000000000000200";
pub const CHANNEL: &str = "100000000000000300";

/// Milliseconds between the epoch of Discord's ids and that of everybody else.
const DISCORD_EPOCH: i64 = 1_420_070_400_000;

/// Signs requests as Discord does.
pub struct Signer {
    pub timestamp: i64,
    key: Ed25519KeyPair,
}

impl Signer {
    pub fn at(timestamp: i64) -> Self {
        Self::with_seed(timestamp, 7)
    }

    /// With the key of somebody else.
    pub fn forger(timestamp: i64) -> Self {
        Self::with_seed(timestamp, 8)
    }

    fn with_seed(timestamp: i64, seed: u8) -> Self {
        Self { timestamp, key: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap() }
    }

    /// As the Developer Portal shows it.
    pub fn public_key(&self) -> String {
        hexadecimal(self.key.public_key().as_ref())
    }

    pub fn request(&self, body: &str) -> Request<Body> {
        let signed = self.key.sign(format!("{}{body}", self.timestamp).as_bytes());
        Request::post("/discord/interactions")
            .header("content-type", "application/json")
            .header("x-signature-timestamp", self.timestamp)
            .header("x-signature-ed25519", hexadecimal(signed.as_ref()))
            .body(Body::from(body.to_owned()))
            .unwrap()
    }

    /// Sends an interaction to the bot's routes.
    pub async fn sends(&self, bot: &Router, interaction: &Value) -> Response {
        bot.clone().oneshot(self.request(&interaction.to_string())).await.unwrap()
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An id that Discord could have given at that time, and gave to nothing else.
pub fn id_at(unix_seconds: i64) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let millis = u64::try_from(unix_seconds * 1_000 - DISCORD_EPOCH).unwrap();
    ((millis << 22) | (NEXT.fetch_add(1, Ordering::Relaxed) & 0x3f_ffff)).to_string()
}

/// Somebody at their keyboard.
#[derive(Debug, Clone)]
pub struct Person<'a> {
    pub user: &'a str,
    pub roles: &'a [&'a str],
    /// When they do it.
    pub at: i64,
}

impl Person<'_> {
    /// All but type and data, as Discord sends it with more than the bot needs.
    fn interaction(&self, kind: u8, data: Value) -> Value {
        let id = id_at(self.at);
        json!({
            "id": id, "application_id": APPLICATION, "type": kind, "token": format!("token-{id}"), "version": 1,
            "guild_id": GUILD, "guild": { "id": GUILD, "locale": "en-US", "features": [] }, "guild_locale": "en-US",
            "channel_id": CHANNEL, "locale": "en-GB", "app_permissions": "2147483647", "entitlements": [],
            "channel": { "id": CHANNEL, "type": 0, "guild_id": GUILD, "name": "mtls", "parent_id": "100000000000000999" },
            "member": {
                "user": { "id": self.user, "username": "somebody", "global_name": null, "avatar": null },
                "roles": self.roles, "nick": null, "permissions": "2147483647", "deaf": false, "mute": false,
                "joined_at": "2024-01-01T00:00:00.000000+00:00", "flags": 0,
                "avatar_decoration_data": { "of_a_shape": ["that", "nobody", "knows"] },
            },
            "authorizing_integration_owners": { "0": GUILD }, "context": 0, "attachment_size_limit": 10_485_760,
            "data": data,
        })
    }

    /// `/mtls VERB name:value …`.
    pub fn commands(&self, verb: &str, options: &[(&str, Value)]) -> Value {
        let options: Vec<Value> = options
            .iter()
            .map(
                |(name, value)| json!({ "name": name, "type": if value.is_boolean() { 5 } else { 3 }, "value": value }),
            )
            .collect();
        self.interaction(2, chosen(verb, options))
    }

    /// The same while it is being filled in: `name` has the cursor.
    pub fn types(&self, verb: &str, given: &[(&str, &str)], name: &str, so_far: &str) -> Value {
        let mut options: Vec<Value> =
            given.iter().map(|(name, value)| json!({ "name": name, "type": 3, "value": value })).collect();
        options.push(json!({ "name": name, "type": 3, "value": so_far, "focused": true }));
        self.interaction(4, chosen(verb, options))
    }

    /// A press of the button with that id in a message, as the bot posted it.
    pub fn presses(&self, message: &Value, custom_id: &str) -> Value {
        let mut interaction = self.interaction(3, json!({ "custom_id": custom_id, "component_type": 2, "id": 3 }));
        interaction["message"] = message.clone();
        interaction
    }

    /// A form that the bot opened, filled in.
    pub fn fills_in(&self, form: &Value, text: &str) -> Value {
        let input = &form["components"][0]["components"][0];
        let filled = json!({ "type": 4, "id": 2, "custom_id": input["custom_id"], "value": text });
        let row = json!({ "type": 1, "id": 1, "components": [filled] });
        self.interaction(5, json!({ "custom_id": form["custom_id"], "components": [row] }))
    }
}

/// Discord asks whether we are there.
pub fn ping() -> Value {
    json!({ "id": "1", "application_id": APPLICATION, "type": 1, "token": "token", "version": 1, "user": { "id": "1" } })
}

/// The same interaction, asked in a thread of the channel.
pub fn in_thread(mut interaction: Value, thread: &str) -> Value {
    interaction["channel_id"] = json!(thread);
    interaction["channel"] = json!({ "id": thread, "type": 11, "guild_id": GUILD, "parent_id": CHANNEL });
    interaction
}

fn chosen(verb: &str, options: Vec<Value>) -> Value {
    json!({
        "id": "100000000000000400", "name": "mtls", "type": 1, "guild_id": GUILD,
        "options": [{ "name": verb, "type": 1, "options": options }],
    })
}
