//! Commands in containers: a closed list, argument vectors, bounded in time and output.

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Status};
use kube::{
    Resource,
    api::{AttachParams, Request},
};

use super::{
    ClusterClient, ClusterError,
    client::STREAM_VERBS,
    long::{Held, LongAnswers},
    socket::{Broken, PodSocket},
};
use crate::{bounds::CLUSTER_LONG_ANSWER, mesh::PodRef, triage::RedactedLog};

/// The most output that is read, in bytes; certificates, which come twice, and healthchecks are far smaller.
const OUTPUT_MOST: usize = 512 * 1024;
/// The most that is read of its standard error, in bytes: what is long there says nothing.
const STDERR_MOST: usize = 64 * 1024;

/// The commands that may be run in containers. Paths come from the configuration; nothing comes from a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    /// `cat FILE FILE`, for certificates: a stream that is cut behind the API server ends there as a success, and only a file
    /// that comes twice, and the same both times, is known to be whole. So is one that was not being rewritten meanwhile.
    Cat(String),
    /// `spire-agent healthcheck`.
    AgentHealthcheck,
    /// `spire-agent debug getinfo -output json`, which SPIRE has from 1.15.3 on.
    AgentInfo,
    /// `spire-server healthcheck`.
    ServerHealthcheck,
    /// `spire-server bundle show -output json`: the roots of the server's own trust domain.
    ServerBundle,
    /// `spire-server bundle list -output json`: those of federated trust domains.
    FederatedBundles,
    /// `pilot-agent request GET PATH`, where a port-forward does not work.
    PilotAgent(String),
}

/// What a command came to.
#[derive(Debug)]
pub struct Output {
    /// Its exit code.
    pub exit_code: i32,
    /// Its standard output.
    pub(super) stdout: Held,
    /// Its standard error, as text.
    pub stderr: RedactedLog,
}

impl ClusterClient {
    fn argv(&self, tool: &Tool) -> Vec<String> {
        let settings = &self.settings;
        match tool {
            Tool::Cat(file) => vec!["cat".to_owned(), file.clone(), file.clone()],
            Tool::AgentHealthcheck => healthcheck(&settings.agent_command, &settings.agent_socket),
            Tool::AgentInfo => {
                let (command, socket) = (&settings.agent_command, &settings.agent_admin_socket);
                [command, "debug", "getinfo", "-output", "json", "-socketPath", socket].map(str::to_owned).to_vec()
            }
            Tool::ServerHealthcheck => healthcheck(&settings.server_command, &settings.server_socket),
            Tool::ServerBundle => self.bundle_command("show"),
            Tool::FederatedBundles => self.bundle_command("list"),
            Tool::PilotAgent(path) => ["pilot-agent", "request", "GET", path].map(str::to_owned).to_vec(),
        }
    }

    /// As JSON, which is known to be whole; the socket is the one of the healthcheck.
    fn bundle_command(&self, what: &str) -> Vec<String> {
        let (command, socket) = (&self.settings.server_command, &self.settings.server_socket);
        [command, "bundle", what, "-output", "json", "-socketPath", socket].map(str::to_owned).to_vec()
    }

    /// Runs a command in a container (the first one when `container` is `None`).
    pub(super) async fn exec(
        &self,
        pod: &PodRef,
        container: Option<&str>,
        tool: &Tool,
    ) -> Result<Output, ClusterError> {
        let what = format!("exec of {} in {pod}", self.argv(tool).first().cloned().unwrap_or_default());
        self.bounded(&what, self.exec_unbounded(pod, container, tool, &what)).await
    }

    async fn exec_unbounded(
        &self,
        pod: &PodRef,
        container: Option<&str>,
        tool: &Tool,
        what: &str,
    ) -> Result<Output, ClusterError> {
        let namespace = pod.namespace.as_str();
        let failed = |why: String| ClusterError::Failed { what: what.to_owned(), why: why.into() };
        let mut params = AttachParams::default().stdin(false).stdout(true).stderr(true);
        if let Some(container) = container {
            params = params.container(container);
        }
        let argv = self.argv(tool);
        let request = Request::new(Pod::url_path(&(), Some(namespace))).exec(pod.name.as_str(), argv.clone(), &params);
        let socket = self.socket(request.map_err(|error| failed(error.to_string()))?).await;
        let socket = socket.map_err(|error| exec_error(&error, namespace, what, &argv, container))?;
        let most = if matches!(tool, Tool::PilotAgent(_)) { CLUSTER_LONG_ANSWER } else { OUTPUT_MOST };
        // What writes too much is left at once: it waits to be read, and would not end.
        let Ran { mut stdout, stderr, status } = ran(socket, &self.long, most).await.map_err(failed)?;
        // Closed without a status: whether it ran is not known, so it counts as nothing seen.
        let status = status.ok_or_else(|| failed("the stream ended without a status".to_owned()))?;
        let stderr = RedactedLog::new(&String::from_utf8_lossy(&stderr));
        let exit_code = exit_code(&status);
        match exit_code {
            Some(126 | 127) => Err(tool_missing(&argv, container)),
            None => {
                let message = status.message.unwrap_or_default();
                if message.contains("executable file not found") || message.contains("no such file or directory") {
                    return Err(tool_missing(&argv, container));
                }
                Err(failed(message))
            }
            Some(0) => {
                let length = whole(tool, &stdout).map_err(|why| failed(why.to_owned()))?.len();
                stdout.truncate(length);
                Ok(Output { exit_code: 0, stdout, stderr })
            }
            Some(exit_code) => Ok(Output { exit_code, stdout, stderr }),
        }
    }
}

/// What came of a command over its stream.
struct Ran {
    stdout: Held,
    stderr: Held,
    status: Option<Status>,
}

/// Reads the stream of a command to its status (Kubernetes' remote command protocol, versions 4 and 5): the first byte of a
/// message is its channel.
async fn ran(mut socket: PodSocket, long: &LongAnswers, most: usize) -> Result<Ran, String> {
    const STDOUT: u8 = 1;
    const STDERR: u8 = 2;
    const STATUS: u8 = 3;
    let mut ran = Ran { stdout: long.collect(most), stderr: long.collect(STDERR_MOST), status: None };
    while ran.status.is_none() {
        let message = match socket.next().await {
            Ok(Some(message)) => message,
            Ok(None) | Err(Broken::BrokeOff(_)) => break,
            Err(error) => return Err(error.to_string()),
        };
        match message {
            (STDOUT, piece) => ran.stdout.push(&piece).await.map_err(|_| format!("it wrote over {most} bytes"))?,
            (STDERR, piece) => {
                ran.stderr.push(&piece).await.map_err(|_| format!("it wrote over {STDERR_MOST} bytes of errors"))?;
            }
            (STATUS, status) => {
                ran.status = Some(serde_json::from_slice(&status).map_err(|error| error.to_string())?);
            }
            _ => {}
        }
    }
    Ok(ran)
}

/// What a command that ended well has written, where it shows by itself that this is all. The API server says of a stream
/// that was cut behind it that the command succeeded.
fn whole<'a>(tool: &Tool, stdout: &'a [u8]) -> Result<&'a [u8], &'static str> {
    match tool {
        Tool::Cat(_) => {
            let (once, again) = stdout.split_at(stdout.len().div_euclid(2));
            if once != again {
                return Err("it came only in part, or was written meanwhile: look again");
            }
            // Nothing twice is nothing, and the dashes with which a certificate begins are as well two of half as many. Taken
            // for an empty file, a stream that was cut at once would be a bundle that trusts nobody.
            if once.iter().all(|byte| *byte == b'-') {
                return Err("it is empty, or came only in part: look again");
            }
            Ok(once)
        }
        Tool::AgentHealthcheck | Tool::ServerHealthcheck if stdout.is_empty() => Err("it said nothing"),
        Tool::AgentInfo | Tool::ServerBundle | Tool::FederatedBundles if !stdout.trim_ascii_end().ends_with(b"}") => {
            Err("it came only in part")
        }
        // Envoy ends whatever it lists with the end of a line; half of a JSON document is none.
        Tool::PilotAgent(_) if !stdout.starts_with(b"{") && stdout.last().is_some_and(|last| *last != b'\n') => {
            Err("it came only in part")
        }
        _ => Ok(stdout),
    }
}

fn healthcheck(command: &str, socket: &str) -> Vec<String> {
    [command, "healthcheck", "-socketPath", socket].map(str::to_owned).to_vec()
}

fn tool_missing(argv: &[String], container: Option<&str>) -> ClusterError {
    ClusterError::ToolMissing {
        tool: argv.first().cloned().unwrap_or_default(),
        container: container.unwrap_or("the first container").to_owned(),
    }
}

fn exec_error(
    error: &kube::Error,
    namespace: &str,
    what: &str,
    argv: &[String],
    container: Option<&str>,
) -> ClusterError {
    if error.to_string().contains("executable file not found") {
        return tool_missing(argv, container);
    }
    ClusterError::of(error, STREAM_VERBS, "pods/exec", namespace, what)
}

/// The exit code of a Status: 0 on success, the code of `NonZeroExitCode`, or `None` when it could not be run at all.
fn exit_code(status: &Status) -> Option<i32> {
    if status.status.as_deref() == Some("Success") {
        return Some(0);
    }
    let causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
    causes
        .filter(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .find_map(|cause| cause.message.as_ref()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that is cut behind the API server ends there with "Success" (seen on a real one, tests/real/streams.rs).
    #[test]
    fn half_of_an_output_is_known_for_half_whatever_the_status_says() {
        let (cat, list) = (Tool::Cat("svid.crt".to_owned()), Tool::PilotAgent("/stats".to_owned()));
        assert_eq!(whole(&cat, b"a b\na b\n"), Ok(&b"a b\n"[..]));
        let bundle = b"-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n".repeat(2);
        for length in 0..bundle.len() {
            assert!(whole(&cat, &bundle[..length]).is_err(), "{length} bytes of it");
        }
        assert!(whole(&cat, &bundle).is_ok());
        for length in 0..8 {
            let cut = &b"a b\na b\n"[..length];
            assert!(whole(&cat, cut).is_err(), "{cut:?}");
        }
        assert!(whole(&cat, b"old\nnew\n").is_err(), "it was rewritten meanwhile");
        assert!(whole(&list, b"a: 1\nb: 2").is_err() && whole(&list, b"a: 1\nb: 2\n").is_ok());
        let shown = br#"{"trust_domain":"prod.example.org","x509_authorities":[]}"#;
        assert!(whole(&Tool::ServerBundle, shown).is_ok() && whole(&Tool::ServerBundle, b"").is_err());
        assert!(whole(&Tool::FederatedBundles, &shown[..20]).is_err());
        assert!(whole(&Tool::AgentHealthcheck, b"").is_err(), "a healthy agent says so");
    }
}
