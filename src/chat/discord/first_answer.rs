//! What Discord is answered within its 3 s, before any work.
//! <https://discord.com/developers/docs/interactions/receiving-and-responding#interaction-response-object>

use serde_json::{Value, json};
use serenity::model::channel::MessageFlags;

use super::suggestions::{self, Suggestion};

/// The kinds of answers, as Discord numbers them; serenity keeps its list to itself.
const PONG: u8 = 1;
const MESSAGE: u8 = 4;
const MESSAGE_LATER: u8 = 5;
const UPDATE_LATER: u8 = 6;
const SUGGESTIONS: u8 = 8;
const FORM: u8 = 9;

/// The first answer to an interaction.
#[derive(Debug, Clone, PartialEq)]
pub enum FirstAnswer {
    /// We are there.
    Pong,
    /// An answer to this person alone will follow.
    Later,
    /// The message that was pressed may change; an answer to this person alone will follow.
    LaterBesideMessage,
    /// What fits what was typed so far.
    Suggestions(Vec<Suggestion>),
    /// A form to be filled in.
    Form(Value),
    /// All that there is to say, to this person alone: the data of a message.
    Told(Value),
}

impl FirstAnswer {
    /// The body of the response.
    pub fn body(&self) -> Value {
        match self {
            Self::Pong => json!({ "type": PONG }),
            Self::Later => json!({ "type": MESSAGE_LATER, "data": { "flags": private() } }),
            Self::LaterBesideMessage => json!({ "type": UPDATE_LATER }),
            Self::Suggestions(shown) => json!({ "type": SUGGESTIONS, "data": suggestions::body(shown) }),
            Self::Form(form) => json!({ "type": FORM, "data": form }),
            Self::Told(message) => json!({ "type": MESSAGE, "data": for_one_alone(message.clone()) }),
        }
    }
}

/// Marks a message as shown to one person alone.
pub(super) fn for_one_alone(mut message: Value) -> Value {
    if let Some(fields) = message.as_object_mut() {
        fields.insert("flags".to_owned(), private().into());
    }
    message
}

fn private() -> u64 {
    MessageFlags::EPHEMERAL.bits()
}
