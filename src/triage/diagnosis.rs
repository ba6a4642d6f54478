//! From what was seen to one verdict: the root of the chain of causes, the rest as consequences (domain notes, section 6).

use super::{
    Check, Evidence, NotChecked, On, RuledOut, Scenario, VERDICT_SCHEMA, Verdict,
    diagnosis_input::DiagnosisInput,
    examine::{
        bundles::{hops::bundle_checks, keys_in_maps, spire_bundle_check},
        spire_agent::{agent_check, agents_check, failures_in_its_log},
        spire_server::{server_check, server_log_check, servers_unseen},
    },
    recent_changes::context,
    ruled_out, rules,
};

/// The verdict on what was gathered. The time is that of the evidence, so that a past night is judged as of then.
pub fn diagnose(evidence: &Evidence) -> Verdict {
    let input = DiagnosisInput::examine(evidence);
    let conclusion = rules::conclude(&input);
    let ruled_out = ruled_out::ruled_out(&input, &conclusion);
    let mut conclusion = conclusion;
    conclusion.reasons.extend(context(evidence.changes.as_deref().unwrap_or_default(), input.now()));
    let looked_at = evidence.pods.iter().filter(|pod| conclusion.pods.contains(&pod.pod));
    let lives = looked_at.map(|pod| pod.uid.clone()).collect();
    Verdict {
        schema: VERDICT_SCHEMA.to_owned(),
        target: evidence.target.clone(),
        at: input.now(),
        scenario: conclusion.scenario,
        confidence: conclusion.confidence,
        on: On { side: conclusion.side, pods: conclusion.pods, lives, nodes: conclusion.nodes },
        reasons: conclusion.reasons,
        ruled_out,
        consequences: conclusion.consequences,
        checks: input.checks(),
        not_checked: input.not_checked(),
        fixes: conclusion.fixes,
        never: conclusion.never,
        call_at_once: conclusion.call_at_once,
    }
}

impl DiagnosisInput<'_> {
    fn checks(&self) -> Vec<Check> {
        let pods = self.pods.iter().flat_map(|(_, examined)| examined.checks.clone());
        let servers =
            self.evidence.servers.iter().flat_map(|server| {
                std::iter::once(server_check(server, self.renews())).chain(server_log_check(server))
            });
        let unseen = self.evidence.servers_missing.as_ref().map(|reason| servers_unseen(reason, self.now()));
        let agents = self.agents.iter().map(|(agent, judged)| agent_check(agent, judged));
        let hops = self.bundles.iter().flat_map(|bundle| bundle_checks(bundle, self.evidence));
        let bundles = keys_in_maps(self.evidence).chain(spire_bundle_check(self.evidence)).chain(hops);
        let logs = self.agents.iter().flat_map(|(agent, _)| failures_in_its_log(agent));
        let objects = self.istio.iter().zip(&self.evidence.istio).flat_map(|(found, istio)| found.checks(istio));
        let pods = pods.chain(objects);
        pods.chain(servers)
            .chain(unseen)
            .chain(agents)
            .chain(agents_check(self.evidence))
            .chain(logs)
            .chain(bundles)
            .collect()
    }

    fn not_checked(&self) -> Vec<NotChecked> {
        let mut list: Vec<NotChecked> = Vec::new();
        if !self.evidence.not_sampled.is_empty() {
            let names: Vec<&str> = self.evidence.not_sampled.iter().map(|pod| pod.name.as_str()).collect();
            let why = "only a sample of the target's pods is looked at (config: triage.sample)".to_owned();
            list.push(NotChecked { what: format!("pods {}", names.join(", ")), why });
        }
        list.extend(self.unread_config_maps());
        for (pod, _) in self.pods.iter().filter(|(pod, _)| pod.ambient) {
            let why = match &pod.ztunnel_log {
                Some(_) => "it is in ambient mode: ztunnel does its mTLS, and of that only its log is read (step 3.3)",
                None => "it is in ambient mode: ztunnel does its mTLS",
            };
            let why = why.to_owned();
            list.push(NotChecked { what: format!("the certificate that serves {}", pod.pod), why });
        }
        if let Some(istio) = &self.istio {
            let said = istio.in_question.not_judged.iter();
            list.extend(said.map(|gap| NotChecked { what: format!("the modes of {}", gap.to), why: gap.why.clone() }));
        }
        let unlooked = |what: &str, why: &str| NotChecked { what: what.to_owned(), why: why.to_owned() };
        if self.istio.is_none() {
            let what = "the modes in effect of PeerAuthentication and DestinationRule (runbook step 3)";
            list.push(unlooked(what, "Istio's objects are not part of this evidence: follow the runbook by hand"));
        }
        let later = "this version does not look at it yet: follow the runbook by hand";
        list.push(unlooked("a test connection (runbook step 4)", later));
        list
    }
}

/// One more scenario that it is not.
pub(super) fn not(scenario: Scenario, certain: bool, because: &str) -> RuledOut {
    RuledOut { scenario, because: because.to_owned(), certain }
}
