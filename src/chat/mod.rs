//! The incident channel: card, command grammar, delivery, and one face a platform.
//!
//! - `card` and `posts` say what is shown, as facts and sentences without any platform's markup (pure);
//! - `grammar` reads what people type (pure);
//! - a face (`slack`, `discord`) draws the one and listens to the other; its [`Desk`] has requests answered by
//!   [`Answering`], which is the one place that turns what was said into an answer; [`Ask`] is the way to the engine.

mod answering;
mod answers;
mod ask;
mod bounded;
pub(crate) mod card;
mod desk;
#[cfg(feature = "discord")]
pub mod discord;
pub(crate) mod grammar;
pub(crate) mod heartbeat;
pub mod outbox;
mod outgoing;
mod outlived_presses;
pub(crate) mod page;
pub mod pager;
pub(crate) mod posts;
mod rate_limits;
mod roster;
pub mod slack;
pub(crate) mod terminal;
mod whose;

pub use answering::{Answering, AskedBack, Buttons, Heard, Place, Reply, Says};
pub use ask::{Ask, LIVE_MOST};
pub use desk::{AT_ONCE_MOST, BusyDesk, Desk, Reception};
pub use outbox::Look;
pub use outgoing::{Connector, Outgoing, OutgoingError, checked, connector};
pub use rate_limits::SendTurn;
pub use roster::Roster;
pub use whose::{OtherBot, Whose};
