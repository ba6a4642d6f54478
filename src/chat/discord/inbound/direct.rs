//! What is answered at once: forms, suggestions, questions that are asked back; and the announcement of all the rest.

use std::{sync::Arc, time::Duration};

use super::{Direct, DiscordDesk, DiscordReception, announcement};
use crate::chat::{
    AskedBack, BusyDesk, Reception,
    answers::sentence,
    card::{Line, Press, words},
    discord::{
        FirstAnswer, Hear,
        interaction::{Asked, Typing},
        message::ask_back,
        suggestions::suggest,
    },
};

/// How long open incidents are waited for, to suggest them: Discord waits 3 s.
const SUGGESTED_WITHIN: Duration = Duration::from_millis(1_500);

impl DiscordDesk {
    /// The first answer over HTTP, as the body of the response. What needs work goes on after it.
    pub async fn first_answer(self: &Arc<Self>, asked: Asked) -> FirstAnswer {
        match self.reception().direct(&asked) {
            Some(Direct::Answer(answer)) => return answer,
            Some(Direct::Suggest(typing)) => return self.suggestions(&typing).await,
            Some(Direct::AskBack(press)) => {
                if let Some(question) = self.question(&press).await {
                    return question;
                }
            }
            None => {}
        }
        let announcement = announcement(&asked);
        match self.take(DiscordReception::request(asked, true)) {
            Ok(()) => announcement,
            Err(busy) => FirstAnswer::Told((self.reception().drawing.reply)(&vec![sentence(&busy)].into(), None)),
        }
    }

    /// What an unconfirmed press is answered with; `None` where it asks nothing back, and so counts.
    async fn question(&self, press: &Press) -> Option<FirstAnswer> {
        let signature = self.answering().signature();
        let told = |line: Line| {
            let drawn = (self.reception().drawing.reply)(&vec![line].into(), signature.as_deref());
            Some(FirstAnswer::Told(drawn))
        };
        let asked = tokio::time::timeout(SUGGESTED_WITHIN, self.answering().asked_back(press)).await;
        match asked.unwrap_or(AskedBack::NotKnown) {
            AskedBack::Nothing => None,
            AskedBack::Confirm(confirm) => {
                let question = ask_back(&confirm, press);
                let question = signature.map_or_else(|| question.clone(), |who| question.clone().signed(&who));
                Some(FirstAnswer::Told(question.body()))
            }
            AskedBack::Gone(why) => told(why),
            AskedBack::NotKnown => told(words(
                "How the incident stands could not be read in time, so your press was not taken: press again in a moment.",
            )),
        }
    }

    async fn suggestions(&self, typing: &Typing) -> FirstAnswer {
        let live = tokio::time::timeout(SUGGESTED_WITHIN, self.answering().live()).await;
        let live = live.ok().and_then(Result::ok).unwrap_or_default();
        FirstAnswer::Suggestions(suggest(typing, &live, &self.reception().home.whose))
    }
}

impl Hear for DiscordDesk {
    fn interaction(self: Arc<Self>, json: &str) {
        let asked = match Asked::read(json) {
            Ok(asked) => asked,
            Err(error) => {
                tracing::warn!(%error, "an interaction of Discord's was not understood");
                return self.reception().count_refusal("unreadable");
            }
        };
        let Some(direct) = self.reception().direct(&asked) else {
            // The desk tells the person that it is busy.
            let (Ok(()) | Err(BusyDesk)) = self.take(DiscordReception::request(asked, false));
            return;
        };
        let places = match direct {
            Direct::Suggest(_) => &self.reception().suggested,
            Direct::Answer(_) | Direct::AskBack(_) => &self.reception().direct,
        };
        let Ok(place) = Arc::clone(places).try_acquire_owned() else {
            return self.reception().count_refusal("busy");
        };
        tokio::spawn(async move {
            let answer = match direct {
                Direct::Answer(answer) => Some(answer),
                Direct::Suggest(typing) => Some(self.suggestions(&typing).await),
                Direct::AskBack(press) => self.question(&press).await,
            };
            if let Some(answer) = answer {
                self.reception().first(&asked, answer).await;
            } else {
                let (Ok(()) | Err(BusyDesk)) = self.take(DiscordReception::request(asked, false));
            }
            drop(place);
        });
    }

    fn count_refusal(&self, reason: &'static str) {
        self.reception().count_refusal(reason);
    }
}
