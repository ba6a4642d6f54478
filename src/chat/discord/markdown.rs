//! Lines in Discord's markdown. Everything from outside is escaped here, and only ids from the configuration and from
//! checked people become mentions (invariant 7).
//!
//! A backslash before a mark of ASCII makes it plain text for Discord's app, and splits what its server looks for in the
//! raw text (`<@…>`, `https://…`), so that nothing from outside notifies, links or unfolds into a preview.

use super::limits::length;
use super::snowflake::is_id;
use crate::{
    chat::{
        bounded::{self, fill},
        card::{COMMAND, Span},
        grammar::with_names,
    },
    legible,
    people::{Mention, PersonId, Platform, Whom},
};

/// Text from outside, escaped, in at most `most` units, and whether it was cut.
pub(super) fn escape(text: &str, most: usize) -> (String, bool) {
    let clean = legible::line(text);
    fill(clean.char_indices().map(|(at, letter)| escaped(&clean, at, letter)), most)
}

/// One character of `text`, as it may stand in markdown.
fn escaped(text: &str, at: usize, letter: char) -> String {
    let before = text.get(..at).unwrap_or_default();
    let after = text.get(at..).unwrap_or_default().chars().nth(1);
    let is_mark = match letter {
        '@' if is_for_everybody(text.get(at..).unwrap_or_default()) => return "＠".to_owned(),
        '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '[' | ']' | '#' | '@' => true,
        // An address, or the name of an emoji. At the end of a word it is only a colon.
        ':' => after.is_some_and(|after| !after.is_whitespace()),
        // An invitation unfolds also without `https://`.
        '.' => is_of_discord(before),
        _ => false,
    };
    if is_mark { format!("\\{letter}") } else { letter.to_string() }
}

fn is_for_everybody(rest: &str) -> bool {
    rest.starts_with("@everyone") || rest.starts_with("@here")
}

fn is_of_discord(before: &str) -> bool {
    let ends = |word: &str| {
        let tail = before.len().checked_sub(word.len()).and_then(|from| before.get(from..));
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(word))
    };
    ends("discord") || ends("discordapp")
}

/// Text for code, where nothing is markup but the back-ticks that end it.
fn in_code(text: &str) -> String {
    text.replace('`', "ˋ").replace("@everyone", "＠everyone").replace("@here", "＠here")
}

/// Text for a block of code, in at most `most` units: line ends stay.
pub(super) fn escape_raw(text: &str, most: usize) -> (String, bool) {
    let clean = in_code(&legible::lines(text));
    fill(clean.chars().map(String::from), most)
}

/// One line in at most `most` units, and whether something was cut.
pub(super) fn line(spans: &[Span], most: usize) -> (String, bool) {
    // One unit is kept for the backslash in front.
    let (text, cut) = bounded::line(spans, most.saturating_sub(1), beside);
    (not_a_list(&text), cut)
}

/// A line that begins like an item of a list would be drawn as one.
fn not_a_list(line: &str) -> String {
    let begins = line.trim_start();
    let number = begins.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let mark = match begins.chars().next() {
        Some('-' | '+') => begins,
        Some(first) if first.is_ascii_digit() && number.starts_with(['.', ')']) => number,
        _ => return line.to_owned(),
    };
    let (head, tail) = line.split_at(line.len().saturating_sub(mark.len()));
    format!("{head}\\{tail}")
}

/// A span behind what is already there: two marks of the same kind that touch would be read as another one.
fn beside(span: &Span, out: &str, room: usize) -> (String, bool) {
    let touches = match span {
        Span::Strong(_) => out.ends_with('*'),
        Span::Code(_) | Span::Command(_) => out.ends_with('`'),
        _ => false,
    };
    if !touches {
        return one(span, room);
    }
    let (piece, cut) = one(span, room.saturating_sub(1));
    if piece.is_empty() { (piece, cut) } else { (format!(" {piece}"), cut) }
}

fn one(span: &Span, room: usize) -> (String, bool) {
    match span {
        Span::Text(words) => escape(words, room),
        Span::Strong(words) => wrapped(words, |inner| strong(inner, room), "**"),
        Span::Code(words) => code(words, room),
        Span::Command(words) => code(&format!("{COMMAND} {}", with_names(words)), room),
        Span::Time(moment) => (format!("<t:{}:f>", moment.as_second()), false),
        Span::Person(who) => (person(who), false),
        Span::Mention(whom) => (mention(whom), false),
    }
}

/// What stands between the marks of strong words, which begin like a line.
fn strong(words: &str, room: usize) -> (String, bool) {
    let (body, cut) = escape(words, room.saturating_sub(7));
    (not_a_list(&body), cut)
}

fn code(words: &str, room: usize) -> (String, bool) {
    let body = |inner: &str| fill(in_code(inner).chars().map(String::from), room.saturating_sub(4));
    wrapped(words, body, "`")
}

/// Words between two marks. Spaces go outside, where they cannot end the marks early.
fn wrapped(words: &str, body: impl Fn(&str) -> (String, bool), mark: &str) -> (String, bool) {
    let clean = legible::line(words);
    let inner = clean.trim();
    if inner.is_empty() {
        return (" ".repeat(usize::from(!clean.is_empty())), false);
    }
    let lead = if clean.starts_with(char::is_whitespace) { " " } else { "" };
    let tail = if clean.ends_with(char::is_whitespace) { " " } else { "" };
    let (body, cut) = body(inner);
    if body.is_empty() { (body, cut) } else { (format!("{lead}{mark}{body}{mark}{tail}"), cut) }
}

/// A person who did something. Discord notifies nobody of it, because `allowed_mentions` names only who is called.
pub(super) fn person(who: &PersonId) -> String {
    match who.platform {
        Platform::Discord if is_id(&who.user) => format!("<@{}>", who.user),
        Platform::Discord | Platform::Page => escape(&format!("@{}", who.user), 64).0,
        other @ Platform::Slack => escape(&format!("@{} ({other})", who.user), 64).0,
    }
}

/// Somebody who is called.
pub(super) fn mention(whom: &Mention) -> String {
    match (notified(whom), &whom.whom) {
        (Some(id), Whom::User(_)) => format!("<@{id}>"),
        (Some(id), Whom::Group(_)) => format!("<@&{id}>"),
        (None, _) if whom.platform == Platform::Slack => escape(&format!("@{} ({})", whom.id(), whom.platform), 64).0,
        (None, _) => escape(&format!("@{}", whom.id()), 64).0,
    }
}

/// The id of somebody whom Discord can notify.
pub(super) fn notified(whom: &Mention) -> Option<&str> {
    Some(whom.id()).filter(|id| whom.platform == Platform::Discord && is_id(id))
}

/// A link in the text; `None` for what is no plain web address.
pub(super) fn link(label: &str, url: &str, most: usize) -> Option<String> {
    let url = web_address(url)?.replace('(', "%28").replace(')', "%29");
    let drawn = format!("[{}]({url})", escape(label, super::limits::LABEL).0);
    (length(&drawn) <= most).then_some(drawn)
}

/// Links come from the configuration and from alerts; those that are no plain web address are not drawn.
pub(super) fn web_address(url: &str) -> Option<&str> {
    let plain = |letter: char| letter.is_ascii_graphic() && !matches!(letter, '<' | '>' | '|' | '"' | '\\' | '`');
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    (is_web && url.chars().all(plain)).then_some(url)
}
