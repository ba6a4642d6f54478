//! Messages that stand in a channel or thread, page by page.

use hyper::Method;
use serde_json::{Value, json};

use super::{Call, JSON, Named, Reads, Rest, read};
use crate::{
    bounds::{DISCORD_ANSWER_WEIGHT, weigh},
    chat::discord::error::DiscordError,
};

/// How many messages one page of a search has.
const PAGE: usize = 25;
/// How many pages are looked through.
const PAGES_MOST: usize = 20;

/// What was found among the newest messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest<T> {
    /// The newest first.
    pub picked: Vec<T>,
    /// Whether all was looked at that was asked for, or as many were found.
    pub is_complete: bool,
}

impl Rest {
    /// What `pick` takes of the messages of a channel or thread, back to that id and as far as is looked: until it has taken
    /// `most`.
    pub async fn newest<T: Send>(
        &self,
        channel: &str,
        back_to: &str,
        most: usize,
        pick: impl Fn(&Value) -> Option<T> + Send + Sync,
    ) -> Result<Newest<T>, DiscordError> {
        let number = |id: &str| id.parse::<u64>().unwrap_or_default();
        let (back_to, mut before, mut limit) = (number(back_to), None::<String>, PAGE);
        let mut found = Newest { picked: Vec::new(), is_complete: false };
        for _ in 0..PAGES_MOST {
            let page = self.page(channel, before.as_deref(), &mut limit).await?;
            let last = page.last().and_then(|message| message.get("id")?.as_str().map(str::to_owned));
            let is_wanted =
                |message: &&Value| message.get("id").and_then(Value::as_str).is_some_and(|id| number(id) >= back_to);
            found.picked.extend(page.iter().take_while(is_wanted).filter_map(&pick));
            match last {
                Some(last) if found.picked.len() < most && number(&last) >= back_to => before = Some(last),
                _ => {
                    found.is_complete = true;
                    break;
                }
            }
        }
        found.picked.truncate(most);
        Ok(found)
    }

    /// One page of messages before an id, the newest first. Where `limit` of them are more than is read at once it shrinks, for
    /// the pages after this one too.
    async fn page(&self, channel: &str, before: Option<&str>, limit: &mut usize) -> Result<Vec<Value>, DiscordError> {
        loop {
            let before = before.map(|id| format!("&before={id}")).unwrap_or_default();
            let path = format!("/channels/{channel}/messages?limit={limit}{before}");
            let call = Call::new("read messages", channel, Method::GET, path).reading(Reads::All);
            let name = call.name;
            match self.bytes(call, JSON, Vec::new()).await {
                Ok(answer) if weigh(&answer) <= DISCORD_ANSWER_WEIGHT => return read(name, &answer),
                // One message that is too much is passed over: it is none of ours.
                Ok(answer) if *limit == 1 => {
                    let ids: Vec<Named> = read(name, &answer)?;
                    return Ok(ids.into_iter().map(|message| json!({ "id": message.id })).collect());
                }
                Ok(_) => *limit /= 5,
                Err(DiscordError::TooLong { .. }) if *limit > 1 => *limit /= 5,
                Err(error) => return Err(error),
            }
        }
    }
}
