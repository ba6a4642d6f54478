//! How the counters of one proxy moved between two samples. A counter that is absent is not zero, and one that fell
//! belongs to another life of the proxy.

use jiff::Timestamp;

use super::{Counters, Sample};

/// How one counter moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// It was absent both times.
    Unseen,
    /// It grew by so much; 0 is standing still.
    By(u64),
    /// It was there only once, so how much of it belongs to the window is not known.
    HalfSeen,
    /// It fell: the proxy began to count again in between.
    Fell,
}

impl Growth {
    fn of(first: Option<u64>, last: Option<u64>) -> Self {
        match (first, last) {
            (None, None) => Self::Unseen,
            // Only the second sample shows it, at 0: it has counted nothing since the proxy started.
            (None, Some(0)) => Self::By(0),
            (None, Some(_)) | (Some(_), None) => Self::HalfSeen,
            (Some(first), Some(last)) => last.checked_sub(first).map_or(Self::Fell, Self::By),
        }
    }

    /// By how much it is known to have grown.
    pub(super) fn known(self) -> u64 {
        if let Self::By(figure) = self { figure } else { 0 }
    }

    fn is_flat(self) -> bool {
        self == Self::By(0)
    }

    fn sentence(self) -> String {
        match self {
            Self::Unseen => "not visible".to_owned(),
            Self::By(figure) => format!("+{figure}"),
            Self::HalfSeen => "visible only once".to_owned(),
            Self::Fell => "fell".to_owned(),
        }
    }
}

/// What one proxy did between two samples.
#[derive(Debug, Clone)]
pub(super) struct ProxyDelta<'a> {
    /// The earlier sample.
    pub(super) start: &'a Sample,
    /// The later sample.
    pub(super) end: &'a Sample,
    seconds: i64,
    uptime: Uptime,
    server_handshakes: Growth,
    server_failures: Growth,
    client_handshakes: Growth,
    client_failures: Growth,
    requests_answered: Growth,
    requests_failed: Growth,
}

/// What the uptime says of the proxy's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Uptime {
    Rose,
    Fell,
    NotVisible,
}

/// Whether two samples are of one life of one pod.
pub(super) fn is_same(one: &Sample, other: &Sample) -> bool {
    one.uid == other.uid && one.pod == other.pod
}

impl<'a> ProxyDelta<'a> {
    /// The growth from the sample of the same pod and life in `start`; `None` when there is none.
    pub(super) fn of(start: &'a [Sample], end: &'a Sample) -> Option<Self> {
        let first = start.iter().find(|first| is_same(first, end))?;
        let grown = |pick: fn(&Counters) -> Option<u64>| Growth::of(pick(&first.counters), pick(&end.counters));
        let uptime = match (first.uptime_seconds, end.uptime_seconds) {
            (Some(before), Some(after)) if after < before => Uptime::Fell,
            (Some(_), Some(_)) => Uptime::Rose,
            _ => Uptime::NotVisible,
        };
        Some(Self {
            start: first,
            end,
            seconds: end.at.duration_since(first.at).as_secs(),
            uptime,
            server_handshakes: grown(|c| c.server_handshakes),
            server_failures: grown(|c| c.server_failures),
            client_handshakes: grown(|c| c.client_handshakes),
            client_failures: grown(|c| c.client_failures),
            requests_answered: grown(|c| c.requests_answered),
            requests_failed: grown(|c| c.requests_failed),
        })
    }

    /// How much is known to have failed. A fault that was seen stands, whatever else could not be seen; but of two
    /// lives of a proxy nothing is known. The hosts count every 5xx of every outbound cluster, plaintext ones too: they
    /// speak of TLS only where nothing else does.
    pub(super) fn failures(&self) -> u64 {
        if self.uptime == Uptime::Fell {
            return 0;
        }
        let of_hosts = if self.is_hidden() { self.requests_failed } else { Growth::Unseen };
        let counted = [self.server_failures, self.client_failures, of_hosts];
        let counted = counted.into_iter().map(Growth::known).fold(0_u64, u64::saturating_add);
        counted.saturating_add(self.end.counters.new_log_errors.unwrap_or(0))
    }

    /// How many handshakes failed and how many worked; where the proxy hides them, calls to its hosts. `None` where
    /// nothing was counted in one life of the proxy.
    pub(super) fn counted(&self) -> Option<(u64, u64)> {
        if self.uptime == Uptime::Fell {
            return None;
        }
        let figures = if self.is_hidden() {
            [Growth::By(0), self.requests_failed, Growth::By(0), self.requests_answered]
        } else {
            // A client under TLS 1.3 counts a handshake before the server has looked, so its failures are among them.
            // Without an answer behind it, none is known to have worked.
            let shaken = self.client_handshakes.known().saturating_sub(self.client_failures.known());
            let client = shaken.min(self.requests_answered.known());
            [self.server_failures, self.client_failures, self.server_handshakes, Growth::By(client)]
        };
        let [one, other, third, fourth] = figures.map(Growth::known);
        let in_log = self.end.counters.new_log_errors.unwrap_or(0);
        let (failed, worked) = (one.saturating_add(other).max(in_log), third.saturating_add(fourth));
        (failed.saturating_add(worked) > 0).then_some((failed, worked))
    }

    /// Whether the proxy shows no `ssl.*` counter of either side, as with Istio's default stats matcher.
    fn is_hidden(&self) -> bool {
        let tls = [self.server_handshakes, self.server_failures, self.client_handshakes, self.client_failures];
        tls.iter().all(|growth| *growth == Growth::Unseen)
    }

    /// When the SVID that its proxy served at the end ended, if it was over by then.
    pub(super) fn ended_svid(&self) -> Option<Timestamp> {
        self.end.svid_not_after.filter(|ends| *ends <= self.end.at)
    }

    pub(super) fn failures_per_second(&self) -> f64 {
        // Both fit into 32 bits in any window that people wait for; more is as good as the largest.
        let failures = f64::from(u32::try_from(self.failures()).unwrap_or(u32::MAX));
        failures / f64::from(i32::try_from(self.seconds.max(1)).unwrap_or(i32::MAX))
    }

    /// Why success cannot be read from these two samples, if so.
    pub(super) fn doubt(&self) -> Option<&'static str> {
        let tls = [self.server_handshakes, self.server_failures, self.client_handshakes, self.client_failures];
        let failures = [self.server_failures, self.client_failures];
        if self.uptime == Uptime::Fell || tls.contains(&Growth::Fell) {
            Some("its proxy restarted within the window, so its counters are of two lives")
        } else if self.uptime == Uptime::NotVisible {
            Some("its proxy's uptime is not visible, so it may have restarted within the window")
        } else if failures.contains(&Growth::HalfSeen) {
            Some("a counter of failures was visible only once")
        } else if self.end.counters.new_log_errors.is_none() {
            Some("the log of its proxy could not be read, so an error in it was not seen")
        } else if self.end.svid_not_after.is_none() {
            Some("the SVID that its proxy serves could not be read")
        } else if self.is_proof() {
            None
        } else if self.is_hidden() {
            Some(
                "its ssl.* counters are hidden (proxyStatsMatcher shows them), and its hosts' counters prove no answered \
                 call",
            )
        } else {
            Some("nothing grew that proves an answered call behind TLS")
        }
    }

    /// Server side first: the server counts a handshake only when it has accepted the client. A client under TLS 1.3
    /// counts it before the server has looked, so it needs its failures flat *and* answers. Where Istio hides `ssl.*`,
    /// the hosts' own counters have to do; where it shows the server's alone, the hosts are spoken to in plain text.
    fn is_proof(&self) -> bool {
        let as_server = self.server_handshakes.known() > 0 && self.server_failures.is_flat();
        let answered = self.requests_answered.known() > 0;
        let as_client = if self.is_hidden() {
            self.requests_failed.is_flat()
        } else {
            self.client_handshakes.known() > 0 && self.client_failures.is_flat()
        };
        as_server || (as_client && answered)
    }

    fn svid_sentence(&self) -> String {
        match (self.ended_svid(), self.end.svid_not_after) {
            (Some(ended), _) => format!("its SVID ended at {ended:.0}"),
            (None, Some(ends)) => format!("its SVID is valid until {ends:.0}"),
            (None, None) => "its SVID could not be read".to_owned(),
        }
    }

    /// The figures, for people.
    pub(super) fn sentence(&self) -> String {
        let Counters { new_log_errors, access_lines, .. } = &self.end.counters;
        let log = match (new_log_errors, access_lines) {
            (None, _) => "not visible".to_owned(),
            (Some(lines), Some(0)) => format!("+{lines} (the proxy writes no access log, which would show them)"),
            (Some(lines), _) => format!("+{lines}"),
        };
        format!(
            "{} in {} s: server handshakes {}, server failures {}, client handshakes {}, client failures {}, requests \
             answered {}, requests failed {}{}, new TLS errors in the log {log}; {}",
            self.end.pod,
            self.seconds,
            self.server_handshakes.sentence(),
            self.server_failures.sentence(),
            self.client_handshakes.sentence(),
            self.client_failures.sentence(),
            self.requests_answered.sentence(),
            self.requests_failed.sentence(),
            if self.is_hidden() { "" } else { " (of any kind, so they do not count)" },
            self.svid_sentence(),
        )
    }
}
