//! What a person does after a verdict for which the bot has nothing to offer: one sentence a kind, the same on every face.

use std::borrow::Cow;

use super::{Check, CheckId, CheckResult, FixName, Scenario, Subject, Verdict};

impl Verdict {
    /// The next step by hand, as the end of "Next: …"; `None` where a fix of the runbook fits, which is the next step,
    /// and no line to paste is known for it.
    pub fn next_by_hand(&self) -> Option<Cow<'static, str>> {
        let lines = self.lines_for_bundles();
        if lines.is_empty() {
            return self.fixes.is_empty().then(|| self.sentence().into());
        }
        Some(lines.join("; then ").into())
    }

    fn sentence(&self) -> &'static str {
        let names_object = |check: &Check| {
            check.id == CheckId::DestinationRule && check.result == CheckResult::Fail && check.remedy.is_some()
        };
        match self.scenario {
            Scenario::IstioConfiguration if self.checks.iter().any(names_object) => {
                "see with `mtls-medic whatif` who else it changes, and put right the object that is named: the line to paste is \
                 among the reasons"
            }
            scenario => by_hand(scenario),
        }
    }

    /// What mends each hop of a bundle that lags, the ConfigMap first: pods are made from it. None where the bot mends something
    /// itself.
    fn lines_for_bundles(&self) -> Vec<&str> {
        let is_carried_out = self.fixes.iter().any(|fix| FixName::CARRIED_OUT.contains(fix));
        if self.scenario != Scenario::TrustBundleMismatch || is_carried_out {
            return Vec::new();
        }
        let told = self
            .checks
            .iter()
            .filter(|row| row.result == CheckResult::Fail && matches!(row.id, CheckId::Bundles | CheckId::Chain));
        let mut told: Vec<&Check> = told.collect();
        told.sort_by_key(|row| matches!(row.subject, Subject::Pod(_)));
        let mut lines: Vec<&str> = Vec::new();
        for line in told.into_iter().filter_map(|row| row.remedy.as_deref()) {
            if !lines.contains(&line) && lines.len() < LINES_MOST {
                lines.push(line);
            }
        }
        lines
    }
}

/// The most lines to paste that one step has: the rows of the checks have all of them.
const LINES_MOST: usize = 4;

fn by_hand(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::ExpiredCertificate => {
            "find out why the pods or the peer that are named did not pick up a new certificate, and replace those pods by \
             hand once a new one would reach them"
        }
        Scenario::SpireAgent => {
            "look at the log and the pod of the SPIRE agent on the nodes that are named, and mend it before any workload is \
             restarted"
        }
        Scenario::TrustBundleMismatch => {
            "compare the roots of both sides (runbook scenario 3), and bring the side that lags up to date"
        }
        Scenario::IstioConfiguration => {
            "compare the modes of both sides (PeerAuthentication and DestinationRule, runbook step 3), and change the one \
             that is wrong"
        }
        Scenario::Network => {
            "follow the way that fails: is anybody listening there, and do NetworkPolicies, firewalls and DNS let it pass?"
        }
        Scenario::SpireServer => {
            "look at the log, the database and the disk of the SPIRE server: agents renew by themselves once it is healthy"
        }
        Scenario::IdentityMismatch => {
            "compare the workload's registration entry (`spire-server entry show`) with the identity that it should have, \
             and correct the entry: no restart is needed"
        }
        Scenario::ClockSkew => "set the clocks of the nodes that are named right (chrony, NTP): nothing else is needed",
        Scenario::Registration => {
            "compare the workload with its registration entries (`spire-server entry show`), and look at the \
             spire-controller-manager or registrar that should have made one: a restart changes nothing"
        }
        Scenario::WorkloadAttestation => {
            "look at what the SPIRE agent asks its node's kubelet (port 10250, hostNetwork, the node's name, its right to \
             get nodes/proxy): a restart changes nothing"
        }
        Scenario::RejectedSecret => {
            "look at why the proxy did not take the certificate that it was given (the reason is quoted), and mend what \
             issues it: a restart changes nothing"
        }
        Scenario::IstiodCa => {
            "look at istiod's log for why it refused this workload's certificate (its token, its CA): where the token is \
             over, a new pod has a new one"
        }
        Scenario::Application => "look at the application behind the proxy: does it listen on the port that is called?",
        Scenario::NodeSetup => {
            "look at the SPIFFE CSI driver and the SPIRE agent's socket on the nodes that are named (their DaemonSets)"
        }
        Scenario::NoFaultFound => {
            "see whether the alert still fires; if it does, look at those that call the service, and at the service itself"
        }
        Scenario::Inconclusive => {
            "mend what kept the checks from seeing (each inconclusive one says why) and look again; until then follow the \
             runbook by hand"
        }
    }
}
