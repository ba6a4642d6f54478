//! Text for people, on whichever face: nothing in it steers a terminal, turns the direction of writing, or cannot be seen.
//! One rule for all faces; what is markup differs by face, and each escapes that itself.

use std::borrow::Cow;

use serde_json::Value;

/// One line: control characters, line ends among them, become spaces; what cannot be seen is left out.
pub fn line(text: &str) -> Cow<'_, str> {
    shown(text, |_| false)
}

/// Several lines: their ends and tabs stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    shown(text, |letter| matches!(letter, '\n' | '\t'))
}

/// All texts of a document.
pub fn document(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(lines(&text).into_owned()),
        Value::Array(all) => all.into_iter().map(document).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, one)| (lines(&name).into_owned(), document(one))).collect()
        }
        other => other,
    }
}

/// One character of a line as it is shown: itself, a space, or nothing.
pub fn letter(letter: char) -> Option<char> {
    if is_hidden(letter) {
        None
    } else if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}') {
        Some(' ')
    } else {
        Some(letter)
    }
}

fn shown(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let as_it_is = |one: char| stays(one) || letter(one) == Some(one);
    if text.chars().all(as_it_is) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter_map(|one| if stays(one) { Some(one) } else { letter(one) }).collect())
}

/// Whether a character has no width, or turns the text around it: with it a name looks like another, and a search for a
/// word misses it (Unicode's Default_Ignorable_Code_Point, and its bidirectional and interlinear marks).
fn is_hidden(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_hides_or_steers_leaves_a_text_and_everything_else_stays() {
        for (text, shown) in [
            ("plain – ü 漢字 🔴 עברית", "plain – ü 漢字 🔴 עברית"),
            ("adm\u{202e}in\u{202c} \u{2066}x\u{2069}", "admin x"),
            ("pass\u{200b}wo\u{feff}rd\u{ad}", "password"),
            ("a\u{1b}[31mred\u{7}\u{9b}2J", "a [31mred  2J"),
            ("two\nlines\u{2028}three", "two lines three"),
            ("tag\u{e0041}\u{e007f}\u{fe0f}", "tag"),
        ] {
            assert_eq!(line(text), shown);
        }
        assert_eq!(lines("two\n\tlines\r\u{200d}"), "two\n\tlines ");
        assert!(matches!(line("as it is"), Cow::Borrowed(_)));
    }
}
