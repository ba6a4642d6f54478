//! The card of an incident: posted once, edited in place, posted anew where somebody deleted it; and old buttons taken away with it.

use std::time::Duration;

use super::{
    CARD, Carrier, Outbox, PostWithButtons, SendError, Sent, Whither, done, in_thread, key, note_cuts, oldest, root_of,
};
use crate::{
    chat::card::Card,
    engine::{Done, PerformError, Task},
    incident::{Destination, Incident, Outcome, WebAddress},
};

/// How long the link to a card that was just posted may take.
const LINK_WITHIN: Duration = Duration::from_secs(3);

impl<C: Carrier> Outbox<C> {
    pub(super) async fn draw(&self, task: &Task, to: &Destination) -> Result<Done, PerformError> {
        let incident = &task.incident;
        let key = key(incident, CARD);
        let mut card = Card::of(incident).with_progress(task.progress.looked().as_ref());
        card.links.clone_from(&self.look.links);
        let card = if task.writes_enabled { card } else { card.with_writes_off() };
        let card = card.with_backlog(self.memory.waiting(), self.carrier.platform(), self.clock.now());
        let message = self.carrier.card(&card, &key);
        note_cuts(incident, &message);
        let known = match &task.root {
            Some(root) => Some(root.id.clone()),
            // A drawing takes the place of an older one of the same slot, whose answer may have been lost: a card of
            // before this process began is looked for at its first attempt too.
            None => self.posted_before(task, to, &key).await.map_err(Into::into)?,
        };
        // A storm joined it before its card was posted: there is nothing that would have to point to the storm's.
        if known.is_none() && incident.quiet {
            return Ok(Outcome::NoLongerWanted.into());
        }
        let mut posted = task.root.is_none();
        let id = match known {
            Some(id) => match self.carrier.edit(root_of(to), &id, &message).await {
                Ok(()) => id,
                // Somebody deleted it: a card is always owed.
                Err(error) if error.is_gone() => {
                    posted = true;
                    self.post_anew(task, to, &id, &message, &key).await.map_err(Into::into)?
                }
                Err(error) => return Err(error.into()),
            },
            None => self.put(root_of(to), &message, &key, true).await.map_err(Into::into)?,
        };
        self.memory.sent(&key);
        match &task.root {
            Some(root) => self.clear_away(incident, to, &root.id).await.map_err(Into::into)?,
            None if !self.is_older_than_this_process(incident) => self.shelf.learn(incident.id, []),
            None => {}
        }
        let outcome = if posted {
            Outcome::CardPosted { to: to.clone(), link: self.link_of(to, &id).await }
        } else {
            Outcome::Shown { to: to.clone(), first_card: false }
        };
        Ok(done(outcome, to, CARD, id, incident.version))
    }

    /// The card, where an attempt before this one may have posted it. Until that is known, what belongs in its thread waits.
    async fn posted_before(&self, task: &Task, to: &Destination, key: &str) -> Result<Option<String>, C::Error> {
        let incident = &task.incident;
        if !self.memory.may_be_there(key, task.attempt > 1 || self.is_older_than_this_process(incident)) {
            return Ok(None);
        }
        self.memory.unsure(key);
        match self.carrier.find(root_of(to), oldest(incident), key).await {
            // A card that is there twice is better than none.
            Err(error) if error.is_beyond_reach() => {
                tracing::warn!(incident = %incident.id, %error, "a card was not found among them, and is posted");
                Ok(None)
            }
            found => found,
        }
    }

    /// Posts a card in the place of one that somebody deleted, unless an attempt before this one did.
    async fn post_anew(
        &self,
        task: &Task,
        to: &Destination,
        deleted: &str,
        message: &C::Message,
        key: &str,
    ) -> Result<String, C::Error> {
        if let Some(found) = self.posted_before(task, to, key).await?.filter(|found| found != deleted) {
            self.carrier.edit(root_of(to), &found, message).await?;
            return Ok(found);
        }
        self.put(Whither { instead_of: Some(deleted), ..root_of(to) }, message, key, true).await
    }

    /// The link to a message. One that cannot be had soon holds nothing up: calls are then made without it.
    async fn link_of(&self, to: &Destination, id: &str) -> Option<WebAddress> {
        let asked = tokio::time::timeout(LINK_WITHIN, self.carrier.link(&to.channel, id));
        let link = match asked.await {
            Ok(Ok(link)) => WebAddress::parse(&link),
            Ok(Err(error)) => {
                tracing::info!(%error, "the link to a card is not known");
                None
            }
            Err(_) => None,
        };
        link.filter(|link| link.as_str().starts_with("https://"))
    }

    /// Takes the buttons off posts whose question was decided, by whichever way. A failure has the card drawn again, and
    /// this tried again with it.
    async fn clear_away(&self, incident: &Incident, to: &Destination, root: &str) -> Result<(), C::Error> {
        if !self.shelf.knows(incident.id) {
            match self.carrier.thread(&to.channel, root).await {
                Ok(posts) => {
                    // Beside them may stand posts of other incidents.
                    let kept = |(id, message): (String, C::Message)| {
                        let own = message.presses().iter().all(|press| press.incident == incident.id);
                        PostWithButtons::kept(id, message).filter(|_| own)
                    };
                    self.shelf.learn(incident.id, posts.into_iter().filter_map(kept));
                }
                // Draw the card all the same: the next drawing looks again, and so does the next press.
                Err(error) => tracing::warn!(incident = %incident.id, %error, "old buttons could not be looked for"),
            }
        }
        for (post, why) in self.shelf.outlived(incident) {
            match self.carrier.edit(in_thread(to, root), &post.id, &post.message.without_buttons(&why)).await {
                Err(error) if !error.is_refusal() => return Err(error),
                _ => self.shelf.forget(incident.id, &post.id),
            }
        }
        Ok(())
    }
}
