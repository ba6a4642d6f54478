//! Calls between workloads as text: what came of each first, then both sides.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::{
    legible::named,
    triage::istio::{
        Change, ClientTls, Computed, Conclusion, Destination, Judged, JudgedEndpoint, ObjectName, Outcome, Said, WhatIf,
    },
};

/// How many clients or endpoints one paragraph names; the rest is a number.
const NAMED_MOST: usize = 10;

fn heading(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Mtls => "works by mTLS",
        Conclusion::WithoutMtls => "WORKS WITHOUT mTLS",
        Conclusion::Unclear => "UNCLEAR",
        Conclusion::Fails => "FAILS",
    }
}

/// A destination as a person types it.
pub fn destination(host: &str, port: u16, subset: Option<&str>) -> String {
    let short = host.strip_suffix(".svc.cluster.local").unwrap_or(host);
    let subset = subset.map_or_else(String::new, |subset| format!("/{subset}"));
    format!("{short}:{port}{subset}")
}

/// One call from both sides.
pub fn pair(clients: &[ObjectName], to: Destination<'_>, judged: &Judged<'_, '_>) -> String {
    format!("{} → {}", named(clients, NAMED_MOST), body(to, judged))
}

fn body(to: Destination<'_>, judged: &Judged<'_, '_>) -> String {
    let target = destination(&to.service.host(), to.port, to.subset);
    let mut lines = vec![format!("{target}: {}", heading(judged.conclusion()))];
    if judged.conclusion() != Conclusion::Mtls {
        let sentence = judged.sentence();
        lines.push(format!("  why      {}", sentence.strip_prefix("it works without mTLS: ").unwrap_or(&sentence)));
    }
    lines.extend(next_step(judged).map(|step| format!("  next     {step}")));
    lines.push(format!("  client   {}", judged.client_side()));
    match judged.call.expected_sans.as_slice() {
        [] if judged.call.auto_san_validation => lines.push("  demands  the name that was called".to_owned()),
        [] => {}
        sans => lines.push(format!("  demands  {}", sans.join(" or "))),
    }
    for one in judged.endpoints.iter().take(NAMED_MOST) {
        lines.push(format!("  server   {}", server(judged, one)));
    }
    if judged.endpoints.len() > NAMED_MOST {
        lines.push(format!("           and {} more endpoints", judged.endpoints.len() - NAMED_MOST));
    }
    lines.extend(judged.beyond.iter().map(|one| format!("  caution  not computed with: {one}")));
    lines.join("\n")
}

fn server(judged: &Judged<'_, '_>, one: &JudgedEndpoint<'_>) -> String {
    let endpoint = &one.call.endpoint;
    let who = endpoint.pod.map_or_else(String::new, |pod| format!("{} ", pod.metadata.object_name()));
    let mode = match (judged.server(one), endpoint.pod) {
        (Some(mode), _) => mode.to_string(),
        (None, Some(_)) => "no sidecar".to_owned(),
        (None, None) => "no pod".to_owned(),
    };
    let called = match one.call.tls {
        ClientTls::IstioMutual => "mTLS",
        ClientTls::Plaintext => "plain text",
        ClientTls::Simple => "TLS",
        ClientTls::Mutual => "TLS with another certificate",
        ClientTls::Auto | ClientTls::NoCluster => "not called",
    };
    let works = if matches!(one.outcome, Outcome::Fails(_)) { ", fails" } else { "" };
    let ready = if endpoint.ready { "" } else { ", not ready" };
    format!("{who}{}: {mode}; called with {called}{works}{ready}", endpoint.socket_address())
}

/// Where to look first, as a line to paste.
fn next_step(judged: &Judged<'_, '_>) -> Option<String> {
    if !matches!(judged.conclusion(), Conclusion::Fails | Conclusion::WithoutMtls) {
        return None;
    }
    let show =
        |kind: &str, name: &ObjectName| format!("kubectl -n {} get {kind} {} -o yaml", name.namespace, name.name);
    if let Some(rule) = judged.call.rule.and_then(|rule| rule.names().into_iter().next()) {
        return Some(show("destinationrule", &rule));
    }
    let (first, _) = judged.first_failure()?;
    match (judged.server(first), first.call.endpoint.pod) {
        (Some(mode), _) => mode.decided_by.map(|decision| show("peerauthentication", &decision.policy)),
        (None, Some(pod)) => Some(show("pod", &pod.metadata.object_name())),
        (None, None) => None,
    }
}

/// Every call of every client: those that need a look one by one, the rest counted.
pub fn all_pairs(computed: &Computed<'_>) -> (String, Conclusion) {
    let (mut right, mut worst) = (0, Conclusion::Mtls);
    let mut alike: BTreeMap<_, Vec<ObjectName>> = BTreeMap::new();
    for group in computed.client_groups() {
        let Some(client) = group.any() else { continue };
        for to in computed.destinations(client) {
            let judged = computed.judge(client, to);
            worst = worst.max(judged.conclusion());
            if judged.conclusion() == Conclusion::Mtls && judged.beyond.is_empty() {
                right += group.pods.len();
            } else {
                let clients = alike.entry((Reverse(judged.conclusion()), body(to, &judged))).or_default();
                clients.extend(group.pods.iter().map(|pod| pod.metadata.object_name()));
            }
        }
    }
    let mut lines: Vec<String> =
        alike.into_iter().map(|((_, body), clients)| format!("{} → {body}", named(&clients, NAMED_MOST))).collect();
    lines.push(format!("{right} calls work by mTLS."));
    (lines.join("\n"), worst)
}

/// What a change of objects does.
pub fn what_if(found: &WhatIf) -> String {
    let breaking = found.changes.iter().filter(|change| change.breaks).count();
    let others = found.changes.len() - breaking;
    let mut lines = vec![format!("{breaking} break, {others} change otherwise, {} stay as they are", found.unchanged)];
    lines.extend(found.changes.iter().map(changed));
    let mut modes: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for one in &found.modes {
        let ports = modes.entry((one.before, one.after)).or_default();
        ports.push(format!("{}:{}", one.server_pod, one.port));
    }
    lines.extend(modes.into_iter().map(|((before, after), ports)| {
        format!("mode    {} → {}: {}", before.as_str(), after.as_str(), named(&ports, NAMED_MOST))
    }));
    lines.join("\n")
}

fn changed(change: &Change) -> String {
    let kind = if change.breaks { "BREAKS " } else { "changes" };
    let target = destination(&change.host, change.service_port, change.subset.as_deref());
    let without = if change.without_sidecar { " (no sidecar: only if it calls)" } else { "" };
    let side = |said: &Option<Said>, none: &str| said.as_ref().map_or(none.to_owned(), |said| said.why.clone());
    format!(
        "{kind} {} → {target}{without}\n  before   {}\n  after    {}",
        named(&change.clients, NAMED_MOST),
        side(&change.before, "there was no such call"),
        side(&change.after, "there is no such Service"),
    )
}
