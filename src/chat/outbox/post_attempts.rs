//! What this process knows of posts that failed: whether they may be in the channel all the same. Nothing decides by it
//! but whether a post is looked for before it is sent again; after a restart everything is looked for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The most posts that are remembered. Of one that is not remembered it is assumed that it may have got through.
const KEPT_MOST: usize = 10_000;

/// What is known of a post that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    /// It is surely not in the channel, and will be tried: the platform made it wait, or no call was made.
    Unsent,
    /// It is surely not in the channel: the platform refused it.
    Refused,
    /// The call failed in a way that leaves it open.
    Unsure,
}

/// The posts that were tried and not yet seen in the channel, by key. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct PostAttempts(Arc<Mutex<BTreeMap<String, Tried>>>);

impl PostAttempts {
    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Tried>)) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut kept);
        while kept.len() > KEPT_MOST {
            kept.pop_first();
        }
    }

    /// Whether a post may be in the channel already: `otherwise` says so where nothing is remembered.
    pub(super) fn may_be_there(&self, key: &str, otherwise: bool) -> bool {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key) {
            Some(Tried::Unsent | Tried::Refused) => false,
            Some(Tried::Unsure) => true,
            None => otherwise,
        }
    }

    /// It is surely not there.
    pub(super) fn unsent(&self, key: &str) {
        self.change(|kept| _ = kept.insert(key.to_owned(), Tried::Unsent));
    }

    /// The platform refused it.
    pub(super) fn refused(&self, key: &str) {
        self.change(|kept| _ = kept.insert(key.to_owned(), Tried::Refused));
    }

    /// Whether it was tried and met with an outage, so that it comes when that is over.
    pub(super) fn comes_later(&self, key: &str) -> bool {
        let tried = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied();
        tried.is_some_and(|tried| tried != Tried::Refused)
    }

    /// It may be there.
    pub(super) fn unsure(&self, key: &str) {
        self.change(|kept| _ = kept.insert(key.to_owned(), Tried::Unsure));
    }

    /// It is there.
    pub(super) fn sent(&self, key: &str) {
        self.change(|kept| _ = kept.remove(key));
    }

    /// How many posts wait, those that are edited in place left out.
    pub(super) fn waiting(&self) -> usize {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().filter(|(key, tried)| **tried != Tried::Unsure && !key.ends_with("/card")).count()
    }
}
