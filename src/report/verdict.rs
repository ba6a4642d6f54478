//! A verdict for people and for programs.

use std::fmt::Write;

use crate::triage::{CheckResult, Verdict};

/// How a verdict is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a terminal.
    Text,
    /// The versioned object itself.
    Json,
    /// For a ticket or a post-mortem.
    Markdown,
}

/// Writes a verdict.
pub fn render(verdict: &Verdict, format: Format) -> String {
    match format {
        // A verdict holds only texts, numbers and times, so writing it as JSON cannot fail.
        Format::Json => serde_json::to_string_pretty(verdict).unwrap_or_default(),
        Format::Text => Page { bold: "", bullet: "  " }.write(verdict),
        Format::Markdown => Page { bold: "**", bullet: "- " }.write(verdict),
    }
}

#[derive(Clone, Copy)]
struct Page {
    bold: &'static str,
    bullet: &'static str,
}

impl Page {
    fn write(self, verdict: &Verdict) -> String {
        let mut out = String::new();
        let bold = self.bold;
        // Writing into a String cannot fail.
        let _ = writeln!(
            out,
            "{bold}{}: {}{bold} (confidence: {:?})",
            verdict.target, verdict.scenario, verdict.confidence
        );
        self.list(&mut out, "Because", &verdict.reasons);
        let checks: Vec<String> = verdict
            .checks
            .iter()
            .map(|check| format!("[{}] {} {}: {}", mark(check.result), check.id, check.subject, check.summary))
            .collect();
        self.list(&mut out, "Checked", &checks);
        let against: Vec<String> = verdict
            .ruled_out
            .iter()
            .map(|other| {
                format!("{} {}: {}", if other.certain { "not" } else { "open:" }, other.scenario, other.because)
            })
            .collect();
        self.list(&mut out, "Other causes", &against);
        let unseen: Vec<String> = verdict.not_checked.iter().map(|one| format!("{}: {}", one.what, one.why)).collect();
        self.list(&mut out, "Not checked", &unseen);
        let fixes: Vec<String> = verdict.fixes.iter().map(ToString::to_string).collect();
        self.list(&mut out, "Fixes that fit", &fixes);
        let never: Vec<String> = verdict.never.iter().map(|one| format!("{}: {}", one.fix, one.reason)).collect();
        self.list(&mut out, "Do not", &never);
        out
    }

    fn list(self, out: &mut String, title: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        let bold = self.bold;
        let _ = writeln!(out, "\n{bold}{title}{bold}");
        for line in lines {
            let _ = writeln!(out, "{}{line}", self.bullet);
        }
    }
}

fn mark(result: CheckResult) -> &'static str {
    match result {
        CheckResult::Pass => "ok",
        CheckResult::Fail => "FAIL",
        CheckResult::Inconclusive => "?",
    }
}
