//! The judgement over a fix: counters at the start and at the end of the window, of one life of one Envoy.
//!
//! Under TLS 1.3 the client's `ssl.handshake` grows while every call fails (domain notes, section 5). So the proof is
//! the server's handshakes, or the client's handshakes *with* answered requests, and never while any failure grows.

use super::{Counters, Proof, Sample, Verification};

/// Judges a fix. `before` are samples from before the first write: context for *worse*, and never compared as counters
/// with those of a replaced pod.
pub fn verify(before: &[Sample], start: &[Sample], end: &[Sample]) -> Verification {
    let pairs: Vec<Seen> = end.iter().filter_map(|end| Seen::of(start, end)).collect();
    if pairs.is_empty() {
        let reason = "no proxy could be read both at the start and at the end of the window, in one life".to_owned();
        return Verification { proof: Proof::Unproven, reasons: vec![reason] };
    }
    let failures: u64 = pairs.iter().map(Seen::failures).sum();
    let successes: u64 = pairs.iter().map(Seen::successes).sum();
    let reasons = pairs.iter().map(Seen::sentence).collect();
    let proof = if failures > 0 {
        if is_worse(before, start, end) { Proof::Worse } else { Proof::NoEffect }
    } else if successes > 0 && pairs.iter().all(|pair| pair.successes() > 0) {
        Proof::Worked
    } else {
        Proof::Unproven
    };
    Verification { proof, reasons }
}

/// How many times as fast failures must come as before the fix to be called worse: below, it is noise of the traffic.
const WORSE_FACTOR: f64 = 2.0;

/// Whether a proxy that lived through the fix (a peer's) sees failures come much faster than before it.
fn is_worse(before: &[Sample], start: &[Sample], end: &[Sample]) -> bool {
    start.iter().any(|middle| {
        let earlier = Seen::of(before, middle).map(|seen| seen.failures_per_second());
        let later = end.iter().find(|last| last.uid == middle.uid).and_then(|last| Seen::of(start, last));
        match (earlier, later.map(|seen| seen.failures_per_second())) {
            (Some(earlier), Some(later)) => later > earlier * WORSE_FACTOR,
            _ => false,
        }
    })
}

/// What one proxy did between two samples.
struct Seen {
    pod: String,
    seconds: i64,
    grown: Counters,
}

impl Seen {
    /// The growth between the samples of one life; `None` when the life ended or Envoy restarted in between.
    fn of(start: &[Sample], end: &Sample) -> Option<Self> {
        let first = start.iter().find(|sample| sample.uid == end.uid && sample.pod == end.pod)?;
        let restarted = match (first.uptime_seconds, end.uptime_seconds) {
            (Some(before), Some(after)) => after < before,
            _ => false,
        };
        if restarted {
            return None;
        }
        let grown = |pick: fn(&Counters) -> Option<u64>| -> Option<u64> {
            pick(&end.counters)?.checked_sub(pick(&first.counters)?)
        };
        Some(Self {
            pod: end.pod.to_string(),
            seconds: end.at.duration_since(first.at).as_secs(),
            grown: Counters {
                server_handshakes: grown(|c| c.server_handshakes),
                server_failures: grown(|c| c.server_failures),
                client_handshakes: grown(|c| c.client_handshakes),
                client_failures: grown(|c| c.client_failures),
                requests_answered: grown(|c| c.requests_answered),
                requests_failed: grown(|c| c.requests_failed),
                new_log_errors: end.counters.new_log_errors,
            },
        })
    }

    fn failures_per_second(&self) -> f64 {
        // Both fit into 32 bits in any window that people wait for; more is as good as the largest.
        let failures = f64::from(u32::try_from(self.failures()).unwrap_or(u32::MAX));
        failures / f64::from(i32::try_from(self.seconds.max(1)).unwrap_or(i32::MAX))
    }

    fn failures(&self) -> u64 {
        let sum = [self.grown.server_failures, self.grown.client_failures, self.grown.requests_failed]
            .into_iter()
            .flatten()
            .fold(0_u64, u64::saturating_add);
        sum.saturating_add(self.grown.new_log_errors.unwrap_or(0))
    }

    /// Proofs of success: the server's handshakes while its failures could be seen, or answered requests behind TLS.
    fn successes(&self) -> u64 {
        let as_server = match (self.grown.server_handshakes, self.grown.server_failures) {
            (Some(handshakes), Some(_)) => handshakes,
            _ => 0,
        };
        let as_client = self.grown.requests_answered.unwrap_or(0);
        as_server.saturating_add(as_client)
    }

    fn sentence(&self) -> String {
        let figure = |value: Option<u64>| value.map_or_else(|| "not visible".to_owned(), |figure| format!("+{figure}"));
        format!(
            "{} in {} s: server handshakes {}, server failures {}, client failures {}, requests answered {}, requests \
             failed {}, new TLS errors in the log {}",
            self.pod,
            self.seconds,
            figure(self.grown.server_handshakes),
            figure(self.grown.server_failures),
            figure(self.grown.client_failures),
            figure(self.grown.requests_answered),
            figure(self.grown.requests_failed),
            figure(self.grown.new_log_errors),
        )
    }
}
