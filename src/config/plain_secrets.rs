//! Secrets that were written out in the file, where they are only named: the file is refused, and they are never shown.

use serde_json::Value;

use crate::{legible, triage::holds_a_secret};

const INSTEAD: &str = "keep it elsewhere and name it, as {file: /path} or {env: NAME}";

/// The places that hold what looks like a secret, wherever it stands; empty where the text is no YAML.
pub(super) fn problems(text: &str) -> Vec<String> {
    let Ok(all) = serde_saphyr::from_str::<Value>(text) else {
        // Not even YAML: then the reading tells where, and quotes nothing.
        return Vec::new();
    };
    let mut found = Vec::new();
    look(&all, "", &mut found);
    found
}

fn look(value: &Value, place: &str, found: &mut Vec<String>) {
    match value {
        Value::String(text) if holds_a_secret(text) => {
            found.push(format!("{place}: a secret is written there in plain text (it is not shown): {INSTEAD}"));
        }
        Value::Array(all) => {
            for (at, one) in all.iter().enumerate() {
                look(one, &format!("{place}[{at}]"), found);
            }
        }
        Value::Object(fields) => {
            for (name, one) in fields {
                let dot = if place.is_empty() { "" } else { "." };
                if holds_a_secret(name) {
                    found.push(format!(
                        "{place}: the name of a field there is a secret in plain text (it is not shown): {INSTEAD}"
                    ));
                } else {
                    look(one, &format!("{place}{dot}{}", shown(name)), found);
                }
            }
        }
        _ => {}
    }
}

/// A value of the file, for a message. Hides a value that may be the key of a service, or that would mislead.
pub(super) fn shown(text: &str) -> String {
    /// The longest value that is shown whole, in characters.
    const MOST: usize = 40;
    if may_be_a_key(text) {
        return "(not shown: it may be a secret)".to_owned();
    }
    legible::short_line(text, MOST)
}

/// Letters and figures mixed, longer than names are: tokens of services have no other form in common.
fn may_be_a_key(text: &str) -> bool {
    const LEAST: usize = 16;
    let runs = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || matches!(letter, '_' | '+' | '=')));
    let mixed = |run: &str| {
        let figures = run.bytes().filter(u8::is_ascii_digit).count();
        run.len() >= LEAST && figures >= 2 && run.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    holds_a_secret(text) || runs.into_iter().any(mixed)
}

/// An error of the reader without the values that it quotes: a slip may have put a secret in any place. The names of
/// fields stay, and so does the line.
pub(super) fn without_values(error: &str, text: &str) -> String {
    let mut values = Vec::new();
    if let Ok(all) = serde_saphyr::from_str::<Value>(text) {
        collect(&all, &mut values);
    }
    values.sort_by_key(|value: &String| std::cmp::Reverse(value.len()));
    let quoted = |error: String, value: &String| {
        ['`', '"', '\'']
            .iter()
            .fold(error, |error, quote| error.replace(&format!("{quote}{value}{quote}"), &format!("{quote}…{quote}")))
    };
    let error = values.iter().filter(|value| !is_a_time(value)).fold(error.to_owned(), quoted);
    crate::triage::Redacted::new(&error).to_string()
}

fn collect(value: &Value, values: &mut Vec<String>) {
    match value {
        Value::String(text) => values.extend([text.clone(), text.escape_debug().to_string()]),
        Value::Number(figure) => values.push(figure.to_string()),
        Value::Array(all) => all.iter().for_each(|one| collect(one, values)),
        Value::Object(fields) => fields.values().for_each(|one| collect(one, values)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// A slip in a time repeats the value that somebody wrote: `15`, `1.5h`, `-5m`.
fn is_a_time(text: &str) -> bool {
    text.len() <= 12 && text.chars().all(|letter| letter.is_ascii_digit() || "hmsd .-+".contains(letter))
}
