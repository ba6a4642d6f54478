//! What SPIRE says: healthchecks and log lines, in the words of its agents and server.

use jiff::Timestamp;

use super::{Fault, Inner};
use crate::simulate::Ran;

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

/// What an agent logs that cannot renew.
pub(super) fn complaint_lines(server_down: bool, at: Timestamp) -> Vec<String> {
    if server_down {
        let error = "error=\"rpc error: code = Unavailable desc = connection error: desc = \\\"transport: Error while \
                     dialing: dial tcp 10.96.3.7:8081: connect: connection refused\\\"\" subsystem_name=manager";
        return vec![line(at, "error", "Synchronize failed", error)];
    }
    let error = "error=\"current SVID has already expired and rotate agent SVID failed: context deadline exceeded\" \
                 subsystem_name=manager";
    vec![line(at, "error", "Could not rotate agent SVID", error)]
}

fn ran(exit_code: i32, stdout: &str, stderr: &str) -> Ran {
    Ran { stdout: stdout.as_bytes().to_vec(), stderr: stderr.as_bytes().to_vec(), exit_code }
}

/// `spire-agent healthcheck` on a node.
pub(super) fn agent_healthcheck(inner: &Inner, node: &str) -> Ran {
    let starting = inner.agents.get(node).is_none_or(|agent| agent.ready_at.is_some());
    if starting || inner.has(&Fault::AgentFrozen { node: node.to_owned() }) {
        return ran(1, "", "Agent is unhealthy: unable to determine health\n");
    }
    ran(0, "Agent is healthy.\n", "")
}

/// `spire-server healthcheck`.
pub(super) fn server_healthcheck(inner: &Inner) -> Ran {
    if inner.has(&Fault::ServerDown) {
        return ran(1, "", "server is unhealthy: unable to determine health\n");
    }
    ran(0, "Server is healthy.\n", "")
}
