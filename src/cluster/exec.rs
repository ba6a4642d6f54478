//! Commands in containers: a closed list, argument vectors, bounded in time and output.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::AttachParams};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{ClusterError, Reach, client::STREAM_VERBS, forward::ANSWER_MOST};
use crate::mesh::PodRef;

/// The most output that is read, in bytes; certificates, which come twice, and healthchecks are far smaller.
const OUTPUT_MOST: usize = 512 * 1024;

/// The commands that may be run in containers. Paths come from the configuration; nothing comes from a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    /// `cat FILE FILE`, for certificates: a stream that is cut behind the API server ends there as a success, and only a file
    /// that comes twice, and the same both times, is known to be whole. So is one that was not being rewritten meanwhile.
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
            Tool::Cat(file) => vec!["cat".to_owned(), file.clone(), file.clone()],
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
        let failed = |why: String| ClusterError::Failed { what: what.to_owned(), why };
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
        // Whoever writes too much is left at once: it waits to be read, and would not end.
        let (stdout, stderr) = futures::try_join!(read(stdout, most), read(stderr, OUTPUT_MOST))
            .map_err(|most| failed(format!("it wrote over {most} bytes")))?;
        let status = match status {
            Some(status) => status.await,
            None => None,
        };
        // Closed without a status: whether it ran is not known, so it counts as nothing seen.
        let status = status.ok_or_else(|| failed("the stream ended without a status".to_owned()))?;
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
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
                let stdout = whole(tool, stdout).map_err(|why| failed(why.to_owned()))?;
                Ok(Output { exit_code: 0, stdout, stderr })
            }
            Some(exit_code) => Ok(Output { exit_code, stdout, stderr }),
        }
    }
}

/// What a command that ended well has written, where it shows by itself that this is all. The API server says of a stream
/// that was cut behind it that the command succeeded.
fn whole(tool: &Tool, mut stdout: Vec<u8>) -> Result<Vec<u8>, &'static str> {
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
            stdout.truncate(once.len());
            Ok(stdout)
        }
        Tool::AgentHealthcheck | Tool::ServerHealthcheck if stdout.is_empty() => Err("it said nothing"),
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

/// What a stream holds; where that is more than `most`, the error is `most`: half of a list of counters adds up to a wrong sum.
async fn read(stream: Option<impl AsyncRead + Unpin>, most: usize) -> Result<Vec<u8>, usize> {
    let mut out = Vec::new();
    if let Some(stream) = stream {
        // A stream that breaks off leaves what was read; whether that is whole is asked later.
        let bytes = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        let _ = stream.take(bytes).read_to_end(&mut out).await;
    }
    if out.len() > most { Err(most) } else { Ok(out) }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that is cut behind the API server ends there with "Success" (seen on a real one, tests/real/streams.rs).
    #[test]
    fn half_of_an_output_is_known_for_half_whatever_the_status_says() {
        let (cat, list) = (Tool::Cat("svid.crt".to_owned()), Tool::PilotAgent("/stats".to_owned()));
        assert_eq!(whole(&cat, b"a b\na b\n".to_vec()).as_deref(), Ok(&b"a b\n"[..]));
        let bundle = b"-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n".repeat(2);
        for length in 0..bundle.len() {
            assert!(whole(&cat, bundle[..length].to_vec()).is_err(), "{length} bytes of it");
        }
        assert!(whole(&cat, bundle).is_ok());
        for length in 0..8 {
            let cut = b"a b\na b\n"[..length].to_vec();
            assert!(whole(&cat, cut.clone()).is_err(), "{cut:?}");
        }
        assert!(whole(&cat, b"old\nnew\n".to_vec()).is_err(), "it was rewritten meanwhile");
        assert!(whole(&list, b"a: 1\nb: 2".to_vec()).is_err() && whole(&list, b"a: 1\nb: 2\n".to_vec()).is_ok());
        assert!(whole(&Tool::AgentHealthcheck, Vec::new()).is_err(), "a healthy agent says so");
    }
}
