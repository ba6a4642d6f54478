//! Inbox, dispatch of effects, clock and concurrency limits. Knows no adapter.
