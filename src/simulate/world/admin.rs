//! The admin interface of a sidecar's Envoy (port 15000), in the shapes of Envoy 1.40.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    Fault, WorldState,
    pod::{Pod, PodCounters},
    topology::{PORT, TRUST_DOMAIN},
};
use crate::simulate::HttpAnswer;

fn whole(figure: f64) -> u64 {
    // Counters of the world are positive and far below 2^53, where every whole number is exact.
    format!("{:.0}", figure.floor().max(0.0)).parse().unwrap_or(0)
}

/// Answers a GET of the admin interface.
pub(super) fn answer(inner: &WorldState, pod: &Pod, path: &str, now: Timestamp) -> HttpAnswer {
    let (route, query) = path.split_once('?').unwrap_or((path, ""));
    let json_wanted = query.contains("format=json");
    match route {
        "/stats" => text(&stats(inner, pod, query)),
        "/clusters" if json_wanted => document(&clusters_json(pod)),
        "/clusters" => text(&clusters_text(pod)),
        "/certs" => document(&certs(inner, pod)),
        "/config_dump" => document(&secrets(inner, pod, now)),
        "/server_info" => document(&server_info(pod, now)),
        "/ready" => text("LIVE\n"),
        _ => HttpAnswer { status: 404, content_type: "text/plain", body: b"invalid path\n".to_vec() },
    }
}

fn text(body: &str) -> HttpAnswer {
    HttpAnswer { status: 200, content_type: "text/plain; charset=UTF-8", body: body.as_bytes().to_vec() }
}

fn document(body: &Value) -> HttpAnswer {
    HttpAnswer { status: 200, content_type: "application/json", body: body.to_string().into_bytes() }
}

fn ssl_lines(out: &mut Vec<String>, prefix: &str, counters: &PodCounters, version: &str) {
    let figures = [
        ("connection_error", counters.connection_error),
        ("fail_verify_cert_hash", 0.0),
        ("fail_verify_error", counters.fail_verify_error),
        ("fail_verify_no_cert", 0.0),
        ("fail_verify_san", counters.fail_verify_san),
        ("handshake", counters.handshake),
        ("no_certificate", 0.0),
        ("session_reused", 0.0),
    ];
    for (name, figure) in figures {
        out.push(format!("{prefix}.ssl.{name}: {}", whole(figure)));
    }
    if whole(counters.handshake) > 0 {
        out.push(format!("{prefix}.ssl.versions.{version}: {}", whole(counters.handshake)));
    }
}

fn stats(inner: &WorldState, pod: &Pod, query: &str) -> String {
    let mut lines = Vec::new();
    let hidden = inner.has(&Fault::StatsHidden);
    let version = if inner.has(&Fault::Tls12) { "TLSv1.2" } else { "TLSv1.3" };
    for (cluster, counters) in &pod.clients {
        let prefix = format!("cluster.{cluster}");
        if !hidden {
            ssl_lines(&mut lines, &prefix, counters, version);
        }
        lines.push(format!("{prefix}.upstream_cx_connect_fail: {}", whole(counters.connect_fail)));
        lines.push(format!("{prefix}.upstream_cx_total: {}", whole(counters.connections)));
        lines.push(format!("{prefix}.upstream_rq_200: {}", whole(counters.answered)));
        lines.push(format!("{prefix}.upstream_rq_503: {}", whole(counters.failed)));
        lines.push(format!("{prefix}.upstream_rq_total: {}", whole(counters.requests)));
    }
    if !hidden {
        ssl_lines(&mut lines, "listener.0.0.0.0_15006", &pod.server, version);
    }
    let total = pod.server.handshake + pod.server.fail_verify_error + pod.server.connection_error;
    lines.push(format!("listener.0.0.0.0_15006.downstream_cx_total: {}", whole(total)));
    lines.push("listener.0.0.0.0_15006.no_filter_chain_match: 0".to_owned());
    lines.sort();
    let filter = query.split('&').find_map(|pair| pair.strip_prefix("filter="));
    let wanted = |line: &&String| filter.is_none_or(|filter| line.contains(filter.trim_matches(['^', '$'])));
    lines.iter().filter(wanted).fold(String::new(), |mut out, line| {
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{line}");
        out
    })
}

fn host_figures(counters: &PodCounters) -> [(&'static str, u64); 6] {
    [
        ("cx_connect_fail", whole(counters.connect_fail)),
        ("cx_total", whole(counters.connections)),
        ("rq_error", whole(counters.failed)),
        ("rq_success", whole(counters.answered)),
        ("rq_timeout", 0),
        ("rq_total", whole(counters.requests - counters.connect_fail)),
    ]
}

fn clusters_text(pod: &Pod) -> String {
    let mut out = String::new();
    for (cluster, counters) in &pod.clients {
        // Writing into a String cannot fail.
        let _ = writeln!(out, "{cluster}::observability_name::{cluster}");
        let _ = writeln!(out, "{cluster}::default_priority::max_connections::1024");
        for (name, figure) in host_figures(counters) {
            let _ = writeln!(out, "{cluster}::10.96.0.10:{PORT}::{name}::{figure}");
        }
        let _ = writeln!(out, "{cluster}::10.96.0.10:{PORT}::health_flags::healthy");
    }
    out
}

fn clusters_json(pod: &Pod) -> Value {
    let statuses: Vec<Value> = pod
        .clients
        .iter()
        .map(|(cluster, counters)| {
            let stats: Vec<Value> = host_figures(counters)
                .into_iter()
                .map(|(name, figure)| match figure {
                    // Envoy leaves out what is zero.
                    0 => json!({"name": name}),
                    figure => json!({"value": figure.to_string(), "name": name}),
                })
                .collect();
            json!({"name": cluster, "observability_name": cluster, "host_statuses": [{
                "address": {"socket_address": {"address": "10.96.0.10", "port_value": PORT}},
                "stats": stats, "health_status": {"eds_health_status": "HEALTHY"}, "weight": 1, "locality": {}}]})
        })
        .collect();
    json!({"cluster_statuses": statuses})
}

fn certs(inner: &WorldState, pod: &Pod) -> Value {
    let Some(svid) = &pod.served else { return json!({"certificates": []}) };
    let left = svid.not_after.duration_since(inner.settled);
    let days = (left.as_secs() / SignedDuration::from_hours(24).as_secs()).max(0);
    json!({"certificates": [{
        "ca_cert": [{"path": "<inline>", "serial_number": "01", "subject_alt_names":
            [{"uri": format!("spiffe://{TRUST_DOMAIN}")}], "days_until_expiration": "364"}],
        "cert_chain": [{"path": "<inline>", "serial_number": svid.serial,
            "subject_alt_names": [{"uri": svid.spiffe_id}], "days_until_expiration": days.to_string(),
            "valid_from": format!("{:.0}", svid.not_before), "expiration_time": format!("{:.0}", svid.not_after)}],
    }]})
}

fn secrets(inner: &WorldState, pod: &Pod, now: Timestamp) -> Value {
    let kind = "type.googleapis.com/envoy.admin.v3.SecretsConfigDump.DynamicSecret";
    let secret = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
    let Some(svid) = &pod.served else { return json!({"configs": []}) };
    let roots = if svid.from_istiod { inner.istio.bundle_pem().to_owned() } else { inner.bundle_of(pod) };
    let trusted = json!({"inline_bytes": STANDARD.encode(roots)});
    let context = if svid.from_istiod {
        json!({"trusted_ca": trusted})
    } else {
        json!({"custom_validator_config": {
            "name": "envoy.tls.cert_validator.spiffe",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig",
                "trust_domains": [{"name": TRUST_DOMAIN, "trust_bundle": trusted}]}}})
    };
    json!({"configs": [
        {"@type": kind, "name": "default", "version_info": svid.serial, "last_updated": format!("{now:.3}"),
            "secret": {"@type": secret, "name": "default", "tls_certificate": {
                "certificate_chain": {"inline_bytes": STANDARD.encode(&svid.chain_pem)},
                "private_key": {"inline_bytes": STANDARD.encode("[redacted]")}}}},
        {"@type": kind, "name": "ROOTCA", "version_info": "1", "last_updated": format!("{now:.3}"),
            "secret": {"@type": secret, "name": "ROOTCA", "validation_context": context}},
    ]})
}

fn server_info(pod: &Pod, now: Timestamp) -> Value {
    let uptime = now.duration_since(pod.up_at).as_secs().max(0);
    json!({"version": "1.40.0", "state": if pod.ready { "LIVE" } else { "PRE_INITIALIZING" },
        "uptime_current_epoch": format!("{uptime}s"), "uptime_all_epochs": format!("{uptime}s"),
        "hot_restart_version": "disabled"})
}
