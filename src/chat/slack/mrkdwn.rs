//! Lines in Slack's mrkdwn. Everything from outside is escaped here, and only ids from the configuration and from checked
//! people become mentions (invariant 7).

use crate::{
    chat::card::{COMMAND, Span, utc},
    legible,
    people::{Mention, PersonId, Platform, Whom},
};

/// What stands where something was cut.
pub(super) const CUT: &str = "… [cut]";

/// How long Slack may think a text is: UTF-16 units, which are never fewer than characters.
pub(super) fn length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

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
    fill(text, most, escaped)
}

/// Text for a block of code: line ends stay, back-ticks are defused.
pub(super) fn escape_raw(text: &str, most: usize) -> (String, bool) {
    fill(text, most, |character| match character {
        '\n' | '\t' => Some(character.to_string()),
        '`' => Some("ˋ".to_owned()),
        other => escaped(other),
    })
}

fn fill(text: &str, most: usize, piece: impl Fn(char) -> Option<String>) -> (String, bool) {
    let (mut out, mut used) = (String::new(), 0_usize);
    // Where the text would end if the mark had to follow.
    let (mut fallback, room) = (0, most.saturating_sub(length(CUT)));
    for character in text.chars() {
        let Some(piece) = piece(character) else { continue };
        used = used.saturating_add(length(&piece));
        if used > most {
            out.truncate(fallback);
            out.push_str(CUT);
            return (out, true);
        }
        out.push_str(&piece);
        if used <= room {
            fallback = out.len();
        }
    }
    (out, false)
}

/// One line in at most `most` units, and whether something was cut.
pub(super) fn line(spans: &[Span], most: usize) -> (String, bool) {
    let mut out = String::new();
    for (at, span) in spans.iter().enumerate() {
        let last = at.saturating_add(1) == spans.len();
        let reserved = if last { 0 } else { length(CUT) };
        let room = most.saturating_sub(length(&out)).saturating_sub(reserved);
        let (piece, cut) = one(span, room);
        let fits = length(&piece) <= room;
        if fits {
            out.push_str(&piece);
        }
        if cut || !fits {
            if !out.ends_with(CUT) && length(&out).saturating_add(length(CUT)) <= most {
                out.push_str(CUT);
            }
            return (out, true);
        }
    }
    (out, false)
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
