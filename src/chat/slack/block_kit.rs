//! Cards and posts as Block Kit. Every limit of Slack is enforced here and nowhere else (chat notes, "Slack"); what does
//! not fit is cut with a visible mark and counted.

use serde_json::{Value, json};

use super::mrkdwn::{escape, escape_raw, line, mention};
use crate::{
    chat::{
        bounded::{length, plain},
        card::{Button, Card, Line, Link, Section, Span, State, Style},
        posts::{Post, Raw},
    },
    people::Mention,
};

/// Blocks in a message.
const BLOCKS_MOST: usize = 50;
/// Text of a section.
const SECTION_MOST: usize = 3_000;
/// Text of a header, plain.
const HEADER_MOST: usize = 150;
/// Elements of an actions block.
const ACTIONS_MOST: usize = 25;
/// Text of a button.
const BUTTON_MOST: usize = 75;
/// Value of a button.
const VALUE_MOST: usize = 2_000;
/// An action id or block id.
const ID_MOST: usize = 255;
/// Elements of a context block.
const CONTEXT_MOST: usize = 10;
/// The plain text of a message: Slack takes 40,000 and asks to stay below this.
const TEXT_MOST: usize = 4_000;
/// Title, text and buttons of a confirmation dialog.
const CONFIRM_MOST: (usize, usize, usize) = (100, 300, 30);
/// An address behind a link.
const URL_MOST: usize = 3_000;
/// All texts of one message together. Slack refuses messages whose blocks add up to too much (`msg_blocks_too_long`) and
/// documents no figure; its users measured between 11,000 and 13,200 (slackapi/bolt-js issues 2509 and 2867). More than
/// this nobody reads at night anyway.
const ALL_TEXT_MOST: usize = 8_000;
/// Raw output longer than this becomes a file beside its first lines.
const RAW_INLINE_MOST: usize = 2_800;

/// A message, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// What notifications and screen readers get.
    pub text: String,
    pub blocks: Vec<Value>,
    /// Raw output that did not fit, whole.
    pub file: Option<Raw>,
    /// How many pieces were cut or left out.
    pub cuts: usize,
}

/// What stands below raw output whose whole is in a file, and what stands there when there is none.
const IN_THE_FILE: &str = "_The whole text is in the file below._";
const NO_FILE: &str =
    "_Cut here: Slack did not take the rest as a file. `/mtls triage` looks again and posts it anew._";

impl Message {
    /// The same message, which says first who speaks.
    pub(super) fn signed(mut self, who: &str) -> Self {
        self.text = format!("{who}: {}", self.text);
        let (who, _) = escape(who, SECTION_MOST);
        let line = json!({ "type": "mrkdwn", "text": format!("*{who}:*"), "verbatim": true });
        self.blocks.insert(0, json!({ "type": "context", "elements": [line] }));
        self.blocks.truncate(BLOCKS_MOST);
        self
    }

    /// The blocks as they are when the file could not be uploaded.
    pub(super) fn without_file(&self) -> Vec<Value> {
        let mut blocks = self.blocks.clone();
        for text in blocks.iter_mut().filter_map(|block| block.pointer_mut("/text/text")) {
            if let Some(words) = text.as_str().filter(|words| words.ends_with(IN_THE_FILE)) {
                *text = Value::String(words.replace(IN_THE_FILE, NO_FILE));
            }
        }
        blocks
    }
}

/// The card of an incident. `key` marks the message as ours: it comes back with the blocks.
pub fn card(card: &Card, key: &str) -> Message {
    let mut page = MessageBuilder::default();
    page.header(&format!("{} {}", card.state.sign(), card.title), key);
    let mut headline = vec![Span::Strong(upper(card.state)), Span::Text(" · ".to_owned())];
    headline.extend(card.headline.iter().cloned());
    page.section(&[headline]);
    for Section { part, lines } in &card.sections {
        let heading = vec![Span::Strong(part.heading().to_owned())];
        page.section(&std::iter::once(heading).chain(lines.iter().cloned()).collect::<Vec<_>>());
    }
    page.actions(&card.buttons);
    page.context(&context(card));
    page.done(&card.summary())
}

/// One post of the thread. Mentions stand first, so that they are seen in a notification.
pub fn post(post: &Post, mentions: &[Mention], key: &str) -> Message {
    let mut page = MessageBuilder { key: Some(id(key)), ..MessageBuilder::default() };
    let mut lines = post.lines.clone();
    if let Some(first) = lines.first_mut() {
        let called = mentions.iter().flat_map(|whom| [Span::Mention(whom.clone()), Span::Text(" ".to_owned())]);
        *first = called.chain(first.drain(..)).collect();
    }
    page.section(&lines);
    if let Some(raw) = &post.raw {
        page.raw(raw);
    }
    page.actions(&post.buttons);
    let below: Vec<String> = links(&post.links).collect();
    if !below.is_empty() {
        page.context(&below);
    }
    let called: Vec<String> = mentions.iter().map(mention).collect();
    let gap = if called.is_empty() { "" } else { " " };
    page.done_with(&format!("{}{gap}", called.join(" ")), &post.summary())
}

/// A short private answer.
pub fn answer(lines: &[Line]) -> Message {
    let mut page = MessageBuilder::default();
    page.section(lines);
    let plain: Vec<String> = lines.iter().map(|line| crate::chat::card::plain(line)).collect();
    page.done(&plain.join("\n"))
}

fn upper(state: State) -> String {
    state.word().to_uppercase()
}

fn context(card: &Card) -> Vec<String> {
    let (name, _) = escape(&card.incident.to_string(), 100);
    std::iter::once(name).chain(links(&card.links)).collect()
}

fn links(all: &[Link]) -> impl Iterator<Item = String> {
    all.iter().filter(|link| is_link(&link.url)).map(|link| {
        // A bar or an angle bracket would end the link early.
        let (label, _) = escape(&link.label.replace('|', "¦"), BUTTON_MOST);
        format!("<{}|{label}>", link.url)
    })
}

/// Links come from the configuration and from alerts; those that are no plain web address are not drawn.
fn is_link(url: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '|' | '"');
    (url.starts_with("https://") || url.starts_with("http://")) && url.len() <= URL_MOST && url.chars().all(plain)
}

/// A key as a block id; one that is too long is replaced by its hash.
pub fn id(key: &str) -> String {
    use sha2::{Digest, Sha256};
    if length(key) <= ID_MOST {
        return key.to_owned();
    }
    format!("key-{}", hex::encode(Sha256::digest(key.as_bytes())))
}

/// Blocks as they are put together.
#[derive(Debug, Default)]
struct MessageBuilder {
    blocks: Vec<Value>,
    /// The block id that the next block gets.
    key: Option<String>,
    /// Text so far.
    used: usize,
    cuts: usize,
    file: Option<Raw>,
}

impl MessageBuilder {
    /// Puts a block down. Two places are kept free for the buttons and the context.
    fn push(&mut self, mut block: Value) -> bool {
        if self.blocks.len() >= BLOCKS_MOST {
            self.cuts = self.cuts.saturating_add(1);
            return false;
        }
        if let (Some(key), Some(fields)) = (self.key.take(), block.as_object_mut()) {
            fields.insert("block_id".to_owned(), Value::String(key));
        }
        self.blocks.push(block);
        true
    }

    fn header(&mut self, title: &str, key: &str) {
        self.key = Some(id(key));
        let (title, cut) = plain(title, HEADER_MOST);
        self.cuts = self.cuts.saturating_add(usize::from(cut));
        self.used = self.used.saturating_add(length(&title));
        self.push(json!({ "type": "header", "text": plain_text(&title) }));
    }

    /// Lines in as many section blocks as they need, until the message is full.
    fn section(&mut self, lines: &[Line]) {
        let mut chunk = String::new();
        for (at, spans) in lines.iter().enumerate() {
            let (text, cut) = line(spans, SECTION_MOST);
            self.cuts = self.cuts.saturating_add(usize::from(cut));
            if self.is_full(length(&chunk).saturating_add(length(&text))) {
                let left = lines.len().saturating_sub(at);
                self.cuts = self.cuts.saturating_add(left);
                self.flush(&mut chunk);
                chunk = format!("… {left} more line(s) [cut]");
                break;
            }
            if length(&chunk).saturating_add(length(&text)).saturating_add(1) > SECTION_MOST {
                self.flush(&mut chunk);
            }
            if !chunk.is_empty() {
                chunk.push('\n');
            }
            chunk.push_str(&text);
        }
        self.flush(&mut chunk);
    }

    fn is_full(&self, more: usize) -> bool {
        self.used.saturating_add(more) > ALL_TEXT_MOST || self.blocks.len().saturating_add(4) > BLOCKS_MOST
    }

    fn flush(&mut self, chunk: &mut String) {
        let text = std::mem::take(chunk);
        // Slack refuses a section without text.
        if text.trim().is_empty() {
            return;
        }
        self.used = self.used.saturating_add(length(&text));
        self.push(json!({ "type": "section", "text": mrkdwn(&text) }));
    }

    /// Raw output in a block of code; what is too long stands in a file, and its beginning here.
    fn raw(&mut self, raw: &Raw) {
        let room = RAW_INLINE_MOST.min(ALL_TEXT_MOST.saturating_sub(self.used));
        let (text, cut) = escape_raw(&raw.text, room);
        if cut {
            self.cuts = self.cuts.saturating_add(1);
            self.file = Some(raw.clone());
        }
        let note = if cut { format!("\n{IN_THE_FILE}") } else { String::new() };
        let mut chunk = format!("```\n{}\n```{note}", text.trim_end());
        if !text.trim().is_empty() {
            self.flush(&mut chunk);
        }
    }

    fn actions(&mut self, buttons: &[Button]) {
        let drawn: Vec<Value> =
            buttons.iter().take(ACTIONS_MOST).enumerate().filter_map(|(at, button)| element(at, button)).collect();
        self.cuts = self.cuts.saturating_add(buttons.len().saturating_sub(drawn.len()));
        if !drawn.is_empty() {
            self.push(json!({ "type": "actions", "elements": drawn }));
        }
    }

    fn context(&mut self, texts: &[String]) {
        self.cuts = self.cuts.saturating_add(texts.len().saturating_sub(CONTEXT_MOST));
        let elements: Vec<Value> = texts.iter().take(CONTEXT_MOST).map(|text| mrkdwn(text)).collect();
        self.push(json!({ "type": "context", "elements": elements }));
    }

    fn done(self, summary: &str) -> Message {
        self.done_with("", summary)
    }

    /// `lead` is markup of ours (mentions); `summary` is escaped.
    fn done_with(self, lead: &str, summary: &str) -> Message {
        let (text, _) = escape_raw(summary, TEXT_MOST.saturating_sub(length(lead)));
        Message { text: format!("{lead}{text}"), blocks: self.blocks, file: self.file, cuts: self.cuts }
    }
}

fn element(at: usize, button: &Button) -> Option<Value> {
    let value = serde_json::to_string(&button.press).ok().filter(|value| length(value) <= VALUE_MOST)?;
    let mut element = json!({
        "type": "button",
        "action_id": format!("mtls-{at}"),
        "text": plain_text(&plain(&button.label, BUTTON_MOST).0),
        "value": value,
    });
    let style = match button.style {
        Style::Primary => Some("primary"),
        Style::Danger => Some("danger"),
        Style::Plain => None,
    };
    let fields = element.as_object_mut()?;
    if let Some(style) = style {
        fields.insert("style".to_owned(), json!(style));
    }
    if let Some(confirm) = &button.confirm {
        let (title, text, word) = CONFIRM_MOST;
        let dialog = json!({
            "title": plain_text(&plain(&confirm.title, title).0),
            "text": plain_text(&plain(&confirm.text, text).0),
            "confirm": plain_text(&plain(&confirm.yes, word).0),
            "deny": plain_text("Go back"),
        });
        fields.insert("confirm".to_owned(), dialog);
    }
    Some(element)
}

fn plain_text(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

/// `verbatim`: Slack must not find links, channels or people in the text by itself.
fn mrkdwn(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}
