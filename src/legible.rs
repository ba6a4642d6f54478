//! Text for people, on whichever face: nothing in it steers a terminal, turns the direction of writing, or cannot be seen.
//! One rule for all faces; what is markup differs by face, and each escapes that itself.

use std::borrow::Cow;

use serde_json::Value;

/// One line: control characters, line ends among them, become spaces; what cannot be seen is left out.
pub fn line(text: &str) -> Cow<'_, str> {
    shown(text, |_| false)
}

/// One line of at most `most` characters, for text from outside of any length.
pub fn short_line(text: &str, most: usize) -> String {
    let mut letters = text.chars().filter_map(letter);
    let mut short: String = letters.by_ref().take(most).collect();
    if letters.next().is_some() {
        short.push('…');
    }
    short
}

/// The first names of many, as `a, b and 3 more`.
pub fn named<T: ToString>(all: &[T], most: usize) -> String {
    let names: Vec<String> = all.iter().take(most).map(ToString::to_string).collect();
    match all.len().saturating_sub(most) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// A moment for people and for programs of others: RFC 3339 to whole seconds, as `2026-03-01T03:00:00Z`.
pub fn moment(at: jiff::Timestamp) -> String {
    format!("{at:.0}")
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

/// Texts that mean harm, and what every face is asked about what it shows of them.
#[cfg(test)]
pub(crate) mod hostile {
    use proptest::prelude::*;

    use super::*;

    /// Words with whatever Unicode has among them.
    pub(crate) fn text() -> impl Strategy<Value = String> {
        let one = prop_oneof![
            "[a-z <&@`]{1,6}",
            any::<char>().prop_map(String::from),
            proptest::sample::select(vec![
                '\u{202e}',
                '\u{2066}',
                '\u{200b}',
                '\u{feff}',
                '\u{1b}',
                '\u{9b}',
                '\r',
                '\u{e0041}'
            ])
            .prop_map(String::from),
        ];
        proptest::collection::vec(one, 1..12).prop_map(|parts| parts.concat())
    }

    /// Whether nothing in a text steers, turns or hides; line ends may be ours.
    pub(crate) fn is_legible(text: &str) -> bool {
        lines(text) == text
    }

    /// The same of every text of a document.
    pub(crate) fn all_legible(value: &Value) -> bool {
        match value {
            Value::String(text) => is_legible(text),
            Value::Array(all) => all.iter().all(all_legible),
            Value::Object(fields) => fields.iter().all(|(name, one)| is_legible(name) && all_legible(one)),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_shown_once_is_shown_so_again_and_every_document_as_well(text in hostile::text()) {
            let once = line(&text).into_owned();
            prop_assert_eq!(line(&once), once.as_str());
            prop_assert!(hostile::is_legible(&line(&text)) && !line(&text).contains('\n'));
            let shown = document(serde_json::json!({ text.clone(): [text.clone(), {"a": text}], "n": 1 }));
            prop_assert!(hostile::all_legible(&shown), "{}", shown);
        }
    }

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
        assert_eq!(short_line("adm\u{202e}in\n2", 6), "admin …");
        assert_eq!(short_line("adm\u{202e}in\n2", 7), "admin 2");
        assert_eq!(lines("two\n\tlines\r\u{200d}"), "two\n\tlines ");
        assert!(matches!(line("as it is"), Cow::Borrowed(_)));
    }
}
