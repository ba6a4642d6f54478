//! Values behind a name that says that they are secret: `password: x`, `"token":"x"`, `API_KEY=x`, `--token x`,
//! `<password>x</password>`, and the same in JSON that is escaped inside JSON.

use std::{ops::Range, sync::LazyLock};

use regex::{Captures, Regex};

use super::{
    DROPPED,
    keys::compiled,
    lines,
    value::{value_at, values_at},
};

/// How the names of secrets end; what stands before (`db_`, `spring.datasource.`, `x-vault-`) does not matter, nor does a
/// word behind that tells one from another (`_base`, `_v2`).
const NAMES: &str = r"(?:passwords?|passwd|passphrase|passcode|pwd|(?:store|key)pass|\bpass|[_.-]pass|secret|secret[_.-]?id|tokens?|credentials?|(?:api|access|secret|private|signing|encryption|routing|integration|service|account|auth|master|deploy|license|ssh|storage|subscription|application|app|client|hmac|webhook)[ _.-]?key(?:[_.-]?id)?|jsessionid|phpsessid|connect\.sid)\d*(?:[_.-](?:base|v?\d+|base64|b64|value|text|plain|raw|hash|enc|encrypted|old|new|current|previous|primary|secondary|backup|default|prod|production|staging|dev|test|live|main))*";

/// A name, and what stands between it and its value.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&format!(
        r#"(?i)(?P<name>{NAMES})(?:(?P<close>\\*["'`])?\s*(?P<sep>:=|=>|==?|:|>|%3d)|(?P<tuple>\\*["']\s*,))\s*"#
    ))
});

/// A variable of an environment with such a word anywhere in its name.
static VARIABLE: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"\b(?P<name>(?:[A-Z0-9]+_)*(?:[A-Z0-9]*(?:PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIALS?|APIKEY)|(?:API|ACCESS|PRIVATE|SECRET|SIGNING|ENCRYPTION)_KEY)(?:_[A-Z0-9]+)+)=",
    )
});

/// The last words of such names that hold no secret themselves.
const NO_SECRET: [&str; 27] = [
    "AT",
    "AUDIENCE",
    "COUNT",
    "DIR",
    "ENABLED",
    "ENDPOINT",
    "EXPIRATION",
    "EXPIRES",
    "EXPIRY",
    "FILE",
    "HEADER",
    "HOST",
    "IN",
    "ISSUER",
    "LENGTH",
    "LIFETIME",
    "NAME",
    "NAMESPACE",
    "PATH",
    "PORT",
    "PROVIDER",
    "REF",
    "SIZE",
    "TTL",
    "TYPE",
    "URI",
    "URL",
];

/// An entry that names the secret beside its value: `{"name": "DB_PASSWORD", "value": "…"}`, as environments are written.
static NAME_AND_VALUE: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&format!(
        r#"(?i)\b(?:name|key)(?:\\*["'])?\s*[:=]\s*(?:\\*["'])?[a-z0-9_.-]*?{NAMES}(?:\\*["'])?[\s,;]+(?:\\*["'])?value(?:\\*["'])?\s*[:=]\s*"#
    ))
});

/// A flag whose value is the next word, also in a list of arguments as JSON.
static FLAG: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&format!(
        r#"(?i)(?:^|[\s"'\[(=,])--?[a-z0-9][a-z0-9._-]*?{NAMES}(?:\\*["']\s*,\s*|\s+)|(?i)(?:^|[\s"'\[(])--?{NAMES}(?:\\*["']\s*,\s*|\s+)"#
    ))
});

/// `curl -u user:password`, and what is said to be a password or a token in quotes.
static SAID: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"(?i)(?:^|\s)(?:-u|--user|--proxy-user)[ =]+(?P<pair>[^\s:"']+:[^\s"']+)|\b(?:password|passwd|passphrase|token)s? (?:(?:is|was|of) )?\\*["'`](?P<said>[^"'`\\]+)"#,
    )
});

/// The private parts of a JSON Web Key.
static WEB_KEY: LazyLock<Regex> =
    LazyLock::new(|| compiled(r#"\\*"(?:d|p|q|dp|dq|qi|k)\\*"\s*:\s*\\*"(?P<part>[A-Za-z0-9_=+/-]+)"#));

/// How sentences about a secret begin, behind "token: …". Everything else there is taken for the secret.
const SENTENCES: [&str; 79] = [
    "a",
    "access",
    "already",
    "an",
    "authentication",
    "bad",
    "cannot",
    "certificate",
    "connection",
    "context",
    "could",
    "couldn't",
    "crypto",
    "deadline",
    "decode",
    "decoding",
    "denied",
    "dial",
    "disabled",
    "does",
    "empty",
    "enabled",
    "eof",
    "err",
    "error",
    "expected",
    "expired",
    "failed",
    "failure",
    "false",
    "file",
    "forbidden",
    "found",
    "get",
    "has",
    "http",
    "i/o",
    "id",
    "illegal",
    "internal",
    "invalid",
    "is",
    "json",
    "jwt",
    "key",
    "lookup",
    "malformed",
    "missing",
    "must",
    "n/a",
    "nil",
    "no",
    "none",
    "not",
    "null",
    "open",
    "parse",
    "parsing",
    "permission",
    "post",
    "read",
    "reading",
    "rejected",
    "remote",
    "request",
    "required",
    "rpc",
    "signature",
    "square/go-jose",
    "stat",
    "the",
    "tls",
    "true",
    "unable",
    "unauthorized",
    "unexpected",
    "unknown",
    "was",
    "x509",
];

/// Words before a name that make what follows it a reason.
const TROUBLE: [&str; 8] = ["fail", "unable", "could not", "cannot", "can't", "error", "couldn't", "invalid"];

pub(super) fn find(line: &str, places: &mut Vec<Range<usize>>) {
    for found in NAMED.captures_iter(line) {
        places.extend(named(line, &found));
    }
    for found in VARIABLE.captures_iter(line) {
        let (Some(all), Some(name)) = (found.get(0), found.name("name")) else { continue };
        if !is_about_a_secret(name.as_str()) {
            places.extend(value_at(line, all.end()).map(|value| value.place));
        }
    }
    for found in NAME_AND_VALUE.find_iter(line) {
        places.extend(value_at(line, found.end()).map(|value| value.place));
    }
    for found in FLAG.find_iter(line) {
        let value = value_at(line, found.end());
        places.extend(value.map(|value| value.place).filter(|place| !text(line, place).starts_with('-')));
    }
    for found in SAID.captures_iter(line) {
        places.extend(found.name("pair").or_else(|| found.name("said")).map(|said| said.range()));
    }
    if line.contains("\"kty") || line.contains("\"kty\\") {
        places.extend(WEB_KEY.captures_iter(line).filter_map(|found| Some(found.name("part")?.range())));
    }
}

/// Whether a name by itself says that its value is secret.
pub(super) fn says_secret(name: &str) -> bool {
    static NAME: LazyLock<Regex> = LazyLock::new(|| compiled(&format!("(?i){NAMES}$")));
    let variable = || VARIABLE.is_match(&format!("{name}=")) && !is_about_a_secret(name);
    NAME.is_match(name) || variable()
}

fn is_about_a_secret(name: &str) -> bool {
    name.rsplit('_').next().is_some_and(|last| NO_SECRET.binary_search(&last).is_ok())
}

fn named(line: &str, found: &Captures<'_>) -> Vec<Range<usize>> {
    let Some((all, name)) = found.get(0).zip(found.name("name")) else { return Vec::new() };
    let mut values = values_at(line, all.end());
    let Some(first) = values.first_mut() else { return Vec::new() };
    // A word that is itself the name of something is no value.
    let is_a_name = || {
        let behind = line.get(first.place.end..).unwrap_or_default().trim_start_matches(['\\', '"', '\'']);
        behind.trim_start().starts_with(':')
    };
    if found.name("tuple").is_some() && (!first.quoted || is_a_name()) {
        return Vec::new();
    }
    let written = text(line, &first.place);
    // An object: its own fields are looked at one by one.
    if matches!(written.trim(), "{" | "" | "|" | ">" | "|-" | ">-") || written.starts_with('{') {
        return Vec::new();
    }
    if name.as_str().eq_ignore_ascii_case("secret") && is_sds_name(written) {
        return Vec::new();
    }
    if !first.quoted && matches!(written.to_ascii_lowercase().as_str(), "null" | "true" | "false" | "nil" | "none") {
        return Vec::new();
    }
    let is_prose = found.name("sep").is_some_and(|sep| sep.as_str() == ":")
        && found.name("close").is_none()
        && !first.quoted
        && all.as_str().ends_with(char::is_whitespace);
    if is_prose && is_sentence(line, name.start(), &first.place) {
        return Vec::new();
    }
    if is_prose {
        first.place.end = end_of_phrase(line, first.place.end);
    }
    values.into_iter().map(|value| value.place).collect()
}

/// Where a phrase of several words ends, as `password: correct horse battery`: before the first that is no plain word, or is
/// one with which a sentence goes on.
fn end_of_phrase(line: &str, mut end: usize) -> usize {
    while let Some(rest) = line.get(end..).and_then(|rest| rest.strip_prefix(' ')) {
        let word = rest.split(' ').next().unwrap_or_default();
        let is_plain =
            !word.is_empty() && word.chars().all(|letter| letter.is_alphanumeric() || "-_!?#$%&*+^~.".contains(letter));
        if !is_plain || SENTENCES.binary_search(&word.to_lowercase().as_str()).is_ok() {
            break;
        }
        end = end.saturating_add(1).saturating_add(word.len());
    }
    end
}

/// Whether what stands behind `token: ` is a sentence about it.
fn is_sentence(line: &str, name: usize, place: &Range<usize>) -> bool {
    let word = text(line, place).trim_end_matches([':', '.', ',', ';']).to_ascii_lowercase();
    if SENTENCES.binary_search(&word.as_str()).is_ok() {
        return true;
    }
    let more = line.get(place.end..).unwrap_or_default().trim_start_matches([':', ',']);
    let more = more.starts_with(' ') && more.trim_start().starts_with(char::is_alphabetic);
    let before = line.get(..name).unwrap_or_default().to_ascii_lowercase();
    let plain = word.chars().all(char::is_alphabetic) || is_reference(&word);
    plain && more && TROUBLE.iter().any(|trouble| before.contains(trouble))
}

/// The names that a proxy's secrets have.
pub(super) fn is_sds_name(written: &str) -> bool {
    matches!(written, "default" | "ROOTCA" | "ALL")
        || ["kubernetes://", "kubernetes-gateway://", "file-cert:", "file-root:", "spiffe://", "configmap://"]
            .iter()
            .any(|begins| written.starts_with(begins))
}

/// An object of Kubernetes by name, as `web/tls-cert`.
fn is_reference(word: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    word.split_once('/').is_some_and(|(namespace, name)| part(namespace) && part(name))
}

fn text<'a>(line: &'a str, place: &Range<usize>) -> &'a str {
    line.get(place.clone()).unwrap_or_default()
}

/// A name of YAML whose value is the indented lines below.
static BLOCK: LazyLock<Regex> = LazyLock::new(|| compiled(&format!(r#"(?i){NAMES}["']?\s*:\s*[|>][+-]?\d?\s*$"#)));

/// The first of two lines of YAML that name a variable and its value.
static NAME_LINE: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r#"(?i)\bname["']?\s*:\s*["']?[a-z0-9_.-]*?{NAMES}["']?\s*$"#)));
/// The second.
static VALUE_LINE: LazyLock<Regex> = LazyLock::new(|| compiled(r#"(?i)^\s*["']?value["']?\s*:\s*(?P<value>\S.*)$"#));

/// Hides the lines below `password: |`, and the value below `- name: DB_PASSWORD`.
pub(super) fn find_blocks(text: &str, places: &mut Vec<Range<usize>>) {
    let mut below: Option<usize> = None;
    let mut is_named = false;
    for (start, line) in lines(text) {
        if is_named && let Some(value) = VALUE_LINE.captures(line).and_then(|found| found.name("value")) {
            let value = value.range();
            if !line.get(value.clone()).is_some_and(|value| value.contains(DROPPED)) {
                places.push(start.saturating_add(value.start)..start.saturating_add(value.end));
            }
        }
        is_named = NAME_LINE.is_match(line);
        let indent = line.len().saturating_sub(line.trim_start().len());
        if let Some(outer) = below {
            if indent > outer {
                places.push(start.saturating_add(indent)..start.saturating_add(line.len()));
                continue;
            }
            below = None;
        }
        if BLOCK.is_match(line) {
            below = Some(indent);
        }
    }
}

#[cfg(test)]
#[test]
fn the_words_are_in_order_so_that_they_are_found() {
    assert!(SENTENCES.is_sorted() && NO_SECRET.is_sorted(), "{SENTENCES:?} {NO_SECRET:?}");
}
