//! A message as it is put together, within Discord's limits. What does not fit is cut with a visible mark and counted.

use super::{
    limits::{DESCRIPTION, EMBEDS, EMBEDS_TEXT, FIELD_NAME, FIELD_VALUE, FIELDS, FOOTER, TITLE, length},
    markdown::{escape, escape_raw, line, link},
    message::{KEPT_FREE, Message, NO_FILE, not_empty},
    parts::{Below, Component, Embed, Field, Footer},
};
use crate::chat::{
    bounded::plain,
    card::{Button, COMMAND, Line, Link},
    posts::Raw,
};

/// Raw output longer than this becomes a file beside its first lines: more nobody reads on a phone.
const RAW_INLINE: usize = 2_000;
/// What the line that counts what was left out takes at most, with the name of its field.
const MORE: usize = 80;
/// What is kept free for the beginning of raw output, however long the lines above it are.
const RAW_LEAST: usize = 500;
/// What links in the text take at most.
const LINKS: usize = 1_000;
/// Fields of a message that is new: one more stands where the buttons were.
const FIELDS_MOST: usize = FIELDS - 1;
/// What a heading gets that stands over a second field of the same part.
const GOES_ON: &str = " (goes on)";

/// Embeds as they are put together.
#[derive(Debug)]
pub(super) struct MessageBuilder {
    embeds: Vec<Embed>,
    rows: Vec<Component>,
    /// What no button carries, as lines of the text: links, and how many buttons are missing.
    links: Vec<String>,
    footer: String,
    /// Text so far, with what is kept free.
    used: usize,
    cuts: usize,
    file: Option<Raw>,
    /// Whether it is said already that there is more.
    full: bool,
}

impl MessageBuilder {
    /// An empty message whose last embed has this small print.
    pub(super) fn new(footer: String) -> Self {
        let (footer, _) = if footer.is_empty() { (footer, false) } else { plain(&footer, FOOTER) };
        let used = length(&footer).saturating_add(KEPT_FREE).saturating_add(MORE);
        Self {
            embeds: vec![Embed::default()],
            rows: Vec::new(),
            links: Vec::new(),
            footer,
            used,
            cuts: 0,
            file: None,
            full: false,
        }
    }

    /// Puts the buttons and links below it. Links that no button can carry take room in the text, so this comes first.
    pub(super) fn below(&mut self, buttons: &[Button], links: &[Link]) {
        let below = Below::of(buttons, links);
        self.count(below.left_out.saturating_add(below.doubles));
        self.rows = below.rows;
        if below.left_out > 0 {
            let mark = format!("… {} more button(s) [cut]. `{COMMAND}` does what they do.", below.left_out);
            self.used = self.used.saturating_add(length(&mark)).saturating_add(1);
            self.links.push(mark);
        }
        let mut room = LINKS;
        for one in &below.links {
            match link(&one.label, &one.url, room.saturating_sub(1)) {
                Some(drawn) => {
                    let takes = length(&drawn).saturating_add(1);
                    room = room.saturating_sub(takes);
                    self.used = self.used.saturating_add(takes);
                    self.links.push(drawn);
                }
                None => self.count(1),
            }
        }
    }

    /// Keeps room for raw output, which comes last.
    pub(super) fn keep_room_for_raw(&mut self) {
        self.used = self.used.saturating_add(RAW_LEAST);
    }

    /// Counts what was cut.
    pub(super) fn count(&mut self, cuts: usize) {
        self.cuts = self.cuts.saturating_add(cuts);
    }

    pub(super) fn title(&mut self, title: &str, colour: Option<u32>) {
        let (title, cut) = escape(title, TITLE);
        self.count(usize::from(cut));
        self.used = self.used.saturating_add(length(&title));
        if let Some(embed) = self.embeds.last_mut() {
            embed.title = Some(not_empty(title));
            embed.color = colour;
        }
    }

    /// Lines in the description, and in the next embeds where one is too short for them.
    pub(super) fn lines(&mut self, lines: &[Line]) {
        for text in self.drawn(lines, DESCRIPTION, 0) {
            self.describe(text);
        }
    }

    /// A part with its heading, in as many fields as its lines need.
    pub(super) fn section(&mut self, heading: &str, lines: &[Line]) {
        let (heading, _) = escape(heading, FIELD_NAME.saturating_sub(length(GOES_ON)));
        let over = length(&heading).saturating_add(length(GOES_ON));
        for (place, value) in self.drawn(lines, FIELD_VALUE, over).into_iter().enumerate() {
            let name = if place == 0 { heading.clone() } else { format!("{heading}{GOES_ON}") };
            match self.embeds.last_mut().filter(|embed| embed.fields.len() < FIELDS_MOST) {
                Some(embed) => embed.fields.push(Field { name, value: not_empty(value) }),
                None => self.count(1),
            }
        }
    }

    /// Raw output in a block of code, for which room was kept; what is too long stands in a file, and its beginning here.
    pub(super) fn raw(&mut self, raw: &Raw) {
        self.used = self.used.saturating_sub(RAW_LEAST);
        if raw.text.trim().is_empty() {
            return;
        }
        let around = length("```\n\n```\n").saturating_add(length(NO_FILE));
        let room = RAW_INLINE.min(EMBEDS_TEXT.saturating_sub(self.used.saturating_add(around)));
        let (text, cut) = escape_raw(&raw.text, room);
        let note = if cut { format!("\n{}", super::message::IN_THE_FILE) } else { String::new() };
        if cut {
            self.count(1);
            self.file = Some(raw.clone());
        }
        let text = format!("```\n{}\n```{note}", text.trim_end());
        self.used = self.used.saturating_add(length(&text)).saturating_add(length(NO_FILE));
        self.describe(text);
    }

    fn describe(&mut self, text: String) {
        if text.trim().is_empty() {
            return;
        }
        let free = |embed: &&mut Embed| embed.description.is_none() && embed.fields.is_empty();
        if let Some(embed) = self.embeds.last_mut().filter(free) {
            embed.description = Some(text);
        } else if self.embeds.len() < EMBEDS {
            self.embeds.push(Embed { description: Some(text), ..Embed::default() });
        } else {
            self.count(1);
        }
    }

    /// The lines as texts of at most `most` units; each takes `over` units more for its heading. Where the message is full,
    /// the rest is counted.
    fn drawn(&mut self, lines: &[Line], most: usize, over: usize) -> Vec<String> {
        let (mut texts, mut chunk) = (Vec::new(), String::new());
        self.used = self.used.saturating_add(over);
        for (at, spans) in lines.iter().enumerate() {
            let (text, cut) = line(spans, most);
            self.count(usize::from(cut));
            let new = length(&text).saturating_add(1);
            let splits = length(&chunk).saturating_add(new) > most;
            let takes = if splits { new.saturating_add(over) } else { new };
            if self.full || self.used.saturating_add(takes) > EMBEDS_TEXT {
                let left = lines.len().saturating_sub(at);
                self.count(left);
                if !self.full {
                    self.full = true;
                    texts.push(std::mem::take(&mut chunk));
                    texts.push(format!("… {left} more line(s) [cut]"));
                }
                break;
            }
            self.used = self.used.saturating_add(takes);
            if splits {
                texts.push(std::mem::take(&mut chunk));
            } else if !chunk.is_empty() {
                chunk.push('\n');
            }
            chunk.push_str(&text);
        }
        texts.push(chunk);
        texts.retain(|text| !text.trim().is_empty());
        texts
    }

    pub(super) fn done(mut self) -> Message {
        let links = std::mem::take(&mut self.links).join("\n");
        if !links.is_empty() {
            self.add_links(links);
        }
        if !self.footer.is_empty()
            && let Some(embed) = self.embeds.last_mut()
        {
            embed.footer = Some(Footer { text: std::mem::take(&mut self.footer) });
        }
        for embed in &mut self.embeds {
            if embed.description.is_none() && embed.fields.is_empty() && embed.title.is_none() {
                embed.description = Some("–".to_owned());
            }
        }
        Message { embeds: self.embeds, components: self.rows, file: self.file, cuts: self.cuts, ..Message::default() }
    }

    /// Links below the description of the first embed, or in one of their own.
    fn add_links(&mut self, links: String) {
        let Some(first) = self.embeds.first_mut() else { return };
        let text = match &first.description {
            Some(description) => format!("{description}\n{links}"),
            None => links.clone(),
        };
        if length(&text) <= DESCRIPTION {
            first.description = Some(text);
        } else {
            self.describe(links);
        }
    }
}
