//! The sentences of the thread: short, calm, specific, and with the next step said, for somebody who has just woken up.
//! Facts in, words out; each face adds its own markup. Pure.

mod call;
mod fixes;
mod notice;
mod raw;

#[cfg(test)]
mod tests;

pub(in crate::chat) use call::WITHOUT_A_JOURNAL;
pub use call::call;
pub use notice::notice;
pub use raw::{Raw, checks};

use notice::ASK_WITH_THE_BUTTON;

use super::card::{Button, Line, Link, plain, sentence, words};
use crate::{
    incident::WebAddress,
    people::{Mention, Platform},
};

/// What the link to the card says.
const CARD: &str = "Card";

/// One post into the incident's thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Post {
    /// What it says.
    pub lines: Vec<Line>,
    /// Raw output that goes below it in a block of code, or as a file when it is long.
    pub raw: Option<Raw>,
    /// The people and groups to mention, so that the platform notifies them.
    pub mentions: Vec<Mention>,
    /// Whether those who may approve fixes are mentioned as well; who they are stands in the live configuration.
    pub to_approvers: bool,
    /// Whether it is shown in the channel too, not only in the thread.
    pub broadcast: bool,
    /// Buttons for the next step.
    pub buttons: Vec<Button>,
    /// Where to look.
    pub links: Vec<Link>,
}

impl Post {
    fn saying(lines: Vec<Line>) -> Self {
        Self { lines, ..Self::default() }
    }

    /// The post as it is sent while fixes are switched off: no button that cannot work, and what can be done instead.
    pub fn with_writes_off(mut self) -> Self {
        let before = self.buttons.len();
        self.buttons.retain(|button| !button.press.needs_writes());
        if self.buttons.len() == before {
            return self;
        }
        let off = sentence(
            "Fixes are switched off: follow the runbook by hand, or an approver says `writes on`, where the \
             configuration allows fixes at all (writes).",
        );
        let asks = words(ASK_WITH_THE_BUTTON);
        match self.lines.iter_mut().find(|line| **line == asks) {
            Some(line) => *line = off,
            None => self.lines.push(off),
        }
        self
    }

    /// The post as one platform shows it: nobody is mentioned who is known elsewhere.
    pub fn on(mut self, platform: Platform) -> Self {
        self.mentions.retain(|one| one.platform == platform);
        self
    }

    /// The post with the card where its own people find it, in the place of a card elsewhere.
    pub fn with_card(mut self, card: Option<&WebAddress>) -> Self {
        let had = self.links.iter().position(|link| link.label == CARD);
        if let Some(place) = had {
            self.links.remove(place);
        }
        if let (Some(place), Some(card)) = (had, card) {
            self.links.insert(place, Link { label: CARD.to_owned(), url: card.as_str().to_owned() });
        }
        self
    }

    /// The post with the links of the configuration, where it has none of that name itself.
    pub fn or_links(mut self, configured: &[Link]) -> Self {
        for link in configured {
            if !self.links.iter().any(|own| own.label == link.label) {
                self.links.push(link.clone());
            }
        }
        self
    }

    /// The post without any markup: for notifications, screen readers and terminals.
    pub fn summary(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(|line| plain(line)).collect();
        lines.join("\n")
    }
}
