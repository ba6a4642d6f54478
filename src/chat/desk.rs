//! Where requests of people arrive: worked on in the background, since platforms want a first answer within 3 s, whatever the
//! work takes; bounded, and the same on every face.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{
    answering::{Answering, Buttons, Heard, Place, Reply},
    answers,
    card::{Line, person, text, words},
};
use crate::people::Actor;

/// How many requests are worked on at once; one more is asked to try again. A press costs two or three calls to a platform.
pub const AT_ONCE_MOST: usize = 64;
/// How many people the bot tells at once that it is busy; each costs one call.
const TOLD_BUSY_MOST: usize = 16;

/// Too much is being worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bot is busy: try again in a moment")]
pub struct BusyDesk;

/// How a platform's own requests are read and answered.
#[async_trait]
pub trait Reception: Send + Sync + 'static {
    /// A request as the platform sends it.
    type Asked: Send + Sync + 'static;

    /// What the person said.
    fn heard<'a>(&self, asked: &'a Self::Asked) -> &'a Heard;
    /// The platform's own name for this one request: the same when it is sent again.
    fn key<'a>(&self, asked: &'a Self::Asked) -> &'a str;
    /// The person's id, for the log.
    fn user<'a>(&self, asked: &'a Self::Asked) -> &'a str;
    /// Where it was said.
    fn place(&self) -> Place<'_>;
    /// Why the request is not this bot's to answer: another workspace, another channel.
    fn not_ours(&self, asked: &Self::Asked) -> Option<&'static str>;
    /// The person, with the rights they have now.
    async fn actor(&self, asked: &Self::Asked) -> Actor;
    /// What the person is told where the platform showed them that what they asked had failed, so that they may want it no more;
    /// known after [`Self::actor`].
    fn shown_as_failed(&self, _: &Self::Asked) -> Option<&'static str> {
        None
    }
    /// The words on the button, where it stands in a post. The card is drawn anew by its own effect: an edit here could
    /// overtake it with an older state.
    fn pressed_in_post<'a>(&self, asked: &'a Self::Asked) -> Option<&'a str>;
    /// Shows the pressed post with its buttons, or with a line in their place.
    async fn mark(&self, asked: &Self::Asked, buttons: &Buttons);
    /// Answers privately. `signature` says first who speaks.
    async fn whisper(&self, asked: &Self::Asked, reply: &Reply, signature: Option<&str>);
    /// Whether a person who is sent away is told so by a private answer: a command has an answer of its own that the platform
    /// shows, a press has none.
    fn told_busy_apart(&self, asked: &Self::Asked) -> bool {
        matches!(self.heard(asked), Heard::Press(_))
    }
    /// Counts a request that was refused before anything was decided.
    fn count_refusal(&self, reason: &'static str);
}

/// The desk of one face.
pub struct Desk<R> {
    reception: R,
    answering: Answering,
    places: Arc<Semaphore>,
    spare: Arc<Semaphore>,
}

impl<R: Reception> Desk<R> {
    /// A desk.
    pub fn new(reception: R, answering: Answering) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(AT_ONCE_MOST));
        let spare = Arc::new(Semaphore::new(TOLD_BUSY_MOST));
        Arc::new(Self { reception, answering, places, spare })
    }

    /// Counts a request that could not be read.
    pub fn count_refusal(&self, reason: &'static str) {
        self.reception.count_refusal(reason);
    }

    /// The platform's side of it.
    pub fn reception(&self) -> &R {
        &self.reception
    }

    /// The bot's side of it.
    pub fn answering(&self) -> &Answering {
        &self.answering
    }

    /// Takes a request and works on it in the background.
    pub fn take(self: &Arc<Self>, asked: R::Asked) -> Result<(), BusyDesk> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.say_busy(asked);
            return Err(BusyDesk);
        };
        let desk = Arc::clone(self);
        tokio::spawn(async move {
            desk.work(&asked).await;
            drop(place);
        });
        Ok(())
    }

    /// Tells somebody whose request could not be taken.
    fn say_busy(self: &Arc<Self>, asked: R::Asked) {
        tracing::warn!(user = self.reception.user(&asked), "a request was sent away: the bot is busy");
        self.reception.count_refusal("busy");
        let Ok(place) = Arc::clone(&self.spare).try_acquire_owned() else { return };
        if self.reception.told_busy_apart(&asked) {
            let desk = Arc::clone(self);
            tokio::spawn(async move {
                let what = if matches!(desk.reception.heard(&asked), Heard::Press(_)) { "press" } else { "command" };
                let busy = words(format!("The bot is busy, and your {what} was not taken: try again in a moment."));
                desk.whisper(&asked, vec![busy]).await;
                drop(place);
            });
        }
    }

    /// Returns when nothing is being worked on any more; for a graceful stop and for tests.
    pub async fn quiet(&self) {
        let all = u32::try_from(AT_ONCE_MOST).unwrap_or(u32::MAX);
        drop(self.places.acquire_many(all).await);
        drop(self.spare.acquire_many(u32::try_from(TOLD_BUSY_MOST).unwrap_or(u32::MAX)).await);
    }

    async fn whisper(&self, asked: &R::Asked, reply: impl Into<Reply>) {
        self.reception.whisper(asked, &reply.into(), self.answering.signature().as_deref()).await;
    }

    async fn work(&self, asked: &R::Asked) {
        if let Some(refusal) = self.reception.not_ours(asked) {
            return self.whisper(asked, vec![words(refusal)]).await;
        }
        let heard = self.reception.heard(asked);
        if let Err(other) = self.answering.of_this_bot(heard) {
            tracing::warn!(incident = %other.incident, cluster = other.theirs, "a press was meant for the bot of another cluster");
            self.reception.count_refusal("other_bot");
            return self.whisper(asked, vec![answers::sentence(&other)]).await;
        }
        let actor = self.reception.actor(asked).await;
        if let Some(failed) = self.reception.shown_as_failed(asked).filter(|_| heard.needs_to_be_meant_still()) {
            tracing::warn!(user = self.reception.user(asked), "what was asked came too late, and was not done");
            self.reception.count_refusal("shown_as_failed");
            return self.whisper(asked, vec![words(failed)]).await;
        }
        if let (Heard::Press(press), Some(label)) = (heard, self.reception.pressed_in_post(asked)) {
            return self.press(asked, press.as_ref(), label, actor).await;
        }
        let reply = self.answer(asked, actor).await;
        self.whisper(asked, reply).await;
    }

    async fn answer(&self, asked: &R::Asked, actor: Actor) -> Reply {
        let reception = &self.reception;
        self.answering.answer(reception.heard(asked), actor, reception.key(asked), &reception.place()).await
    }

    /// The buttons go away at the click, while it is being decided; but not because of people who may press nothing.
    async fn press(&self, asked: &R::Asked, press: Option<&super::card::Press>, label: &str, actor: Actor) {
        let may_press = !actor.roles.is_empty();
        let by = actor.id.clone();
        let pressed: Line = vec![person(&by), text(format!(" pressed {label}: it is being decided."))];
        let marking = async {
            if may_press {
                self.reception.mark(asked, &Buttons::Go(pressed)).await;
            }
        };
        let (reply, ()) = tokio::join!(self.answer(asked, actor), marking);
        let settling = async {
            let buttons = self.answering.buttons_after(press, label, &by, reply.done).await;
            if may_press || buttons != Buttons::Stay {
                self.reception.mark(asked, &buttons).await;
            }
        };
        tokio::join!(settling, self.whisper(asked, reply.clone()));
    }
}

impl<R> std::fmt::Debug for Desk<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("answering", &self.answering).finish_non_exhaustive()
    }
}
