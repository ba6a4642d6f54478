//! What Discord's app makes of a text, by its own rules in its own order, written from what it shows and not from how we
//! write.

use std::sync::LazyLock;

use regex::Regex;

/// A piece of a text as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    Text(String),
    Bold(Vec<Shown>),
    Italic(String),
    Code(String),
    Block(String),
    Link {
        label: String,
        url: String,
    },
    /// A user, role, channel, command, emoji or moment in angle brackets.
    Bracket(String),
    /// What nobody writes on purpose here: headings, lists, quotes, spoilers, addresses, emoji by name, everyone.
    Other(String),
}

/// The rules, tried in this order at each place. A line's own are tried where one begins.
static OF_LINES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(?:-#|#{1,3}|>{1,3}| *(?:[*+-]|\d+[.)]))[ \t]").unwrap());
static ESCAPE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\\([^0-9A-Za-z\s])").unwrap());
static BLOCK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^```(?s:(.+?))```").unwrap());
static CODE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(?:``([^`](?s:.*?)[^`])``|`([^`]+)`)").unwrap());
static BRACKET: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^<(?:@[!&]?\d+|#\d+|id:\w+|/[^>:]+:\d+|a?:\w+:\d+|t:-?\d+(?::[a-zA-Z])?)>").unwrap());
static LINK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\[((?:\\.|[^\]\\])+)\]\(<?([^)\s>]+)>?\)").unwrap());
static OTHER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^(?:<?(?:https?|steam)://[^\s<]+|(?i:discord(?:app)?\.(?:gg|com|new|gift))|@everyone|@here|:[\w+-]+:|(?s:\|\|.+?\|\|)|(?s:~~.+?~~)|(?s:__.+?__))",
    )
    .unwrap()
});
static BOLD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\*\*((?:\\(?s:.)|[^\\])+?)\*\*").unwrap());
static ITALIC: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:\*((?:\\(?s:.)|[^\s*\\])(?:\\(?s:.)|[^*\\])*)\*|_((?:\\(?s:.)|[^_\\])+)_)").unwrap()
});

/// What is shown of a text.
pub(super) fn read(text: &str) -> Vec<Shown> {
    let mut shown: Vec<Shown> = Vec::new();
    let (mut rest, mut line_begins) = (text, true);
    while let Some(first) = rest.chars().next() {
        let (piece, length) =
            next(rest, line_begins).unwrap_or_else(|| (Shown::Text(first.to_string()), first.len_utf8()));
        line_begins = match (&mut shown.last_mut(), piece) {
            (Some(Shown::Text(before)), Shown::Text(more)) => {
                before.push_str(&more);
                more == "\n" || (line_begins && more == " ")
            }
            (_, piece) => {
                let begins =
                    piece == Shown::Text("\n".to_owned()) || (line_begins && piece == Shown::Text(" ".to_owned()));
                shown.push(piece);
                begins
            }
        };
        rest = &rest[length..];
    }
    shown
}

fn next(rest: &str, line_begins: bool) -> Option<(Shown, usize)> {
    let part = |found: &regex::Captures<'_>, at: usize| {
        found.get(at).map_or_else(String::new, |part| part.as_str().to_owned())
    };
    if let Some(found) = ESCAPE.captures(rest) {
        return Some((Shown::Text(part(&found, 1)), found[0].len()));
    }
    if let Some(found) = OF_LINES.find(rest).filter(|_| line_begins) {
        return Some((Shown::Other(found.as_str().to_owned()), found.len()));
    }
    if let Some(found) = BLOCK.captures(rest) {
        return Some((Shown::Block(part(&found, 1)), found[0].len()));
    }
    if let Some(found) = CODE.captures(rest) {
        return Some((Shown::Code(part(&found, 1) + &part(&found, 2)), found[0].len()));
    }
    if let Some(found) = BRACKET.find(rest) {
        return Some((Shown::Bracket(found.as_str().to_owned()), found.len()));
    }
    if let Some(found) = LINK.captures(rest) {
        return Some((Shown::Link { label: plain(&read(&part(&found, 1))), url: part(&found, 2) }, found[0].len()));
    }
    if let Some(found) = OTHER.find(rest) {
        return Some((Shown::Other(found.as_str().to_owned()), found.len()));
    }
    if let Some(found) = BOLD.captures(rest) {
        return Some((Shown::Bold(read(&part(&found, 1))), found[0].len()));
    }
    let found = ITALIC.captures(rest)?;
    Some((Shown::Italic(plain(&read(&(part(&found, 1) + &part(&found, 2))))), found[0].len()))
}

/// The words alone.
pub(super) fn plain(shown: &[Shown]) -> String {
    let one = |piece: &Shown| match piece {
        Shown::Bold(inner) => plain(inner),
        Shown::Text(text)
        | Shown::Italic(text)
        | Shown::Code(text)
        | Shown::Block(text)
        | Shown::Bracket(text)
        | Shown::Other(text)
        | Shown::Link { label: text, .. } => text.clone(),
    };
    shown.iter().map(one).collect()
}

/// All pieces, also those inside of others.
pub(super) fn pieces(shown: &[Shown]) -> Vec<&Shown> {
    shown
        .iter()
        .flat_map(|piece| match piece {
            Shown::Bold(inner) => std::iter::once(piece).chain(pieces(inner)).collect::<Vec<_>>(),
            _ => vec![piece],
        })
        .collect()
}
