//! Lines that speak of a failed handshake, certificate or secret in words that no rule knows. Versions change their words:
//! such a line is kept, quoted, and never passed over as if all were well.

use std::borrow::Cow;

use super::ends::{both_ends, end_of};

/// How many lines are kept of one log that nobody understands, the newest.
pub(super) const KEPT_MOST: usize = 15;

/// What a line is about, in lower case and with blanks for underscores.
const SUBJECTS: [&str; 20] = [
    "x509",
    "x.509",
    "certificate",
    "svid",
    "secret",
    "handshake",
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
    "mtls",
    "openssl",
    "boringssl",
];
/// The same in few letters, which stand by chance within names as well.
const SHORT_SUBJECTS: [&str; 7] = ["tls", "ssl", "sds", "csr", "pem", "cert", "certs"];
/// How it says that something went wrong.
const FAILURES: [&str; 51] = [
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
    "not found",
    "does not exist",
    "doesn't exist",
];

/// Whether a line speaks of a failure of TLS, a certificate or a secret, in whatever words.
pub(super) fn speaks_of_failure(line: &str) -> bool {
    subject_and_failure(line).is_some()
}

/// A line of `most` bytes at most that speaks of the same failure: both its ends, and before them the words that tell, where
/// they stand in between.
pub(super) fn shortened(line: &str, most: usize) -> Cow<'_, str> {
    let short = both_ends(line, most);
    match subject_and_failure(line) {
        Some((subject, failure)) if !speaks_of_failure(&short) => {
            let words = format!("… {} … {} … ", subject.trim(), failure.trim());
            let rest = both_ends(line, most.saturating_sub(words.len()));
            Cow::Owned(format!("{words}{rest}"))
        }
        _ => short,
    }
}

fn subject_and_failure(line: &str) -> Option<(&'static str, &'static str)> {
    let plain = without_names(&line.to_lowercase().replace('_', " "));
    let subject = SUBJECTS.iter().find(|word| plain.contains(*word));
    let subject = subject.or_else(|| SHORT_SUBJECTS.iter().find(|word| has_word(&plain, word)))?;
    let failure = FAILURES.iter().find(|word| plain.contains(*word))?;
    Some((subject, failure))
}

/// A line without the names that people gave to services and identities: one called `secret-store` fails like any other.
fn without_names(line: &str) -> String {
    let ends =
        |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '=' | ',' | '(' | ')' | '[' | ']');
    let is_name = |word: &&str| {
        let named = ["spiffe://", ".svc"].iter().any(|part| word.contains(part));
        named || word.starts_with("outbound|") || word.starts_with("inbound|")
    };
    let words: Vec<&str> = line.split(ends).filter(|word| !is_name(word)).collect();
    words.join(" ")
}

/// Whether a word stands in a text by itself or with a number behind it, as `tls`, `tlsv1.3` and `tls13`.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let behind = text.get(at.saturating_add(word.len())..).unwrap_or_default();
        let behind = behind
            .strip_prefix('v')
            .filter(|rest| rest.starts_with(|one: char| one.is_ascii_digit()))
            .unwrap_or(behind);
        !before.is_some_and(char::is_alphanumeric) && !behind.starts_with(char::is_alphabetic)
    })
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
        let more = if *count < KEPT_MOST { "" } else { " or more" };
        format!(
            "speaks of a failure in {count} line(s){more} that this version does not understand, the newest: «{newest}»"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_versions_are_seen_and_everyday_lines_are_not() {
        for line in [
            "StreamSecrets gRPC config stream to sds-grpc closed since 40s ago: 14, connection error",
            "gRPC config for type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret rejected: bad key",
            "TLS_error:|268435703:SSL_routines:OPENSSL_internal:NO_SHARED_CIPHER_unsupported:TLS_error_end",
            "level=info msg=\"Trust Bandle and Server dont agree.... Ignoring for now.\"",
            "level=error msg=\"Failed to mint X509 SVID\"",
            "warning\tsds\tresource default not found",
            "the CSR does not exist",
            "TLSv1.3: unsupported",
        ] {
            assert!(speaks_of_failure(line), "{line}");
        }
        for line in [
            "info\tsds\tStarting SDS grpc server",
            "info\tcache\tgenerated new workload certificate\tlatency=93ms ttl=23h59m59s",
            "level=info msg=\"Renewing X509-SVID\" spiffe_id=\"spiffe://td/ns/web/sa/a\"",
            "[2026-11-23T21:22:22.304Z] \"GET /a HTTP/1.1\" 200 - via_upstream",
            "warning\tcrosslink failed, docsrv is missing",
            "503 UC upstream_reset_before_response_started outbound|80||secret-store.web.svc.cluster.local",
            "level=warning msg=timeout spiffe_id=\"spiffe://td/ns/certs/sa/identity\" host=tls.web.svc:80",
        ] {
            assert!(!speaks_of_failure(line), "{line}");
        }
    }

    #[test]
    fn what_a_line_speaks_of_stays_where_it_is_shortened_in_its_middle() {
        let noise = "x".repeat(4000);
        let line = format!("first {noise} gRPC config for Secret rejected {noise} last");
        let short = shortened(&line, 1200);
        assert!(short.len() <= 1200 && speaks_of_failure(&short) && short.ends_with(" last"), "{short}");
        assert_eq!(shortened("Secret rejected", 1200), "Secret rejected");
    }
}
