//! Runbook step 2.1: how healthy a server is, and its rows.

use jiff::Timestamp;

use crate::triage::{
    Check, CheckId, CheckResult, Gathered, Missing, ServerEvidence, Subject,
    ends::end_of,
    server_log::{not_understood, own_faults},
};

/// Whether a server pod is healthy: `None` when that could not be seen, or when a Ready pod says no while an agent
/// `renews`, which it can only do with a server.
pub(in crate::triage) fn server_health(server: &ServerEvidence, renews: bool) -> Option<bool> {
    match server.healthcheck.value() {
        Some(check) if !check.healthy && server.ready && renews => None,
        Some(check) => Some(check.healthy && server.ready),
        None if !server.ready => Some(false),
        None => None,
    }
}

/// Step 2.1: one row a server pod.
pub(in crate::triage) fn server_check(server: &ServerEvidence, renews: bool) -> Check {
    let said = server.healthcheck.value().filter(|check| !check.healthy).map(|check| end_of(check.output.trim()));
    let (result, summary, remedy) = match (&server.healthcheck, server_health(server, renews), said) {
        (_, Some(true), _) => (CheckResult::Pass, "it says that it is healthy".to_owned(), None),
        (_, Some(false), Some(said)) => (CheckResult::Fail, format!("its healthcheck says: {said}"), None),
        (_, Some(false), None) => (CheckResult::Fail, "its pod is not Ready".to_owned(), None),
        (_, None, Some(said)) => {
            let summary = format!("its healthcheck says \"{said}\", while it is Ready and an agent renews");
            let remedy = "see whether mesh.server_socket in the configuration names this server's socket".to_owned();
            (CheckResult::Inconclusive, summary, Some(remedy))
        }
        (Gathered::Missing { reason, .. }, None, None) => (CheckResult::Inconclusive, reason.sentence(), None),
        (Gathered::Seen { .. }, None, None) => (CheckResult::Inconclusive, "nothing was seen".to_owned(), None),
    };
    Check {
        id: CheckId::SpireServer,
        subject: Subject::SpireServerPod(server.pod.clone()),
        result,
        summary,
        source: server.healthcheck.source().to_owned(),
        observed_at: server.healthcheck.at(),
        remedy,
    }
}

/// Step 2.1, where the log speaks of faults of its own, or could not be read.
pub(in crate::triage) fn server_log_check(server: &ServerEvidence) -> Option<Check> {
    let log = server.log.as_ref()?;
    let (result, summary) = match log {
        Gathered::Seen { value, at, .. } => match (own_faults(value, *at), not_understood(server)) {
            (Some((times, words, line)), _) => {
                (CheckResult::Fail, format!("{}, in {times} line(s) of late: «{}»", words.meaning, end_of(line)))
            }
            (None, Some(unclear)) => (CheckResult::Inconclusive, format!("it {}", unclear.sentence())),
            (None, None) => return None,
        },
        Gathered::Missing { reason, .. } => (CheckResult::Inconclusive, reason.sentence()),
    };
    Some(Check {
        id: CheckId::ServerLog,
        subject: Subject::SpireServerPod(server.pod.clone()),
        result,
        summary,
        source: log.source().to_owned(),
        observed_at: log.at(),
        remedy: None,
    })
}

/// The row of a server that could not be listed.
pub(in crate::triage) fn servers_unseen(reason: &Missing, at: Timestamp) -> Check {
    Check {
        id: CheckId::SpireServer,
        subject: Subject::SpireServer,
        result: CheckResult::Inconclusive,
        summary: reason.sentence(),
        source: "pods of the SPIRE server".to_owned(),
        observed_at: at,
        remedy: None,
    }
}
