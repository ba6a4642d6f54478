//! A verdict for people and for programs.

use std::fmt::Write;

use super::plain::{escaped, plain};
use crate::triage::{Check, CheckResult, Confidence, FixName, Scenario, Side, Verdict};

/// How a verdict is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines for a terminal.
    Text,
    /// The versioned object, for programs.
    Json,
    /// Markdown, for a ticket or a post-mortem.
    Markdown,
}

/// Writes a verdict.
pub fn render(verdict: &Verdict, format: Format) -> String {
    match format {
        // A verdict holds only texts, numbers and times, so writing it as JSON cannot fail.
        Format::Json => serde_json::to_string_pretty(verdict).unwrap_or_default(),
        Format::Text => Layout { bold: "", bullet: "  ", harmless: plain }.write(verdict),
        Format::Markdown => Layout { bold: "**", bullet: "- ", harmless: escaped }.write(verdict),
    }
}

#[derive(Clone, Copy)]
struct Layout {
    bold: &'static str,
    bullet: &'static str,
    harmless: fn(&str) -> String,
}

impl Layout {
    fn write(self, verdict: &Verdict) -> String {
        let mut out = String::new();
        let bold = self.bold;
        let head = (self.harmless)(&format!("{}: {}", verdict.target, verdict.scenario));
        // Writing into a String cannot fail.
        let confidence = match verdict.confidence {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        };
        let _ = writeln!(out, "{bold}{head}{bold} ({confidence} confidence, seen at {:.0})", verdict.at);
        self.list(&mut out, "Because", &verdict.reasons);
        self.list(&mut out, "Where", &places(verdict));
        let follows: Vec<String> = verdict.consequences.iter().map(|one| one.words().to_owned()).collect();
        self.list(&mut out, "Follows from it, and needs no fix of its own", &follows);
        let call: Vec<String> =
            verdict.call_at_once.iter().map(|level| format!("{level}, without waiting for its window")).collect();
        self.list(&mut out, "Call at once", &call);
        // What to do stands before the long list of what was seen.
        let fixes: Vec<String> = verdict.fixes.iter().map(|fix| fitting(*fix)).collect();
        self.list(&mut out, "Fixes that fit", &fixes);
        let next: Vec<String> = verdict.next_by_hand().into_iter().map(str::to_owned).collect();
        self.list(&mut out, "Next", &next);
        let never: Vec<String> = verdict.never.iter().map(|one| format!("{}: {}", one.fix, one.reason)).collect();
        self.list(&mut out, "Do not", &never);
        let checks: Vec<String> = verdict.checks.iter().map(row).collect();
        self.list(&mut out, "Checked", &checks);
        let against: Vec<String> = verdict
            .ruled_out
            .iter()
            // "not no fault found" tells nobody anything.
            .filter(|other| {
                !(other.certain && matches!(other.scenario, Scenario::NoFaultFound | Scenario::Inconclusive))
            })
            .map(|other| {
                format!("{} {}: {}", if other.certain { "not" } else { "open:" }, other.scenario, other.because)
            })
            .collect();
        self.list(&mut out, "Other causes", &against);
        let unseen: Vec<String> = verdict.not_checked.iter().map(|one| format!("{}: {}", one.what, one.why)).collect();
        self.list(&mut out, "Not checked", &unseen);
        out
    }

    fn list(self, out: &mut String, title: &str, lines: &[impl AsRef<str>]) {
        if lines.is_empty() {
            return;
        }
        let bold = self.bold;
        let _ = writeln!(out, "\n{bold}{title}{bold}");
        for line in lines {
            let _ = writeln!(out, "{}{}", self.bullet, (self.harmless)(line.as_ref()));
        }
    }
}

/// The most pods or nodes that one line names.
const NAMED_MOST: usize = 20;

fn named<T: ToString>(what: &str, all: &[T]) -> Option<String> {
    let names: Vec<String> = all.iter().take(NAMED_MOST).map(ToString::to_string).collect();
    let more = all.len().saturating_sub(NAMED_MOST);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!all.is_empty()).then(|| format!("{what}: {}{rest}", names.join(", ")))
}

fn places(verdict: &Verdict) -> Vec<String> {
    let side = match verdict.on.side {
        Side::Client => Some("where the service calls others"),
        Side::Server => Some("where the service is called"),
        Side::Both => Some("on both sides"),
        Side::Peer => Some("on a peer of the service"),
        Side::Unknown => None,
    };
    let side = side.map(str::to_owned);
    [side, named("pods", &verdict.on.pods), named("nodes", &verdict.on.nodes)].into_iter().flatten().collect()
}

fn fitting(fix: FixName) -> String {
    if FixName::CARRIED_OUT.contains(&fix) { fix.to_string() } else { format!("{fix}: by hand, after the runbook") }
}

/// One check: how it ended, what was found, from which source, when, and what to do (invariant 8).
fn row(check: &Check) -> String {
    let remedy = check.remedy.as_ref().map_or_else(String::new, |remedy| format!("; next: {remedy}"));
    format!(
        "[{}] {} {}: {} ({}, {:.0}){remedy}",
        mark(check.result),
        check.id,
        check.subject,
        check.summary,
        check.source,
        check.observed_at
    )
}

fn mark(result: CheckResult) -> &'static str {
    match result {
        CheckResult::Pass => "ok",
        CheckResult::Fail => "FAIL",
        CheckResult::Inconclusive => "?",
    }
}
