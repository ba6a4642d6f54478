//! TLS reasons in a proxy's log, as BoringSSL and Envoy word them (domain notes, section 5).

use super::access_log_fields::{fields_of_the_proxy, from_the_cluster_on, shortened};
use crate::triage::not_understood::{KEPT_MOST, shortened as shortened_failure, speaks_of_failure};

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
    /// The peer refuses our certificate and does not say why. Envoy's usual validator says this of an identity only; its
    /// SPIFFE validator, which goes with SPIRE, says it of an end and of an authority as well.
    OwnRejected,
    /// The peer showed no certificate: it has no SVID, or speaks TLS mode SIMPLE.
    PeerWithoutCertificate,
    /// The peer wants a certificate of us, and we have none to show.
    OwnCertificateWanted,
    /// Somebody speaks plain HTTP to our mTLS port, often a health checker.
    PlaintextToUs,
    /// The SPIFFE validator has no bundle for the peer's trust domain.
    NoBundleForDomain,
    /// The SPIFFE validator says that the peer's certificate is no proper SVID.
    PeerNotAnSvid,
    /// SPIRE has no registration entry for us: restarting fixes nothing.
    NotRegistered,
    /// The application behind this proxy does not answer it: neither TLS nor the network.
    OwnApplication,
    /// An authority above the peer's certificate is over, by the chain that the peer sent or a root that is here.
    AuthorityExpired,
    /// We refuse the peer's certificate, and the proxy (an older one) does not say which check failed.
    PeerRefused,
    /// Istio asked SPIRE for a secret that lies in a file, as a DestinationRule of mode SIMPLE or a Gateway names one.
    FileAskedOfSpire,
    /// An AuthorizationPolicy refuses a caller: TLS did not fail.
    DeniedByPolicy,
}

impl TlsReason {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::PeerExpired => "the peer's certificate is over",
            Self::PeerNotYetValid => "the peer's certificate has not begun",
            Self::PeerUnknownAuthority => "the peer's authority is not trusted here",
            Self::PeerIdentity => "the peer's identity is not the expected one",
            Self::OwnExpired => "peers say that our certificate is over",
            Self::OwnUnknownAuthority => "peers do not trust our authority",
            Self::CutAfterHandshake => {
                "connections are cut after our handshake (a rejected certificate under TLS 1.3, or plaintext into mTLS)"
            }
            Self::NoSecret => "the proxy got no SVID over SDS",
            Self::PeerSpeaksPlaintext => "the peer speaks plaintext",
            Self::Unreachable => "nobody answers: network, not TLS",
            Self::OwnRejected => {
                "peers refuse our certificate and do not say why (the identity, or where they go by a SPIFFE validator \
                 its end or its authority as well)"
            }
            Self::PeerWithoutCertificate => "the peer shows no certificate (no SVID yet, or TLS mode SIMPLE)",
            Self::OwnCertificateWanted => {
                "peers want a certificate, and we show none (no SVID yet, or TLS mode SIMPLE)"
            }
            Self::PlaintextToUs => "somebody speaks plain HTTP to our mTLS port (often a health checker: see who)",
            Self::NoBundleForDomain => "there is no trust bundle here for the peer's trust domain",
            Self::PeerNotAnSvid => "the peer's certificate is no proper X.509-SVID",
            Self::NotRegistered => "SPIRE has no registration entry for this workload (a restart fixes nothing)",
            Self::OwnApplication => "the application behind this proxy does not answer it: neither TLS nor the network",
            Self::AuthorityExpired => "an authority above the peer's certificate is over, not that certificate itself",
            Self::PeerRefused => {
                "we refuse the peer's certificate, and this proxy does not say which check failed (dates, authority or \
                 identity)"
            }
            Self::FileAskedOfSpire => {
                "Istio asks SPIRE for a secret that lies in a file (a DestinationRule of mode SIMPLE or MUTUAL, or a \
                 Gateway): SPIRE never serves one"
            }
            Self::DeniedByPolicy => {
                "an AuthorizationPolicy refuses callers: TLS did not fail, and one without a sidecar has no identity to show"
            }
        }
    }
}

/// Words that name a reason, the more specific ones first; underscores are read as spaces. All but the last three are
/// BoringSSL's, and those of the SPIFFE validator differ by Envoy's version.
const WORDS: [(&str, TlsReason); 21] = [
    ("requested identities [\"file-", TlsReason::FileAskedOfSpire),
    ("requested identities [\"kubernetes://", TlsReason::FileAskedOfSpire),
    ("rbac access denied matched policy", TlsReason::DeniedByPolicy),
    ("RBAC: access denied", TlsReason::DeniedByPolicy),
    ("no trust bundle", TlsReason::NoBundleForDomain),
    ("cert precheck", TlsReason::PeerNotAnSvid),
    ("PEER DID NOT RETURN A CERTIFICATE", TlsReason::PeerWithoutCertificate),
    ("SSLV3 ALERT CERTIFICATE EXPIRED", TlsReason::OwnExpired),
    ("SSLV3 ALERT CERTIFICATE UNKNOWN", TlsReason::OwnRejected),
    ("TLSV1 ALERT UNKNOWN CA", TlsReason::OwnUnknownAuthority),
    ("SSLV3 ALERT HANDSHAKE FAILURE", TlsReason::OwnCertificateWanted),
    ("ALERT CERTIFICATE REQUIRED", TlsReason::OwnCertificateWanted),
    ("OPENSSL internal:HTTP REQUEST", TlsReason::PlaintextToUs),
    ("filter chain not found", TlsReason::PlaintextToUs),
    ("not authorized for the requested identities", TlsReason::NotRegistered),
    ("Secret is not supplied by SDS", TlsReason::NoSecret),
    ("WRONG VERSION NUMBER", TlsReason::PeerSpeaksPlaintext),
    ("system library:OPENSSL internal", TlsReason::Unreachable),
    ("delayed connect error", TlsReason::Unreachable),
    ("connection timeout", TlsReason::Unreachable),
    ("no healthy upstream", TlsReason::Unreachable),
];

/// What BoringSSL's verification says, behind `CERTIFICATE_VERIFY_FAILED`.
const VERIFY_WORDS: [(&str, TlsReason); 6] = [
    ("certificate has expired", TlsReason::PeerExpired),
    ("certificate is not yet valid", TlsReason::PeerNotYetValid),
    ("unable to get local issuer", TlsReason::PeerUnknownAuthority),
    ("self signed", TlsReason::PeerUnknownAuthority),
    ("self-signed", TlsReason::PeerUnknownAuthority),
    ("SAN match", TlsReason::PeerIdentity),
];

/// The TLS reason of a line, if it has one. Works on access logs (underscores) and on Envoy's own log (spaces).
///
/// Only what the proxy itself says counts: callers choose their path and user agent.
pub fn reason_of(line: &str) -> Option<TlsReason> {
    let line = fields_of_the_proxy(line);
    let line = line.as_ref();
    let plain = line.replace('_', " ");
    let first = |words: &[(&str, TlsReason)]| {
        words.iter().find(|(needle, _)| plain.contains(needle)).map(|(_, reason)| *reason)
    };
    let refused = plain.contains("CERTIFICATE VERIFY FAILED");
    let verified = refused.then(|| first(&VERIFY_WORDS)).flatten();
    let inbound =
        cluster_of(line).is_some_and(|cluster| cluster.starts_with("inbound|")) || line.contains(INBOUND_PASSTHROUGH);
    let bare = || (refused && !plain.contains("verify cert failed")).then_some(TlsReason::PeerRefused);
    match verified.or_else(|| first(&WORDS)).or_else(bare).or_else(|| reason_of_flags(line)) {
        Some(TlsReason::PeerExpired) if is_about_an_authority(&plain) => Some(TlsReason::AuthorityExpired),
        // A sidecar's inbound cluster is its own application, without TLS.
        Some(TlsReason::Unreachable) if inbound => Some(TlsReason::OwnApplication),
        Some(TlsReason::CutAfterHandshake) if inbound => None,
        reason => reason,
    }
}

/// The cluster through which a sidecar passes on to its own application what was called on a port without a Service.
const INBOUND_PASSTHROUGH: &str = "InboundPassthroughCluster";

/// Whether the certificate that a check failed on lies above the peer's own, which has depth 0.
fn is_about_an_authority(plain: &str) -> bool {
    let depth = plain.split("error at depth ").nth(1).and_then(|rest| rest.chars().next());
    depth.is_some_and(|depth| matches!(depth, '1'..='9'))
}

fn reason_of_flags(line: &str) -> Option<TlsReason> {
    let (code, flags) = answer_of(line)?;
    // To a gRPC caller the proxy answers 200 and says in a trailer that nobody was there. Somebody who was cut off in the
    // middle of an answer had got through.
    let refused = code == "503" || (code == "200" && line.contains("before_response_started"));
    let has = |wanted: &str| refused && flags.split(',').any(|flag| flag == wanted);
    if has("UC") {
        Some(TlsReason::CutAfterHandshake)
    } else if has("UH") {
        Some(TlsReason::Unreachable)
    } else {
        None
    }
}

/// Status code and response flags of an access log line: in Istio's format behind the quoted request, else `rc=` and
/// `flags=`.
pub(super) fn answer_of(line: &str) -> Option<(&str, &str)> {
    let named = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name));
    if let (Some(code), Some(flags)) = (named("rc="), named("flags=")) {
        return Some((code, flags));
    }
    let mut words = line.split_whitespace();
    words.find(|word| word.starts_with("HTTP/") && word.ends_with('"'))?;
    Some((words.next()?, words.next()?))
}

/// The Envoy cluster of an access log line, as `outbound|8443||ledger.payments.svc.cluster.local`.
pub(super) fn cluster_of(line: &str) -> Option<&str> {
    let words = from_the_cluster_on(line).split_whitespace();
    let words = words.map(|word| word.trim_start_matches("cluster=").trim_matches('"'));
    words.into_iter().find(|word| word.starts_with("outbound|") || word.starts_with("inbound|"))
}

/// Whether a line speaks of a failure of TLS, a certificate or a secret in words that name no reason here. Only what the
/// proxy itself says counts.
pub(in crate::triage) fn is_not_understood(line: &str) -> bool {
    reason_of(line).is_none()
        && speaks_of_failure(&fields_of_the_proxy(line))
        && !HARMLESS.iter().any(|words| line.contains(words))
}

/// What istio's agent says at every start of a proxy.
const HARMLESS: [&str; 1] = ["Workload SDS socket not found. Starting Istio SDS Server"];

/// The lines that say something about TLS, in their order and the newest of each kind: at most `most` of those that are
/// understood, and of the others so many that they push out none of these. And whether some were left out.
pub fn tls_lines(text: &str, most: usize) -> (Vec<String>, bool) {
    let (mut understood, mut others, mut cut) = (0_usize, 0_usize, false);
    let mut kept = Vec::new();
    for line in text.lines().rev() {
        let (count, most, text) = if reason_of(line).is_some() {
            (&mut understood, most, shortened(line, LINE_MOST).into_owned())
        } else if is_not_understood(line) {
            (&mut others, KEPT_MOST, shortened_failure(&fields_of_the_proxy(line), LINE_MOST).into_owned())
        } else {
            continue;
        };
        if *count < most {
            *count = count.saturating_add(1);
            kept.push(text);
        } else {
            cut = true;
        }
    }
    kept.reverse();
    (kept, cut)
}

/// The longest line that is kept, in bytes: an access log line of Istio's default format has some 600.
const LINE_MOST: usize = 1200;

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of domain notes, section 5, that no real capture holds.
    #[test]
    fn words_that_no_capture_holds_are_known_too() {
        let call = |flags: &str, cluster: &str| {
            format!("[2026-11-23T21:22:22.304Z] \"GET /a HTTP/1.1\" 503 {flags} x - \"-\" 0 9 2 - \"-\" {cluster} -")
        };
        let outbound = |flags: &str| call(flags, "outbound|8443||ledger.payments.svc.cluster.local");
        let inbound = |flags: &str| call(flags, "inbound|8443||");
        // As Envoy logs a gRPC call whose connection was closed instead of an answer.
        let grpc = |when: &str| {
            let details = format!("upstream_reset_{when}_response_started{{connection_termination}}");
            outbound("UC").replace("503 UC x", &format!("200 UC {details}"))
        };
        let expected = [
            (outbound("UC,URX"), Some(TlsReason::CutAfterHandshake)),
            (outbound("UH"), Some(TlsReason::Unreachable)),
            (outbound("UT"), None),
            (grpc("before"), Some(TlsReason::CutAfterHandshake)),
            (grpc("after"), None),
            (inbound("UC"), None),
            (inbound("UF delayed_connect_error:_Connection_refused"), Some(TlsReason::OwnApplication)),
            (outbound("UF upstream_reset_before_response_started{connection_timeout}"), Some(TlsReason::Unreachable)),
            ("- - NR filter_chain_not_found - \"-\" 0 0 0".to_owned(), Some(TlsReason::PlaintextToUs)),
        ];
        for (line, reason) in expected {
            assert_eq!(reason_of(&line), reason, "{line}");
        }
        let worded = [
            ("OPENSSL_internal:PEER_DID_NOT_RETURN_A_CERTIFICATE", TlsReason::PeerWithoutCertificate),
            ("OPENSSL_internal:SSLV3_ALERT_HANDSHAKE_FAILURE", TlsReason::OwnCertificateWanted),
            ("OPENSSL_internal:TLSV1_ALERT_CERTIFICATE_REQUIRED", TlsReason::OwnCertificateWanted),
            ("CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_no_trust_bundle_store", TlsReason::NoBundleForDomain),
            ("CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_cert_precheck", TlsReason::PeerNotAnSvid),
            ("CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_SAN_match", TlsReason::PeerIdentity),
            ("workload is not authorized for the requested identities [\"default\"]", TlsReason::NotRegistered),
            ("TLS error: Secret is not supplied by SDS", TlsReason::NoSecret),
        ];
        for (line, reason) in worded {
            assert_eq!(reason_of(line), Some(reason), "{line}");
        }
    }
}
