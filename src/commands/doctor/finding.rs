//! What a check came to, as a line and as JSON.

use serde::Serialize;

use crate::legible;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FindingResult {
    /// As it must be.
    Ok,
    /// It could not be looked at: this is no pass.
    NotChecked,
    /// Something must be mended.
    Missing,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct DoctorFinding {
    /// configuration, kubernetes, slack, discord, pagers, journal, webhook.
    pub(super) area: &'static str,
    /// How it ended.
    pub(super) result: FindingResult,
    /// What was seen.
    pub(super) said: String,
    /// What to do; always there where something is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

impl DoctorFinding {
    pub(super) fn ok(area: &'static str, said: impl Into<String>) -> Self {
        Self { area, result: FindingResult::Ok, said: said.into(), remedy: None }
    }

    pub(super) fn missing(area: &'static str, said: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { area, result: FindingResult::Missing, said: said.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn not_checked(area: &'static str, said: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { area, result: FindingResult::NotChecked, said: said.into(), remedy: Some(remedy.into()) }
    }

    fn line(&self) -> String {
        let mark = match self.result {
            FindingResult::Ok => "ok",
            FindingResult::NotChecked => "unknown",
            FindingResult::Missing => "MISSING",
        };
        let remedy = self.remedy.iter().map(|remedy| format!(": {remedy}"));
        // One line a check, and nothing that moves a cursor, whatever somebody else's error brought along.
        let text = format!("{}{}", self.said, remedy.collect::<String>());
        let text = legible::line(&text);
        format!("{mark:<8}{:<14}{}", self.area, text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Examination {
    /// The version of this object.
    schema: &'static str,
    /// The worst of the checks.
    pub(super) result: FindingResult,
    checks: Vec<DoctorFinding>,
    /// What to apply with kubectl, where rights are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<String>,
}

impl Examination {
    pub(super) fn of(checks: Vec<DoctorFinding>, grant: Option<String>) -> Self {
        let result = checks.iter().map(|finding| finding.result).max().unwrap_or(FindingResult::NotChecked);
        Self { schema: "mtls-medic.doctor/v1", result, checks, grant }
    }

    pub(super) fn json(&self) -> String {
        // Only texts, so writing it as JSON cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    pub(super) fn text(&self) -> String {
        let count = |mark: FindingResult| self.checks.iter().filter(|finding| finding.result == mark).count();
        let mut out: Vec<String> = self.checks.iter().map(DoctorFinding::line).collect();
        out.push(format!(
            "{} ok, {} missing, {} could not be checked",
            count(FindingResult::Ok),
            count(FindingResult::Missing),
            count(FindingResult::NotChecked)
        ));
        if let Some(grant) = &self.grant {
            out.push(format!("\nThis grants what is missing; apply it as a cluster administrator:\n\n{grant}"));
        }
        out.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::legible::hostile;

    proptest! {
        #[test]
        fn a_check_is_one_line_in_which_nothing_turns_hides_or_steers(text in hostile::text()) {
            let line = DoctorFinding::missing("slack", text.clone(), text).line();
            prop_assert!(hostile::is_legible(&line) && !line.contains('\n'), "{}", line);
        }
    }
}
