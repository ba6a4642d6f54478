//! The hash chain of an incident's events: SHA-256 over the link before and the stored bytes, so that nothing in the
//! middle of a night can be changed, taken out or put in without being found.

use sha2::{Digest, Sha256};
use sqlx::SqliteConnection;

use super::Journal;
use crate::incident::IncidentId;

/// One stored event, as the chain sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainLink {
    /// Its place, from 1.
    pub seq: i64,
    /// When, in microseconds.
    pub at: i64,
    /// The stored bytes.
    pub body: Vec<u8>,
    /// The hash before.
    pub previous: Vec<u8>,
    pub hash: Vec<u8>,
}

/// What verifying a chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// It holds; the hash of its last event, to be compared with an anchored one.
    Holds {
        /// How many events.
        events: usize,
        /// In hexadecimal.
        head: String,
    },
    /// It is broken at this event.
    BrokenAt {
        /// Its place, from 1.
        seq: i64,
    },
}

/// The link of the event at `seq`.
pub(super) fn link(previous: &[u8], incident: i64, seq: i64, at: i64, body: &[u8]) -> Vec<u8> {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update(incident.to_be_bytes());
    hasher.update(seq.to_be_bytes());
    hasher.update(at.to_be_bytes());
    hasher.update(body);
    hasher.finalize().to_vec()
}

/// The hash of the event at `seq`; of nothing for a new incident.
pub(super) async fn head(db: &mut SqliteConnection, incident: i64, seq: u64) -> Result<Vec<u8>, sqlx::Error> {
    if seq == 0 {
        return Ok(Vec::new());
    }
    sqlx::query_scalar("SELECT hash FROM events WHERE incident = ? AND seq = ?")
        .bind(incident)
        .bind(i64::try_from(seq).unwrap_or(i64::MAX))
        .fetch_one(db)
        .await
}

/// Verifies the events of one incident, in order.
pub fn verify_chain(incident: IncidentId, links: &[ChainLink]) -> Verified {
    let mut previous = Vec::new();
    for (expected, one) in (1_i64..).zip(links) {
        let hash = link(&previous, i64::from(incident.number()), one.seq, one.at, &one.body);
        if one.seq != expected || one.previous != previous || one.hash != hash {
            return Verified::BrokenAt { seq: expected };
        }
        previous = hash;
    }
    Verified::Holds { events: links.len(), head: hex::encode(previous) }
}

impl Journal {
    /// Writes the heads of these incidents' chains into the log, where a person who changes the journal cannot reach them.
    pub async fn anchor(&self, incidents: &[IncidentId]) {
        for incident in incidents {
            let head: Result<Option<(i64, Vec<u8>)>, sqlx::Error> =
                sqlx::query_as("SELECT seq, hash FROM events WHERE incident = ? ORDER BY seq DESC LIMIT 1")
                    .bind(i64::from(incident.number()))
                    .fetch_optional(&self.readers)
                    .await;
            match head {
                Ok(Some((events, hash))) => {
                    tracing::info!(%incident, events, head = hex::encode(hash), "the head of the journal's chain");
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%incident, %error, "the head of the chain could not be read"),
            }
        }
    }
}
