//! What it is not, and the evidence for that; or that it could not be ruled out.

use super::{
    CheckId, CheckResult, RuledOut, Scenario,
    certificate::Validity,
    diagnosis::not,
    diagnosis_input::DiagnosisInput,
    examine::{Chain, Examined, Holding, spire_agent::AgentState, spire_server::server_health},
    rules::Conclusion,
};

/// Causes that may lie at the peer. Evidence of our own side rules them out only where a log says why handshakes fail.
const AT_PEERS: [Scenario; 8] = [
    Scenario::ExpiredCertificate,
    Scenario::TrustBundleMismatch,
    Scenario::IdentityMismatch,
    Scenario::ClockSkew,
    Scenario::Registration,
    Scenario::WorkloadAttestation,
    Scenario::IstiodCa,
    Scenario::NodeSetup,
];

pub(super) fn ruled_out(input: &DiagnosisInput<'_>, conclusion: &Conclusion) -> Vec<RuledOut> {
    let unexplained = conclusion.scenario == Scenario::Inconclusive && input.handshakes_fail();
    let unseen = input.pods_left_out();
    Scenario::ALL
        .into_iter()
        .filter(|scenario| *scenario != conclusion.scenario)
        .map(|scenario| input.evidence_against(scenario, conclusion))
        .map(|row| if unexplained && row.certain && AT_PEERS.contains(&row.scenario) { left_open(&row) } else { row })
        .map(|row| match &unseen {
            Some(unseen) if row.certain && AT_PEERS.contains(&row.scenario) => {
                not(row.scenario, false, &format!("{}, but {unseen}", row.because))
            }
            _ => row,
        })
        .collect()
}

fn left_open(row: &RuledOut) -> RuledOut {
    let yet = "but handshakes fail and nobody says why: what peers hold and expect was not looked at";
    not(row.scenario, false, &format!("{}, {yet}", row.because))
}

impl DiagnosisInput<'_> {
    /// Whether handshakes of either side fail, by the counters or by what peers answer.
    pub(super) fn handshakes_fail(&self) -> bool {
        let counters = [CheckId::ServerCounters, CheckId::ClientCounters];
        let mut rows = self.pods.iter().flat_map(|(_, found)| &found.checks);
        self.is_refused_without_a_reason()
            || rows.any(|row| row.result == CheckResult::Fail && counters.contains(&row.id))
    }

    /// The pods that nobody looked at, if there are any: of them nothing is certain.
    fn pods_left_out(&self) -> Option<String> {
        let count = self.evidence.not_sampled.len();
        (count > 0).then(|| format!("{count} pod(s) of the target were not looked at"))
    }

    fn evidence_against(&self, scenario: Scenario, conclusion: &Conclusion) -> RuledOut {
        match scenario {
            Scenario::ExpiredCertificate if self.is_hinted(Scenario::ExpiredCertificate) => {
                not(scenario, false, "the proxies' logs say that a peer's certificate is over")
            }
            Scenario::ExpiredCertificate if self.dates_are_fine() => {
                not(scenario, true, "every SVID that was looked at is in date")
            }
            Scenario::ExpiredCertificate => {
                not(scenario, false, "it follows from the root cause, or could not be seen")
            }
            Scenario::SpireAgent => self.against_agents(),
            Scenario::SpireServer => self.against_server(),
            Scenario::Network => self.against_network(),
            Scenario::TrustBundleMismatch => self.against_bundles(),
            Scenario::IdentityMismatch => self.against_identity(),
            Scenario::ClockSkew => self.against_skew(),
            Scenario::IstioConfiguration => self.against_istio(),
            Scenario::Registration | Scenario::WorkloadAttestation | Scenario::NodeSetup if self.dates_are_fine() => {
                not(scenario, true, "every pod that was looked at holds an SVID in date")
            }
            Scenario::RejectedSecret if self.dates_are_fine() => {
                not(scenario, false, "every proxy serves a certificate in date, and may have refused a newer one")
            }
            Scenario::IstiodCa if self.spire_issued_all() => not(scenario, true, "SPIRE issued every certificate"),
            Scenario::Registration
            | Scenario::WorkloadAttestation
            | Scenario::NodeSetup
            | Scenario::RejectedSecret
            | Scenario::IstiodCa => not(scenario, false, "no line that was read speaks of it"),
            Scenario::Application => not(scenario, false, "the application itself was not asked"),
            Scenario::NoFaultFound if conclusion.scenario == Scenario::Inconclusive => {
                not(scenario, false, "too little could be seen to say that all is well")
            }
            Scenario::NoFaultFound => not(scenario, true, "a fault was found"),
            Scenario::Inconclusive => not(scenario, true, "enough could be seen"),
        }
    }

    fn against_agents(&self) -> RuledOut {
        let scenario = Scenario::SpireAgent;
        if self.agents.is_empty() {
            return not(scenario, false, "no SPIRE agent was looked at");
        }
        if self.agents.iter().all(|(_, judged)| matches!(judged.state, AgentState::Works(_))) {
            return not(scenario, true, "the agents of the pods' nodes renew, as their logs show");
        }
        not(scenario, false, "not every agent could be judged, or the cause lies deeper")
    }

    fn against_server(&self) -> RuledOut {
        let is_healthy = |server| server_health(server, self.renews()) == Some(true);
        let servers = &self.evidence.servers;
        let (certain, because) = if !servers.is_empty() && servers.iter().all(is_healthy) {
            (true, "every SPIRE server pod says that it is healthy")
        } else if servers.iter().any(is_healthy) {
            (false, "a SPIRE server pod says that it is healthy, and not every one does")
        } else {
            (false, "the SPIRE server's health could not be seen")
        };
        not(Scenario::SpireServer, certain, because)
    }

    fn against_network(&self) -> RuledOut {
        let (certain, because) = if self.is_hinted(Scenario::Network) {
            (false, "some calls were refused without a TLS reason")
        } else if self.renews() {
            (false, "an agent reaches the SPIRE server: it renews; no path between services was tested")
        } else {
            (false, "no path was tested by this version")
        };
        not(Scenario::Network, certain, because)
    }

    fn against_istio(&self) -> RuledOut {
        let (certain, because) = match &self.istio {
            None => (false, "the modes in effect were not computed"),
            Some(istio) if istio.failing().next().is_some() => {
                (false, "some calls cannot work by the modes of both sides, beside the cause that was named")
            }
            Some(istio) if istio.all_agree() => {
                (true, "the modes of both sides go together for every call in question")
            }
            Some(_) => (false, "not every call in question could be judged by the modes of both sides"),
        };
        not(Scenario::IstioConfiguration, certain, because)
    }

    fn against_bundles(&self) -> RuledOut {
        let verified = !self.pods.is_empty() && self.pods.iter().all(|(_, found)| found.chain == Chain::Verified);
        let distrust = self.is_hinted(Scenario::TrustBundleMismatch);
        if self.bundles.iter().any(|bundle| bundle.stale().next().is_some() || !bundle.outlived.is_empty()) {
            return not(Scenario::TrustBundleMismatch, false, "a hop of a bundle lacks a root (1.7)");
        }
        let (certain, because) = match (verified, distrust) {
            (_, true) => (false, "the proxies' logs say that one side lacks the other's root"),
            (true, false) => (true, "the chains lead to the bundle"),
            (false, false) => (false, "not every chain could be verified"),
        };
        not(Scenario::TrustBundleMismatch, certain, because)
    }

    fn against_identity(&self) -> RuledOut {
        let fine = !self.pods.is_empty()
            && self
                .pods
                .iter()
                .all(|(_, found)| matches!(found.holding, Holding::Svid { .. }) && found.expected_instead.is_none());
        let hinted = self.is_hinted(Scenario::IdentityMismatch);
        let (certain, because) = match (fine, hinted) {
            (_, true) => (false, "the proxies' logs speak of an identity that is missing or another one"),
            (true, false) => (true, "the SPIFFE IDs are the expected ones"),
            (false, false) => (false, "not every SPIFFE ID could be read"),
        };
        not(Scenario::IdentityMismatch, certain, because)
    }

    fn against_skew(&self) -> RuledOut {
        let is_seen = |found: &Examined| matches!(found.holding, Holding::Svid { .. });
        let seen = !self.pods.is_empty() && self.pods.iter().all(|(_, found)| is_seen(found));
        let future = self
            .pods
            .iter()
            .any(|(_, found)| matches!(found.holding, Holding::Svid { validity: Validity::NotYet { .. }, .. }));
        let (certain, because) = if seen && !future {
            (true, "no SVID begins in the future")
        } else {
            (false, "not every SVID could be read")
        };
        not(Scenario::ClockSkew, certain, because)
    }
}
