//! What is kept of an agent's log. An agent of today exits when its own SVID has ended, so that the reason stands in the
//! log of the container that ran before.

use super::{
    LogExcerpt, Redacted,
    agent_log::{log_reaches, telling_lines},
    examine::spire_agent::{AgentState, by_its_log},
};

/// How many lines of a log are kept as evidence.
const LINES_KEPT: usize = 60;

/// What is kept of the log of the container that ran before the last restart, and of the one that runs now. What the one
/// before did well proves nothing about the agent of today, so it is kept only where it ended with a fault.
pub fn agent_log_excerpt(before: Option<&str>, now: Option<&str>) -> LogExcerpt {
    let before = before.map(telling_lines).filter(|lines| ended_with_a_fault(lines)).unwrap_or_default();
    let all = [before, now.map(telling_lines).unwrap_or_default()].concat();
    let skipped = all.len().saturating_sub(LINES_KEPT);
    LogExcerpt {
        lines: all.into_iter().skip(skipped).map(Redacted::from).collect(),
        cut: skipped > 0,
        // Of the container of today alone: what lies between the two is silence of neither.
        reaches: now.and_then(log_reaches),
        ..LogExcerpt::default()
    }
}

fn ended_with_a_fault(lines: &[String]) -> bool {
    let lines = lines.iter().map(|line| Redacted::new(line)).collect();
    let state = by_its_log(&LogExcerpt { lines, ..LogExcerpt::default() }, &[]);
    matches!(state, Some(AgentState::Broken(_) | AgentState::CannotReachServer(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RENEWED: &str =
        "time=\"2026-11-24T02:00:00Z\" level=info msg=\"Renewing X509-SVID\" spiffe_id=\"spiffe://a/b\"";
    const CRASHED: &str =
        "time=\"2026-11-24T02:10:00Z\" level=error msg=\"Agent crashed\" error=\"current SVID has expired\"";
    const STARTED: &str = "time=\"2026-11-24T02:11:00Z\" level=info msg=\"Starting agent\"";

    #[test]
    fn why_an_agent_ended_is_kept_and_what_it_did_well_before_is_not() {
        let kept = |before: &str| agent_log_excerpt(Some(before), Some(STARTED)).lines.len();
        assert_eq!(kept(&format!("{RENEWED}\n{CRASHED}")), 2);
        assert_eq!(kept(RENEWED), 0, "it would speak for an agent that has done nothing since");
        assert_eq!(kept(&format!("{CRASHED}\n{RENEWED}")), 0, "it had recovered");
    }

    #[test]
    fn the_log_reaches_back_to_the_beginning_of_the_container_that_runs() {
        let excerpt = agent_log_excerpt(Some(CRASHED), Some(STARTED));
        assert_eq!(excerpt.reaches, Some("2026-11-24T02:11:00Z".parse().unwrap()));
        assert_eq!(agent_log_excerpt(Some(CRASHED), None).reaches, None, "it waits to be started again");
    }

    #[test]
    fn the_newest_lines_are_kept() {
        let lines = |number: usize| {
            let kinds = [RENEWED, CRASHED, "Synchronize failed", "No identity issued", "Failed to mint X509 SVID"];
            kinds.map(|kind| format!("{kind} {number}")).join("\n")
        };
        let log = (0..20).map(lines).collect::<Vec<_>>().join("\n");
        let excerpt = agent_log_excerpt(None, Some(&log));
        assert_eq!((excerpt.lines.len(), excerpt.cut), (LINES_KEPT, true));
        assert!(excerpt.lines.last().unwrap().ends_with(" 19"), "{:?}", excerpt.lines);
    }
}
