//! Private keys: as PEM in one line or several, whole or cut at either end; as base64 of PEM or DER.

use std::{ops::Range, sync::LazyLock};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use regex::Regex;

use super::lines;
use crate::triage::certificate::{DerKind, der_kind};

/// Compiles one of the patterns of this room.
pub(super) fn compiled(pattern: &str) -> Regex {
    // Patterns are constants, and the tests compile each of them.
    #[expect(clippy::expect_used, reason = "the pattern is a constant of this room")]
    Regex::new(pattern).expect("a constant pattern")
}

const MARK: &str = r"-{4,5} ?(?:BEGIN|END) [A-Z0-9 ]*PRIVATE KEY[A-Z0-9 ]*-{0,5}";

/// The marks around a key, and the same inside a line that holds all of it.
static KEY_MARK: LazyLock<Regex> = LazyLock::new(|| compiled(MARK));
/// What may stand between the marks in one line, where line ends are escaped or became spaces.
static BODY: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"^(?:[A-Za-z0-9+/=]{16,}|\s+|\\+[nrt]+|[A-Za-z0-9+/]{1,15}={0,2}(?:\\+[nr]|$))*"));
/// What a line holds that is part of a key: one run of base64 at its end, or a header of an old PEM.
static BODY_LINE: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"(?:^|[\s"'|:=\]])(?P<body>[A-Za-z0-9+/]{4,}={0,2})(?:\\+[nr])*["']?[\s,]*$|(?P<header>(?:Proc-Type|DEK-Info|Comment|PuTTY-User-Key-File-\d|Private-Lines|Private-MAC): ?\S.*)$"#,
    )
});
/// A run of base64 that is long enough for a key.
static BASE64: LazyLock<Regex> = LazyLock::new(|| compiled(r"[A-Za-z0-9+/_-]{24,}={0,2}"));
const CERTIFICATE_MARK: &str = "-----BEGIN CERTIFICATE";
/// The shortest line of a key that is not its last, in old forms.
const LINE_LEAST: usize = 32;
/// How long the lines of a PEM file are, by its writer.
const PEM_LINE: std::ops::RangeInclusive<usize> = 60..=80;

pub(super) fn find(text: &str, places: &mut Vec<Range<usize>>) {
    find_pem(text, places);
    for found in BASE64.find_iter(text) {
        if is_key(found.as_str()) {
            places.push(found.range());
        }
    }
}

/// Where a reader of lines is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    Key,
    Certificate,
}

fn find_pem(text: &str, places: &mut Vec<Range<usize>>) {
    let mut within = Within::Nothing;
    // The line before, whose short rest of base64 may turn out to be the end of a key that began before what was read.
    let mut maybe: Option<Range<usize>> = None;
    for (start, line) in lines(text) {
        let at = |place: Range<usize>| place.start.saturating_add(start)..place.end.saturating_add(start);
        let marks: Vec<_> = if line.contains("PRIVATE KEY") { KEY_MARK.find_iter(line).collect() } else { Vec::new() };
        if let (Some(first), Some(last)) = (marks.first(), marks.last()) {
            // What stands before an END without its BEGIN is the end of a key.
            let begins = first.as_str().contains("BEGIN");
            let from = if begins { first.start() } else { body_before(line, first.start()) };
            if !begins {
                places.extend(maybe.take());
            }
            let open = last.as_str().contains("BEGIN");
            let tail = line.get(last.end()..).unwrap_or_default();
            let to =
                if open { last.end().saturating_add(BODY.find(tail).map_or(0, |body| body.end())) } else { last.end() };
            places.push(at(from..to));
            within = if open { Within::Key } else { Within::Nothing };
            maybe = None;
            continue;
        }
        if line.contains(CERTIFICATE_MARK) {
            within = Within::Certificate;
        }
        let body = BODY_LINE.captures(line).and_then(|found| found.name("body").or_else(|| found.name("header")));
        match (within, body) {
            (Within::Key, Some(body)) => {
                places.push(at(body.range()));
                // The last line of a key is short; after a word that only looks like it nothing more is taken for a key.
                let goes_on = body.len() >= LINE_LEAST || body.as_str().contains(':');
                within = if goes_on { Within::Key } else { Within::Nothing };
            }
            (Within::Key, None) if line.trim().is_empty() => {}
            (Within::Certificate, Some(_)) => {}
            (Within::Nothing, Some(body)) => {
                let range = at(body.range());
                if is_line_of_pem(body.as_str()) {
                    places.push(range);
                    // What follows is more of it.
                    (within, maybe) = (Within::Key, None);
                } else {
                    maybe = Some(range);
                }
            }
            (_, None) => {
                within = if line.contains(CERTIFICATE_MARK) { Within::Certificate } else { Within::Nothing };
                maybe = None;
            }
        }
    }
}

/// Where the run of base64 begins that ends at `end`, escaped line ends among it.
fn body_before(line: &str, end: usize) -> usize {
    let before = line.get(..end).unwrap_or_default();
    let of_body = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '=' | '\\' | ' ');
    let start = before.trim_end_matches(of_body).len();
    // Words before it are no base64: a run begins behind the last space that is followed by something long.
    let run = before.get(start..).unwrap_or_default();
    let first = run.split(' ').scan(0_usize, |at, word| {
        let here = *at;
        *at = at.saturating_add(word.len()).saturating_add(1);
        Some((here, word))
    });
    let long = first.filter(|(_, word)| word.len() >= 16).map(|(at, _)| at).next();
    start.saturating_add(long.unwrap_or(run.len()))
}

/// Whether a run is a full line of a PEM file: as long, and of no alphabet but base64's. Digests are of fewer letters.
fn is_line_of_pem(run: &str) -> bool {
    PEM_LINE.contains(&run.len()) && looks_random(run)
}

fn looks_random(run: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| run.as_bytes().iter().filter(|byte| kind(byte)).count() >= 4;
    has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}

/// Reads base64 of either alphabet, with its padding or without.
fn decode(run: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let standard = run.trim_end_matches('=').replace('-', "+").replace('_', "/");
    // A run that was cut may end within a group of four.
    let whole = standard.len().saturating_sub(usize::from(standard.len() % 4 == 1));
    GeneralPurpose::new(&alphabet::STANDARD, config).decode(standard.get(..whole)?).ok()
}

/// Whether base64 holds a private key: PEM of one, or DER that begins like one.
fn is_key(run: &str) -> bool {
    // `-----BEGIN`, or the `0` with which all DER begins.
    if !(run.starts_with("LS0t") || run.starts_with('M')) {
        return false;
    }
    let Some(bytes) = decode(run) else { return false };
    if bytes.starts_with(b"-----BEGIN") || bytes.starts_with(b"---- BEGIN") {
        let has = |mark: &[u8]| bytes.windows(mark.len()).any(|window| window == mark);
        // Cut before it says what it is: only a certificate is known to be none.
        return has(b"PRIVATE KEY") || !has(b"CERTIFICATE");
    }
    der_kind(&bytes) == DerKind::Key
}
