//! Lines in Slack's mrkdwn. Everything from outside is escaped here, and only ids from the configuration and from checked
//! people become mentions (invariant 7).

use crate::{
    chat::{
        bounded::{self, fill},
        card::{COMMAND, Span, utc},
    },
    legible,
    people::{Mention, PersonId, Platform, Whom},
};

/// One character as it may appear in mrkdwn; nothing for those that only mislead the eye.
fn escaped(character: char) -> Option<String> {
    match character {
        '&' => Some("&amp;".to_owned()),
        '<' => Some("&lt;".to_owned()),
        '>' => Some("&gt;".to_owned()),
        character => legible::letter(character).map(String::from),
    }
}

/// Text from outside, escaped, in at most `most` units, and whether it was cut.
pub(super) fn escape(text: &str, most: usize) -> (String, bool) {
    fill(text.chars().filter_map(escaped), most)
}

/// Text for a block of code: line ends stay, back-ticks are defused.
pub(super) fn escape_raw(text: &str, most: usize) -> (String, bool) {
    let piece = |character| match character {
        '\n' | '\t' => Some(character.to_string()),
        '`' => Some("ˋ".to_owned()),
        other => escaped(other),
    };
    fill(text.chars().filter_map(piece), most)
}

/// One line in at most `most` units, and whether something was cut.
pub(super) fn line(spans: &[Span], most: usize) -> (String, bool) {
    bounded::line(spans, most, |span, _, room| one(span, room))
}

fn one(span: &Span, room: usize) -> (String, bool) {
    match span {
        Span::Text(words) => escape(words, room),
        Span::Strong(words) => wrapped('*', "∗", words, room),
        Span::Code(words) => wrapped('`', "ˋ", words, room),
        Span::Command(words) => wrapped('`', "ˋ", &format!("{COMMAND} {words}"), room),
        Span::Time(moment) => {
            let seconds = moment.as_second();
            (format!("<!date^{seconds}^{{date_short_pretty}} {{time}}|{}>", utc(*moment)), false)
        }
        Span::Person(who) => (person(who), false),
        Span::Mention(whom) => (mention(whom), false),
    }
}

/// Words between two marks. Slack draws them only when no space touches the marks, so spaces go outside.
fn wrapped(mark: char, instead: &str, words: &str, room: usize) -> (String, bool) {
    let inner = words.trim();
    if inner.is_empty() {
        return escape(words, room);
    }
    let lead = if words.starts_with(char::is_whitespace) { " " } else { "" };
    let tail = if words.ends_with(char::is_whitespace) { " " } else { "" };
    let (body, cut) = escape(&inner.replace(mark, instead), room.saturating_sub(4));
    if body.is_empty() { (String::new(), cut) } else { (format!("{lead}{mark}{body}{mark}{tail}"), cut) }
}

/// An id as Slack gives them: nothing else can stand inside a mention.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 32 && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// A person who did something.
pub(super) fn person(who: &PersonId) -> String {
    match who.platform {
        Platform::Slack if is_id(&who.user) => format!("<@{}>", who.user),
        Platform::Slack | Platform::Page => escape(&format!("@{}", who.user), 64).0,
        other @ Platform::Discord => escape(&format!("@{} ({other})", who.user), 64).0,
    }
}

/// Somebody who is called.
pub(super) fn mention(whom: &Mention) -> String {
    match &whom.whom {
        _ if whom.platform == Platform::Discord => escape(&format!("@{} ({})", whom.id(), whom.platform), 64).0,
        Whom::User(id) if is_id(id) => format!("<@{id}>"),
        Whom::Group(id) if is_id(id) => format!("<!subteam^{id}>"),
        Whom::User(id) | Whom::Group(id) => escape(&format!("@{id}"), 64).0,
    }
}
