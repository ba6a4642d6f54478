//! What a look at several services of a storm came to: each cause with the services that show it. A fault that one of them
//! shows is never blamed on the others.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    CallAtOnce, Check, CheckResult, Confidence, NotChecked, Scenario, SharedFact, Side, StatedReason, Verdict,
};
use crate::mesh::{NodeName, TargetRef};

/// How many reasons of one cause are kept.
const REASONS_MOST: usize = 6;
/// How many checks that did not pass are kept, over all services.
const CHECKS_MOST: usize = 40;

/// One cause, and the services that show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is; also that nothing was found, or too little seen.
    pub scenario: Scenario,
    /// How sure: no surer than at the service where the signs are weakest.
    pub confidence: Confidence,
    /// Whether it is a fault of a peer that these services call or are called by, and not their own.
    #[serde(default)]
    pub at_a_peer: bool,
    /// The services that show it.
    pub services: Vec<TargetRef>,
    /// The nodes that show it (SPIRE agents).
    pub nodes: Vec<NodeName>,
    /// What speaks for it: first what holds for all of them, then what only one shows, with its name.
    pub reasons: Vec<Reason>,
    /// Which level it calls for at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_at_once: Option<CallAtOnce>,
}

/// One sentence that speaks for a cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The one service that it holds for; `None` where all of the cause show it.
    pub of: Option<TargetRef>,
    /// The sentence.
    pub text: String,
}

/// What a look at several services came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// When the last evidence was gathered.
    pub at: Timestamp,
    /// What was found, the most telling first: SPIRE's server, then what most services show, then what explains nothing.
    pub findings: Vec<Finding>,
    /// The services that could not be looked at, and why.
    pub not_looked_at: Vec<NotChecked>,
    /// The checks that did not pass.
    pub checks: Vec<Check>,
}

impl Survey {
    /// Puts the verdicts of several services together.
    pub fn of(verdicts: &[Verdict], not_looked_at: Vec<NotChecked>, at: Timestamp) -> Self {
        let kinds: BTreeSet<Kind> = verdicts.iter().map(kind).collect();
        let alike = |of: Kind| verdicts.iter().filter(move |verdict| kind(verdict) == of);
        let mut findings: Vec<Finding> = kinds.into_iter().filter_map(|one| finding(one, alike(one))).collect();
        findings.sort_by_key(|finding| (rank(finding), std::cmp::Reverse(finding.services.len())));
        let mut checks: Vec<Check> = Vec::new();
        for check in verdicts.iter().flat_map(|verdict| &verdict.checks) {
            // SPIRE's server is asked once and stands in every verdict.
            if check.result != CheckResult::Pass && checks.len() < CHECKS_MOST && !checks.contains(check) {
                checks.push(check.clone());
            }
        }
        Self { at, findings, not_looked_at, checks }
    }

    /// How many services were looked at.
    pub fn looked_at(&self) -> usize {
        self.findings.iter().map(|finding| finding.services.len()).sum()
    }

    /// The causes: without what says only that nothing was found, or too little seen.
    pub fn causes(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| is_a_cause(finding.scenario))
    }
}

fn is_a_cause(scenario: Scenario) -> bool {
    !matches!(scenario, Scenario::NoFaultFound | Scenario::Inconclusive)
}

/// What makes verdicts say the same: a caller of a service with a fault sees that fault, and does not have it.
type Kind = (Scenario, bool);

fn kind(verdict: &Verdict) -> Kind {
    (verdict.scenario, verdict.on.side == Side::Peer)
}

fn rank(finding: &Finding) -> u8 {
    match finding.scenario {
        Scenario::SpireServer => 0,
        Scenario::Inconclusive => 3,
        Scenario::NoFaultFound => 4,
        _ if finding.at_a_peer => 2,
        _ => 1,
    }
}

fn finding<'a>((scenario, at_a_peer): Kind, alike: impl Iterator<Item = &'a Verdict> + Clone) -> Option<Finding> {
    let confidence = alike.clone().map(|verdict| verdict.confidence).min()?;
    let services = alike.clone().map(|verdict| verdict.target.clone()).collect();
    let nodes: BTreeSet<NodeName> = alike.clone().flat_map(|verdict| verdict.on.nodes.clone()).collect();
    let call_at_once = alike.clone().filter_map(|verdict| verdict.call_at_once).max_by_key(|call| match call {
        CallAtOnce::L2 => 2,
        CallAtOnce::L3 => 3,
    });
    let reasons = reasons(&alike.collect::<Vec<_>>());
    Some(Finding {
        scenario,
        confidence,
        at_a_peer,
        services,
        nodes: nodes.into_iter().collect(),
        reasons,
        call_at_once,
    })
}

fn states(verdict: &Verdict, fact: &SharedFact) -> bool {
    verdict.reasons.iter().any(|reason| reason.fact.as_ref() == Some(fact))
}

/// First the facts that all of them state, in the words of the first; then what each says of its own, service by service in
/// turn, so that none with many reasons leaves no room for the others.
fn reasons(verdicts: &[&Verdict]) -> Vec<Reason> {
    let is_shared = |reason: &&StatedReason| {
        let all_state = |fact| verdicts.iter().all(|verdict| states(verdict, fact));
        verdicts.len() > 1 && reason.fact.as_ref().is_some_and(all_state)
    };
    let first = verdicts.iter().take(1).flat_map(|verdict| &verdict.reasons);
    let of_all = first.filter(is_shared).map(|reason| Reason { of: None, text: reason.text.clone() });
    let longest = verdicts.iter().map(|verdict| verdict.reasons.len()).max().unwrap_or(0);
    let in_turn = (0..longest).flat_map(|place| {
        verdicts.iter().filter_map(move |verdict| Some((&verdict.target, verdict.reasons.get(place)?)))
    });
    let of_one = in_turn
        .filter(|(_, reason)| !is_shared(reason))
        .map(|(target, reason)| Reason { of: Some(target.clone()), text: reason.text.clone() });
    of_all.chain(of_one).take(REASONS_MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::{On, SharedFact, VERDICT_SCHEMA};

    fn service(name: &str) -> TargetRef {
        TargetRef::parse("web".parse().unwrap(), name).unwrap()
    }

    fn at() -> Timestamp {
        "2026-11-24T03:00:00Z".parse().unwrap()
    }

    fn verdict(name: &str, scenario: Scenario, reasons: &[&str]) -> Verdict {
        Verdict {
            schema: VERDICT_SCHEMA.to_owned(),
            target: service(name),
            at: at(),
            scenario,
            confidence: Confidence::High,
            on: On { side: Side::Client, pods: Vec::new(), lives: Vec::new(), nodes: Vec::new() },
            reasons: reasons.iter().map(|reason| (*reason).into()).collect(),
            ruled_out: Vec::new(),
            consequences: Vec::new(),
            checks: Vec::new(),
            not_checked: Vec::new(),
            fixes: Vec::new(),
            never: Vec::new(),
            call_at_once: None,
        }
    }

    fn services(finding: &Finding) -> Vec<&str> {
        finding.services.iter().map(|service| service.name.as_str()).collect()
    }

    #[test]
    fn a_fault_that_one_service_shows_is_not_blamed_on_the_others() {
        let verdicts = [
            verdict("frontend", Scenario::NoFaultFound, &["all checks passed"]),
            verdict("backend", Scenario::ExpiredCertificate, &["the SVID ended 40 min ago"]),
            verdict("cart", Scenario::NoFaultFound, &["all checks passed"]),
        ];
        let survey = Survey::of(&verdicts, Vec::new(), at());
        let found: Vec<_> = survey.findings.iter().map(|one| (one.scenario, services(one))).collect();
        assert_eq!(
            found,
            [(Scenario::ExpiredCertificate, vec!["backend"]), (Scenario::NoFaultFound, vec!["frontend", "cart"]),]
        );
        assert_eq!(survey.causes().count(), 1);
        assert_eq!(survey.looked_at(), 3);
        assert_eq!(survey.findings[0].reasons[0].of, Some(service("backend")));
    }

    #[test]
    fn a_caller_that_sees_the_fault_of_a_service_is_not_said_to_have_it() {
        let mut caller = verdict("gateway", Scenario::ExpiredCertificate, &["its peers present expired certificates"]);
        caller.on.side = Side::Peer;
        let verdicts = [caller, verdict("frontend", Scenario::ExpiredCertificate, &["the SVID ended 40 min ago"])];
        let survey = Survey::of(&verdicts, Vec::new(), at());
        let found: Vec<_> = survey.findings.iter().map(|one| (one.at_a_peer, services(one))).collect();
        assert_eq!(found, [(false, vec!["frontend"]), (true, vec!["gateway"])]);
    }

    #[test]
    fn spires_server_stands_first_with_what_all_services_say_of_it_said_once() {
        let down = "the healthcheck of spire-server-0 fails";
        let mut one = verdict("backend", Scenario::SpireServer, &[down, "its SVID ended"]);
        one.reasons[0].fact = Some(SharedFact::NoSpireServer);
        one.call_at_once = Some(CallAtOnce::L2);
        one.confidence = Confidence::Medium;
        let mut frontend = verdict("frontend", Scenario::SpireServer, &[&format!("{down}, seen a moment before")]);
        frontend.reasons[0].fact = Some(SharedFact::NoSpireServer);
        let verdicts = [
            verdict("a", Scenario::IdentityMismatch, &["another identity"]),
            verdict("b", Scenario::IdentityMismatch, &["another identity"]),
            verdict("c", Scenario::IdentityMismatch, &["another identity"]),
            one,
            frontend,
        ];
        let survey = Survey::of(&verdicts, Vec::new(), at());
        let server = &survey.findings[0];
        assert_eq!((server.scenario, services(server)), (Scenario::SpireServer, vec!["backend", "frontend"]));
        assert_eq!(server.confidence, Confidence::Medium, "no surer than where the signs are weakest");
        assert_eq!(server.call_at_once, Some(CallAtOnce::L2));
        let said: Vec<_> = server.reasons.iter().map(|one| (one.of.as_ref(), one.text.as_str())).collect();
        assert_eq!(said, [(None, down), (Some(&service("backend")), "its SVID ended")]);
    }

    #[test]
    fn two_services_whose_own_logs_read_alike_are_both_named() {
        let alike = "12 connections were refused or closed without a TLS reason";
        let verdicts = ["frontend", "backend"].map(|name| verdict(name, Scenario::Network, &[alike]));
        let survey = Survey::of(&verdicts, Vec::new(), at());
        let said: Vec<_> = survey.findings[0].reasons.iter().map(|one| (one.of.clone(), one.text.as_str())).collect();
        assert_eq!(said, [(Some(service("frontend")), alike), (Some(service("backend")), alike)]);
    }

    /// Journals and `-o json` have a reason as its sentence alone.
    #[test]
    fn a_reason_is_stored_as_its_sentence_and_a_stored_one_is_read() {
        let stated = SharedFact::NoSpireServer.stated("every SPIRE server pod is unhealthy");
        let stored = serde_json::to_string(&stated).unwrap();
        assert_eq!(stored, "\"every SPIRE server pod is unhealthy\"");
        let read: StatedReason = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, StatedReason::from("every SPIRE server pod is unhealthy"));
    }

    proptest::proptest! {
        /// However the verdicts fall: each service stands at its own verdict's cause and at no other.
        #[test]
        fn every_service_stands_once_and_at_its_own_cause(drawn in proptest::collection::vec(0..Scenario::ALL.len(), 0..8)) {
            let verdicts: Vec<Verdict> = drawn
                .iter()
                .enumerate()
                .map(|(number, scenario)| verdict(&format!("s{number}"), Scenario::ALL[*scenario], &["because"]))
                .collect();
            let survey = Survey::of(&verdicts, Vec::new(), at());
            proptest::prop_assert_eq!(survey.looked_at(), verdicts.len());
            for verdict in &verdicts {
                let at: Vec<Scenario> = survey
                    .findings
                    .iter()
                    .filter(|finding| finding.services.contains(&verdict.target))
                    .map(|finding| finding.scenario)
                    .collect();
                proptest::prop_assert_eq!(at, vec![verdict.scenario]);
            }
        }
    }
}
