//! `pods/exec`: a command in a container, over WebSocket.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{Response, request::Parts},
};
use serde_json::{Value, json};

use super::{
    Api,
    channel::{Channels, Received, upgrade},
    containers::{Container, choose},
    path::Target,
    query::Query,
    status::Failure,
};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
/// The most that is read from standard input before the command runs, in bytes.
const STDIN_MOST: usize = 1024 * 1024;

/// What to run, and which streams the client wants.
struct ExecJob {
    container: Container,
    argv: Vec<String>,
    stdin: bool,
    stdout: bool,
    /// The channel for standard error; on a terminal there is one stream for both.
    stderr: Option<u8>,
    /// Whether the client learns how the command ended; not so when that is injected as a fault.
    whole: bool,
}

/// Checks what can be checked before the upgrade, then runs the command on the open connection. Unless `whole`, the
/// connection closes without a status, as when a kubelet dies: clients must not take that for a success.
pub(super) async fn exec(
    api: &Arc<Api>,
    target: Target,
    query: &Query,
    parts: &mut Parts,
    whole: bool,
) -> Result<Response<Body>, Failure> {
    let container = choose(api, &target, query)?;
    let phase = container.object.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed") {
        let message = format!("cannot exec into a container in a completed pod; current phase is {phase}");
        return Err(Failure::bad_request(message));
    }
    let argv: Vec<String> = query.all("command").map(str::to_owned).collect();
    if argv.is_empty() {
        return Err(Failure::bad_request("you must specify at least 1 command for the container"));
    }
    let [stdin, stdout, stderr, tty] = ["stdin", "stdout", "stderr", "tty"].map(|name| query.flag(name));
    // Input typed at a terminal has no end to wait for, and the simulated programs are no shells: they get none.
    let stdin = stdin && !tty;
    let stderr = if tty { Some(STDOUT) } else { stderr.then_some(STDERR) };
    let job = ExecJob { container, argv, stdin, stdout, stderr, whole };
    let api = Arc::clone(api);
    upgrade(parts, move |channels| run(api, job, channels)).await
}

async fn run(api: Arc<Api>, job: ExecJob, mut channels: Channels) {
    let stdin = if job.stdin { read_stdin(&mut channels).await } else { Vec::new() };
    let ran = api.kubelet.exec(&job.container.pod, &job.container.name, &job.argv, &stdin);
    let status = match ran {
        Ok(ran) => {
            let sent = !job.stdout || channels.send(STDOUT, &ran.stdout).await;
            if let Some(channel) = job.stderr.filter(|_| sent) {
                channels.send(channel, &ran.stderr).await;
            }
            exit_status(ran.exit_code)
        }
        Err(error) => Failure::internal(format!("error executing command in container: {error}")).to_status(),
    };
    if job.whole {
        channels.send(STATUS, status.to_string().as_bytes()).await;
    }
    channels.close().await;
}

/// Everything up to the end of standard input: the simulated programs read it whole or not at all.
async fn read_stdin(channels: &mut Channels) -> Vec<u8> {
    let mut stdin = Vec::new();
    while let Some(received) = channels.receive().await {
        match received {
            Received::Data(STDIN, bytes) if stdin.len() + bytes.len() <= STDIN_MOST => stdin.extend(bytes),
            Received::Data(STDIN, _) | Received::Ended(STDIN) => break,
            // Sizes of the terminal, for instance.
            Received::Data(..) | Received::Ended(_) => {}
        }
    }
    stdin
}

fn exit_status(code: i32) -> Value {
    if code == 0 {
        return json!({"metadata": {}, "status": "Success"});
    }
    json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: exit status {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
    })
}
