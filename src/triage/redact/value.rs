//! Where the value behind a name ends, in whichever form a line writes it.

use std::ops::Range;

use super::DROPPED;

/// A value: where it stands, and whether it is in quotes.
pub(super) struct Value {
    pub(super) place: Range<usize>,
    pub(super) quoted: bool,
}

/// The value that begins at `at`, of a list its first: in quotes, with as many backslashes before them as JSON inside JSON
/// has, or bare. `None` where nothing is written, or what was written is dropped already.
pub(super) fn value_at(line: &str, at: usize) -> Option<Value> {
    one_at(line, within_a_list(line, at)?)
}

/// The same with the further values of a list.
pub(super) fn values_at(line: &str, at: usize) -> Vec<Value> {
    let Some(mut next) = within_a_list(line, at) else { return Vec::new() };
    let closes = next > at && line.get(next..).is_some_and(|rest| rest.contains([']', '}']));
    let mut values = Vec::new();
    loop {
        let dropped = line.get(next..).is_some_and(|rest| rest.starts_with(DROPPED));
        let value = one_at(line, next);
        if value.is_none() && !dropped {
            return values;
        }
        next = value.as_ref().map_or(next.saturating_add(DROPPED.len()), |value| value.place.end);
        values.extend(value);
        let rest = line.get(next..).unwrap_or_default();
        let behind = rest.trim_start_matches(['"', '\'', '`', '\\']).trim_start_matches([',', ' ']);
        if !closes || behind.is_empty() || behind.starts_with([']', '}']) {
            return values;
        }
        next = line.len().saturating_sub(behind.len());
    }
}

fn one_at(line: &str, at: usize) -> Option<Value> {
    let rest = line.get(at..)?;
    if rest.starts_with(DROPPED) {
        return None;
    }
    let slashes = rest.len().saturating_sub(rest.trim_start_matches('\\').len());
    let quote = rest.get(slashes..)?.chars().next()?;
    if matches!(quote, '"' | '\'' | '`') {
        let start = at.saturating_add(slashes).saturating_add(1);
        let inner = line.get(start..)?;
        if inner.starts_with(DROPPED) {
            return None;
        }
        let end = closing_quote(inner, quote, slashes);
        return (end > 0).then(|| Value { place: start..start.saturating_add(end), quoted: true });
    }
    let end = bare_end(rest);
    (end > 0).then(|| Value { place: at..at.saturating_add(end), quoted: false })
}

/// Behind the bracket of a list, as Go and JSON write headers.
fn within_a_list(line: &str, mut at: usize) -> Option<usize> {
    loop {
        let rest = line.get(at..)?;
        let opening = ["[]string{", "["].into_iter().find(|opening| rest.starts_with(opening));
        match opening.filter(|_| !rest.starts_with(DROPPED)) {
            Some(opening) => at = at.saturating_add(opening.len()),
            None => return Some(at),
        }
    }
}

/// Where a quoted text ends: at a quote with as many backslashes before it as the opening one had; a quote that belongs to
/// the text has more.
fn closing_quote(inner: &str, quote: char, slashes: usize) -> usize {
    let mut run = 0_usize;
    for (at, letter) in inner.char_indices() {
        if letter == '\\' {
            run = run.saturating_add(1);
        } else if letter == quote && run <= slashes {
            return at.saturating_sub(run);
        } else {
            run = 0;
        }
    }
    inner.len()
}

/// Where a bare word ends: at a space, or where the line goes on with the next name. Every other letter may be one of a
/// password, also a bracket or a quote; only where they stand last they close what was opened before the word.
fn bare_end(rest: &str) -> usize {
    let mut end = rest.len();
    for (at, letter) in rest.char_indices() {
        let behind = rest.get(at.saturating_add(letter.len_utf8())..).unwrap_or_default();
        let ends = match letter {
            ',' | ';' | '&' | '|' => goes_on(behind),
            // A line end that is escaped.
            '\\' => behind.starts_with(['n', 'r', 't']) && is_next_name(behind.get(1..).unwrap_or_default()),
            '<' => behind.starts_with('/'),
            letter => letter.is_whitespace() || rest.get(at..).is_some_and(|rest| rest.starts_with(DROPPED)),
        };
        if ends {
            end = at;
            break;
        }
    }
    without_closing(rest.get(..end).unwrap_or_default()).len()
}

/// A word without the quotes and brackets at its end that nothing in it opened.
fn without_closing(word: &str) -> &str {
    let mut word = word;
    while let Some(last) = word.chars().next_back() {
        let times = |letter: char| word.matches(letter).count();
        let closes = match last {
            ')' => times('(') < times(')'),
            ']' => times('[') < times(']'),
            '}' => times('{') < times('}'),
            '>' => times('<') < times('>'),
            '"' | '\'' | '`' => times(last) % 2 == 1,
            ',' | ';' | '\\' => true,
            _ => false,
        };
        if !closes {
            break;
        }
        word = word.get(..word.len().saturating_sub(last.len_utf8())).unwrap_or_default();
    }
    word
}

/// Whether what follows is the next name with its value, or the end of the word.
fn goes_on(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(char::is_whitespace) || is_next_name(rest)
}

fn is_next_name(rest: &str) -> bool {
    let word = rest.trim_start_matches(['"', '\'', '\\', '{', '[', '(']);
    let quoted = word.len() < rest.len();
    let name = word.find(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.'))).unwrap_or(0);
    let next = word.get(name..).map(|after| after.trim_start_matches('\\')).and_then(|after| after.chars().next());
    name > 0 && (matches!(next, Some('=' | ':')) || quoted && matches!(next, Some('"' | '\'')))
}
