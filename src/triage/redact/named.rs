//! Values behind a name that says that they are secret: `password: x`, `"token":"x"`, `API_KEY=x`, `--token x`,
//! `<password>x</password>`, and the same in JSON that is escaped inside JSON.

use std::{ops::Range, sync::LazyLock};

use regex::{Captures, Regex};

use super::{keys::compiled, lines, value::value_at};

/// How the names of secrets end; what stands before (`db_`, `spring.datasource.`, `x-vault-`) does not matter.
const NAMES: &str = r"(?:passwords?|passwd|passphrase|passcode|pwd|\bpass|[_.-]pass|secret|secret[_.-]?id|tokens?|credentials?|(?:api|access|secret|private|signing|encryption|routing|integration|service|account|auth|master|deploy|license|ssh|storage|subscription|application|app|client|hmac|webhook)[ _.-]?key(?:[_.-]?id)?|jsessionid|phpsessid|connect\.sid)\d*";

/// A name, and what stands between it and its value.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&format!(
        r#"(?i)(?P<name>{NAMES})(?:(?P<close>\\*["'`])?\s*(?P<sep>:=|=>|==?|:|>|%3d)|(?P<tuple>\\*["']\s*,))\s*"#
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
        if let Some(place) = named(line, &found) {
            places.push(place);
        }
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

fn named(line: &str, found: &Captures<'_>) -> Option<Range<usize>> {
    let all = found.get(0)?;
    let value = value_at(line, all.end())?;
    if found.name("tuple").is_some() && !value.quoted {
        return None;
    }
    let written = text(line, &value.place);
    let name = found.name("name")?;
    // An object: its own fields are looked at one by one.
    if matches!(written.trim(), "{" | "" | "|" | ">" | "|-" | ">-") || written.starts_with('{') {
        return None;
    }
    if name.as_str().eq_ignore_ascii_case("secret") && is_sds_name(written) {
        return None;
    }
    if !value.quoted && matches!(written.to_ascii_lowercase().as_str(), "null" | "true" | "false" | "nil" | "none") {
        return None;
    }
    let sentence = found.name("sep").is_some_and(|sep| sep.as_str() == ":")
        && found.name("close").is_none()
        && !value.quoted
        && all.as_str().ends_with(char::is_whitespace)
        && is_sentence(line, name.start(), &value.place);
    (!sentence).then_some(value.place)
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
fn is_sds_name(written: &str) -> bool {
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

/// Hides the lines below `password: |`.
pub(super) fn find_blocks(text: &str, places: &mut Vec<Range<usize>>) {
    let mut below: Option<usize> = None;
    for (start, line) in lines(text) {
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
    assert!(SENTENCES.is_sorted(), "{SENTENCES:?}");
}
