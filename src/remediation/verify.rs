//! The judgement over a fix: counters at the start and at the end of the window, of one life of one Envoy.
//!
//! Under TLS 1.3 the client's `ssl.handshake` grows while every call fails (domain notes, section 5). So the proof is
//! the server's handshakes, or the client's handshakes *with* answered requests, and never while any failure grows.
//! Every pod that the fix brought up has to prove itself, with a valid SVID in its proxy: one that cannot be read makes
//! the fix unproven (invariant 8).

use super::{
    FailureRate, Proof, Sample, Verification,
    growth::{ProxyDelta, is_same},
};

/// Judges a fix. `before` are samples from before the first write. A pod that is also in one of the later rounds lived
/// through the fix: it shows whether things got worse, and proves nothing about the pods that were replaced. A pod that
/// should have been read and could not be is passed as a sample without figures.
pub fn verify(before: &[Sample], start: &[Sample], end: &[Sample]) -> Verification {
    let seen: Vec<ProxyDelta<'_>> = end.iter().filter_map(|end| ProxyDelta::of(start, end)).collect();
    let lived_through = |sample: &Sample| before.iter().any(|before| is_same(before, sample));
    // A fix that replaces no pod is proved by those that lived through it.
    let replaces = start.iter().chain(end).any(|sample| !lived_through(sample));
    let counts = |sample: &Sample| !(replaces && lived_through(sample));
    let judged: Vec<&ProxyDelta<'_>> = seen.iter().filter(|seen| counts(seen.end)).collect();
    let mut reasons: Vec<String> = seen.iter().map(ProxyDelta::sentence).collect();
    let rate = rate(&seen);
    let failed = seen.iter().any(|seen| seen.failures() > 0);
    // What was to be renewed is not: whatever the counters say, the fix has not done what it is for.
    if failed || judged.iter().any(|seen| seen.ended_svid().is_some()) {
        let proof = if is_worse(before, start, &seen) { Proof::Worse } else { Proof::NoEffect };
        return Verification { proof, reasons, rate };
    }
    let doubts = doubts(start, end, &judged, counts);
    let proof = if doubts.is_empty() { Proof::Worked } else { Proof::Unproven };
    if proof == Proof::Worked {
        let many = judged.len();
        reasons.insert(0, format!("{many} of {many} pods that count proved it, each by its own proxy"));
    }
    reasons.extend(doubts);
    Verification { proof, reasons, rate }
}

/// How much failed within the window, by all proxies together.
fn rate(seen: &[ProxyDelta<'_>]) -> Option<FailureRate> {
    let counted: Vec<&ProxyDelta<'_>> = seen.iter().filter(|seen| seen.counted().is_some()).collect();
    let figures = counted.iter().filter_map(|seen| seen.counted());
    let (failed, worked) = figures.fold((0_u64, 0_u64), |(failed, worked), (more_failed, more_worked)| {
        (failed.saturating_add(more_failed), worked.saturating_add(more_worked))
    });
    let from = counted.iter().map(|seen| seen.start.at).min()?;
    let until = counted.iter().map(|seen| seen.end.at).max()?;
    let of = failed.saturating_add(worked);
    (of > 0).then_some(FailureRate { failed, of, from, until })
}

/// What stands between the samples and *worked*; empty when every pod that counts has proved itself.
fn doubts(
    start: &[Sample],
    end: &[Sample],
    judged: &[&ProxyDelta<'_>],
    counts: impl Fn(&Sample) -> bool,
) -> Vec<String> {
    let mut doubts: Vec<String> =
        judged.iter().filter_map(|seen| Some(format!("{}: {}", seen.end.pod, seen.doubt()?))).collect();
    let once = |these: &[Sample], others: &[Sample], when: &str| -> Vec<String> {
        let alone = |sample: &&Sample| counts(sample) && !others.iter().any(|other| is_same(sample, other));
        these.iter().filter(alone).map(|sample| format!("{} could be read only {when}", sample.pod)).collect()
    };
    doubts.extend(once(start, end, "at the start of the window"));
    doubts.extend(once(end, start, "at the end of the window"));
    if start.is_empty() && end.is_empty() {
        doubts.push("no proxy could be read at all".to_owned());
    }
    doubts
}

/// How many times as fast failures must come as before the fix to be called worse: below, it is noise of the traffic.
const WORSE_FACTOR: f64 = 2.0;
/// How many failures it takes to call it worse, which pages a level: after none at all, the first one is not a trend.
const WORSE_LEAST: u64 = 5;

/// Whether a proxy that lived through the fix sees failures come much faster than before it.
fn is_worse(before: &[Sample], start: &[Sample], seen: &[ProxyDelta<'_>]) -> bool {
    seen.iter().filter(|seen| seen.failures() >= WORSE_LEAST).any(|later| {
        let first = start.iter().find(|first| is_same(first, later.end));
        let earlier = first.and_then(|first| ProxyDelta::of(before, first));
        earlier.is_some_and(|earlier| later.failures_per_second() > earlier.failures_per_second() * WORSE_FACTOR)
    })
}
