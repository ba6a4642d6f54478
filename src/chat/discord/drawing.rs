//! How the desk of this face draws.

use super::{
    Drawing,
    message::{self, Message},
};
use crate::chat::{Reply, Says};

/// Replies as Discord shows them.
pub fn drawing() -> Drawing {
    Drawing {
        reply: |reply, signature| {
            let message = drawn(reply);
            signature.map_or_else(|| message.clone(), |who| message.clone().signed(who)).body()
        },
    }
}

fn drawn(reply: &Reply) -> Message {
    match &reply.says {
        Says::Lines(lines) => message::answer(lines),
        Says::Card(card) => message::card(card, &format!("status/{}", card.incident)),
    }
}
