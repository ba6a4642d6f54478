//! The demo's web page as the incident channel: a card, its thread, buttons, a command line. Loopback only.
//!
//! The page gets facts as JSON and builds its elements with text nodes, so nothing from outside is ever markup. What it
//! shows is kept in memory and bounded; nothing decides by it (invariant 12).

mod guard;
mod routes;
mod thread;

pub use routes::{Backstage, router};
pub use thread::DemoChannel;
