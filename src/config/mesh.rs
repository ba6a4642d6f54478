//! Where things are in the mesh: the part of the file that `triage` reads as well, from a terminal without secrets.

use std::{path::Path, time::Duration};

use jiff::SignedDuration;
use serde::Deserialize;

use super::{ConfigError, MeshFile, TriageLimits, duration::TimeSpan, read, shape, text_of};
use crate::{cluster::Settings, mesh::SpiffeId};

/// The parts of the file that say where and how much to look; the reader ignores all others.
#[derive(Debug, Deserialize)]
struct Looking {
    #[serde(default)]
    mesh: MeshFile,
    #[serde(default)]
    triage: TriageLimits,
}

/// Reads only `mesh` and `triage` of a file: of the bot's own configuration, or of one that has nothing else.
pub fn mesh_settings(path: &Path) -> Result<Settings, ConfigError> {
    let text = text_of(path)?;
    let looking: Looking = read(&text).map_err(|problems| shape(path, problems))?;
    let mut problems = Vec::new();
    let settings = settings(&looking.mesh, &looking.triage, &mut problems);
    if problems.is_empty() { Ok(settings) } else { Err(ConfigError::Problems(problems)) }
}

/// The overall limit of a triage must leave the engine's hard limit (30 s) some room.
const OVERALL_MOST: SignedDuration = SignedDuration::from_secs(25);

/// Both parts as settings, with the runbook's places for fields that are left out.
pub(super) fn settings(mesh: &MeshFile, limits: &TriageLimits, problems: &mut Vec<String>) -> Settings {
    let mut settings = Settings::default();
    let places = [
        (&mesh.svid_path, &mut settings.svid_path),
        (&mesh.bundle_path, &mut settings.bundle_path),
        (&mesh.spire_namespace, &mut settings.spire_namespace),
        (&mesh.istio_namespace, &mut settings.istio_namespace),
        (&mesh.server_selector, &mut settings.server_selector),
        (&mesh.agent_selector, &mut settings.agent_selector),
        (&mesh.ztunnel_namespace, &mut settings.ztunnel_namespace),
        (&mesh.ztunnel_selector, &mut settings.ztunnel_selector),
        (&mesh.server_socket, &mut settings.server_socket),
        (&mesh.agent_socket, &mut settings.agent_socket),
        (&mesh.agent_admin_socket, &mut settings.agent_admin_socket),
        (&mesh.spiffe_id_template, &mut settings.expectations.spiffe_id_template),
    ];
    for (given, place) in places {
        if let Some(given) = given {
            place.clone_from(given);
        }
    }
    for path in [&settings.svid_path, &settings.bundle_path] {
        // The words of a key's file name: a certificate path that names a key is a slip that would show a secret.
        let name = path.to_ascii_lowercase();
        if [".key", "_key", "-key", "private"].iter().any(|word| name.contains(word)) {
            problems.push(format!("mesh: {path} looks like a private key, and private keys are never read"));
        }
    }
    match mesh.trust_domain.as_deref().map(crate::mesh::TrustDomain::parse).transpose() {
        Ok(domain) => settings.expectations.trust_domain = domain,
        Err(error) => problems.push(format!("mesh.trust_domain: {error}")),
    }
    if let Err(why) = template_of(&settings.expectations.spiffe_id_template) {
        problems.push(format!("mesh.spiffe_id_template: {why}"));
    }
    if let Some(sample) = limits.sample {
        settings.limits.sample = sample.clamp(1, 20);
    }
    if let Some(check) = limits.check {
        settings.limits.check = real(check);
    }
    if let Some(overall) = limits.overall {
        if overall.0 > OVERALL_MOST {
            problems.push("triage.overall: at most 25s".to_owned());
        }
        settings.limits.overall = real(overall);
    }
    match mesh.health_port {
        Some(0) => problems.push("mesh.health_port: a port is 1 to 65535".to_owned()),
        Some(port) => settings.health_port = port,
        None => {}
    }
    if let Some(part) = settings.agent_selector.split(',').map(str::trim).find(|part| !is_one_label(part)) {
        problems.push(format!("mesh.agent_selector: {}", no_label(part)));
    }
    settings.agents_attest_again = mesh.agents_attest_again;
    if let Some(since) = mesh.agent_log_since {
        settings.agent_log_since = real(since);
    }
    settings
}

/// The chart's admission policy compares an agent's labels one by one, and says the same where it is rendered
/// (deploy/chart/templates/_helpers.tpl): a selector that it cannot compare would let the bot remove every pod of SPIRE, or none.
fn no_label(part: &str) -> String {
    format!("\"{part}\" is no label of the agents as key=value: write one or more of them, with commas between them")
}

/// Whether this is `key=value` as labels are written (Kubernetes, "Labels and Selectors"); the value may be empty.
fn is_one_label(part: &str) -> bool {
    let Some((key, value)) = part.split_once('=') else { return false };
    let name = match key.split_once('/') {
        Some((prefix, name)) if is_prefix(prefix) => name,
        Some(_) => return false,
        None => key,
    };
    is_name(name) && (value.is_empty() || is_name(value))
}

fn is_prefix(text: &str) -> bool {
    text.split('.').all(|label| {
        let written = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(written)
    })
}

fn is_name(text: &str) -> bool {
    let written = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63 && text.bytes().all(written) && ends(text.bytes().next()) && ends(text.bytes().last())
}

/// Whether SPIFFE IDs come out of a template: with a slip in it, every pod of the mesh would have the wrong identity.
fn template_of(template: &str) -> Result<(), String> {
    let filled = template
        .replace("{trust_domain}", "example.org")
        .replace("{namespace}", "namespace")
        .replace("{service_account}", "account");
    if filled.contains(['{', '}']) {
        return Err(format!(
            "{template:?} has a place other than {{trust_domain}}, {{namespace}} and {{service_account}}"
        ));
    }
    match SpiffeId::parse(&filled) {
        Ok(id) if id.path().is_empty() => {
            Err(format!("{template:?} has no path, and the SPIFFE ID of a workload has one"))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{template:?} gives no SPIFFE ID: {error}")),
    }
}

fn real(span: TimeSpan) -> Duration {
    // Spans are more than zero (checked when read), so this never falls back.
    Duration::try_from(span.0).unwrap_or(Duration::from_secs(8))
}
