//! What a rule concludes.

use crate::{
    mesh::{NodeName, PodRef},
    triage::{CallAtOnce, Confidence, Consequence, Contraindicated, FixName, Scenario, Side, StatedReason},
};

/// What the rules conclude, before the verdict says what was looked at and what it is not.
pub(in crate::triage) struct Conclusion {
    pub(in crate::triage) scenario: Scenario,
    pub(in crate::triage) confidence: Confidence,
    pub(in crate::triage) side: Side,
    pub(in crate::triage) pods: Vec<PodRef>,
    /// All pods that show it, where `pods` are only those that a fix restarts.
    pub(in crate::triage) affected: Vec<PodRef>,
    pub(in crate::triage) nodes: Vec<NodeName>,
    pub(in crate::triage) reasons: Vec<StatedReason>,
    pub(in crate::triage) consequences: Vec<Consequence>,
    pub(in crate::triage) fixes: Vec<FixName>,
    pub(in crate::triage) never: Vec<Contraindicated>,
    pub(in crate::triage) call_at_once: Option<CallAtOnce>,
}

impl Conclusion {
    /// One that is certain, on no side, with nothing that follows from it.
    pub(super) fn new<R: Into<StatedReason>>(scenario: Scenario, reasons: Vec<R>) -> Self {
        Self {
            scenario,
            confidence: Confidence::High,
            side: Side::Unknown,
            pods: Vec::new(),
            affected: Vec::new(),
            nodes: Vec::new(),
            reasons: reasons.into_iter().map(Into::into).collect(),
            consequences: Vec::new(),
            fixes: Vec::new(),
            never: Vec::new(),
            call_at_once: None,
        }
    }

    /// Every pod that shows it.
    pub(super) fn affected(&self) -> &[PodRef] {
        if self.affected.is_empty() { &self.pods } else { &self.affected }
    }

    /// In one sentence, as a cause beside another one.
    pub(super) fn beside(&self) -> String {
        let pods: Vec<String> = self.affected().iter().map(ToString::to_string).collect();
        let why = self.reasons.first().map_or_else(String::new, |why| format!(": {why}"));
        format!("another cause beside it, {}, shows on {}{why}", self.scenario, pods.join(", "))
    }

    /// With fixes that must not be tried, and why.
    pub(super) fn advise_against(mut self, fixes: &[FixName], reason: &str) -> Self {
        self.never.extend(fixes.iter().map(|fix| Contraindicated { fix: *fix, reason: reason.to_owned() }));
        self
    }
}
