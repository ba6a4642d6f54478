//! Cards and posts as messages of Discord. Pure.

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    DiscordPress,
    builder::MessageBuilder,
    limits::{ALLOWED_MENTIONS, AUTHOR, CONTENT, FIELD_VALUE, length},
    markdown::{self, escape, notified},
    parts::{Author, Component, Embed, Field},
};
use crate::{
    chat::{
        bounded::plain,
        card::{Card, Confirm, Line, Press, Section, Span, Style},
        posts::{Post, Raw},
    },
    people::{Mention, Whom},
};

/// What stands below raw output whose whole is in a file, and what stands there when there is none.
pub(super) const IN_THE_FILE: &str = "*The whole text is in the file of this message.*";
pub(super) const NO_FILE: &str =
    "*Cut here: Discord did not take the rest as a file. `/mtls triage` looks again and posts it anew.*";
/// The field that stands where the buttons were.
const WITHOUT_BUTTONS: &str = "No button is left here";
/// Units of what that field says.
const WHY_MOST: usize = 500;
/// Units of the name of who speaks.
pub(super) const SIGNED_MOST: usize = 100;
/// What both keep free in every message, so that they always fit.
pub(super) const KEPT_FREE: usize = SIGNED_MOST + WHY_MOST + WITHOUT_BUTTONS.len();
/// How the footer names a card and a post.
const CARD: &str = "card ";
const POST: &str = "post ";

/// A message, ready to be sent, or as Discord keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Message {
    /// The text: who is called, and the first line, which a notification shows.
    pub content: String,
    pub embeds: Vec<Embed>,
    pub components: Vec<Component>,
    /// The only people and roles that are notified. Discord keeps no such list.
    #[serde(skip)]
    pub allowed_mentions: AllowedMentions,
    /// Raw output that did not fit, whole.
    #[serde(skip)]
    pub file: Option<Raw>,
    /// How many pieces were cut or left out.
    #[serde(skip)]
    pub cuts: usize,
}

/// Who is notified: these and nobody else, whatever stands in the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedMentions {
    pub users: Vec<String>,
    pub roles: Vec<String>,
}

impl AllowedMentions {
    fn of(mentions: &[Mention]) -> Self {
        let mut allowed = Self::default();
        for mention in mentions {
            let all = match mention.whom {
                Whom::User(_) => &mut allowed.users,
                Whom::Group(_) => &mut allowed.roles,
            };
            let Some(id) = notified(mention) else { continue };
            if all.len() < ALLOWED_MENTIONS && all.iter().all(|other| other != id) {
                all.push(id.to_owned());
            }
        }
        allowed
    }

    /// As it goes over the wire. The empty `parse` forbids everything that is not named.
    fn value(&self) -> Value {
        json!({ "parse": [], "users": self.users, "roles": self.roles })
    }
}

/// What marks a message of ours, short enough for a nonce: the beginning of the hash of our key.
pub fn key_mark(key: &str) -> String {
    let mut mark = hex::encode(Sha256::digest(key.as_bytes()));
    mark.truncate(16);
    mark
}

impl Message {
    /// What goes over the wire, for a new message and for an edit alike: each part is there, so that an edit leaves nothing
    /// of before.
    pub fn body(&self) -> Value {
        json!({
            "content": self.content,
            "embeds": self.embeds,
            "components": self.components,
            "allowed_mentions": self.allowed_mentions.value(),
        })
    }

    /// The body of a new message that Discord posts once, however often it is sent within a few minutes.
    pub fn body_once(&self, key: &str) -> Value {
        let mut body = self.body();
        if let Some(fields) = body.as_object_mut() {
            fields.insert("nonce".to_owned(), json!(key_mark(key)));
            fields.insert("enforce_nonce".to_owned(), json!(true));
        }
        body
    }

    /// A message as Discord keeps it. `None` for one that is no message.
    pub fn kept(message: &Value) -> Option<Self> {
        Self::deserialize(message).ok()
    }

    /// The same message, which says first who speaks.
    #[must_use]
    pub fn signed(mut self, who: &str) -> Self {
        let (name, _) = plain(who, SIGNED_MOST.min(AUTHOR));
        if !self.content.is_empty() {
            let (shown, _) = escape(&name, SIGNED_MOST);
            let text = format!("**{shown}:** {}", self.content);
            if length(&text) <= CONTENT {
                self.content = text;
            }
        }
        if let Some(first) = self.embeds.first_mut() {
            first.author = Some(Author { name });
        }
        self
    }

    /// The message as it is when the file could not be uploaded.
    #[must_use]
    pub fn without_file(mut self) -> Self {
        self.file = None;
        for text in self.embeds.iter_mut().filter_map(|embed| embed.description.as_mut()) {
            if text.ends_with(IN_THE_FILE) {
                *text = text.replace(IN_THE_FILE, NO_FILE);
            }
        }
        self
    }

    /// What its buttons ask for.
    pub fn presses(&self) -> Vec<Press> {
        let buttons = self.components.iter().flat_map(|row| &row.components);
        let ids = buttons.filter_map(|button| button.custom_id.as_deref());
        ids.filter_map(|id| Some(DiscordPress::parse(id)?.press)).collect()
    }

    /// What the button with that custom id says.
    pub fn label_of(&self, custom_id: &str) -> Option<&str> {
        let mut buttons = self.components.iter().flat_map(|row| &row.components);
        buttons.find(|button| button.custom_id.as_deref() == Some(custom_id))?.label.as_deref()
    }

    /// The message without its buttons, and a line in their place. Links stay. Nobody is notified.
    #[must_use]
    pub fn without_buttons(mut self, why: &Line) -> Self {
        self.components.retain(Component::has_only_links);
        self.allowed_mentions = AllowedMentions::default();
        if let Some(last) = self.embeds.last_mut() {
            let value = not_empty(markdown::line(why, WHY_MOST).0);
            // A line that an earlier press left is replaced by the newer one.
            last.fields.retain(|field| field.name != WITHOUT_BUTTONS);
            last.fields.push(Field { name: WITHOUT_BUTTONS.to_owned(), value });
        }
        self
    }

    /// Whether this is our message of that key.
    pub fn carries(&self, key: &str) -> bool {
        self.footer().is_some_and(|text| text.ends_with(&key_mark(key)))
    }

    /// Whether this is a card, which is drawn anew by its own effect.
    pub fn is_card(&self) -> bool {
        let mark = self.footer().and_then(|text| text.rsplit_once(" · ")).map(|(_, mark)| mark);
        mark.is_some_and(|mark| mark.starts_with(CARD))
    }

    fn footer(&self) -> Option<&str> {
        self.embeds.last()?.footer.as_ref().map(|footer| footer.text.as_str())
    }
}

/// The card of an incident. `key` marks the message as ours.
pub fn card(card: &Card, key: &str) -> Message {
    let footer = format!("{} · {CARD}{}", card.incident, key_mark(key));
    let mut page = MessageBuilder::new(footer);
    page.below(&card.buttons, &card.links);
    page.title(&format!("{} {}", card.state.sign(), card.title), colour(card.state.colour()));
    let mut headline = vec![Span::Strong(card.state.word().to_uppercase()), Span::Text(" · ".to_owned())];
    headline.extend(card.headline.iter().cloned());
    page.lines(&[headline]);
    for Section { part, lines } in &card.sections {
        page.section(part.heading(), lines);
    }
    page.done()
}

/// One post of the thread. Who is called stands in the text of the message with the first line, which is what a
/// notification shows; the rest stands in the embed.
pub fn post(post: &Post, mentions: &[Mention], key: &str) -> Message {
    let mut page = MessageBuilder::new(format!("{POST}{}", key_mark(key)));
    page.below(&post.buttons, &post.links);
    let mut lines = post.lines.as_slice();
    let mut content = String::new();
    if !mentions.is_empty() {
        let (whom, left_out) = called(mentions);
        content = whom;
        page.count(left_out);
        if let [first, rest @ ..] = lines
            && !rest.is_empty()
        {
            let (line, cut) = markdown::line(first, CONTENT.saturating_sub(length(&content)));
            content.push_str(&line);
            page.count(usize::from(cut));
            lines = rest;
        }
    }
    if post.raw.is_some() {
        page.keep_room_for_raw();
    }
    page.lines(lines);
    if let Some(raw) = &post.raw {
        page.raw(raw);
    }
    let allowed_mentions = AllowedMentions::of(mentions);
    Message { content: content.trim_end().to_owned(), allowed_mentions, ..page.done() }
}

/// Who is called, in half of a message's text, and how many of them have no room there: that is said, for whom the text does not
/// name Discord does not notify.
fn called(mentions: &[Mention]) -> (String, usize) {
    let whom: Vec<String> = mentions.iter().map(|whom| format!("{} ", markdown::mention(whom))).collect();
    let mut most = whom.len();
    loop {
        let left_out = whom.len().saturating_sub(most);
        let more = if left_out > 0 { format!("and {left_out} more ") } else { String::new() };
        let text: String = whom.iter().take(most).map(String::as_str).chain([more.as_str()]).collect();
        if length(&text) <= CONTENT / 2 || most == 0 {
            return (text, left_out);
        }
        most = most.saturating_sub(1);
    }
}

/// A short private answer.
pub fn answer(lines: &[Line]) -> Message {
    let mut page = MessageBuilder::new(String::new());
    page.lines(lines);
    page.done()
}

/// What a press that needs a confirmation is answered with, in private.
pub fn ask_back(confirm: &Confirm, press: &Press) -> Message {
    let mut page = MessageBuilder::new(String::new());
    page.title(&confirm.title, None);
    page.lines(&[
        vec![Span::Text(confirm.text.clone())],
        vec![Span::Text("To go back, dismiss this message.".to_owned())],
    ]);
    let press = DiscordPress { press: press.clone(), confirmed: true };
    let yes: Vec<Component> = Component::press(&confirm.yes, Style::Danger, &press).into_iter().collect();
    Message { components: Component::rows(&yes), ..page.done() }
}

fn colour(rrggbb: &str) -> Option<u32> {
    u32::from_str_radix(rrggbb.strip_prefix('#')?, 16).ok()
}

/// Discord refuses a field without a value.
pub(super) fn not_empty(text: String) -> String {
    if text.trim().is_empty() { "–".to_owned() } else { text }
}

const _: () = assert!(WHY_MOST <= FIELD_VALUE);
