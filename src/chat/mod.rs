//! The incident channel: card, command grammar, delivery, and one face a platform.
//!
//! - `card` and `wording` say what is shown, as facts and sentences without any platform's markup (pure);
//! - `grammar` reads what people type (pure);
//! - a face (`slack`) draws the one and listens to the other; [`Ask`] is its way to the engine.

mod ask;
pub(crate) mod card;
#[cfg(feature = "discord")]
pub mod discord;
pub(crate) mod grammar;
pub(crate) mod heartbeat;
mod outgoing;
pub(crate) mod page;
pub mod pager;
pub mod slack;
pub(crate) mod terminal;
mod whose;
pub(crate) mod wording;

pub use ask::{Ask, LIVE_MOST};
pub use outgoing::{Connector, Outgoing, OutgoingError, checked, connector};
pub use whose::{OtherBot, Whose};
