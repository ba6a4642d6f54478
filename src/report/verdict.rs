//! A verdict for people and for programs.

use std::{collections::BTreeMap, fmt::Write};

use super::{
    alike::{Alike, NAMED_MOST, Names},
    plain::{escaped, plain},
};
use crate::{
    legible::named,
    triage::{Check, CheckId, CheckResult, Confidence, FixName, Scenario, Side, Verdict},
};

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
        Format::Text => Layout { bold: "", bullet: "  ", line_end: "", harmless: plain }.write(verdict),
        Format::Markdown => Layout { bold: "**", bullet: "- ", line_end: "  ", harmless: escaped }.write(verdict),
    }
}

#[derive(Clone, Copy)]
struct Layout {
    bold: &'static str,
    bullet: &'static str,
    /// What ends a line that the next one must not run into.
    line_end: &'static str,
    harmless: fn(&str) -> String,
}

impl Layout {
    /// The cause and the next step first; then why, what failed, and what is open. What passed is one line: who needs all of it
    /// reads the JSON.
    fn write(self, verdict: &Verdict) -> String {
        let mut out = String::new();
        let names = Names::of(verdict);
        let bold = self.bold;
        let head = (self.harmless)(&format!("{}: {}", verdict.target, verdict.scenario));
        let confidence = match verdict.confidence {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        };
        // Writing into a String cannot fail.
        let _ =
            writeln!(out, "{bold}{head}{bold} ({confidence} confidence, seen at {:.0}){}", verdict.at, self.line_end);
        let _ = writeln!(out, "{bold}Next:{bold} {}", (self.harmless)(&next(verdict)));
        self.list(&mut out, "Because", &names.fold(verdict.reasons.iter().map(|reason| reason.text.as_str())));
        self.list(&mut out, "Where", &places(verdict));
        let follows: Vec<&str> = verdict.consequences.iter().map(|one| one.words()).collect();
        self.list(&mut out, "Follows from it, and needs no fix of its own", &follows);
        let call: Vec<String> =
            verdict.call_at_once.iter().map(|level| format!("{level}, without waiting for its window")).collect();
        self.list(&mut out, "Call at once", &call);
        let never: Vec<String> = verdict.never.iter().map(|one| format!("{}: {}", one.fix, one.reason)).collect();
        self.list(&mut out, "Do not", &never);
        let rows = |result| names.fold_checks(&verdict.checks, result).iter().map(row).collect::<Vec<_>>();
        self.list(&mut out, "Failed", &rows(CheckResult::Fail));
        self.list(&mut out, "Could not be seen", &rows(CheckResult::Inconclusive));
        let passed: Vec<String> = passed(&verdict.checks).into_iter().collect();
        self.list(&mut out, "Passed", &passed);
        self.list(&mut out, "Other causes", &other_causes(verdict));
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

/// What to do: the fix that fits best, or what a person does where none does.
fn next(verdict: &Verdict) -> String {
    if let Some(by_hand) = verdict.next_by_hand() {
        return by_hand.into_owned();
    }
    match &*verdict.fixes {
        [] => String::new(),
        [first, others @ ..] => {
            let others: Vec<String> = others.iter().map(|fix| fitting(*fix)).collect();
            let others = if others.is_empty() { String::new() } else { format!("; {} fits too", others.join(", ")) };
            format!("{}{others}", fitting(*first))
        }
    }
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
    let pods = (!verdict.on.pods.is_empty()).then(|| format!("pods: {}", named(&verdict.on.pods, NAMED_MOST)));
    let nodes = (!verdict.on.nodes.is_empty()).then(|| format!("nodes: {}", named(&verdict.on.nodes, NAMED_MOST)));
    [side, pods, nodes].into_iter().flatten().collect()
}

/// The other scenarios, those with one reason together.
fn other_causes(verdict: &Verdict) -> Vec<String> {
    // "not no fault found" tells nobody anything.
    let told = verdict
        .ruled_out
        .iter()
        .filter(|other| !(other.certain && matches!(other.scenario, Scenario::NoFaultFound | Scenario::Inconclusive)));
    let mut groups: Vec<(bool, &str, Vec<Scenario>)> = Vec::new();
    for other in told {
        match groups.iter_mut().find(|(certain, why, _)| *certain == other.certain && *why == other.because) {
            Some((_, _, scenarios)) => scenarios.push(other.scenario),
            None => groups.push((other.certain, &other.because, vec![other.scenario])),
        }
    }
    let sentence = |(certain, why, scenarios): (bool, &str, Vec<Scenario>)| {
        let titles: Vec<&str> = scenarios.into_iter().map(Scenario::title).collect();
        format!("{} {}: {why}", if certain { "not" } else { "open:" }, titles.join(", "))
    };
    groups.into_iter().map(sentence).collect()
}

/// What passed, counted by check.
fn passed(checks: &[Check]) -> Option<String> {
    let mut counts: BTreeMap<CheckId, usize> = BTreeMap::new();
    for check in checks.iter().filter(|check| check.result == CheckResult::Pass) {
        *counts.entry(check.id).or_default() += 1;
    }
    let each: Vec<String> = counts.iter().map(|(id, count)| format!("{id} ×{count}")).collect();
    (!each.is_empty()).then(|| format!("[ok] {}", each.join(", ")))
}

fn fitting(fix: FixName) -> String {
    if FixName::CARRIED_OUT.contains(&fix) {
        format!("{fix}, asked for in the incident's channel")
    } else {
        format!("{fix}, by hand, after the runbook")
    }
}

/// Checks that found the same: how they ended, what was found, from which source, when, and what to do (invariant 8).
fn row(alike: &Alike<'_>) -> String {
    let Alike { first, subjects } = alike;
    let remedy = first.remedy.as_ref().map_or_else(String::new, |remedy| format!("; next: {remedy}"));
    let others = if subjects.len() > 1 { "; the others alike" } else { "" };
    format!(
        "[{}] {} {}: {} ({}, {:.0}){others}{remedy}",
        mark(first.result),
        first.id,
        named(subjects, NAMED_MOST),
        first.summary,
        first.source,
        first.observed_at
    )
}

fn mark(result: CheckResult) -> &'static str {
    match result {
        CheckResult::Pass => "ok",
        CheckResult::Fail => "FAIL",
        CheckResult::Inconclusive => "?",
    }
}
