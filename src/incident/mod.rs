//! The incident: its state, what it can be asked, what happened to it, and what must be done. Pure.
//!
//! - a [`Command`] or an [`AlertSighting`] asks; `decide` answers with events or a [`Refusal`];
//! - an [`Outcome`] is what an effect came to; it is a fact and is always recorded (`settle`);
//! - `apply` changes the state; `effects` says what must now be done, and when.

mod alert;
mod effect;
mod event;
mod fix;
mod id;
mod outcome;
mod policy;
mod request;
mod state;

pub use alert::{AlertDelivery, AlertSighting, AlertStatus, Fingerprint, IncidentKey};
pub use effect::{CallReason, Destination, Face, NewEffect, Notice, Priority, Room, Timer, Work};
pub use event::{CloseReason, Event};
pub use fix::{Fix, FixEnd, FixPhase, PastFix, Round};
pub use id::{EvidenceDigest, IncidentId};
pub use outcome::Outcome;
pub use policy::Policy;
pub use request::{Act, Answer, Command, HandOffTo, Refusal};
pub use state::{Alert, Incident, Life, Line, Triage};
