//! TLS reasons in a proxy's log, as BoringSSL and Envoy word them (domain notes, section 5).

/// What a line of a proxy's log says about TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsReason {
    /// The peer's certificate is over.
    PeerExpired,
    /// The peer's certificate has not begun.
    PeerNotYetValid,
    /// We do not trust the peer's authority.
    PeerUnknownAuthority,
    /// The peer's identity is not the expected one.
    PeerIdentity,
    /// The peer says that our certificate is over (TLS 1.2).
    OwnExpired,
    /// The peer does not trust our authority (TLS 1.2).
    OwnUnknownAuthority,
    /// The connection was cut after our handshake: under TLS 1.3 a rejected client certificate looks like this, and so
    /// does plaintext into mTLS. It names no cause.
    CutAfterHandshake,
    /// The proxy never got an SVID.
    NoSecret,
    /// TLS towards somebody who speaks plaintext.
    PeerSpeaksPlaintext,
    /// Nobody answers: network, not TLS.
    Unreachable,
}

/// The TLS reason of a line, if it has one. Works on access logs (underscores) and on Envoy's own log (spaces).
pub fn reason_of(line: &str) -> Option<TlsReason> {
    let plain = line.replace('_', " ");
    let has = |needle: &str| plain.contains(needle);
    let verify_failed = has("CERTIFICATE VERIFY FAILED");
    if verify_failed && has("certificate has expired") {
        Some(TlsReason::PeerExpired)
    } else if verify_failed && has("certificate is not yet valid") {
        Some(TlsReason::PeerNotYetValid)
    } else if verify_failed && (has("unable to get local issuer") || has("self signed") || has("self-signed")) {
        Some(TlsReason::PeerUnknownAuthority)
    } else if verify_failed && (has("SAN matcher") || has("SAN match")) {
        Some(TlsReason::PeerIdentity)
    } else if has("SSLV3 ALERT CERTIFICATE EXPIRED") {
        Some(TlsReason::OwnExpired)
    } else if has("TLSV1 ALERT UNKNOWN CA") {
        Some(TlsReason::OwnUnknownAuthority)
    } else if has("Secret is not supplied by SDS") {
        Some(TlsReason::NoSecret)
    } else if has("WRONG VERSION NUMBER") {
        Some(TlsReason::PeerSpeaksPlaintext)
    } else if has("delayed connect error") || has("system library:OPENSSL internal") {
        Some(TlsReason::Unreachable)
    } else if has(" 503 UC ") {
        Some(TlsReason::CutAfterHandshake)
    } else {
        None
    }
}

/// The lines that say something about TLS, newest kept, at most `most`; and whether some were left out.
pub fn tls_lines(text: &str, most: usize) -> (Vec<String>, bool) {
    let about_tls = |line: &&str| reason_of(line).is_some() || line.contains("SDS");
    let all: Vec<&str> = text.lines().filter(about_tls).collect();
    let skipped = all.len().saturating_sub(most);
    (all.into_iter().skip(skipped).map(|line| bounded(line).to_owned()).collect(), skipped > 0)
}

/// The longest line that is kept, in bytes: an access log line of Istio's default format has some 600.
const LINE_MOST: usize = 1200;

fn bounded(line: &str) -> &str {
    let end = (0..=LINE_MOST.min(line.len())).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    line.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_named_by_its_real_log_line_or_by_nothing() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/envoy/tls13");
        let expected = [
            ("client-cert-expired", Some(TlsReason::CutAfterHandshake)),
            ("client-cert-expired-tls12", Some(TlsReason::OwnExpired)),
            ("server-cert-unknown-ca", Some(TlsReason::PeerUnknownAuthority)),
            ("san-mismatch", Some(TlsReason::PeerIdentity)),
            ("plaintext-to-mtls", Some(TlsReason::CutAfterHandshake)),
            ("connection-refused", Some(TlsReason::Unreachable)),
            ("accept-then-close", Some(TlsReason::Unreachable)),
            ("healthy", None),
        ];
        for (fault, reason) in expected {
            let log = std::fs::read_to_string(format!("{folder}/{fault}/client-access.log")).unwrap();
            assert_eq!(log.lines().next().and_then(reason_of), reason, "{fault}");
        }
    }
}
