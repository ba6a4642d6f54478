//! Private keys: as PEM in one line or several, whole or cut at either end; as base64 of PEM or DER.

use std::{ops::Range, sync::LazyLock};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use regex::Regex;

use super::{fields, lines};
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
/// A run of base64 that may be a line of a key.
static RUN: LazyLock<Regex> = LazyLock::new(|| compiled(r"[A-Za-z0-9+/]{4,}={0,2}"));
/// A header of an old PEM, or of a key of PuTTY.
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    compiled(r"(?:Proc-Type|DEK-Info|Comment|PuTTY-User-Key-File-\d|Private-Lines|Private-MAC): ?\S.*$")
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
#[derive(Clone, PartialEq, Eq)]
enum Within {
    Nothing,
    /// A key, whose lines stand behind these words where each is logged as an entry of its own.
    Key(String),
    Certificate,
}

fn find_pem(text: &str, places: &mut Vec<Range<usize>>) {
    let mut within = Within::Nothing;
    // The line before, whose short rest of base64 may turn out to be the end of a key that began before what was read.
    let mut maybe: Option<Range<usize>> = None;
    for (start, line) in lines(text) {
        let at = |place: Range<usize>| place.start.saturating_add(start)..place.end.saturating_add(start);
        if let Some(marked) = Marked::of(line) {
            if !marked.begins {
                places.extend(maybe.take());
            }
            places.extend(marked.places.into_iter().map(at));
            within = marked.open.map_or(Within::Nothing, Within::Key);
            maybe = None;
            continue;
        }
        if line.contains(CERTIFICATE_MARK) {
            within = Within::Certificate;
        }
        let runs = runs(line);
        let last = runs.last().filter(|run| is_last(line, run)).cloned();
        match &within {
            Within::Key(behind) => match body(line, &runs, behind) {
                Some(body) => {
                    // The last line of a key is short; after a word that only looks like it nothing more is taken for a key.
                    let goes_on = body.len() >= LINE_LEAST || text_at(line, &body).contains(':');
                    places.push(at(body));
                    within = if goes_on { within } else { Within::Nothing };
                }
                None if line.trim().is_empty() => {}
                None => (within, maybe) = (Within::Nothing, None),
            },
            Within::Certificate if !runs.is_empty() || line.contains(CERTIFICATE_MARK) => {}
            Within::Certificate => (within, maybe) = (Within::Nothing, None),
            Within::Nothing => {
                let full: Vec<_> = runs.into_iter().filter(|run| is_line_of_pem(text_at(line, run))).collect();
                if let Some(first) = full.first() {
                    // What follows is more of it.
                    (within, maybe) = (Within::Key(words_before(line, first.start)), None);
                } else {
                    maybe = last.map(at);
                }
                places.extend(full.into_iter().map(at));
            }
        }
    }
}

/// A line with the mark of a key.
struct Marked {
    places: Vec<Range<usize>>,
    /// Whether the first of its marks is a beginning.
    begins: bool,
    /// The words before the key, where it goes on in the next line.
    open: Option<String>,
}

impl Marked {
    fn of(line: &str) -> Option<Self> {
        if !line.contains("PRIVATE KEY") {
            return None;
        }
        let mut all: Option<Self> = None;
        for field in fields(line) {
            let Some(found) = Self::of_field(line, &field) else { continue };
            let begins = all.as_ref().map_or(found.begins, |all| all.begins);
            let mut places = all.map(|all| all.places).unwrap_or_default();
            places.extend(found.places);
            all = Some(Self { places, begins, open: found.open });
        }
        all
    }

    fn of_field(line: &str, field: &Range<usize>) -> Option<Self> {
        let text = line.get(field.clone())?;
        let marks: Vec<_> = KEY_MARK.find_iter(text).collect();
        let (first, last) = (marks.first()?, marks.last()?);
        // What stands before an END without its BEGIN is the end of a key.
        let begins = first.as_str().contains("BEGIN");
        let from = if begins { first.start() } else { body_before(text, first.start()) };
        let open = last.as_str().contains("BEGIN");
        let tail = text.get(last.end()..).unwrap_or_default();
        let body = if open { BODY.find(tail).map_or(0, |body| body.end()) } else { 0 };
        let to = last.end().saturating_add(body);
        let place = field.start.saturating_add(from)..field.start.saturating_add(to);
        let open = open.then(|| words_before(line, field.start.saturating_add(last.start())));
        Some(Self { places: vec![place], begins, open })
    }
}

fn text_at<'a>(line: &'a str, place: &Range<usize>) -> &'a str {
    line.get(place.clone()).unwrap_or_default()
}

/// What stands before a value, back to a space or to the field before: `msg="`, or `"msg":"`.
fn words_before(line: &str, at: usize) -> String {
    let before = line.get(..at).unwrap_or_default();
    before.rsplit([' ', ',', '{', '\t']).next().unwrap_or_default().to_owned()
}

/// The runs of base64 in a line that stand by themselves.
fn runs(line: &str) -> Vec<Range<usize>> {
    let stands_alone = |run: &Range<usize>| {
        let before = line.get(..run.start).and_then(|before| before.chars().next_back());
        let begins = before.is_none_or(|letter| letter.is_whitespace() || "\"'|:=]".contains(letter));
        let ends = |letter: char| letter.is_whitespace() || ",}])".contains(letter);
        begins && behind(line, run.end).is_none_or(ends)
    };
    RUN.find_iter(line).map(|run| run.range()).filter(stands_alone).collect()
}

/// The first letter behind a run, where line ends that are escaped and a quote do not count.
fn behind(line: &str, at: usize) -> Option<char> {
    let mut rest = line.get(at..).unwrap_or_default();
    loop {
        let escaped = rest.trim_start_matches('\\');
        match escaped.strip_prefix(['n', 'r']) {
            Some(more) if escaped.len() < rest.len() => rest = more,
            _ => break,
        }
    }
    let rest = rest.trim_start_matches('\\');
    rest.strip_prefix(['"', '\'']).unwrap_or(rest).chars().next()
}

/// Whether a run is the last of its line.
fn is_last(line: &str, run: &Range<usize>) -> bool {
    let rest = line.get(run.end..).unwrap_or_default();
    rest.chars().all(|letter| letter.is_whitespace() || "\\nr\"',".contains(letter))
}

/// The part of a line within a key that belongs to it: behind the same words as its beginning, or at the line's end, or what
/// is long enough; or a header, to the end of its field.
fn body(line: &str, runs: &[Range<usize>], behind: &str) -> Option<Range<usize>> {
    let header = || {
        fields(line).into_iter().find_map(|field| {
            let found = HEADER.find(line.get(field.clone())?)?;
            Some(field.start.saturating_add(found.start())..field.start.saturating_add(found.end()))
        })
    };
    let same = |run: &&Range<usize>| !behind.is_empty() && words_before(line, run.start) == behind;
    let last = || runs.last().filter(|run| is_last(line, run));
    let long = || runs.iter().filter(|run| run.len() >= LINE_LEAST).max_by_key(|run| run.len());
    runs.iter().find(same).or_else(last).or_else(long).cloned().or_else(header)
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
