//! The durable journal: events, effects, deliveries and evidence, in one file.
//!
//! One writer gathers what many callers append into one durable transaction, with a savepoint each, so that a burst of
//! webhooks does not cost one fsync each and one conflict never fails its neighbours. Reads have connections of their
//! own and see committed data only.

mod alarm_mark;
mod append;
mod chain;
mod changes;
mod claims;
mod clock;
mod effects;
mod error;
mod files;
mod lanes;
mod lock;
mod open;
mod other_name;
mod overdue;
mod probe;
mod queries;
mod reached;
mod read;
mod rescue;
mod rows;
mod slots;
mod switch;
mod upkeep;
mod wal;
mod writer;
mod writer_state;

pub use append::{Append, Change, Finish, StoredAnswer};
pub use chain::{ChainLink, Verified, verify_chain};
pub use claims::{Claim, RoomCapacity};
pub use clock::ClockMove;
pub use effects::Backlog;
pub use error::{AppendError, JournalError};
pub use open::Journal;
pub use overdue::Overdue;
pub use probe::{Probed, probe};
pub use reached::MissingTransactions;
pub use read::{NewestOfKey, StoredEvent, StoredIncident};
pub use upkeep::FORGOTTEN_AT_ONCE;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::incident::EvidenceDigest;

/// The digest under which evidence is kept.
pub fn digest(evidence: &[u8]) -> EvidenceDigest {
    EvidenceDigest(hex::encode(Sha256::digest(evidence)))
}

/// The version of events and effects as this program writes them.
pub const RECORD_VERSION: i64 = 1;

/// The largest evidence that is stored: a few hundred log lines and certificates; more is a fault of the collector.
pub const EVIDENCE_MOST: usize = 4 * 1024 * 1024;

fn to_micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

fn from_micros(micros: i64) -> Timestamp {
    // What is out of range was never written by us; the earliest moment then makes it overdue rather than lost.
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
pub(crate) use tests::damage;

#[cfg(test)]
mod tests;
