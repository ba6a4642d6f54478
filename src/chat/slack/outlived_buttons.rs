//! Buttons that have grown old: a question that was decided by whichever way loses its buttons, and says how it ended.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

use super::{block_kit::Message, mrkdwn};
use crate::{
    chat::{
        card::{Line, Press},
        outlived_presses::{still_works, why_gone},
    },
    incident::{Incident, IncidentId},
};

/// Of how many incidents posts with buttons are remembered; those of an incident that is not are read from its thread.
const INCIDENTS_MOST: usize = 500;
/// Units of the line that stands where the buttons were.
const WHY_MOST: usize = 500;

/// A post with buttons.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PostWithButtons {
    pub(super) id: String,
    /// Its plain text.
    pub(super) text: String,
    pub(super) blocks: Vec<Value>,
    /// The version of the incident that it shows; 0 where it was read from the thread. An older state of the incident
    /// knows nothing of what the post asks, and so takes no button off it.
    pub(super) shows: u64,
}

impl PostWithButtons {
    /// A message that was just sent, if it has buttons.
    pub(super) fn sent(id: &str, message: &Message, shows: u64) -> Option<Self> {
        let standing = Self { id: id.to_owned(), text: message.text.clone(), blocks: message.blocks.clone(), shows };
        (!standing.presses().is_empty()).then_some(standing)
    }

    /// A message as Slack keeps it, if it is a post of ours with buttons. The card is drawn anew by itself.
    pub(super) fn kept(message: &Value) -> Option<Self> {
        let blocks = message.get("blocks").and_then(Value::as_array)?.clone();
        let field = |name: &str| message.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let standing = Self { id: field("ts")?, text: field("text").unwrap_or_default(), blocks, shows: 0 };
        (!is_card(&standing.blocks) && !standing.presses().is_empty()).then_some(standing)
    }

    /// What its buttons ask for.
    fn presses(&self) -> Vec<Press> {
        let actions = self.blocks.iter().filter_map(|block| block.get("elements").and_then(Value::as_array));
        let values = actions.flatten().filter_map(|element| element.get("value").and_then(Value::as_str));
        values.filter_map(|value| serde_json::from_str(value).ok()).collect()
    }

    /// Why none of its buttons can work any more; `None` while one still can.
    pub(super) fn outlived(&self, incident: &Incident) -> Option<Line> {
        let presses = self.presses();
        let works = presses.iter().any(|press| still_works(press, incident));
        presses.first().filter(|_| !works).map(|press| why_gone(&press.act, incident))
    }
}

/// Whether these are the blocks of a card, which is drawn anew by its own effect.
pub(super) fn is_card(blocks: &[Value]) -> bool {
    blocks.iter().any(|block| block.get("block_id").and_then(Value::as_str).is_some_and(|key| key.ends_with("/card")))
}

/// The blocks without their buttons, and a line in their place.
pub(super) fn without_buttons(blocks: &[Value], why: &Line) -> Vec<Value> {
    let (why, _) = mrkdwn::line(why, WHY_MOST);
    let kind = |block: &Value| block.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    // A line that an earlier press left is replaced by the newer one.
    let mut kept: Vec<Value> =
        blocks.iter().filter(|block| !matches!(kind(block).as_str(), "actions" | "context")).cloned().collect();
    kept.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": why, "verbatim": true }] }));
    kept
}

/// What is known of an incident's posts with buttons.
#[derive(Debug, Default)]
struct KnownPosts {
    /// Whether these are all of them; else its thread has to be read.
    all: bool,
    posts: Vec<PostWithButtons>,
}

/// Posts that still have buttons, by incident. A convenience of this process: what it does not know it reads from Slack.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<BTreeMap<IncidentId, KnownPosts>>);

impl Shelf {
    fn change<T>(&self, incident: IncidentId, change: impl FnOnce(&mut KnownPosts) -> T) -> T {
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
    pub(super) fn learn(&self, incident: IncidentId, posts: impl IntoIterator<Item = PostWithButtons>) {
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
    pub(super) fn add(&self, incident: IncidentId, post: PostWithButtons) {
        self.change(incident, |known| {
            known.posts.retain(|other| other.id != post.id);
            known.posts.push(post);
        });
    }

    /// The posts whose buttons cannot work any more, with the reason.
    pub(super) fn outlived(&self, incident: &Incident) -> Vec<(PostWithButtons, Line)> {
        let outlived = |post: &PostWithButtons| post.outlived(incident).map(|why| (post.clone(), why));
        let not_newer = |post: &&PostWithButtons| post.shows <= incident.version;
        self.change(incident.id, |known| known.posts.iter().filter(not_newer).filter_map(outlived).collect())
    }

    /// The buttons of a post are gone.
    pub(super) fn forget(&self, incident: IncidentId, id: &str) {
        self.change(incident, |known| known.posts.retain(|post| post.id != id));
    }
}
