//! What the log of a SPIRE server says of its own faults: its CA, its database, its plugins (words: `words/spire-server.tsv`).

use jiff::Timestamp;

use super::{
    LogExcerpt, Redacted, Scenario, ServerEvidence,
    agent_log::time_of,
    log_hints::RECENT,
    not_understood::{KEPT_MOST, Unclear, speaks_of_failure},
    words::{Tool, Words},
};

/// What a line says of the server itself; what it says of an agent or an entry that it refused is not about it.
fn of_itself(line: &str) -> Option<&'static Words> {
    Tool::SpireServer.most_telling(line).filter(|row| row.points_to.scenario() == Some(Scenario::SpireServer))
}

/// Whether a line warns, or tells of an error, about TLS, certificates, secrets or identities in words that no table explains.
fn is_not_understood(line: &str) -> bool {
    const LEVELS: [&str; 4] = ["warn", "error", "fatal", "panic"];
    let loud = LEVELS
        .iter()
        .any(|level| line.contains(&format!("level={level}")) || line.contains(&format!("\"level\":\"{level}")));
    loud && speaks_of_failure(line) && Tool::SpireServer.most_telling(line).is_none()
}

/// What is kept of the log of the container that ran before the last restart, and of the one that runs now: the newest lines that
/// say something of the server itself, and the newest that nobody understands. Where it crashed, the reason stands in the one
/// before.
pub fn server_log_excerpt(before: Option<&str>, now: Option<&str>) -> LogExcerpt {
    let all: Vec<&str> = [before, now].into_iter().flatten().flat_map(str::lines).collect();
    let (mut own, mut unclear) = (0_usize, 0_usize);
    let mut lines = Vec::new();
    for line in all.into_iter().rev() {
        let count = if of_itself(line).is_some() {
            &mut own
        } else if is_not_understood(line) {
            &mut unclear
        } else {
            continue;
        };
        *count = count.saturating_add(1);
        if *count <= KEPT_MOST {
            lines.push(Redacted::new(line));
        }
    }
    lines.reverse();
    LogExcerpt { lines, cut: own.max(unclear) > KEPT_MOST, ..LogExcerpt::default() }
}

/// What a server wrote shortly before its log was read of failures that no table explains.
pub(super) fn not_understood(server: &ServerEvidence) -> Option<Unclear> {
    let log = server.log.as_ref()?;
    let read_at = log.at();
    let lines = log.value()?.lines.iter().map(Redacted::as_str);
    Unclear::of(lines.filter(|line| is_recent(line, read_at) && is_not_understood(line)))
}

fn is_recent(line: &str, read_at: Timestamp) -> bool {
    time_of(line).is_none_or(|at| read_at.duration_since(at) <= RECENT)
}

/// How often a server spoke of a fault of its own shortly before its log was read, and the newest such line with its meaning.
pub(super) fn own_faults(log: &LogExcerpt, read_at: Timestamp) -> Option<(usize, &'static Words, &str)> {
    let lines = log.lines.iter().map(Redacted::as_str).filter(|line| is_recent(line, read_at));
    let told = lines.filter_map(|line| Some((of_itself(line)?, line)));
    let told: Vec<(&'static Words, &str)> = told.collect();
    let (words, line) = told.last()?;
    Some((told.len(), words, line))
}
