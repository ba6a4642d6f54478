//! Text in a bounded room, with a visible mark where it was cut: what every face does with whatever it is given.

use crate::{chat::card::Span, legible};

/// What stands where something was cut.
pub(super) const CUT: &str = "… [cut]";

/// How long a platform may think a text is: UTF-16 units, which are never fewer than characters.
pub(super) fn length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Pieces one after the other in at most `most` units, and whether something was cut. No piece is cut in two.
pub(super) fn fill<P: AsRef<str>>(pieces: impl Iterator<Item = P>, most: usize) -> (String, bool) {
    let (mut out, mut used) = (String::new(), 0_usize);
    // Where the text would end if the mark had to follow.
    let (mut fallback, room) = (0, most.saturating_sub(length(CUT)));
    for piece in pieces {
        used = used.saturating_add(length(piece.as_ref()));
        if used > most {
            out.truncate(fallback);
            out.push_str(CUT);
            return (out, true);
        }
        out.push_str(piece.as_ref());
        if used <= room {
            fallback = out.len();
        }
    }
    (out, false)
}

/// The spans of a line, each drawn by `draw` in the room that it is given, in at most `most` units; and whether something
/// was cut.
pub(super) fn line(spans: &[Span], most: usize, draw: impl Fn(&Span, &str, usize) -> (String, bool)) -> (String, bool) {
    let mut out = String::new();
    for (at, span) in spans.iter().enumerate() {
        let last = at.saturating_add(1) == spans.len();
        let reserved = if last { 0 } else { length(CUT) };
        let room = most.saturating_sub(length(&out)).saturating_sub(reserved);
        let (piece, cut) = draw(span, &out, room);
        let fits = length(&piece) <= room;
        if fits {
            out.push_str(&piece);
        }
        if cut || !fits {
            if !out.ends_with(CUT) && length(&out).saturating_add(length(CUT)) <= most {
                out.push_str(CUT);
            }
            return (out, true);
        }
    }
    (out, false)
}

/// Text where nothing is markup, so that nothing is escaped; never empty, because platforms refuse that.
pub(super) fn plain(text: &str, most: usize) -> (String, bool) {
    let clean = legible::line(text);
    if clean.trim().is_empty() {
        return ("–".to_owned(), false);
    }
    let (mut shown, cut) = fill(clean.chars().map(String::from), most);
    if shown.trim().is_empty() {
        "–".clone_into(&mut shown);
    }
    (shown, cut)
}
