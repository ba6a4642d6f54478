//! Inbox, dispatch of effects, clock and concurrency limits. Knows no adapter.

mod perform;

pub use perform::{Delivery, Done, MessageRef, Perform, PerformError, SubmitError, Task};
