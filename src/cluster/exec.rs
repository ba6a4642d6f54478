//! Commands in containers: a closed list, argument vectors, bounded in time and output.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::AttachParams};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{ClusterError, Reach, client::STREAM_VERBS, forward::ANSWER_MOST};
use crate::mesh::PodRef;

/// The most output that is read, in bytes; certificates and healthchecks are far smaller.
const OUTPUT_MOST: usize = 512 * 1024;

/// The commands that may be run in containers. Paths come from the configuration; nothing comes from a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    /// `cat FILE`, for certificates.
    Cat(String),
    /// `spire-agent healthcheck`.
    AgentHealthcheck,
    /// `spire-server healthcheck`.
    ServerHealthcheck,
    /// `pilot-agent request GET PATH`, where a port-forward does not work.
    PilotAgent(String),
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code.
    pub exit_code: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error, as text.
    pub stderr: String,
}

impl Reach {
    fn argv(&self, tool: &Tool) -> Vec<String> {
        let settings = &self.settings;
        match tool {
            Tool::Cat(file) => vec!["cat".to_owned(), file.clone()],
            Tool::AgentHealthcheck => healthcheck(&settings.agent_command, &settings.agent_socket),
            Tool::ServerHealthcheck => healthcheck(&settings.server_command, &settings.server_socket),
            Tool::PilotAgent(path) => ["pilot-agent", "request", "GET", path].map(str::to_owned).to_vec(),
        }
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
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let mut params = AttachParams::default().stdin(false).stdout(true).stderr(true);
        if let Some(container) = container {
            params = params.container(container);
        }
        let argv = self.argv(tool);
        let mut process = api
            .exec(pod.name.as_str(), argv.clone(), &params)
            .await
            .map_err(|error| exec_error(&error, namespace, what, &argv, container))?;
        let (stdout, stderr, status) = (process.stdout(), process.stderr(), process.take_status());
        let most = if matches!(tool, Tool::PilotAgent(_)) { ANSWER_MOST } else { OUTPUT_MOST };
        let (stdout, stderr) = futures::join!(read(stdout, most), read(stderr, OUTPUT_MOST));
        // Half of a list of counters adds up to a wrong sum.
        if stdout.len() > most {
            return Err(ClusterError::Failed { what: what.to_owned(), why: format!("it wrote over {most} bytes") });
        }
        let status = match status {
            Some(status) => status.await,
            None => None,
        };
        // Closed without a status: whether it ran is not known, so it counts as nothing seen.
        let Some(status) = status else {
            return Err(ClusterError::Failed {
                what: what.to_owned(),
                why: "the stream ended without a status".to_owned(),
            });
        };
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        let exit_code = exit_code(&status);
        match exit_code {
            Some(126 | 127) => Err(tool_missing(&argv, container)),
            None => {
                let message = status.message.unwrap_or_default();
                if message.contains("executable file not found") || message.contains("no such file or directory") {
                    return Err(tool_missing(&argv, container));
                }
                Err(ClusterError::Failed { what: what.to_owned(), why: message })
            }
            Some(exit_code) => Ok(Output { exit_code, stdout, stderr }),
        }
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

/// What a stream holds, and one byte more than `most` when it holds more than that.
async fn read(stream: Option<impl AsyncRead + Unpin>, most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(stream) = stream {
        // A stream that breaks off leaves what was read; whether that is whole, the status says.
        let bytes = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        let _ = stream.take(bytes).read_to_end(&mut out).await;
    }
    out
}

/// The exit code of a Status: 0 on success, the code of `NonZeroExitCode`, or `None` when it could not be run at all.
fn exit_code(status: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Status) -> Option<i32> {
    if status.status.as_deref() == Some("Success") {
        return Some(0);
    }
    let causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
    causes
        .filter(|cause| cause.reason.as_deref() == Some("ExitCode"))
        .find_map(|cause| cause.message.as_ref()?.parse().ok())
}
