//! Rules 5, 7 and 8: the identity is another one, the chain does not lead to the bundle, or a clock is wrong.

use jiff::Timestamp;

use super::{
    CallAtOnce, Confidence, FixName, Scenario, Side,
    certificate::Life,
    diagnosis::{Conclusion, Scene},
    envoy::TlsReason,
    examine::{Chain, Holding},
    registration::LOOK_FOR_ENTRY,
};
use crate::mesh::PodRef;

impl Scene<'_> {
    /// Rule 8.
    pub(super) fn not_yet_valid(&self, _now: Timestamp, explained: &[PodRef]) -> Option<Conclusion> {
        let future: Vec<_> = self
            .pods
            .iter()
            .filter(|(_, found)| matches!(found.holding, Holding::Svid { life: Life::NotYet { .. }, .. }))
            .filter(|(pod, _)| !explained.contains(&pod.pod))
            .collect();
        if future.is_empty() {
            return None;
        }
        let reasons = vec![format!("{} SVID(s) begin in the future: a clock is wrong", future.len())];
        let mut conclusion = Conclusion::of(Scenario::ClockSkew, reasons);
        conclusion.pods = future.iter().map(|(pod, _)| pod.pod.clone()).collect();
        conclusion.nodes = future.iter().filter_map(|(pod, _)| pod.node.clone()).collect();
        conclusion.confidence = if future.len() > 1 { Confidence::High } else { Confidence::Medium };
        conclusion.call_at_once = Some(CallAtOnce::L3);
        Some(conclusion.never(&[FixName::RestartPod], "a new SVID would begin in the future as well"))
    }

    /// Rule 7, and a leaf of another trust domain.
    pub(super) fn wrong_identity(&self, _now: Timestamp, explained: &[PodRef]) -> Option<Conclusion> {
        let foreign = |chain: &Chain| matches!(chain, Chain::Foreign(_));
        let own: Vec<_> = self
            .pods
            .iter()
            .filter(|(_, found)| found.expected_instead.is_some() || foreign(&found.chain))
            .filter(|(pod, _)| !explained.contains(&pod.pod))
            .collect();
        let logged = self.leaning(Scenario::IdentityMismatch);
        if own.is_empty() && logged.is_empty() {
            return None;
        }
        let mut reasons = Vec::new();
        for (pod, found) in &own {
            if let Some(expected) = &found.expected_instead {
                let what = "that its service account stands for";
                reasons.push(format!("{} does not hold the identity {expected} {what}", pod.pod));
            }
            if let Chain::Foreign(why) = &found.chain {
                reasons.push(format!("{}: {why}", pod.pod));
            }
        }
        reasons.extend(logged.iter().map(|(reason, times)| about_identity(*reason, *times)));
        if logged.contains_key(&TlsReason::NotRegistered) {
            reasons.push(LOOK_FOR_ENTRY.to_owned());
        }
        let mut conclusion = Conclusion::of(Scenario::IdentityMismatch, reasons);
        conclusion.pods = own.iter().map(|(pod, _)| pod.pod.clone()).collect();
        let of_peers = [TlsReason::PeerIdentity, TlsReason::PeerNotAnSvid];
        let peers_only = own.is_empty() && logged.keys().all(|reason| of_peers.contains(reason));
        conclusion.side = if peers_only { Side::Peer } else { Side::Unknown };
        conclusion.call_at_once = Some(CallAtOnce::L2);
        if own.is_empty() {
            conclusion.confidence = Confidence::Medium;
        }
        let reason = "the certificate is in date; a new one would carry the same identity";
        let conclusion = conclusion.never(&[FixName::RestartPod, FixName::RestartSpireAgent], reason);
        Some(conclusion.never(&[FixName::SyncTrustBundle], "no bundle makes this identity the expected one"))
    }

    /// Rule 5.
    pub(super) fn broken_chain(&self, _now: Timestamp, explained: &[PodRef]) -> Option<Conclusion> {
        let why = |chain: &Chain| match chain {
            Chain::Broken(why) => Some(why.clone()),
            _ => None,
        };
        let broken: Vec<_> = self
            .pods
            .iter()
            .filter(|(pod, _)| !explained.contains(&pod.pod))
            .filter_map(|(pod, found)| Some((pod, why(&found.chain)?)))
            .collect();
        let logged = self.leaning(Scenario::TrustBundleMismatch);
        if broken.is_empty() && logged.is_empty() {
            return None;
        }
        let mut reasons: Vec<String> =
            broken.iter().map(|(pod, why)| format!("the chain of {} {why}", pod.pod)).collect();
        let times = |reason| logged.get(&reason).copied().unwrap_or(0);
        let distrust = times(TlsReason::PeerUnknownAuthority).saturating_add(times(TlsReason::OwnUnknownAuthority));
        if distrust > 0 {
            reasons.push(format!(
                "one side does not trust the other's authority, in {distrust} line(s) of the proxy's log"
            ));
        }
        let no_bundle = times(TlsReason::NoBundleForDomain);
        if no_bundle > 0 {
            let (words, maybe) =
                (TlsReason::NoBundleForDomain.words(), "a federation that is missing, or a wrong peer");
            reasons.push(format!("{words}, in {no_bundle} line(s) of the proxy's log: {maybe}"));
        }
        reasons.push("which hop lacks which root is not compared by this version, so no fix is offered".to_owned());
        let mut conclusion = Conclusion::of(Scenario::TrustBundleMismatch, reasons);
        conclusion.pods = broken.iter().map(|(pod, _)| pod.pod.clone()).collect();
        conclusion.confidence = Confidence::Medium;
        let only_a_domain = broken.is_empty() && distrust == 0;
        let sync: &[FixName] = if only_a_domain { &[FixName::SyncTrustBundle] } else { &[] };
        Some(conclusion.never(sync, "a sync brings the roots of our own trust domain, and that of a peer is missing"))
    }
}

pub(super) fn about_identity(reason: TlsReason, times: u64) -> String {
    let what = match reason {
        TlsReason::PeerIdentity => "a peer's chain is fine, but its identity is not the expected one (SAN)",
        other => other.words(),
    };
    format!("{what}, in {times} line(s) of the log")
}
