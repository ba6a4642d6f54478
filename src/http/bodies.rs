//! Bounds the memory of request bodies over all routes. A body is read only when there is room for it; a sender whose body
//! does not fit gets 503 and comes again.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::crowd::{Arriving, Crowd, NoRoom, PIECE};
use crate::bounds;

/// How long a sender may take for its body.
const BODY_WITHIN: Duration = Duration::from_secs(5);
/// How long a request waits for room. Slack gives up after 3 s, and Alertmanager after ten.
const ROOM_WITHIN: Duration = Duration::from_secs(2);
/// After how many seconds a sender should come again.
pub const AGAIN_AFTER: &str = "5";
/// By how much a stranger's body grows at a time, in bytes.
const GROWS_BY: usize = 16 * 1024;

/// Who sends a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Somebody whose credentials were right.
    Known,
    /// Anybody, until the body shows whose it is.
    Stranger,
}

/// Why a body is not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyRefused {
    /// It never fits.
    #[error("the body is over {most} bytes")]
    TooLarge {
        /// How much is read.
        most: usize,
    },
    /// It would become too much.
    #[error("the body holds too many parts")]
    TooManyParts,
    /// There is no room for it now.
    #[error("too much is under way: send it again")]
    NoRoom,
    /// The sender is too slow.
    #[error("the body did not arrive within {} s: send it again", BODY_WITHIN.as_secs())]
    Slow,
    /// The connection ended.
    #[error("the body broke off ({0}): send it again")]
    BrokeOff(axum::Error),
}

impl BodyRefused {
    /// 413 says that it can never be accepted, 503 that it may be sent again.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge { .. } | Self::TooManyParts => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoRoom | Self::Slow | Self::BrokeOff(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Its name in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } | Self::TooManyParts => "too_large",
            Self::NoRoom => "no_room",
            Self::Slow => "slow",
            Self::BrokeOff(_) => "broke_off",
        }
    }
}

/// The room for bodies, shared by all routes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bodies {
    /// While those of known senders arrive.
    arriving: Arc<Semaphore>,
    /// While those of strangers arrive: neither keeps the other out.
    strangers: Arc<Crowd>,
    /// While they are read and stored.
    work: Arc<Semaphore>,
}

impl Default for Bodies {
    fn default() -> Self {
        let room = |bytes: usize| Arc::new(Semaphore::new(bytes.div_euclid(PIECE)));
        Self {
            arriving: room(bounds::BODIES - bounds::BODIES_OF_STRANGERS),
            strangers: Crowd::with_room_for(bounds::BODIES_OF_STRANGERS),
            work: room(bounds::WORK),
        }
    }
}

/// A body that arrived whole. It takes up room until it is dropped.
#[derive(Debug)]
pub struct Arrived {
    bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl std::ops::Deref for Arrived {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Room for what a body becomes, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct WorkRoom {
    _pieces: OwnedSemaphorePermit,
}

impl Bodies {
    /// Reads a body to its end. Of a known sender it is read once there is room for it: by its length, or for the longest
    /// where that is not said. A stranger's has room for what has come of it.
    pub async fn read(&self, request: Request, sender: Sender, most: usize) -> Result<Arrived, BodyRefused> {
        let length = length(request.headers()).unwrap_or(most);
        if length > most {
            return Err(BodyRefused::TooLarge { most });
        }
        let body = request.into_body();
        let (read, room) = match sender {
            Sender::Known => {
                // The pieces and the whole.
                let room = room(&self.arriving, length.saturating_mul(2)).await?;
                (tokio::time::timeout(BODY_WITHIN, whole(body, most)).await, Some(room))
            }
            Sender::Stranger => {
                let mut arriving = self.strangers.begin();
                let read = tokio::time::timeout(BODY_WITHIN, piece_by_piece(body, length, &mut arriving)).await;
                (read, arriving.whole())
            }
        };
        let bytes = read.unwrap_or(Err(BodyRefused::Slow))?;
        Ok(Arrived { bytes, _room: room })
    }

    /// Room for what a body becomes that weighs so much ([`bounds::weigh`]).
    pub async fn room_for(&self, weight: usize) -> Result<WorkRoom, BodyRefused> {
        if weight > bounds::WORK {
            return Err(BodyRefused::TooManyParts);
        }
        room(&self.work, weight).await.map(|pieces| WorkRoom { _pieces: pieces })
    }
}

async fn whole(body: Body, most: usize) -> Result<Bytes, BodyRefused> {
    to_bytes(body, most).await.map_err(|error| {
        if is_too_large(&error) { BodyRefused::TooLarge { most } } else { BodyRefused::BrokeOff(error) }
    })
}

/// Keeps what comes, `most` bytes at most, once there is room for it twice: it may be moved as it grows.
async fn piece_by_piece(mut body: Body, most: usize, arriving: &mut Arriving) -> Result<Bytes, BodyRefused> {
    let mut bytes = Vec::new();
    loop {
        let leave = arriving.held.leave.clone();
        let frame = tokio::select! {
            biased;
            () = leave.cancelled() => return Err(BodyRefused::NoRoom),
            frame = body.frame() => frame,
        };
        let Some(frame) = frame else { return Ok(bytes.into()) };
        let frame = frame.map_err(BodyRefused::BrokeOff)?;
        let Some(piece) = frame.data_ref() else { continue };
        let length = bytes.len().saturating_add(piece.len());
        if length > most {
            return Err(BodyRefused::TooLarge { most });
        }
        if length > bytes.capacity() {
            let more = piece.len().next_multiple_of(GROWS_BY).min(most.saturating_sub(bytes.len()));
            let wanted = bytes.len().saturating_add(more).saturating_sub(bytes.capacity());
            arriving.grow(wanted.saturating_mul(2), ROOM_WITHIN).await.map_err(|NoRoom| BodyRefused::NoRoom)?;
            bytes.reserve_exact(more);
        }
        bytes.extend_from_slice(piece);
    }
}

async fn room(of: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, BodyRefused> {
    let pieces = u32::try_from(bytes.div_ceil(PIECE)).map_err(|_| BodyRefused::NoRoom)?;
    let waited = tokio::time::timeout(ROOM_WITHIN, of.clone().acquire_many_owned(pieces)).await;
    waited.ok().and_then(Result::ok).ok_or(BodyRefused::NoRoom)
}

/// What a request says of the length of its body.
fn length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_too_large(error: &axum::Error) -> bool {
    use std::error::Error;
    error.source().is_some_and(<dyn Error>::is::<http_body_util::LengthLimitError>)
}
