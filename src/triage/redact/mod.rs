//! Evidence holds lines that others wrote: access logs with query strings, agents' logs with tokens. What may be a secret,
//! and what could mislead a reader, is dropped once, where bytes from a pod become text, before anything is stored, logged,
//! saved or shown (invariant 6).
//!
//! Secrets are known by their structure: where they stand ([`named`], [`headers`], [`addresses`]) or what they look like
//! ([`keys`], [`tokens`]). Each rule gives the places to hide; what a diagnosis needs stays: certificates, SPIFFE IDs,
//! serial numbers, names of SDS secrets, and sentences about tokens.

mod addresses;
mod evidence;
mod headers;
mod json;
mod keys;
mod named;
#[cfg(test)]
mod tests;
mod tokens;
mod value;

use std::{
    fmt,
    ops::{Deref, Range},
};

use serde::{Deserialize, Serialize};

pub(super) use evidence::{certificates_by_domain, certificates_only, lines_of_one_log};

use super::{ends::both_ends, envoy::Call};
use crate::legible;

/// What stands where something was dropped.
const DROPPED: &str = "[redacted]";
/// The longest text that is quoted, in bytes.
const TEXT_MOST: usize = 2048;

/// One line from outside without its secrets: only the redactor makes it, also when old evidence is read. Text that did not
/// go through it is no evidence.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Redacted(#[serde(deserialize_with = "redacted_line")] String);

/// A whole log without its secrets, those among them that take several lines. Its lines are as long as they were.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RedactedLog(String);

impl Redacted {
    /// Drops what may be a secret, what could mislead, and the middle of what is too long.
    pub fn new(text: &str) -> Self {
        Self(both_ends(&without_secrets(&legible::line(text)), TEXT_MOST).into_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RedactedLog {
    /// Drops what may be a secret and what could mislead.
    pub fn new(text: &str) -> Self {
        Self(without_secrets(&legible::lines(text)))
    }
}

/// Whether a text holds something that looks like a secret: for configurations, where secrets are named and never written.
/// Of the values of a query only those count whose name says so.
pub fn holds_a_secret(text: &str) -> bool {
    let mut places = Vec::new();
    keys::find(text, &mut places);
    for (start, line) in lines(text) {
        let mut of_line = Vec::new();
        tokens::find(line, &mut of_line);
        addresses::find_secrets(line, &mut of_line);
        headers::find(line, &mut of_line);
        if line.contains("://") {
            named::find(line, &mut of_line);
        }
        places.extend(of_line.into_iter().map(|place| shifted(&place, start)));
    }
    !places.is_empty()
}

/// How often a text is looked at: what was dropped may bring together what stood around it.
const LOOKS_MOST: usize = 4;

fn without_secrets(text: &str) -> String {
    let (mut text, mut changed) = (text.to_owned(), true);
    for _ in 0..LOOKS_MOST {
        if !changed {
            break;
        }
        (text, changed) = clear(text);
    }
    text
}

/// One look, and whether it changed anything: what takes several lines first, then each document by its fields, and each
/// other line. It takes the text, so that a log is there twice meanwhile and not more often (`bounds`).
fn clear(text: String) -> (String, bool) {
    let (text, mut changed) = clear_across_lines(text);
    let mut out = String::with_capacity(text.len());
    for (start, line) in lines(&text) {
        if start > 0 {
            out.push('\n');
        }
        let cleared = json::cleared(line).unwrap_or_else(|| hide(line, find(line)));
        changed |= cleared != line;
        out.push_str(&cleared);
    }
    (out, changed)
}

fn clear_across_lines(text: String) -> (String, bool) {
    let mut places = Vec::new();
    keys::find(&text, &mut places);
    named::find_blocks(&text, &mut places);
    if places.is_empty() {
        return (text, false);
    }
    let cleared = hide(&text, places);
    let changed = cleared != text;
    (cleared, changed)
}

fn find(line: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    for field in fields(line) {
        let mut found = Vec::new();
        for find in [tokens::find, headers::find, addresses::find, named::find] {
            find(line.get(field.clone()).unwrap_or_default(), &mut found);
        }
        places.extend(found.into_iter().map(|place| shifted(&place, field.start)));
    }
    places
}

/// The parts of a line beyond which no rule looks: callers fill some fields of an access log as they like, and must not hide
/// what the proxy says in the others.
fn fields(line: &str) -> Vec<Range<usize>> {
    let call = Call::of(line).map(|call| call.fields());
    call.or_else(|| json::texts(line)).unwrap_or_else(|| std::iter::once(0..line.len()).collect())
}

/// Each line with where it begins.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut next = 0_usize;
    text.split('\n').map(move |line| {
        let start = next;
        next = start.saturating_add(line.len()).saturating_add(1);
        (start, line)
    })
}

fn shifted(place: &Range<usize>, by: usize) -> Range<usize> {
    place.start.saturating_add(by)..place.end.saturating_add(by)
}

/// The text with the mark in place of each stretch; stretches that touch become one.
fn hide(text: &str, mut places: Vec<Range<usize>>) -> String {
    places.retain(|place| !place.is_empty());
    places.sort_by_key(|place| (place.start, place.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for place in places {
        match merged.last_mut() {
            Some(last) if place.start <= last.end => last.end = last.end.max(place.end),
            _ => merged.push(place),
        }
    }
    let (mut out, mut from) = (String::new(), 0_usize);
    for place in merged {
        out.push_str(text.get(from..place.start).unwrap_or_default());
        out.push_str(DROPPED);
        from = place.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

fn redacted_line<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| Redacted::new(&text).0)
}

impl From<&str> for Redacted {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Redacted {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl Deref for Redacted {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Deref for RedactedLog {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for RedactedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of a log", self.0.len())
    }
}
