//! What the log of a SPIRE server says of its own faults: its CA, its database, its plugins (words: `words/spire-server.tsv`).

use jiff::Timestamp;

use super::{
    LogExcerpt, Redacted, Scenario,
    agent_log::time_of,
    log_hints::RECENT,
    not_understood::KEPT_MOST,
    words::{Tool, Words},
};

/// What a line says of the server itself; what it says of an agent or an entry that it refused is not about it.
fn of_itself(line: &str) -> Option<&'static Words> {
    Tool::SpireServer.most_telling(line).filter(|row| row.points_to.scenario() == Some(Scenario::SpireServer))
}

/// What is kept of the log of the container that ran before the last restart, and of the one that runs now: the newest lines that
/// say something of the server itself. Where it crashed, the reason stands in the one before.
pub fn server_log_excerpt(before: Option<&str>, now: Option<&str>) -> LogExcerpt {
    let all = [before, now].into_iter().flatten().flat_map(str::lines);
    let mut lines: Vec<Redacted> = all.filter(|line| of_itself(line).is_some()).map(Redacted::new).collect();
    let skipped = lines.len().saturating_sub(KEPT_MOST);
    LogExcerpt { lines: lines.split_off(skipped), cut: skipped > 0, ..LogExcerpt::default() }
}

/// How often a server spoke of a fault of its own shortly before its log was read, and the newest such line with its meaning.
pub(super) fn own_faults(log: &LogExcerpt, read_at: Timestamp) -> Option<(usize, &'static Words, &str)> {
    let is_recent = |line: &&str| time_of(line).is_none_or(|at| read_at.duration_since(at) <= RECENT);
    let told =
        log.lines.iter().map(Redacted::as_str).filter(is_recent).filter_map(|line| Some((of_itself(line)?, line)));
    let told: Vec<(&'static Words, &str)> = told.collect();
    let (words, line) = told.last()?;
    Some((told.len(), words, line))
}
