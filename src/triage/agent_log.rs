//! What a line of a SPIRE agent's log says (SPIRE source; domain notes, section 3), and when.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    LogExcerpt,
    agent_words::{
        BAD, CANNOT_REACH, FEDERATION, HANDSHAKE_REFUSED, HARMLESS, KUBELET, NO_IDENTITY, NOT_ATTESTED_IN_AN_ERROR,
        NOT_DIALLED, NOT_SIGNED, RENEWAL, SERVER, WELL, WORKLOAD_ATTESTOR, WORKLOAD_NOT_ATTESTED, has,
    },
    not_understood::{KEPT_MOST, speaks_of_failure},
};

/// What one line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sign {
    /// An X.509-SVID of a workload was renewed or issued.
    Renewal,
    /// The agent's own identity is in order.
    Well,
    /// Its own identity is lost, or its plugins fail.
    Bad,
    /// The server cannot be reached.
    CannotReach,
    /// A workload got no identity: no registration entry matched, or it could not be attested.
    NoIdentity,
    /// The server refused to sign an SVID that the agent had asked for.
    NotSigned,
    /// Something failed, in words that no rule knows.
    NotUnderstood,
}

impl Sign {
    /// Whether an SVID that was asked for before may not have come: agents log that they ask before the server answers.
    pub(super) fn speaks_against_a_renewal(self) -> bool {
        matches!(self, Self::NotSigned | Self::NotUnderstood)
    }
}

/// What a line says about the agent or its workloads, if anything.
pub(super) fn sign_of(line: &str) -> Option<Sign> {
    known_sign(line).or_else(|| is_a_failure(line).then_some(Sign::NotUnderstood))
}

/// Whether a line that no rule knows speaks of a failure: an agent's errors are about identities, whatever their words.
fn is_a_failure(line: &str) -> bool {
    const ERROR: [&str; 3] = ["level=error", "\"level\":\"error\"", "addrConn"];
    const ENDS: [&str; 4] = ["level=fatal", "level=panic", "\"level\":\"fatal\"", "\"level\":\"panic\""];
    let is_harmless = || has(line, &HARMLESS) || was_only_cancelled(line);
    has(line, &ENDS) || (has(line, &ERROR) || speaks_of_failure(line)) && !is_harmless()
}

/// Whether each gRPC code of a line says that the caller went away, which is the ordinary end of a stream.
fn was_only_cancelled(line: &str) -> bool {
    let mut codes = line.split("code = ").skip(1).peekable();
    codes.peek().is_some() && codes.all(|code| code.starts_with("Canceled"))
}

/// Whether a line is about somebody else whom the agent dials: the kubelet for a workload's attestation, a peer for its
/// bundle.
pub(super) fn is_about_others(line: &str) -> bool {
    has(line, &WORKLOAD_ATTESTOR) || has(line, &KUBELET) || has(line, &FEDERATION)
}

/// Whether a line says that the agent could not learn who a workload is: it then issues nothing, whatever entries there are.
pub(super) fn could_not_attest_a_workload(line: &str) -> bool {
    let by_the_attestor = || has(line, &WORKLOAD_ATTESTOR) && is_a_failure(line);
    has(line, &WORKLOAD_NOT_ATTESTED) || has(line, &NOT_ATTESTED_IN_AN_ERROR) || by_the_attestor()
}

fn known_sign(line: &str) -> Option<Sign> {
    if has(line, &RENEWAL) {
        Some(Sign::Renewal)
    } else if has(line, &WELL) {
        Some(Sign::Well)
    } else if has(line, &NO_IDENTITY) || has(line, &WORKLOAD_NOT_ATTESTED) {
        Some(Sign::NoIdentity)
    } else if line.contains(NOT_SIGNED) {
        Some(Sign::NotSigned)
    } else if is_about_others(line) {
        None
    } else if has(line, &HANDSHAKE_REFUSED) && (has(line, &BAD) || has(line, &CANNOT_REACH)) {
        Some(Sign::Bad)
    } else if line.contains("PermissionDenied") || line.contains("Unauthenticated") {
        (has(line, &BAD) || has(line, &CANNOT_REACH)).then_some(Sign::Bad)
    } else if has(line, &CANNOT_REACH) || has(line, &NOT_DIALLED) && has(line, &SERVER) {
        Some(Sign::CannotReach)
    } else if has(line, &BAD) {
        Some(Sign::Bad)
    } else {
        None
    }
}

/// The time that a line bears, as logrus writes it: `time="…"`, `time=…` or JSON.
pub(super) fn time_of(line: &str) -> Option<Timestamp> {
    let text = |key: &str| line.find(key).and_then(|at| line.get(at.saturating_add(key.len())..));
    let rest = text("\"time\":").or_else(|| text("time="))?.trim_start().trim_start_matches('"');
    let end = rest.find(|letter: char| letter == '"' || letter == ',' || letter.is_whitespace()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// One line that says something.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) sign: Sign,
    pub(super) at: Option<Timestamp>,
    pub(super) line: &'a str,
}

/// Whether a line is about this SPIFFE ID, and not about a longer one that begins like it.
pub(super) fn names(line: &str, spiffe_id: &str) -> bool {
    line.contains(&format!("{spiffe_id}\""))
}

/// From when on a log was read: its first line that bears a time. A log that a kubelet has rotated away begins later than
/// was asked for, so that only a line proves how far back it reaches.
pub fn log_reaches(text: &str) -> Option<Timestamp> {
    text.lines().find_map(time_of)
}

/// Whether a log shows that an SVID was renewed or issued at that time or later; a line without a time may be one.
pub fn renewed_since(log: &LogExcerpt, since: Timestamp) -> bool {
    entries(log).iter().any(|entry| entry.sign == Sign::Renewal && entry.at.is_none_or(|at| at >= since))
}

/// The lines that say something, oldest first.
pub(super) fn entries(log: &LogExcerpt) -> Vec<Entry<'_>> {
    let entry = |line: &'_ str| sign_of(line).map(|sign| (sign, time_of(line)));
    log.lines.iter().filter_map(|line| entry(line).map(|(sign, at)| Entry { sign, at, line })).collect()
}

/// The lines of a log that say something, in their order: the newest `KEPT_MOST` of each kind, since a workload without an
/// identity asks every few seconds, and must not push the renewals of the others out of the evidence.
pub fn telling_lines(text: &str) -> Vec<String> {
    let mut kept: BTreeMap<Sign, usize> = BTreeMap::new();
    let newest = |line: &&str| {
        let Some(sign) = sign_of(line) else { return false };
        let times = kept.entry(sign).or_default();
        *times = times.saturating_add(1);
        *times <= KEPT_MOST
    };
    let mut lines: Vec<String> = text.lines().rev().filter(newest).map(str::to_owned).collect();
    lines.reverse();
    lines
}
