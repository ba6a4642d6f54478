//! What the bot holds in memory while nothing happens: without a chat, and with both faces connected.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    fake_gateway::FakeGateway,
    fake_interactions::{APPLICATION, CHANNEL, GUILD},
    fake_rest::{self as rest, FakeDiscord},
    fake_slack::{self as workspace, FakeSlack},
    line,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mtls-medic");
/// After its start it looks around once; then it is idle.
const SETTLES_WITHIN: Duration = Duration::from_secs(3);
const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// Measures both.
pub(crate) async fn run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let kubeconfig = path.join("kubeconfig");
    let simulate = ["simulate", "--listen", "127.0.0.1:0", "--kubeconfig", kubeconfig.to_str().unwrap()];
    let _mesh = Running::start(&simulate);
    until("the simulated mesh", || kubeconfig.metadata().is_ok_and(|file| file.len() > 0)).await;
    for (name, word) in
        [("webhook", "t"), ("slack", workspace::BOT_TOKEN), ("app", workspace::APP_TOKEN), ("discord", rest::BOT_TOKEN)]
    {
        std::fs::write(path.join(name), word).unwrap();
    }

    let alone = Running::serve(path, "alone", "");
    until("the bot without a chat", || is_on_duty(path, "alone")).await;
    tokio::time::sleep(SETTLES_WITHIN).await;
    line("idle_memory", alone.mebibytes(), "MiB", "<=40");

    let (slack, discord, gateway) =
        (FakeSlack::open().await, FakeDiscord::open(CHANNEL).await, FakeGateway::open().await);
    discord.gateway_is_at(&gateway.address());
    let chats = format!(
        r#"slack: {{mode: socket, bot_token: {{file: {at}/slack}}, app_token: {{file: {at}/app}}, team: {team}, channel: {room}, api: "{slack}"}}
discord: {{bot_token: {{file: {at}/discord}}, application: "{APPLICATION}", guild: "{GUILD}", channel: "{CHANNEL}", api: "{discord}"}}
"#,
        at = path.display(),
        team = workspace::TEAM,
        room = workspace::CHANNEL,
        slack = slack.api(),
        discord = discord.api(),
    );
    let both = Running::serve(path, "both", &chats);
    slack.until("Slack's socket is open", |slack| slack.sockets_opened() > 0).await;
    gateway.until("a session with Discord", |gateway| !gateway.identified().is_empty()).await;
    tokio::time::sleep(SETTLES_WITHIN).await;
    line("idle_memory_with_both_faces", both.mebibytes(), "MiB", "<=45");
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(STARTS_WITHIN, waiting).await.unwrap_or_else(|_| panic!("{what} did not start"));
}

fn is_on_duty(path: &Path, name: &str) -> bool {
    std::fs::read_to_string(path.join(format!("{name}.log"))).is_ok_and(|log| log.contains("on duty"))
}

/// A program that ends with the measurement.
struct Running(Child);

impl Running {
    fn start(arguments: &[&str]) -> Self {
        Self(Command::new(PROGRAM).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn serve(path: &Path, name: &str, chats: &str) -> Self {
        let at = path.display();
        let config = path.join(format!("{name}.yaml"));
        let text = format!(
            "listen: 127.0.0.1:0
journal: {at}/{name}.sqlite
cluster: bench
alertmanager: {{bearer_tokens: [{{file: {at}/webhook}}]}}
kubernetes: {{kubeconfig: {at}/kubeconfig}}
people: {{levels: [{{team: L1, window: 15m, mention: {{users: [U0ONCALL]}}}}], commanders: {{users: [U0ONCALL]}}}}
{chats}"
        );
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(path.join(format!("{name}.log"))).unwrap();
        let mut serve = Command::new(PROGRAM);
        serve.arg("serve").arg("--config").arg(config).stdout(log.try_clone().unwrap()).stderr(log);
        Self(serve.spawn().unwrap())
    }

    fn mebibytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kibibytes: f64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes / 1024.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
