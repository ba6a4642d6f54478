//! Text from outside, made harmless for a terminal and for Markdown: in one place, for every line of a report.

use crate::legible;

/// The longest text that a line shows, in characters: a sentence and a quoted line of a log.
const TEXT_MOST: usize = 600;

/// One line that nothing in it steers, and not longer than anybody reads.
pub(super) fn plain(text: &str) -> String {
    let text = legible::line(text);
    let mut shown: String = text.chars().take(TEXT_MOST).collect();
    if text.chars().nth(TEXT_MOST).is_some() {
        shown.push('…');
    }
    shown
}

/// The same for Markdown: what would be markup, a link, a mention or HTML is shown as it is.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for letter in plain(text).chars() {
        match letter {
            // Without brackets of its own no link has an address: round ones stay as they read best.
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '!' | '|' | '~' => {
                out.push('\\');
                out.push(letter);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // As an entity no platform takes it for a mention.
            '@' => out.push_str("&#64;"),
            _ => out.push(letter),
        }
    }
    out
}
