//! A line that is a JSON document: what a name says holds for its own value alone, and no rule looks beyond the text in which
//! it found something. Callers choose what stands in the fields of an access log, and must not hide, or unhinge, the others.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::{
    DROPPED, clear,
    headers::scheme_end,
    keys::compiled,
    named::{is_sds_name, says_secret},
};

/// How deep lists and objects may lie in each other.
const DEPTH_MOST: usize = 100;

/// A part of a document, and where it stands; texts with their quotes.
enum Part {
    Text(Range<usize>),
    /// A number, or one of three words.
    Bare(Range<usize>),
    List(Vec<Part>),
    Fields(Vec<(Range<usize>, Part)>),
}

/// What a name says of its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Secret,
    /// A secret, unless it is the name of a secret of a proxy.
    MaybeSdsName,
    Authorization,
    Cookie,
    Plain,
}

/// The document without its secrets, and still a document; `None` where the line is none.
pub(super) fn cleared(line: &str) -> Option<String> {
    let (document, _) = read(line)?;
    let mut clearing = Clearing { text: line, changes: Vec::new() };
    clearing.part(&document, Kind::Plain)?;
    let (mut out, mut from) = (String::new(), 0_usize);
    for (place, new) in clearing.changes {
        out.push_str(line.get(from..place.start)?);
        out.push_str(&new);
        from = place.end;
    }
    out.push_str(line.get(from..)?);
    Some(out)
}

/// The texts of a document, names among them, where the line is one.
pub(super) fn texts(line: &str) -> Option<Vec<Range<usize>>> {
    read(line).map(|(_, texts)| texts)
}

fn read(line: &str) -> Option<(Part, Vec<Range<usize>>)> {
    let mut reader = Reader { text: line, at: 0, texts: Vec::new() };
    reader.skip_space();
    if !matches!(reader.peek(), Some(b'{' | b'[')) {
        return None;
    }
    let document = reader.value(0)?;
    reader.skip_space();
    (reader.at == line.len()).then_some((document, reader.texts))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    texts: Vec<Range<usize>>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at = self.at.saturating_add(1);
        }
    }

    /// Steps over this byte and the space around it, where it comes next.
    fn takes(&mut self, byte: u8) -> bool {
        self.skip_space();
        let is_there = self.peek() == Some(byte);
        if is_there {
            self.at = self.at.saturating_add(1);
            self.skip_space();
        }
        is_there
    }

    fn value(&mut self, depth: usize) -> Option<Part> {
        if depth > DEPTH_MOST {
            return None;
        }
        let deeper = depth.saturating_add(1);
        if self.takes(b'{') {
            let mut fields = Vec::new();
            while !self.takes(b'}') {
                if !fields.is_empty() && !self.takes(b',') {
                    return None;
                }
                let name = self.text()?;
                fields.push((name, self.takes(b':').then(|| self.value(deeper))??));
            }
            return Some(Part::Fields(fields));
        }
        if self.takes(b'[') {
            let mut all = Vec::new();
            while !self.takes(b']') {
                if !all.is_empty() && !self.takes(b',') {
                    return None;
                }
                all.push(self.value(deeper)?);
            }
            return Some(Part::List(all));
        }
        if self.peek() == Some(b'"') { self.text().map(Part::Text) } else { self.bare().map(Part::Bare) }
    }

    fn text(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return None;
        }
        loop {
            self.at = self.at.saturating_add(1);
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at = self.at.saturating_add(1),
                _ => {}
            }
        }
        self.at = self.at.saturating_add(1);
        serde_json::from_str::<String>(self.text.get(start..self.at)?).ok()?;
        self.texts.push(start.saturating_add(1)..self.at.saturating_sub(1));
        Some(start..self.at)
    }

    fn bare(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')) {
            self.at = self.at.saturating_add(1);
        }
        let written = self.text.get(start..self.at)?;
        let is_number = written.starts_with(|letter: char| letter == '-' || letter.is_ascii_digit());
        (is_number || is_word(written)).then_some(start..self.at)
    }
}

fn is_word(written: &str) -> bool {
    matches!(written, "true" | "false" | "null")
}

struct Clearing<'a> {
    text: &'a str,
    /// What is written instead, in its order.
    changes: Vec<(Range<usize>, String)>,
}

impl Clearing<'_> {
    fn part(&mut self, part: &Part, kind: Kind) -> Option<()> {
        match part {
            Part::Text(place) => {
                let said = self.read(place)?;
                let kept = without_secrets(&said, kind);
                if kept != said {
                    self.changes.push((place.clone(), serde_json::to_string(&kept).ok()?));
                }
            }
            Part::Bare(place) => {
                let hides = matches!(kind, Kind::Secret | Kind::MaybeSdsName);
                if hides && !is_word(self.text.get(place.clone())?) {
                    self.changes.push((place.clone(), format!("\"{DROPPED}\"")));
                }
            }
            Part::List(all) => self.list(all, kind)?,
            Part::Fields(fields) => self.fields(fields)?,
        }
        Some(())
    }

    /// Each by what its list is; or behind a flag or a name, by what that is: `["--token", "…"]`.
    fn list(&mut self, all: &[Part], kind: Kind) -> Option<()> {
        let mut next = kind;
        for part in all {
            let said = if let Part::Text(place) = part { self.read(place)? } else { String::new() };
            self.part(part, if said.starts_with('-') { kind } else { next })?;
            next = if kind == Kind::Plain { behind_the_word(&said) } else { kind };
        }
        Some(())
    }

    /// Each by its own name; or where one names another (`{"name": "DB_PASSWORD", "value": "…"}`) by that.
    fn fields(&mut self, fields: &[(Range<usize>, Part)]) -> Option<()> {
        let mut named = Kind::Plain;
        let mut is_web_key = false;
        for (name, part) in fields {
            let name = self.read(name)?.to_ascii_lowercase();
            is_web_key |= name == "kty";
            if let ("name" | "key" | "variable", Part::Text(place)) = (name.as_str(), part) {
                named = kind_of(&self.read(place)?);
            }
        }
        for (name, part) in fields {
            let name = self.read(name)?;
            let kind = match (kind_of(&name), name.to_ascii_lowercase().as_str()) {
                (Kind::Plain, "value" | "values" | "stringvalue" | "string_value") => named,
                (Kind::Plain, "d" | "p" | "q" | "dp" | "dq" | "qi" | "k") if is_web_key => Kind::Secret,
                (kind, _) => kind,
            };
            self.part(part, kind)?;
        }
        Some(())
    }

    fn read(&self, place: &Range<usize>) -> Option<String> {
        serde_json::from_str(self.text.get(place.clone())?).ok()
    }
}

fn without_secrets(said: &str, kind: Kind) -> String {
    match kind {
        Kind::MaybeSdsName if is_sds_name(said) => said.to_owned(),
        Kind::Secret | Kind::MaybeSdsName if said.is_empty() => String::new(),
        // A document in a text: its own fields are looked at.
        Kind::Secret | Kind::MaybeSdsName => cleared(said).unwrap_or_else(|| DROPPED.to_owned()),
        // The scheme stays: it tells what was tried.
        Kind::Authorization => match said.get(..scheme_end(said)) {
            Some(scheme) if !said.is_empty() => format!("{scheme}{DROPPED}"),
            _ => said.to_owned(),
        },
        Kind::Cookie if said.contains('=') => DROPPED.to_owned(),
        Kind::Cookie | Kind::Plain => clear(said.to_owned()).0,
    }
}

fn kind_of(name: &str) -> Kind {
    static AUTHORIZATION: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?i)\bauthorization$"));
    static COOKIE: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?i)\b(?:set-)?cookies?2?$"));
    if AUTHORIZATION.is_match(name) {
        Kind::Authorization
    } else if COOKIE.is_match(name) {
        Kind::Cookie
    } else if name.eq_ignore_ascii_case("secret") {
        Kind::MaybeSdsName
    } else if says_secret(name) {
        Kind::Secret
    } else {
        Kind::Plain
    }
}

/// What a word of a list says of the next: only a name or a flag alone does.
fn behind_the_word(word: &str) -> Kind {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if matches!(word, "-u" | "--user" | "--proxy-user") {
        Kind::Secret
    } else if word.chars().all(is_name) {
        kind_of(word)
    } else {
        Kind::Plain
    }
}
