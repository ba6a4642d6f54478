//! Raw output below a post: a table of all checks, or the kubectl lines of a plan.

use std::fmt::Write as _;

use crate::{
    chat::card::utc,
    legible,
    triage::{Check, CheckResult, Verdict},
};

/// Text for a block of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// What it is; also the name of the file when it is long.
    pub title: String,
    /// The text; may hold anything from outside.
    pub text: String,
}

/// The longest raw text that is handed to a face, in bytes: a file of this size still opens on a phone.
const RAW_MOST: usize = 512 * 1024;
/// What stands where something was cut.
pub(in crate::chat) const CUT: &str = "… [cut]";

impl Raw {
    /// Raw text, cut with a visible mark when it is longer than anybody reads.
    pub fn new(title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { title: title.into(), text: cut(&legible::lines(&text.into()), RAW_MOST) }
    }
}

/// `text` in at most `most` bytes, cut between characters and marked.
pub(in crate::chat) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub(CUT.len());
    let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}{CUT}", text.get(..end).unwrap_or_default())
}

/// Every check of a verdict: how it ended, what was found, where it looked and when (invariant 8).
pub fn checks(verdict: &Verdict) -> Raw {
    let mut text = String::new();
    // The post promises these, and a face that shows only the beginning must not cut them off.
    for not in &verdict.not_checked {
        let _ = writeln!(text, "not checked   {}: {}", not.what, not.why);
    }
    for check in &verdict.checks {
        text.push_str(&one(check));
    }
    for ruled in &verdict.ruled_out {
        let how = if ruled.certain { "ruled out" } else { "not excluded" };
        let _ = writeln!(text, "{how:<13} {}: {}", ruled.scenario.title(), ruled.because);
    }
    Raw::new("checks", text)
}

/// The checks of several services that did not pass.
pub(super) fn checks_that_did_not_pass(checks: &[Check]) -> Raw {
    Raw::new("checks", checks.iter().map(one).collect::<String>())
}

fn one(check: &Check) -> String {
    let result = match check.result {
        CheckResult::Pass => "pass",
        CheckResult::Fail => "FAIL",
        CheckResult::Inconclusive => "inconclusive",
    };
    let remedy = check.remedy.as_ref().map_or_else(String::new, |remedy| format!("\n{:14}→ {remedy}", ""));
    format!(
        "{result:<13} {} {}: {}\n{:14}{}, {}{remedy}\n",
        check.id,
        check.subject,
        check.summary,
        "",
        check.source,
        utc(check.observed_at)
    )
}
