//! Lines that speak of a failed handshake, certificate or secret in words that no rule knows. Versions change their words:
//! such a line is kept, quoted, and never passed over as if all were well.

use super::{Redacted, diagnosis::Scene, envoy, spire::not_understood as by_the_agent};

/// What a line is about, in lower case and with blanks for underscores.
const SUBJECTS: [&str; 24] = [
    "tls",
    "ssl",
    "x509",
    "x.509",
    "certificate",
    "cert ",
    "certs",
    "svid",
    "secret",
    "handshake",
    "sds",
    "csr",
    "pem ",
    "attest",
    "bundle",
    "bandle",
    "authority",
    "identit",
    "private key",
    "root ca",
    "root-ca",
    "trust domain",
    "trust anchor",
    "cipher",
];
/// How it says that something went wrong.
const FAILURES: [&str; 48] = [
    "fail",
    "error",
    "cannot",
    "can't",
    "could not",
    "couldn't",
    "unable",
    "denied",
    "reject",
    "refus",
    "invalid",
    "expired",
    "untrusted",
    "not trusted",
    "unknown",
    "unauthorized",
    "not authorized",
    "unauthenticated",
    "bad ",
    "mismatch",
    "not valid",
    "not yet valid",
    "no such",
    "timeout",
    "timed out",
    "missing",
    "unavailable",
    "deadline",
    "closed",
    "reset",
    "panic",
    "fatal",
    "abort",
    "unexpected",
    "exhausted",
    "agree",
    "not supplied",
    "not supported",
    "unsupported",
    "crash",
    "banned",
    "revoked",
    "malformed",
    "self signed",
    "self-signed",
    "exceeded",
    "wrong",
    " alert ",
];

/// Whether a line speaks of a failure of TLS, a certificate or a secret, in whatever words.
pub(super) fn speaks_of_failure(line: &str) -> bool {
    let plain = line.to_lowercase().replace('_', " ");
    let has = |words: &[&str]| words.iter().any(|word| plain.contains(word));
    has(&SUBJECTS) && has(&FAILURES)
}

/// How much of a line is quoted, in characters.
const QUOTED_MOST: usize = 200;

/// The end of a line, where the cause stands.
pub(super) fn end_of(line: &str) -> String {
    let line = line.trim_end();
    let length = line.chars().count();
    if length <= QUOTED_MOST {
        return line.to_owned();
    }
    let end: String = line.chars().skip(length.saturating_sub(QUOTED_MOST)).collect();
    format!("…{end}")
}

/// Lines of one log that nobody understands: how many, and the newest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unclear {
    /// How many were kept.
    pub(super) count: usize,
    /// The end of the newest.
    pub(super) newest: String,
}

impl Unclear {
    /// Of these lines, oldest first.
    pub(super) fn of<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let (mut count, mut newest) = (0_usize, None);
        for line in lines {
            count = count.saturating_add(1);
            newest = Some(line);
        }
        newest.map(|newest| Self { count, newest: end_of(newest) })
    }

    /// What its writer did, in words that follow who that is.
    pub(super) fn sentence(&self) -> String {
        let Self { count, newest } = self;
        format!("speaks of a failure in {count} line(s) that this version does not understand, the newest: «{newest}»")
    }
}

impl Scene<'_> {
    /// What the proxies and agents wrote of failures that no rule knows.
    pub(super) fn not_understood(&self) -> Vec<String> {
        let proxies = self.pods.iter().filter_map(|(pod, _)| {
            let lines = pod.proxy_log.value()?.lines.iter().map(Redacted::as_str);
            let unclear = Unclear::of(lines.filter(|line| envoy::is_not_understood(line)))?;
            Some(format!("the proxy of {} {}", pod.pod, unclear.sentence()))
        });
        let agents = self.agents.iter().filter_map(|(agent, _)| {
            Some(format!("the SPIRE agent of {} {}", agent.node, by_the_agent(agent)?.sentence()))
        });
        proxies.chain(agents).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_line_is_quoted_since_the_cause_stands_there() {
        let line = format!("time=x level=error msg={} error=\"the cause\"", "x".repeat(500));
        let quoted = end_of(&line);
        assert!(quoted.starts_with('…') && quoted.ends_with("error=\"the cause\""), "{quoted}");
        assert_eq!(quoted.chars().count(), QUOTED_MOST + 1);
        assert_eq!(end_of("short\n"), "short");
    }

    #[test]
    fn words_of_other_versions_are_seen_and_everyday_lines_are_not() {
        for line in [
            "StreamSecrets gRPC config stream to sds-grpc closed since 40s ago: 14, connection error",
            "gRPC config for type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret rejected: bad key",
            "TLS_error:|268435703:SSL_routines:OPENSSL_internal:NO_SHARED_CIPHER_unsupported:TLS_error_end",
            "level=info msg=\"Trust Bandle and Server dont agree.... Ignoring for now.\"",
            "level=error msg=\"Failed to mint X509 SVID\"",
        ] {
            assert!(speaks_of_failure(line), "{line}");
        }
        for line in [
            "info\tsds\tStarting SDS grpc server",
            "info\tcache\tgenerated new workload certificate\tlatency=93ms ttl=23h59m59s",
            "level=info msg=\"Renewing X509-SVID\" spiffe_id=\"spiffe://td/ns/web/sa/a\"",
            "[2026-11-23T21:22:22.304Z] \"GET /a HTTP/1.1\" 200 - via_upstream",
        ] {
            assert!(!speaks_of_failure(line), "{line}");
        }
    }
}
