//! Events last: a journal of today is read by every later version. One stored line of every kind of event and work is
//! kept in `tests/data/journal`; a kind without a line, or a line that is no longer understood, fails here.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;

use mtls_medic::incident::{Event, Work};
use serde_json::Value;

/// The variants of a public enum, as they are stored.
fn kinds(source: &str, of: &str) -> BTreeSet<String> {
    let body = source.split(&format!("pub enum {of} {{\n")).nth(1).unwrap().split("\n}\n").next().unwrap();
    let variant =
        |line: &&str| line.starts_with("    ") && line[4..].starts_with(|first: char| first.is_ascii_uppercase());
    let name = |line: &str| snake(line.trim().split(|c: char| !c.is_alphanumeric()).next().unwrap());
    body.lines().filter(variant).map(name).collect()
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn kept<'a>(lines: &'a str, tag: &'a str) -> impl Iterator<Item = (String, &'a str)> {
    lines.lines().map(move |line| {
        let value: Value = serde_json::from_str(line).unwrap();
        (value.get(tag).unwrap().as_str().unwrap().to_owned(), line)
    })
}

/// Kinds that older versions stored, and what they are read as.
const LIFTED: [(&str, &str); 3] = [
    ("replacement_awaited", "step_awaited"),
    ("replacement_ready", "step_settled"),
    ("poll_replacement", "await_step"),
];

fn of_today(kind: &str) -> String {
    let lifted = LIFTED.iter().find(|(old, _)| *old == kind);
    lifted.map_or(kind, |(_, today)| today).to_owned()
}

#[test]
fn every_kind_of_event_that_was_ever_stored_is_still_understood() {
    let lines = include_str!("data/journal/events-v1.jsonl");
    let mut seen = BTreeSet::new();
    for (kind, line) in kept(lines, "event") {
        let event: Event = serde_json::from_str(line).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(event.name(), of_today(&kind));
        let again = serde_json::to_value(&event).unwrap();
        assert_eq!(serde_json::from_value::<Event>(again).unwrap(), event, "what is stored today is read as the same");
        seen.insert(of_today(&kind));
    }
    assert_eq!(seen, kinds(include_str!("../src/incident/event.rs"), "Event"));
}

#[test]
fn every_kind_of_work_that_was_ever_stored_is_still_understood() {
    let lines = include_str!("data/journal/works-v1.jsonl");
    let mut seen = BTreeSet::new();
    for (kind, line) in kept(lines, "work") {
        let work: Work = serde_json::from_str(line).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(serde_json::to_value(work).unwrap().get("work").unwrap(), &Value::from(of_today(&kind)));
        seen.insert(of_today(&kind));
    }
    assert_eq!(seen, kinds(include_str!("../src/incident/effect.rs"), "Work"));
}
