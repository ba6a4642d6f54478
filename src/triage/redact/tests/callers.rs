//! What callers send stands in access logs beside what the proxy says: no rule that hides something of theirs changes that.

use proptest::prelude::*;
use serde_json::json;

use super::redacted;
use crate::triage::{
    RedactedLog,
    envoy::{TlsReason, connected_since, reason_of, sign_of, tls_lines},
};

const CLUSTER: &str = "outbound|8443||ledger.payments.svc.cluster.local";

/// A call in Istio's text form.
fn in_text(path: &str, answer: &str, agent: &str, cluster: &str) -> String {
    format!(
        "[2026-11-23T21:22:22.304Z] \"GET {path} HTTP/1.1\" {answer} 0 9 2 - \"{agent}\" \"{agent}\" \"id\" \"ledger\" \
         \"10.0.0.1:8443\" {cluster} 10.0.0.2:1 10.0.0.3:2 10.0.0.2:3 sni default"
    )
}

/// The same as JSON.
fn in_json(path: &str, flags: &str, failure: &str, agent: &str, cluster: &str) -> String {
    json!({
        "authority": agent, "path": path, "response_code": if flags == "-" { 200 } else { 503 }, "response_flags": flags,
        "start_time": "2026-11-23T21:22:22.304Z", "upstream_cluster": cluster, "upstream_host": "10.0.0.1:8443",
        "upstream_local_address": "10.0.0.2:1", "upstream_transport_failure_reason": failure, "user_agent": agent,
        "x_forwarded_for": agent,
    })
    .to_string()
}

const EXPIRED: &str = "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:\
                       _certificate_has_expired:TLS_error_end";

fn each_form(path: &str, agent: &str) -> Vec<String> {
    let answers = [("200", "-", "-"), ("503", "UF", EXPIRED), ("503", "UC", "-"), ("503", "UC,URX", "-")];
    let clusters = [CLUSTER, "inbound|8080||"];
    let pairs = answers.into_iter().flat_map(|answer| clusters.map(|cluster| (answer, cluster)));
    let both = pairs.map(|((code, flags, failure), cluster)| {
        let text = format!("{code} {flags} via_upstream - \"{failure}\"");
        [in_text(path, &text, agent, cluster), in_json(path, flags, failure, agent, cluster)]
    });
    both.flatten().collect()
}

/// What the proxy says of a call is the same before and after, and so is what a log of such calls comes to.
fn unchanged(path: &str, agent: &str) {
    for line in each_form(path, agent) {
        let kept = redacted(&line);
        assert_eq!(reason_of(&kept), reason_of(&line), "{line}\n{kept}");
        assert_eq!(sign_of(&kept), sign_of(&line), "{line}\n{kept}");
    }
    let log = each_form(path, agent).join("\n");
    let cleared = RedactedLog::new(&log);
    let (before, after) = (tls_lines(&log, 10), tls_lines(&cleared, 10));
    assert_eq!(after.0.len(), before.0.len(), "{path} {agent}");
    assert_eq!(connected_since(&cleared, &after.0), connected_since(&log, &before.0), "{path} {agent}");
}

#[test]
fn a_caller_cannot_write_or_hide_a_diagnosis_through_what_is_hidden_of_its_own_words() {
    let lie = "CERTIFICATE_VERIFY_FAILED SAN_matcher";
    let good = in_text("/password=\"", "200 - via_upstream - \"-\"", lie, CLUSTER);
    assert_eq!(reason_of(&redacted(&good)), None);
    let bad = in_text("/token='", "503 UC x - \"-\"", "token='", CLUSTER);
    assert_eq!(reason_of(&redacted(&bad)), Some(TlsReason::CutAfterHandshake));
    for (path, agent) in [
        ("/password=\"", lie),
        ("/token='", "token='"),
        ("/password=", "x password="),
        ("/--token", "--token"),
        ("/?token=\"", "password: \""),
        ("/a", "authorization: Digest a="),
        ("/a", "authorization: Digest username=\"a"),
        ("/a", "cookie: a=b; c=\""),
        ("/tokens=[", "tokens: [a, \"b"),
        ("/a", "-----BEGIN PRIVATE KEY-----"),
        ("/a", "x -----END PRIVATE KEY-----"),
        ("/a", "Comment: x"),
        ("/a", "{\"name\":\"password\","),
        ("/a", "\"kty\":\"EC\",\"d\":\""),
        ("/a", "https://user:pass"),
        ("/a", "curl -u a:"),
        ("/a", "the password is \""),
        ("/http://a:b@", "jdbc:oracle:thin:a"),
    ] {
        unchanged(path, agent);
    }
}

#[test]
fn a_secret_of_a_caller_is_hidden_in_either_form() {
    for line in each_form("/pay?card=hunter2", "x token=hunter2") {
        let kept = redacted(&line);
        assert!(!kept.contains("hunter2") && kept.contains("/pay?[redacted]"), "{kept}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_path_and_no_agent_changes_what_the_proxy_says(
        path in "/([a-z0-9\"'`\\\\:=?@/,;{}\\[\\]<>-]|token|password|https://|authorization:|secret|--token|name|value){0,12}",
        agent in "([a-z0-9 \"'`\\\\:=?@/,;{}\\[\\]<>-]|token|password|Bearer |://|authorization: |cookie: |secret|--token |\"kty\":|-----BEGIN PRIVATE KEY-----|-----END PRIVATE KEY-----|Comment: |UC|HTTP/1.1){0,16}",
    ) {
        // Envoy writes a quote of a header into its text log as it is; two of them with flags behind look like its own.
        unchanged(&path, &agent);
    }
}
