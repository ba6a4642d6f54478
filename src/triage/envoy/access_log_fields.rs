//! What of a line the proxy itself says. An access log repeats what callers sent (path, user agent, forwarded addresses),
//! and a caller of a gateway must not be able to write a diagnosis into it.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::call::Call;

/// The fields of a JSON access log in which Envoy speaks, as Istio names them.
const OF_THE_PROXY: [&str; 6] = [
    "response_code_details",
    "connection_termination_details",
    "upstream_transport_failure_reason",
    "downstream_transport_failure_reason",
    "upstream_cluster",
    "upstream_local_address",
];

/// The line without what callers sent. Lines of an unknown form stay whole.
pub(super) fn fields_of_the_proxy(line: &str) -> Cow<'_, str> {
    let start = line.trim_start();
    if start.starts_with('{') {
        let fields = serde_json::from_str::<Map<String, Value>>(start).ok();
        return fields.as_ref().and_then(of_the_proxy).map_or(Cow::Borrowed(line), Cow::Owned);
    }
    Call::of(line).map_or(Cow::Borrowed(line), |call| Cow::Owned(call.fields_of_the_proxy()))
}

/// The line, or where it is longer than `most` bytes, what the proxy itself says in it: a long path would push that out.
pub(super) fn shortened(line: &str, most: usize) -> Cow<'_, str> {
    let whole = if line.len() > most { fields_of_the_proxy(line) } else { Cow::Borrowed(line) };
    if whole.len() <= most {
        return whole;
    }
    let end = (0..=most).rev().find(|end| whole.is_char_boundary(*end)).unwrap_or(0);
    Cow::Owned(whole.get(..end).unwrap_or_default().to_owned())
}

/// The part of an access log line that begins with Envoy's cluster, where it has such a part.
pub(super) fn from_the_cluster_on(line: &str) -> &str {
    Call::of(line).map_or(line, |call| call.cluster())
}

/// The address that a call of an access log came from, where the line ends as Istio's default format does: our address, the
/// caller's, the server name that was asked for, and the route.
pub(in crate::triage) fn caller_of(line: &str) -> Option<String> {
    let (address, port) = line.split_whitespace().rev().nth(2)?.rsplit_once(':')?;
    let is_address = |letter: char| letter.is_ascii_hexdigit() || matches!(letter, '.' | ':' | '[' | ']');
    let is_port = !port.is_empty() && port.chars().all(|digit| digit.is_ascii_digit());
    (is_port && !address.is_empty() && address.chars().all(is_address)).then(|| address.to_owned())
}

/// The endpoint that a call of an access log went to, as `10.0.0.9:8443`, where there was one.
pub(super) fn endpoint_of(line: &str) -> Option<String> {
    let start = line.trim_start();
    let endpoint = if start.starts_with('{') {
        let fields = serde_json::from_str::<Map<String, Value>>(start).ok()?;
        fields.get("upstream_host").and_then(Value::as_str)?.to_owned()
    } else {
        Call::of(start)?.endpoint()?.to_owned()
    };
    endpoint.contains(':').then_some(endpoint)
}

/// What the proxy says in a call that it logs as JSON, in our own form of line; `None` where it logs something else.
fn of_the_proxy(fields: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let flags = text("response_flags")?;
    let at = text("start_time").unwrap_or_default();
    let code = fields.get("response_code").map(ToString::to_string).unwrap_or_default();
    let others: Vec<&str> = OF_THE_PROXY.iter().filter_map(|name| text(name)).collect();
    Some(format!("[{at}] rc={} flags={flags} {}", code.trim_matches('"'), others.join(" ")))
}

#[cfg(test)]
mod tests {
    use crate::triage::envoy::{TlsReason, reason_of, sign_of, tls_lines};

    fn call(path: &str, flags: &str, failure: &str, agent: &str) -> String {
        format!(
            "[2026-11-23T21:22:22.304Z] \"GET {path} HTTP/1.1\" {flags} - \"{failure}\" 0 9 2 - \"{agent}\" \"{agent}\" \
             \"id\" \"ledger\" \"10.0.0.1:8443\" outbound|8443||ledger.payments.svc.cluster.local 10.0.0.2:1 10.0.0.3:2 \
             10.0.0.2:3 sni default"
        )
    }

    #[test]
    fn a_caller_cannot_write_a_diagnosis_into_the_access_log() {
        let good = "200 - via_upstream";
        for lie in [
            "CERTIFICATE_VERIFY_FAILED:SAN_matcher",
            "CERTIFICATE_VERIFY_FAILED certificate_has_expired",
            "TLS_error: Secret is not supplied by SDS",
            "rc=503 flags=UC",
            "\"GET / HTTP/1.1\" 503 UC x",
        ] {
            assert_eq!(reason_of(&call("/", good, "-", lie)), None, "{lie}");
            let path = lie.replace(' ', "_");
            assert_eq!(reason_of(&call(&format!("/?{path}"), good, "-", "curl")), None, "{path}");
            let json = serde_json::json!({
                "start_time": "2026-11-23T21:22:22.304Z", "user_agent": lie, "path": lie, "response_code": 200,
                "response_flags": "-", "upstream_transport_failure_reason": "-",
            });
            assert_eq!(reason_of(&json.to_string()), None, "{json}");
        }
    }

    /// Envoy writes letters, digits and `_` of a server name as they came, and `_` for the rest (seen on Envoy 1.3x).
    #[test]
    fn a_caller_cannot_choose_a_diagnosis_by_the_server_name_it_asks_for() {
        for lie in [
            "no_healthy_upstream",
            "delayed_connect_error",
            "no_trust_bundle",
            "cert_precheck",
            "filter_chain_not_found",
            "not_authorized_for_the_requested_identities",
        ] {
            let asked = |call: String| call.replace(" sni ", &format!(" {lie} "));
            assert_eq!(reason_of(&asked(call("/", "200 - via_upstream", "-", "curl"))), None, "{lie}");
            let cut = asked(call("/", "503 UC upstream_reset", "-", "curl"));
            assert_eq!(reason_of(&cut), Some(TlsReason::CutAfterHandshake), "{lie}");
        }
    }

    #[test]
    fn a_caller_cannot_hide_a_fault_either() {
        let hiding = "inbound|8080||";
        let cut = call("/", "503 UC upstream_reset", "-", hiding);
        assert_eq!(reason_of(&cut), Some(TlsReason::CutAfterHandshake));
        let cluster = sign_of(&cut).and_then(|sign| sign.cluster);
        assert_eq!(cluster.as_deref(), Some("outbound|8443||ledger.payments.svc.cluster.local"));
        let quoted = call("/a\"b", "503 UF upstream_reset", "delayed_connect_error:_Connection_refused", hiding);
        assert_eq!(reason_of(&quoted), Some(TlsReason::Unreachable));
    }

    #[test]
    fn a_caller_cannot_push_signs_out_of_what_is_kept() {
        let (fault, noise) = (call("/", "503 UC x", "-", "curl"), call("/SDS", "200 - via_upstream", "-", "SDS"));
        let log = [fault.as_str()].into_iter().chain(std::iter::repeat_n(noise.as_str(), 50)).collect::<Vec<_>>();
        assert_eq!(tls_lines(&log.join("\n"), 10).0, [fault]);
    }

    #[test]
    fn a_path_longer_than_what_is_kept_hides_no_reason() {
        let failure = "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:\
                       _certificate_has_expired:TLS_error_end";
        let line = call(&format!("/{}", "a".repeat(3000)), "503 UF,URX x", failure, &"b".repeat(3000));
        let (kept, _) = tls_lines(&line, 10);
        let sign = kept.first().and_then(|line| sign_of(line));
        let sign = sign.map(|sign| (sign.reason, sign.cluster.is_some(), sign.at.is_some()));
        assert_eq!(sign, Some((TlsReason::PeerExpired, true, true)), "{kept:?}");
    }

    #[test]
    fn istios_json_log_is_read_by_its_fields() {
        let call = |cluster: &str| {
            let json = serde_json::json!({
                "start_time": "2026-11-23T21:22:22.304Z", "path": "/", "response_code": 503, "response_flags": "UC",
                "upstream_cluster": cluster,
            });
            reason_of(&json.to_string())
        };
        assert_eq!(call("outbound|8443||ledger.payments.svc.cluster.local"), Some(TlsReason::CutAfterHandshake));
        assert_eq!(call("inbound|8443||"), None);
        let own = r#"{"level":"warning","msg":"gRPC config: workload is not authorized for the requested identities"}"#;
        assert_eq!(reason_of(own), Some(TlsReason::NotRegistered));
    }
}
