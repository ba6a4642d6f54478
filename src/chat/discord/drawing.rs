//! How the desk of this face draws.

use super::{
    Drawing,
    custom_id::DiscordPress,
    markdown,
    message::{self, Message},
};
use crate::chat::{Reply, Says};

/// Units of a line that stands where buttons were.
const LINE_MOST: usize = 500;

/// Replies and lines as Discord shows them.
pub fn drawing() -> Drawing {
    Drawing {
        reply: |reply, signature| {
            let message = drawn(reply);
            signature.map_or_else(|| message.clone(), |who| message.clone().signed(who)).private_body()
        },
        line: |line| markdown::line(line, LINE_MOST).0,
        press: |id| Some(DiscordPress::parse(id)?.press),
    }
}

fn drawn(reply: &Reply) -> Message {
    match &reply.says {
        Says::Lines(lines) => message::answer(lines),
        Says::Card(card) => message::card(card, &format!("status/{}", card.incident)),
    }
}
