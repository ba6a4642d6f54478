//! Text without markup: each face escapes every piece for its platform, and writes times for its reader.

use jiff::Timestamp;

use crate::{
    chat::grammar::Verb,
    incident::IncidentId,
    people::{Mention, PersonId},
};

/// One piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// Plain words. May hold text from outside, so a face escapes it.
    Text(String),
    /// Words that carry the line. May hold text from outside.
    Strong(String),
    /// A name, as it is typed. May hold text from outside.
    Code(String),
    /// A command without the platform's name for all of them, as `fix INC-7 restart-pod`: each face writes it as people type
    /// it there.
    Command(String),
    /// A moment, shown in the reader's own time zone where the platform can do that.
    Time(Timestamp),
    /// A person who did something.
    Person(PersonId),
    /// Somebody who is called. Only from the configuration or a checked actor (invariant 7).
    Mention(Mention),
}

/// One line.
pub type Line = Vec<Span>;

/// Plain words.
pub fn text(words: impl Into<String>) -> Span {
    Span::Text(words.into())
}

/// Words that carry the line.
pub fn strong(words: impl Into<String>) -> Span {
    Span::Strong(words.into())
}

/// A name.
pub fn code(words: impl Into<String>) -> Span {
    Span::Code(words.into())
}

/// A moment.
pub fn time(moment: Timestamp) -> Span {
    Span::Time(moment)
}

/// A person.
pub fn person(who: &PersonId) -> Span {
    Span::Person(who.clone())
}

/// A line of words only.
pub fn words(line: impl Into<String>) -> Line {
    vec![text(line)]
}

/// A line that tells how to type a command about an incident.
pub fn command(verb: &str, incident: IncidentId, rest: &str) -> Span {
    let gap = if rest.is_empty() { "" } else { " " };
    command_line(format!("{verb} {incident}{gap}{rest}"))
}

/// A command, as `writes off`.
pub fn command_line(words: impl Into<String>) -> Span {
    Span::Command(words.into())
}

/// The platforms' name for all commands of the bot.
pub const COMMAND: &str = "/mtls";

/// People one after the other: "A, B and C".
pub fn people<'a>(who: impl IntoIterator<Item = &'a PersonId>) -> Line {
    joined(who.into_iter().map(person).collect())
}

/// Spans with commas between them, and "and" before the last.
pub fn joined(spans: Vec<Span>) -> Line {
    let last = spans.len().saturating_sub(1);
    let mut line = Line::new();
    for (at, span) in spans.into_iter().enumerate() {
        match at {
            0 => {}
            at if at == last => line.push(text(" and ")),
            _ => line.push(text(", ")),
        }
        line.push(span);
    }
    line
}

/// A moment as people without a platform's help read it.
pub fn utc(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How long a moment is in the texts of decisions: `2026-03-01T03:00:00Z`.
const MOMENT: usize = 20;

/// A sentence of the engine as a line: the moments in it become times for the reader, and what stands between back-ticks and
/// begins with a verb becomes a command.
pub fn sentence(sentence: &str) -> Line {
    with_times(sentence).into_iter().flat_map(with_commands).collect()
}

fn with_commands(span: Span) -> Line {
    let Span::Text(words) = &span else { return vec![span] };
    let pieces: Vec<&str> = words.split('`').collect();
    let mut line = Line::new();
    let mut plain = String::new();
    for (place, piece) in pieces.iter().enumerate() {
        let closed = place.saturating_add(1) < pieces.len();
        let verb = piece.split_whitespace().next().and_then(Verb::parse);
        if place % 2 == 1 && closed && verb.is_some() {
            line.push(text(std::mem::take(&mut plain)));
            line.push(command_line(*piece));
        } else {
            let ticked = place % 2 == 1;
            plain.push_str(if ticked { "`" } else { "" });
            plain.push_str(piece);
            plain.push_str(if ticked && closed { "`" } else { "" });
        }
    }
    line.push(text(plain));
    line.retain(|span| *span != text(""));
    line
}

/// A sentence whose moments become times for the reader.
fn with_times(sentence: &str) -> Line {
    let (mut line, mut rest) = (Line::new(), sentence);
    let mut from = 0_usize;
    while let Some(end) = rest.get(from..).and_then(|tail| tail.find('Z')).map(|at| from.saturating_add(at)) {
        let after = end.saturating_add(1);
        let start = after.checked_sub(MOMENT);
        let moment = start.and_then(|start| rest.get(start..after)).and_then(|token| token.parse().ok());
        match (start, moment) {
            (Some(start), Some(moment)) => {
                line.extend([text(rest.get(..start).unwrap_or_default()), time(moment)]);
                rest = rest.get(after..).unwrap_or_default();
                from = 0;
            }
            _ => from = after,
        }
    }
    line.push(text(rest));
    line
}

/// The same line with the ids of these people, as sentences of the engine write them, shown as people.
pub fn with_people(line: Line, people: &[&PersonId]) -> Line {
    people.iter().fold(line, |line, who| line.into_iter().flat_map(|span| with_person(span, who)).collect())
}

fn with_person(span: Span, who: &PersonId) -> Line {
    match span {
        Span::Text(words) if !who.user.is_empty() && words.contains(&who.user) => {
            let mut line = Line::new();
            for (place, piece) in words.split(who.user.as_str()).enumerate() {
                if place > 0 {
                    line.push(person(who));
                }
                line.push(text(piece));
            }
            line.retain(|span| *span != text(""));
            line
        }
        other => vec![other],
    }
}

/// A length of time as people say it.
pub fn lasted(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// The line without any markup: for notifications, screen readers, terminals and logs.
pub fn plain(line: &[Span]) -> String {
    line.iter()
        .map(|span| match span {
            Span::Text(words) | Span::Strong(words) | Span::Code(words) => words.clone(),
            Span::Command(words) => format!("{COMMAND} {words}"),
            Span::Time(moment) => utc(*moment),
            Span::Person(who) => format!("@{who}"),
            Span::Mention(whom) => format!("@{}", whom.id()),
        })
        .collect()
}
