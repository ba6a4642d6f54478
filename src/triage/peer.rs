//! Our side is in order, and the proxy's log blames the peer, or what lies between.

use super::{
    CallAtOnce, Confidence, FixName, Scenario, Side,
    diagnosis::{Conclusion, Scene},
    envoy::TlsReason,
};

/// So many refused calls speak of the network: fewer are a rollout of the peer.
const UNREACHABLE_LEAST: u64 = 3;

impl Scene<'_> {
    /// What the proxies' logs say about the peer.
    pub(super) fn peers_fault(&self) -> Option<Conclusion> {
        self.peer_not_yet_valid()
            .or_else(|| self.peer_expired())
            .or_else(|| self.peer_plaintext())
            .or_else(|| self.unreachable())
    }

    fn peer_not_yet_valid(&self) -> Option<Conclusion> {
        let times = self.several(TlsReason::PeerNotYetValid)?;
        let reasons =
            vec![format!("a peer's certificate has not begun, in {times} line(s) of the log: a clock is wrong")];
        let mut conclusion = Conclusion::of(Scenario::ClockSkew, reasons);
        conclusion.side = Side::Peer;
        conclusion.confidence = Confidence::Medium;
        conclusion.call_at_once = Some(CallAtOnce::L3);
        Some(conclusion.never(&[FixName::RestartPod], "a restart sets no clock"))
    }

    fn peer_expired(&self) -> Option<Conclusion> {
        let times = self.several(TlsReason::PeerExpired)?;
        let own = if self.dates_are_fine() {
            "the certificates of this service are in date"
        } else {
            "no certificate of this service was seen to be over"
        };
        let reasons = vec![
            format!("{own}, and its proxies say in {times} line(s) that a peer's is over"),
            "look at the peer: `/mtls target INC NAMESPACE WORKLOAD` with the service that is called".to_owned(),
        ];
        let mut conclusion = Conclusion::of(Scenario::ExpiredCertificate, reasons);
        conclusion.side = Side::Peer;
        conclusion.confidence = Confidence::Medium;
        Some(conclusion.never(
            &[FixName::RestartPod, FixName::EnforceStrictMtls],
            "the fault is on the peer's side: a restart here cures nothing",
        ))
    }

    fn peer_plaintext(&self) -> Option<Conclusion> {
        let times = self.several(TlsReason::PeerSpeaksPlaintext)?;
        let reasons = vec![
            format!("we speak TLS to a peer that speaks plaintext, in {times} line(s) of the log"),
            "compare the modes of both sides (runbook step 3): this version does not compute them".to_owned(),
        ];
        let mut conclusion = Conclusion::of(Scenario::IstioConfiguration, reasons);
        conclusion.side = Side::Peer;
        conclusion.confidence = Confidence::Medium;
        Some(conclusion.never(
            &[FixName::RestartPod, FixName::RestartSpireAgent],
            "the modes of the two sides disagree: no certificate is at fault",
        ))
    }

    fn unreachable(&self) -> Option<Conclusion> {
        let times = self.several(TlsReason::Unreachable).filter(|times| *times >= UNREACHABLE_LEAST)?;
        let reasons = vec![format!("{times} connections were refused or closed without a TLS reason")];
        let mut conclusion = Conclusion::of(Scenario::Network, reasons);
        conclusion.confidence = Confidence::Medium;
        conclusion.call_at_once = Some(CallAtOnce::L3);
        Some(conclusion)
    }
}
