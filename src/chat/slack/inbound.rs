//! Slack's side of the desk: which requests are ours, who asks, and how a private answer gets back.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    asked::{Asked, Pressed},
    block_kit::{self, Message},
    client::Client,
    notation::SlackNotation,
    outbox::{is_card, without_buttons},
    people::Directory,
};
use crate::{
    chat::{Answering, Ask, Buttons, Desk, Heard, Place, Reception, Reply, Says, Whose},
    clock::Clock,
    escalation::LevelNumber,
    people::{Actor, Platform},
};

/// Slack's own host for private answers.
pub const SLACK_HOOKS: &str = "https://hooks.slack.com";

/// Which workspace and channels are ours.
#[derive(Debug, Clone)]
pub struct Home {
    /// The workspace.
    pub team: String,
    /// The organisation, on Enterprise Grid.
    pub enterprise: Option<String>,
    /// The channels that are listened to.
    pub channels: BTreeSet<String>,
    /// Which bot this is.
    pub whose: Whose,
    /// Which user groups stand for which level.
    pub groups: Vec<(String, LevelNumber)>,
    /// [`SLACK_HOOKS`] outside of tests: no other address is answered to.
    pub hooks: String,
}

/// The desk of the Slack face.
pub type SlackDesk = Desk<SlackReception>;

/// Slack's side of the desk.
pub struct SlackReception {
    client: Client,
    directory: Arc<Directory>,
    home: Home,
}

impl SlackReception {
    /// The desk of one workspace.
    pub fn desk(
        ask: Arc<dyn Ask>,
        client: Client,
        directory: Arc<Directory>,
        home: Home,
        clock: Arc<dyn Clock>,
    ) -> Arc<SlackDesk> {
        let answering = Answering::new(ask, home.whose.clone(), clock);
        Desk::new(Self { client, directory, home }, answering)
    }

    async fn edit(&self, asked: &Asked, message: &Pressed, blocks: &[Value]) {
        if let Err(error) = self.client.update(&asked.channel, &message.id, &message.text, blocks).await {
            tracing::warn!(%error, "the buttons of a post that was pressed could not be changed");
        }
    }

    /// Whether an address for answers is Slack's own: nothing else is ever called because a payload says so.
    fn is_slacks(&self, address: &str) -> bool {
        let origin = |address: &str| url::Url::parse(address).map(|parsed| parsed.origin()).ok();
        let (theirs, ours) = (origin(address), origin(&self.home.hooks));
        theirs.is_some() && theirs == ours
    }
}

/// The post in which a button was pressed, unless it is a card.
fn post(asked: &Asked) -> Option<&Pressed> {
    asked.pressed.as_ref().and_then(|pressed| pressed.message.as_ref()).filter(|message| !is_card(&message.blocks))
}

#[async_trait]
impl Reception for SlackReception {
    type Asked = Asked;

    fn heard<'a>(&self, asked: &'a Asked) -> &'a Heard {
        &asked.heard
    }

    fn key<'a>(&self, asked: &'a Asked) -> &'a str {
        &asked.key
    }

    fn user<'a>(&self, asked: &'a Asked) -> &'a str {
        &asked.user
    }

    fn place(&self) -> Place<'_> {
        Place {
            platform: Platform::Slack,
            workspace: &self.home.team,
            notation: &SlackNotation,
            groups: &self.home.groups,
        }
    }

    fn not_ours(&self, asked: &Asked) -> Option<&'static str> {
        let other_team = asked.team != self.home.team
            || asked.user_team.as_ref().is_some_and(|team| *team != self.home.team)
            || (self.home.enterprise.is_some() && asked.enterprise != self.home.enterprise);
        let elsewhere = !self.home.channels.contains(&asked.channel);
        let (reason, refusal) = match (other_team, elsewhere) {
            (true, _) => ("foreign_team", "This bot listens to people of its own workspace only."),
            (_, true) => ("foreign_channel", "This bot listens in its incident channel only: please ask there."),
            (false, false) => return None,
        };
        self.count_refusal(reason);
        tracing::warn!(team = asked.team, channel = asked.channel, user = asked.user, "{refusal}");
        Some(refusal)
    }

    async fn actor(&self, asked: &Asked) -> Actor {
        self.directory.actor(&asked.user).await
    }

    fn pressed_in_post<'a>(&self, asked: &'a Asked) -> Option<&'a str> {
        post(asked)?;
        asked.pressed.as_ref().map(|pressed| pressed.label.as_str())
    }

    async fn mark(&self, asked: &Asked, buttons: &Buttons) {
        let Some(message) = post(asked) else { return };
        match buttons {
            Buttons::Stay => self.edit(asked, message, &message.blocks).await,
            Buttons::Go(why) => self.edit(asked, message, &without_buttons(&message.blocks, why)).await,
        }
    }

    /// Answers through Slack's address for this request, once; or by an ephemeral message if that fails.
    async fn whisper(&self, asked: &Asked, reply: &Reply, signature: Option<&str>) {
        let message = drawn(reply);
        let message = signature.map_or_else(|| message.clone(), |who| message.clone().signed(who));
        let body = json!({
            "response_type": "ephemeral",
            "replace_original": false,
            "text": message.text,
            "blocks": message.blocks,
        });
        if let Some(address) = asked.response_url.as_deref().filter(|address| self.is_slacks(address)) {
            let sent = self.client.outgoing.post(address, "application/json", None, body.to_string().into_bytes());
            match sent.await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "a private answer could not be given through its address"),
            }
        }
        if let Err(error) = self.client.whisper(&asked.channel, &asked.user, &message).await {
            tracing::warn!(user = asked.user, %error, "a private answer could not be given");
        }
    }

    fn count_refusal(&self, reason: &'static str) {
        self.client.count_refusal(reason);
    }
}

fn drawn(reply: &Reply) -> Message {
    match &reply.says {
        Says::Lines(lines) => block_kit::answer(lines),
        Says::Card(card) => block_kit::card(card, &format!("status/{}", card.incident)),
    }
}

impl std::fmt::Debug for SlackReception {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SlackReception").field("home", &self.home).finish_non_exhaustive()
    }
}
