//! The incident: its state, what it can be asked, what happened to it, and what must be done. Pure.
//!
//! - a [`Command`] or an [`AlertSighting`] asks; `decide` answers with events or a [`Refusal`];
//! - an [`Outcome`] is what an effect came to; it is a fact and is always recorded (`settle`);
//! - `apply` changes the state; `effects` says what must now be done, and when.

mod alert;
mod alert_seen;
mod apply;
mod apply_calls;
mod apply_fix;
mod calls;
mod cause;
mod clock_set;
mod cut_off;
mod decide;
mod delivery;
mod effect;
mod effects;
mod episode;
mod escalate;
mod event;
mod fate;
mod fix;
mod history;
mod id;
mod key;
mod notice;
mod numbers;
mod offer;
mod on_start;
mod outcome;
mod own_cluster;
mod policy;
mod reason;
mod request;
mod settle;
mod settle_fix;
mod state;
mod still_wanted;
mod storm;
mod switch;
mod web_address;

pub use alert::{AlertDelivery, AlertSighting, AlertStatus, Fingerprint, Unseeing};
pub use alert_seen::{AlertEffect, SightingContext, end_cut_off, sight};
pub use apply::{apply, begin};
pub use calls::{Calls, DIAGNOSIS_WAIT, FirstCall, LevelCall, PageState, PagerAlert, UnexplainedMention, page_key};
pub use cause::{CallLinks, Cause, Lacks, MentionPost};
pub use clock_set::moved;
pub use decide::{Joining, NOTE_MOST, Share, Taken, can_take_in, decide, join, may_take_all, share, wants_to_join};
pub use delivery::{Delivery, MessageRef};
pub use effect::{CallReason, Destination, Face, NewEffect, PageEnd, Priority, Room, Timer, Work};
pub use effects::{effects, redraw};
pub use episode::ends_beside;
pub use event::Event;
pub use fate::PlanFate;
pub use fix::{Fix, FixEnd, FixPhase, PastFix, Round, Run};
pub use id::{EvidenceDigest, IncidentId, Keeper, NotAnIncidentId, TypedId};
pub use key::{IncidentKey, distinct};
pub use notice::Notice;
pub use numbers::{FixNumber, RunNumber};
pub use offer::{asking, carries_out, offer, times_without_effect, to_verify, untouched};
pub use on_start::on_start;
pub use outcome::Outcome;
pub use own_cluster::{OwnCluster, say_aloud};
pub use policy::Policy;
pub use reason::{CloseReason, ClosedBy, Follows};
pub use request::{Act, Answer, CLOSING_WHILE_IT_FIRES, Command, HandOffTo, Refusal, TakeAll};
pub use settle::settle;
pub use state::{ALERTS_MOST, Alert, EarlierVerdict, HistoryLine, Incident, IncidentStatus, Triage};
pub use still_wanted::still_wanted;
pub use storm::{QuietOnes, StormLook, held_back, leave_storm, storm, storm_key};
pub use switch::{REASON_MOST, SwitchRequest, WriteSwitch, answer_to_switch, decide_switch, switched};
pub use web_address::WebAddress;

#[cfg(test)]
pub(crate) mod tests;
