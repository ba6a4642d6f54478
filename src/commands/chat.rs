//! What a chat is to `serve`: something that posts go out by and that requests come in by.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::{
    chat::{Desk, Reception},
    clock::Clock,
    engine::{Inbox, Perform},
    http::Bodies,
    incident::Room,
};

/// A chat that is configured, its secrets read.
pub trait ChatParts: Send {
    /// What posts go out through.
    fn face(&self) -> (Room, Arc<dyn Perform>);
    /// What requests come in by.
    fn listen(self: Box<Self>, inbox: Inbox, clock: Arc<dyn Clock>, bodies: Bodies) -> Listening;
}

/// How a chat is heard.
pub struct Listening {
    /// Where signed requests come in; empty where the bot itself opens a connection.
    pub routes: Router,
    /// The connection that the bot opens.
    pub connection: Option<Connection>,
    /// What people were told is taken.
    pub desk: Arc<dyn Finishing>,
}

/// A connection that is held until the bot stops.
pub struct Connection {
    /// Holds it.
    pub run: Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>,
    /// Whether it is open, for `/readyz`.
    pub is_open: Box<dyn Fn() -> bool + Send + Sync>,
    /// What it means when it is not, and what to do.
    pub when_closed: &'static str,
}

/// Something that finishes what it has taken.
#[async_trait]
pub trait Finishing: Send + Sync {
    /// Returns when nothing is being worked on any more.
    async fn finished(&self);
}

#[async_trait]
impl<R: Reception> Finishing for Desk<R> {
    async fn finished(&self) {
        self.quiet().await;
    }
}
