//! The rules of the verdict, a file a rule. A new rule is a file here and a line in [`RULES`]; its file says which scenario it
//! names and which checks it rests on.

mod agent_restart;
mod broken_chain;
mod bundle_lacks_root;
mod callers_speak_plaintext;
mod conclusion;
mod denied_by_policy;
mod file_asked_of_spire;
mod istio_configuration;
mod istiod_issued;
mod never_got_svid;
mod node_setup;
mod not_attested;
mod not_registered;
mod nothing_found;
mod own_application;
mod peer_expired;
mod peer_not_yet_valid;
mod peer_refused;
mod peer_speaks_plaintext;
mod pod_does_not_start;
mod renewal_overdue;
mod spire_server_unhealthy;
mod spire_server_unreachable;
mod stale;
mod svid_expired;
mod svid_not_yet_valid;
mod told_by_agents;
mod told_by_proxies;
mod told_by_ztunnel;
mod unreachable;
mod wrong_identity;

pub(super) use conclusion::Conclusion;

use super::{Scenario, diagnosis_input::DiagnosisInput};
use crate::mesh::PodRef;

/// How rules are tried.
enum Rule {
    /// Its answer, if it has one, is the verdict.
    First(fn(&DiagnosisInput<'_>) -> Option<Conclusion>),
    /// Rules over what the pods' own certificates show. Each pod belongs to the first of them that explains it, and what else
    /// shows on it follows from that. The cause of the most pods is the verdict, at a tie the first; each of the others is
    /// named with its pods.
    PodByPod(&'static [PodRule]),
}

/// A rule over the pods that no rule before it explains; it is given those that are explained.
type PodRule = fn(&DiagnosisInput<'_>, &[PodRef]) -> Option<Conclusion>;

/// All rules, in the order in which they are tried: that of the chain of causes, the root first. Where none of them answers, it
/// is for [`nothing_found`] to say.
const RULES: [Rule; 23] = [
    Rule::First(istiod_issued::alone),
    Rule::First(spire_server_unhealthy::judge),
    Rule::First(told_by_agents::judge),
    Rule::First(spire_server_unreachable::judge),
    Rule::First(istio_configuration::wrong_demand),
    Rule::PodByPod(&[
        node_setup::judge,
        svid_not_yet_valid::judge,
        not_registered::judge,
        svid_expired::judge,
        not_attested::judge,
        never_got_svid::judge,
        istiod_issued::judge,
        wrong_identity::judge,
        bundle_lacks_root::judge,
        broken_chain::judge,
    ]),
    Rule::First(peer_not_yet_valid::judge),
    Rule::First(peer_expired::judge),
    Rule::First(peer_refused::judge),
    Rule::First(istio_configuration::judge),
    Rule::First(peer_speaks_plaintext::judge),
    Rule::First(told_by_proxies::judge),
    Rule::First(told_by_ztunnel::judge),
    Rule::First(file_asked_of_spire::judge),
    Rule::First(unreachable::judge),
    Rule::First(own_application::judge),
    Rule::First(denied_by_policy::judge),
    Rule::First(pod_does_not_start::judge),
    // What nobody saw failing names a cause only where nothing that was seen does.
    Rule::First(istio_configuration::computed_alone),
    // Last, since a certificate that is still in date explains no failing call.
    Rule::First(renewal_overdue::judge),
    Rule::First(svid_not_yet_valid::soon),
    Rule::First(bundle_lacks_root::behind_failing_handshakes),
    // It may be a health checker: only where nothing else was found.
    Rule::First(callers_speak_plaintext::judge),
];

/// What the rules say.
pub(super) fn conclude(input: &DiagnosisInput<'_>) -> Conclusion {
    let answer = |rule: &Rule| match rule {
        Rule::First(judge) => judge(input),
        Rule::PodByPod(rules) => judge_pods(input, rules),
    };
    RULES.iter().find_map(answer).unwrap_or_else(|| nothing_found::judge(input))
}

fn judge_pods(input: &DiagnosisInput<'_>, rules: &[PodRule]) -> Option<Conclusion> {
    let mut causes: Vec<Conclusion> = Vec::new();
    for rule in rules {
        let explained: Vec<PodRef> = causes.iter().flat_map(Conclusion::affected).cloned().collect();
        causes.extend(rule(input, &explained));
    }
    let first = causes.first()?.affected().len();
    let size = |at: &usize| causes.get(*at).map_or(0, |cause| cause.affected().len());
    let is_cause = |at: &usize| causes.get(*at).is_some_and(|cause| cause.scenario != Scenario::Inconclusive);
    let most = (1..causes.len()).rev().max_by_key(|at| (size(at), is_cause(at)));
    let mut verdict = causes.remove(most.filter(|at| first > 0 && size(at) > first).unwrap_or(0));
    let others = causes.iter().filter(|cause| !cause.affected().is_empty());
    verdict.reasons.extend(others.map(|cause| cause.beside().into()));
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// "Which rule says that" is found by file name, and "what comes first" in one list.
    #[test]
    fn every_rule_says_what_it_names_and_rests_on_and_stands_in_the_list() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/triage/rules");
        let list = include_str!("mod.rs").split("const RULES").nth(1).unwrap().split("];\n\n").next().unwrap();
        let mut rules = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let file = if path.is_dir() { path.join("mod.rs") } else { path.clone() };
            let text = fs::read_to_string(file).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap();
            if !text.contains("pub(super) fn judge(") || name == "mod" {
                continue;
            }
            rules += 1;
            let header = text.split("\n\n").next().unwrap();
            assert!(header.contains("//! Names: ") && header.contains("Rests on "), "{name}: {header}");
            let is_listed = list.split(|letter: char| letter != '_' && letter != ':' && !letter.is_ascii_lowercase());
            let is_listed = is_listed.into_iter().any(|word| word == format!("{name}::judge"));
            assert!(is_listed || name == "nothing_found", "{name} is not in the list");
        }
        assert_eq!(rules, 28);
    }
}
