//! How long texts are shortened: what happened often stands first, and its cause last.

use std::borrow::Cow;

/// How much of a text is quoted in a sentence, in characters.
const QUOTED_MOST: usize = 200;
/// What stands where something was left out.
const CUT: &str = "…";

/// The end of a text, as a sentence quotes it.
pub(super) fn end_of(text: &str) -> String {
    let text = text.trim_end();
    let length = text.chars().count();
    if length <= QUOTED_MOST {
        return text.to_owned();
    }
    let end: String = text.chars().skip(length.saturating_sub(QUOTED_MOST)).collect();
    format!("{CUT}{end}")
}

/// A text of `most` bytes at most: of a longer one its beginning and its end.
pub(super) fn both_ends(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let half = most.saturating_sub(CUT.len()) / 2;
    let head = (0..=half).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let tail = (text.len().saturating_sub(half)..text.len()).find(|at| text.is_char_boundary(*at));
    let tail = tail.unwrap_or(text.len());
    Cow::Owned(format!("{}{CUT}{}", text.get(..head).unwrap_or_default(), text.get(tail..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_line_is_quoted_since_the_cause_stands_there() {
        let line = format!("time=x level=error msg={} error=\"the cause\"", "x".repeat(500));
        let quoted = end_of(&line);
        assert!(quoted.starts_with('…') && quoted.ends_with("error=\"the cause\""), "{quoted}");
        assert_eq!(quoted.chars().count(), QUOTED_MOST + 1);
        assert_eq!(end_of("short\n"), "short");
    }

    #[test]
    fn of_a_long_text_both_ends_stay_whatever_its_letters() {
        assert_eq!(both_ends("short", 5), "short");
        assert_eq!(both_ends(&format!("first{}last", "x".repeat(90)), 15), "firstx…xxlast");
        for most in 0..40 {
            let text = "é…𝄞".repeat(30);
            let short = both_ends(&text, most);
            assert!(short.len() <= most.max(CUT.len()), "{most}: {short}");
        }
    }
}
