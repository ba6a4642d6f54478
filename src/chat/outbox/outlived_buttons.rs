//! Buttons that have grown old: a question that was decided by whichever way loses its buttons, and says how it ended.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::Sent;
use crate::{
    chat::{
        card::Line,
        outlived_presses::{still_works, why_gone},
    },
    incident::{Incident, IncidentId},
};

/// Of how many incidents posts with buttons are remembered; those of an incident that is not are read from its thread.
const INCIDENTS_MOST: usize = 500;
/// A post with buttons.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PostWithButtons<M> {
    pub(super) id: String,
    pub(super) message: M,
    /// The version of the incident that it shows; 0 where it was read from the thread. An older state of the incident
    /// knows nothing of what the post asks, and so takes no button off it.
    shows: u64,
}

impl<M: Sent> PostWithButtons<M> {
    /// A message that was just sent, if it has buttons.
    pub(super) fn sent(id: &str, message: &M, shows: u64) -> Option<Self> {
        (!message.presses().is_empty()).then(|| Self { id: id.to_owned(), message: message.clone(), shows })
    }

    /// A message as the platform keeps it, if it is a post of ours with buttons. The card is drawn anew by itself.
    pub(super) fn kept(id: String, message: M) -> Option<Self> {
        (!message.is_card() && !message.presses().is_empty()).then_some(Self { id, message, shows: 0 })
    }

    /// Why none of its buttons can work any more; `None` while one still can.
    fn outlived(&self, incident: &Incident) -> Option<Line> {
        let presses = self.message.presses();
        let works = presses.iter().any(|press| still_works(press, incident));
        presses.first().filter(|_| !works).map(|press| why_gone(&press.act, incident))
    }
}

/// What is known of an incident's posts with buttons.
#[derive(Debug)]
struct KnownPosts<M> {
    /// Whether these are all of them; else its thread has to be read.
    all: bool,
    posts: Vec<PostWithButtons<M>>,
}

impl<M> Default for KnownPosts<M> {
    fn default() -> Self {
        Self { all: false, posts: Vec::new() }
    }
}

/// Posts that still have buttons, by incident. A convenience of this process: what it does not know it reads from the
/// platform.
#[derive(Debug)]
pub(super) struct Shelf<M>(Mutex<BTreeMap<IncidentId, KnownPosts<M>>>);

impl<M> Default for Shelf<M> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<M: Sent> Shelf<M> {
    fn change<T>(&self, incident: IncidentId, change: impl FnOnce(&mut KnownPosts<M>) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(all.entry(incident).or_default());
        while all.len() > INCIDENTS_MOST {
            all.pop_first();
        }
        changed
    }

    /// Whether all posts of an incident are known.
    pub(super) fn knows(&self, incident: IncidentId) -> bool {
        self.change(incident, |known| known.all)
    }

    /// Learns the posts of an incident; from then on it is known.
    pub(super) fn learn(&self, incident: IncidentId, posts: impl IntoIterator<Item = PostWithButtons<M>>) {
        self.change(incident, |known| {
            for post in posts {
                // What this process sent itself it knows better.
                if known.posts.iter().all(|other| other.id != post.id) {
                    known.posts.push(post);
                }
            }
            known.all = true;
        });
    }

    /// Adds a post.
    pub(super) fn add(&self, incident: IncidentId, post: PostWithButtons<M>) {
        self.change(incident, |known| {
            known.posts.retain(|other| other.id != post.id);
            known.posts.push(post);
        });
    }

    /// The posts whose buttons cannot work any more, with the reason.
    pub(super) fn outlived(&self, incident: &Incident) -> Vec<(PostWithButtons<M>, Line)> {
        let outlived = |post: &PostWithButtons<M>| post.outlived(incident).map(|why| (post.clone(), why));
        let not_newer = |post: &&PostWithButtons<M>| post.shows <= incident.version;
        self.change(incident.id, |known| known.posts.iter().filter(not_newer).filter_map(outlived).collect())
    }

    /// The buttons of a post are gone.
    pub(super) fn forget(&self, incident: IncidentId, id: &str) {
        self.change(incident, |known| known.posts.retain(|post| post.id != id));
    }
}
