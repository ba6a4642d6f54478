//! The readers, each with what it reads when it is well.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use mtls_medic::{
    alertmanager::Webhook,
    report::{Format, all_pairs_text, render},
    triage::{
        Evidence, ProxyStats, Redacted, agent_log_excerpt,
        certificate::{Svid, bundle_end, leaf_first, read_pem, verify_path},
        diagnose,
        envoy::{add_hosts, connected_since, count_signs, read_secrets, read_stats, tls_lines},
        istio::{Computed, Objects},
        server_log_excerpt,
    },
};

use crate::corpus::{certificates, files, object_sets};

/// One reader of what comes from outside.
pub struct Target {
    pub name: &'static str,
    pub corpus: fn() -> Vec<Vec<u8>>,
    pub reads: fn(&[u8]),
}

pub const TARGETS: [Target; 7] = [
    Target { name: "certificates", corpus: certificates, reads: read_certificate },
    Target { name: "pem", corpus: pem_files, reads: read_pem_file },
    Target { name: "envoy", corpus: || files("tests/data/envoy", &[".txt", ".json"]), reads: read_envoy },
    Target { name: "logs", corpus: logs, reads: read_logs },
    Target { name: "evidence", corpus: || files("tests/data/evidence", &[".json"]), reads: judge_evidence },
    Target { name: "istio", corpus: object_sets, reads: compute_pairs },
    Target {
        name: "alerts",
        corpus: || files("tests/data/alertmanager", &[".json"]),
        reads: |body| drop(Webhook::parse(body)),
    },
];

fn read_certificate(der: &[u8]) {
    let now = Timestamp::UNIX_EPOCH;
    if let Ok(svid) = Svid::read(der) {
        drop((svid.validity(now), svid.renewal_due(), svid.skew_remark(now)));
    }
    let own = [der.to_vec()];
    drop((verify_path(der, &own, &own, now), bundle_end(&own, now)));
}

/// A file of several certificates, and one of each.
fn pem_files() -> Vec<Vec<u8>> {
    let one = |der: &Vec<u8>| {
        let lines: Vec<String> =
            STANDARD.encode(der).as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    let each: Vec<String> = certificates().iter().map(one).collect();
    let all = each.concat();
    each.into_iter().chain([all]).map(String::into_bytes).collect()
}

fn read_pem_file(bytes: &[u8]) {
    let file = read_pem(bytes);
    let chain = leaf_first(mtls_medic::triage::certificate::ders(&file.certificates));
    if let [leaf, rest @ ..] = &*chain {
        drop(verify_path(leaf, rest, rest, Timestamp::UNIX_EPOCH));
    }
}

fn read_envoy(bytes: &[u8]) {
    drop(read_secrets(bytes));
    let text = String::from_utf8_lossy(bytes);
    let mut stats: ProxyStats = read_stats(&text);
    add_hosts(&mut stats, &text);
}

/// Real logs of Envoy, and the exact words of every tool.
fn logs() -> Vec<Vec<u8>> {
    [files("tests/data/envoy", &[".log"]), files("src/triage/words", &[".tsv"])].concat()
}

fn read_logs(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (lines, _) = tls_lines(&text, 60);
    drop((connected_since(&text, &lines), count_signs(lines.iter().map(String::as_str))));
    let now = Some(&*text);
    drop((agent_log_excerpt(now, now), server_log_excerpt(now, now)));
    // As many as an excerpt holds.
    text.lines().take(60).map(Redacted::new).for_each(drop);
}

fn judge_evidence(bytes: &[u8]) {
    let Ok(evidence) = serde_json::from_slice::<Evidence>(bytes) else { return };
    let verdict = diagnose(&evidence);
    for format in [Format::Text, Format::Json, Format::Markdown] {
        assert!(!render(&verdict, format).is_empty());
    }
}

fn compute_pairs(bytes: &[u8]) {
    let Ok(objects) = Objects::read(&String::from_utf8_lossy(bytes)) else { return };
    drop(all_pairs_text(&Computed::new(&objects)));
}
