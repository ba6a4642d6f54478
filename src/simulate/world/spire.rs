//! What SPIRE says: healthchecks and log lines, in the words of its agents and server.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Fault, WorldState, topology::TRUST_DOMAIN};
use crate::simulate::CommandOutput;

fn line(at: Timestamp, level: &str, msg: &str, fields: &str) -> String {
    let space = if fields.is_empty() { "" } else { " " };
    format!("time=\"{at:.0}\" level={level} msg=\"{msg}\"{space}{fields}")
}

/// What an agent logs when it starts.
pub(super) fn start_lines(at: Timestamp) -> Vec<String> {
    vec![
        line(at, "info", "Starting agent", "data_dir=/run/spire version=1.13.0"),
        line(at, "info", "Node attestation was successful", "reattestable=true subsystem_name=attestor"),
        line(
            at,
            "info",
            "Starting Workload and SDS APIs",
            "address=/run/spire/sockets/agent.sock network=unix subsystem_name=endpoints",
        ),
    ]
}

/// What an agent logs when it issues or renews.
pub(super) fn renewal_lines(first: bool, spiffe_id: &str, not_after: Timestamp, at: Timestamp) -> Vec<String> {
    let verb = if first { "Creating X509-SVID" } else { "Renewing X509-SVID" };
    let fields = format!("expires_at=\"{not_after:.0}\" spiffe_id=\"{spiffe_id}\" subsystem_name=manager");
    vec![line(at, "info", verb, &fields)]
}

/// What keeps an agent from its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Complaint {
    /// Its own SVID is over.
    OwnSvid,
    /// The server's port refuses it.
    ServerRefuses,
    /// The server's port does not answer.
    ServerSilent,
    /// No registration entry fits a workload.
    NoIdentity,
}

/// What an agent logs about that.
pub(super) fn complaint_line(complaint: Complaint, at: Timestamp) -> String {
    let dialing = |why: &str| {
        let error = format!(
            "error=\"rpc error: code = Unavailable desc = connection error: desc = \\\"transport: Error while dialing: dial \
             tcp 10.96.3.7:8081: {why}\\\"\" subsystem_name=manager"
        );
        line(at, "error", "Synchronize failed", &error)
    };
    match complaint {
        Complaint::ServerRefuses => dialing("connect: connection refused"),
        Complaint::ServerSilent => dialing("i/o timeout"),
        Complaint::OwnSvid => {
            let error = "error=\"current SVID has already expired and rotate agent SVID failed: context deadline \
                         exceeded\" subsystem_name=manager";
            line(at, "error", "Could not rotate agent SVID", error)
        }
        Complaint::NoIdentity => {
            line(at, "error", "No identity issued", "pid=4711 registered=false subsystem_name=endpoints")
        }
    }
}

fn ran(exit_code: i32, stdout: &str, stderr: &str) -> CommandOutput {
    CommandOutput { stdout: stdout.as_bytes().to_vec(), stderr: stderr.as_bytes().to_vec(), exit_code }
}

/// `spire-agent healthcheck` on a node.
pub(super) fn agent_healthcheck(inner: &WorldState, node: &str) -> CommandOutput {
    let starting = inner.agents.get(node).is_none_or(|agent| agent.ready_at.is_some());
    if starting || inner.has(&Fault::AgentFrozen { node: node.to_owned() }) {
        return ran(1, "", "SimulatedAgent is unhealthy: unable to determine health\n");
    }
    ran(0, "SimulatedAgent is healthy.\n", "")
}

/// `spire-server healthcheck`.
pub(super) fn server_healthcheck(inner: &WorldState) -> CommandOutput {
    if inner.has(&Fault::ServerDown) {
        return ran(1, "", "server is unhealthy: unable to determine health\n");
    }
    ran(0, "Server is healthy.\n", "")
}

/// `spire-server bundle show` and `bundle list`, as PEM or with `-output json`. It federates with nobody.
pub(super) fn server_bundle(inner: &WorldState, what: &str, flags: &[&str]) -> CommandOutput {
    if inner.has(&Fault::ServerDown) {
        return ran(
            1,
            "",
            "Error: connection error: dial unix /tmp/spire-server/private/api.sock: connect: connection refused\n",
        );
    }
    let as_json = flags.windows(2).any(|pair| pair == ["-output", "json"]);
    let shown = |authorities: Vec<Value>| {
        json!({"trust_domain": TRUST_DOMAIN, "x509_authorities": authorities, "jwt_authorities": [], "refresh_hint": "0",
            "sequence_number": "1"})
    };
    let bundle = inner.spire_bundle();
    let answer = match (what, as_json) {
        ("show", true) => shown(ders(&bundle).into_iter().map(|der| json!({"asn1": der, "tainted": false})).collect()),
        ("show", false) => return ran(0, &bundle, ""),
        ("list", true) => json!({"bundles": [], "next_page_token": ""}),
        ("list", false) => return ran(0, "", ""),
        _ => return ran(1, "", "This command is accessed by using one of the subcommands below.\n"),
    };
    ran(0, &format!("{answer}\n"), "")
}

/// The certificates of a PEM text as base64 of their DER: what is between the marks, without its line ends.
fn ders(pem: &str) -> Vec<String> {
    let blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    let body = |block: &str| block.split("-----END").next().unwrap_or_default().split_whitespace().collect::<String>();
    blocks.map(body).collect()
}
