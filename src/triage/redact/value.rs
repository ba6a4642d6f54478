//! Where the value behind a name ends, in whichever form a line writes it.

use std::ops::Range;

use super::DROPPED;

/// A value: where it stands, and whether it is in quotes.
pub(super) struct Value {
    pub(super) place: Range<usize>,
    pub(super) quoted: bool,
}

/// The value that begins at `at`: in quotes, with as many backslashes before them as JSON inside JSON has, or bare. `None`
/// where nothing is written, or what was written is dropped already.
pub(super) fn value_at(line: &str, at: usize) -> Option<Value> {
    let at = within_a_list(line, at)?;
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

/// Where a bare word ends. A comma or a semicolon may be part of a password, so it ends there only where the line goes on
/// with something else.
fn bare_end(rest: &str) -> usize {
    for (at, letter) in rest.char_indices() {
        let ends = match letter {
            // A backslash escapes a quote or a line end.
            '"' | '\'' | '`' | '<' | '>' | ')' | ']' | '}' | '\\' => true,
            ',' | ';' | '&' | '|' => goes_on(rest.get(at.saturating_add(1)..).unwrap_or_default()),
            letter => letter.is_whitespace(),
        };
        if ends {
            return at;
        }
    }
    rest.len()
}

/// Whether what follows is the next name with its value, or the end of the word.
fn goes_on(rest: &str) -> bool {
    let word = rest.trim_start_matches(['"', '\'']);
    let name = word.find(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.'))).unwrap_or(0);
    let next = word.get(name..).and_then(|after| after.chars().next());
    rest.is_empty()
        || rest.starts_with(char::is_whitespace)
        || (name > 0 && matches!(next, Some('=' | ':' | '"' | '\'')))
}
