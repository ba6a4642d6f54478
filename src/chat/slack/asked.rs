//! A slash command or a press of a button as Slack sends it, over HTTP or Socket Mode, read once at the border.

use serde_json::Value;

use crate::chat::Heard;

/// The longest id or key that is read from a payload.
const FIELD_MOST: usize = 255;

/// What somebody asked, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Slack's own name for this one request: the same when it is sent again.
    pub key: String,
    /// The workspace that the app is asked in.
    pub team: String,
    /// The organisation, on Enterprise Grid.
    pub enterprise: Option<String>,
    /// The person's own workspace, where Slack says it: in shared channels it may be another.
    pub user_team: Option<String>,
    pub channel: String,
    /// The person.
    pub user: String,
    /// Where a private answer goes.
    pub response_url: Option<String>,
    pub heard: Heard,
    /// The button, where one was pressed.
    pub pressed: Option<PressedButton>,
}

/// A button that was pressed.
#[derive(Debug, Clone, PartialEq)]
pub struct PressedButton {
    /// What it said.
    pub label: String,
    /// The message that it stands in.
    pub message: Option<Pressed>,
}

/// A message with buttons.
#[derive(Debug, Clone, PartialEq)]
pub struct Pressed {
    pub id: String,
    /// Its plain text.
    pub text: String,
    /// Its blocks, as Slack keeps them.
    pub blocks: Vec<Value>,
}

/// Why a payload was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A field is missing.
    #[error("the payload has no {0}")]
    Missing(&'static str),
    /// Not JSON.
    #[error("the payload is not JSON")]
    NotJson,
    /// A kind that we did not ask for.
    #[error("payloads of this kind are not handled")]
    OtherKind,
}

fn field(value: &Value, pointer: &'static str) -> Result<String, Unreadable> {
    let text = value.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.map(|text| text.chars().take(FIELD_MOST).collect()).ok_or(Unreadable::Missing(pointer))
}

fn address(value: &Value) -> Option<String> {
    value.get("response_url").and_then(Value::as_str).map(ToOwned::to_owned)
}

impl Asked {
    /// Reads the form of a slash command (HTTP).
    pub fn command_form(body: &[u8]) -> Result<Self, Unreadable> {
        let fields = url::form_urlencoded::parse(body)
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
        Self::command(&Value::Object(fields.collect()))
    }

    /// Reads the fields of a slash command (Socket Mode).
    pub fn command(payload: &Value) -> Result<Self, Unreadable> {
        Ok(Self {
            key: format!("slack/{}", field(payload, "/trigger_id")?),
            team: field(payload, "/team_id")?,
            enterprise: field(payload, "/enterprise_id").ok(),
            user_team: None,
            channel: field(payload, "/channel_id")?,
            user: field(payload, "/user_id")?,
            response_url: address(payload),
            heard: Heard::Typed(payload.get("text").and_then(Value::as_str).unwrap_or_default().to_owned()),
            pressed: None,
        })
    }

    /// Reads the form of an interaction (HTTP): JSON in its field `payload`.
    pub fn interaction_form(body: &[u8]) -> Result<Self, Unreadable> {
        let payload = url::form_urlencoded::parse(body).find(|(name, _)| name == "payload");
        let (_, json) = payload.ok_or(Unreadable::Missing("payload"))?;
        Self::interaction(&serde_json::from_str(&json).map_err(|_| Unreadable::NotJson)?)
    }

    /// Reads an interaction (Socket Mode). Only buttons are ours.
    pub fn interaction(payload: &Value) -> Result<Self, Unreadable> {
        if payload.get("type").and_then(Value::as_str) != Some("block_actions") {
            return Err(Unreadable::OtherKind);
        }
        let action = payload.pointer("/actions/0").ok_or(Unreadable::Missing("actions"))?;
        let press = action.get("value").and_then(Value::as_str).and_then(|value| serde_json::from_str(value).ok());
        let message = payload.get("message").and_then(|message| {
            Some(Pressed {
                id: field(message, "/ts").ok()?,
                text: message.get("text").and_then(Value::as_str).unwrap_or_default().to_owned(),
                blocks: message.get("blocks").and_then(Value::as_array)?.clone(),
            })
        });
        Ok(Self {
            // The action's own time is part of the key: one trigger names one interaction, and one action of it.
            key: format!(
                "slack/{}/{}",
                field(payload, "/trigger_id")?,
                action.get("action_ts").and_then(Value::as_str).unwrap_or_default()
            ),
            team: field(payload, "/team/id")?,
            enterprise: field(payload, "/enterprise/id").ok(),
            user_team: field(payload, "/user/team_id").ok(),
            channel: field(payload, "/channel/id")?,
            user: field(payload, "/user/id")?,
            response_url: address(payload),
            heard: Heard::Press(press),
            pressed: Some(PressedButton { label: field(action, "/text/text").unwrap_or_default(), message }),
        })
    }
}
