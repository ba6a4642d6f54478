//! `Authorization` and cookies, as requests, dumps of headers and logs of proxies write them; and credentials behind the
//! name of their scheme.

use std::{ops::Range, sync::LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use regex::Regex;

use super::{DROPPED, keys::compiled, value::value_at};

static AUTHORIZATION: LazyLock<Regex> =
    LazyLock::new(|| compiled(r#"(?i)\bauthorization(?:\\*["'`])?\s*(?:=>|[:=,]|%3a)\s*"#));

static COOKIE: LazyLock<Regex> =
    LazyLock::new(|| compiled(r#"(?i)\b(?:set-)?cookies?2?(?:\\*["'`])?\s*(?:=>|[:=,]|%3a)\s*"#));

/// A scheme and its credentials, and the parameters of those that have them (Digest, AWS4).
static SCHEME: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"^(?P<scheme>[A-Za-z][A-Za-z0-9-]*) +(?P<credentials>(?:[A-Za-z][A-Za-z0-9_-]*=\\*"[^"]*"|[^\s"'`,\]}\\]+)(?:, *[A-Za-z][A-Za-z0-9_-]*=(?:\\*"[^"]*"|[^\s,"]+))*)"#,
    )
});

/// Pairs of a cookie, and the attributes of one that is set.
static PAIRS: LazyLock<Regex> = LazyLock::new(|| compiled(r#"^[^\s;"'`\]}\\]+(?:; *[^\s;"'`\]}\\]+)*"#));

static ALONE: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?i)\b(?P<scheme>bearer|basic|digest|negotiate|splunk|token)[ :]+(?P<credentials>[A-Za-z0-9._~+/=:-]{6,})",
    )
});

pub(super) fn find(line: &str, places: &mut Vec<Range<usize>>) {
    for found in AUTHORIZATION.find_iter(line) {
        places.extend(authorization(line, found.end()));
    }
    for found in COOKIE.find_iter(line) {
        places.extend(cookie(line, found.end()));
    }
    for found in ALONE.captures_iter(line) {
        let (Some(scheme), Some(credentials)) = (found.name("scheme"), found.name("credentials")) else { continue };
        if are_credentials(scheme.as_str(), credentials.as_str()) {
            places.push(credentials.range());
        }
    }
}

fn authorization(line: &str, at: usize) -> Option<Range<usize>> {
    let value = value_at(line, at)?;
    if value.quoted {
        let inner = line.get(value.place.clone())?;
        let hidden = value.place.start.saturating_add(scheme_end(inner))..value.place.end;
        return (!line.get(hidden.clone())?.starts_with(DROPPED)).then_some(hidden);
    }
    let at = value.place.start;
    let rest = line.get(at..)?;
    if let Some(credentials) = SCHEME.captures(rest).and_then(|found| found.name("credentials")) {
        let is_word = |word: &str| word.bytes().all(|byte| byte.is_ascii_lowercase());
        // "authorization: denied by policy" is a sentence.
        let scheme = rest.split(' ').next().unwrap_or_default();
        let sentence = is_word(scheme) && is_word(credentials.as_str()) && !is_scheme(scheme);
        let dropped = credentials.as_str().starts_with(DROPPED.trim_end_matches(']'));
        let shown = if names_a_scheme(scheme) { credentials.start() } else { 0 };
        let hidden = at.saturating_add(shown)..at.saturating_add(credentials.end());
        return (!sentence && !dropped).then_some(hidden);
    }
    // One word alone: a key without a scheme, or the last word of a sentence.
    let word = line.get(value.place.clone())?;
    (!matches!(word, "denied" | "failed" | "required" | "missing")).then_some(value.place)
}

/// Where the credentials begin in the value of an `Authorization`: its scheme stays, since it tells what was tried.
pub(super) fn scheme_end(value: &str) -> usize {
    value.find(' ').filter(|_| SCHEME.is_match(value)).map_or(0, |end| end.saturating_add(1))
}

/// Whether a word may be shown: it is no key.
fn names_a_scheme(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_alphabetic()) || word.to_ascii_uppercase().starts_with("AWS4-")
}

fn is_scheme(word: &str) -> bool {
    matches!(word, "bearer" | "basic" | "digest" | "negotiate" | "token" | "ntlm" | "hawk" | "apikey" | "splunk")
}

fn cookie(line: &str, at: usize) -> Option<Range<usize>> {
    let value = value_at(line, at)?;
    let hidden = if value.quoted {
        value.place
    } else {
        let start = value.place.start;
        start..start.saturating_add(PAIRS.find(line.get(start..)?)?.end())
    };
    line.get(hidden.clone())?.contains('=').then_some(hidden)
}

/// Words that follow the name of a scheme in sentences are no credentials: "basic constraints", "token has".
fn are_credentials(scheme: &str, word: &str) -> bool {
    let word = word.trim_end_matches(['.', ':', ',']);
    let plain = word
        .trim_start_matches(|letter: char| letter.is_ascii_uppercase())
        .bytes()
        .all(|byte| byte.is_ascii_lowercase());
    match scheme.to_ascii_lowercase().as_str() {
        "basic" => {
            let decoded = STANDARD_NO_PAD.decode(word.trim_end_matches('='));
            decoded.is_ok_and(|pair| pair.contains(&b':') && pair.iter().all(|byte| (32..127).contains(byte)))
        }
        "bearer" => !plain || word.len() >= 24,
        // Beside these words stand names as well: only what no name looks like is hidden.
        _ => word.len() >= 16 && has_letters_and_digits(word) && !word.contains("://") && !word.contains(':'),
    }
}

fn has_letters_and_digits(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit()) && word.bytes().any(|byte| byte.is_ascii_alphabetic())
}
