//! What somebody sees who runs `doctor` before the first night: the real binary, against the simulated mesh and a stateful
//! fake of each chat.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

#[cfg(feature = "discord")]
#[path = "doctor/discord.rs"]
mod discord;
#[cfg(feature = "discord")]
#[path = "fake_discord/rest.rs"]
mod fake_discord;
#[path = "fake_slack/mod.rs"]
mod fake_slack;

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use fake_slack::{APP_TOKEN, BOT_TOKEN, CHANNEL, FakeSlack, TEAM, Trouble};
use mtls_medic::{
    clock::SystemClock,
    simulate::{Simulation, world::Scenario},
};
use serde_json::{Value, json};

/// A bot that is set up and not yet on duty.
struct SetUp {
    mesh: Simulation,
    slack: FakeSlack,
    folder: tempfile::TempDir,
    config: Value,
}

impl SetUp {
    async fn new() -> Self {
        let mesh = Simulation::start(Arc::new(SystemClock), Scenario::Healthy, "127.0.0.1:0".parse().unwrap());
        let (mesh, slack) = (mesh.await.unwrap(), FakeSlack::open().await);
        slack.group("S0ONCALL", &["U0ANNA"]);
        slack.group("S0SECURITY", &["U0BEN"]);
        let folder = tempfile::tempdir().unwrap();
        mesh.write_kubeconfig(&folder.path().join("kubeconfig")).unwrap();
        let secrets =
            [("token", "alertmanager"), ("bot", BOT_TOKEN), ("app", APP_TOKEN), ("key", "a-routing-key-nobody-sees")];
        for (name, secret) in secrets {
            fs::write(folder.path().join(name), secret).unwrap();
        }
        let file = |name: &str| json!({ "file": folder.path().join(name) });
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = json!({
            "listen": format!("127.0.0.1:{port}"),
            "journal": folder.path().join("journal.sqlite"),
            "cluster": "prod-eu-1",
            "alertmanager": { "bearer_tokens": [file("token")] },
            "kubernetes": { "kubeconfig": folder.path().join("kubeconfig"), "namespaces": ["web"] },
            "slack": {
                "mode": "socket", "bot_token": file("bot"), "app_token": file("app"),
                "team": TEAM, "channel": CHANNEL, "api": slack.api(),
            },
            "people": {
                "levels": [{ "team": "Platform On-Call", "window": "15m", "mention": { "groups": ["S0ONCALL"] }, "pager": "night" }],
                "commanders": { "groups": ["S0ONCALL"] },
                "approvers": { "groups": ["S0SECURITY"] },
            },
            "pagers": { "night": { "kind": "pagerduty", "key": file("key") } },
            "writes": true,
        });
        Self { mesh, slack, folder, config }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self) -> PathBuf {
        // JSON is YAML too.
        fs::write(self.file("config.yaml"), self.config.to_string()).unwrap();
        self.file("config.yaml")
    }

    /// The exit code, and what was printed.
    async fn doctor(&self, more: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mtls-medic"));
        command.args(["doctor", "--config"]).arg(self.write()).args(more).env_remove("KUBECONFIG");
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        (output.status.code().unwrap(), text)
    }

    /// The bot itself, on duty when this returns.
    async fn on_duty(&self) -> OnDuty {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mtls-medic"));
        command.args(["serve", "--config"]).arg(self.write()).stdout(Stdio::null()).stderr(Stdio::null());
        let bot = OnDuty(command.spawn().unwrap());
        // It takes the journal before it listens, so that a doctor who comes now finds it in use.
        let address = self.config["listen"].as_str().unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                return bot;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("serve did not come up");
    }
}

struct OnDuty(Child);

impl Drop for OnDuty {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_is_fine_every_line_is_ok_and_nothing_is_left_behind() {
    let it = SetUp::new().await;
    let (code, said) = it.doctor(&[]).await;
    assert_eq!(code, 0, "{said}");
    for line in [
        "ok      configuration 1 levels; fixes may run",
        "exec in namespace spire-system (2 rights)",
        "restart-pod in namespace web (1 rights)",
        "plan-restart-spire-agent in all namespaces (1 rights)",
        "plan-restart-spire-agent in namespace spire-system (2 rights)",
        "restart-spire-agent in namespace spire-system (1 rights)",
        "all 7 scopes are given",
        "the bot is in the channel",
        "the user group S0SECURITY has 1 members",
        "Slack gives the app-level token a socket",
        "night has its address and key; it is not called",
        "can be made, and what is committed there is durable",
        "is free",
        " 0 missing, 0 could not be checked",
    ] {
        assert!(said.contains(line), "{line:?} is not in:\n{said}");
    }
    for secret in [BOT_TOKEN, APP_TOKEN, "a-routing-key-nobody-sees"] {
        assert!(!said.contains(secret), "{said}");
    }
    assert!(it.slack.messages().is_empty(), "nothing is posted");
    assert!(!it.file("journal.sqlite").exists() && !it.file("journal.sqlite.doctor").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_named_with_its_namespace_and_the_role_that_grants_it() {
    let it = SetUp::new().await;
    it.mesh.options.deny("create", "pods/exec");
    it.mesh.options.deny("list", "poddisruptionbudgets");
    let (code, said) = it.doctor(&[]).await;
    assert_eq!(code, 1, "{said}");
    for line in [
        "MISSING kubernetes    not allowed to create pods/exec in namespace web: ",
        "not allowed to create pods/exec in namespace spire-system: ",
        "not allowed to list poddisruptionbudgets.policy in namespace web: no plan of restart-pod can be drawn",
        "not allowed to list poddisruptionbudgets.policy in namespace spire-system: no plan of restart-spire-agent can be drawn",
        " 4 missing, 0 could not be checked",
    ] {
        assert!(said.contains(line), "{line:?} is not in:\n{said}");
    }
    let yaml = said.split_once("administrator:\n").unwrap().1;
    insta::assert_snapshot!(yaml);
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    assert_eq!(documents.len(), 4, "a role and its binding for each namespace");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_on_purpose_and_what_only_fixes_need_is_not_asked_for() {
    let mut it = SetUp::new().await;
    it.mesh.options.deny("*", "pods/exec");
    it.mesh.options.deny("*", "pods/eviction");
    it.config["kubernetes"]["without"] = json!(["exec"]);
    it.config["writes"] = json!(false);
    let (code, said) = it.doctor(&[]).await;
    assert_eq!(code, 0, "{said}");
    // Everywhere is asked for where no namespace is named.
    it.config["kubernetes"]["namespaces"] = json!([]);
    it.mesh.options.deny("get", "services");
    let (code, said) = it.doctor(&[]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("not allowed to get services in all namespaces"), "{said}");
    assert!(said.contains("kind: ClusterRole\n") && !said.contains("kind: Role\n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_does_not_answer_is_unknown_and_never_ok_or_missing() {
    let it = SetUp::new().await;
    it.mesh.options.inject(
        "create",
        "selfsubjectaccessreviews",
        mtls_medic::simulate::api::ApiFault::status(500, "broken"),
    );
    let (code, said) = it.doctor(&[]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("unknown kubernetes") && said.contains(" 0 missing, 1 could not be checked"), "{said}");
    assert!(!said.contains("ok      kubernetes"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_without_a_scope_the_channel_or_a_group_is_told_with_what_is_lost() {
    let it = SetUp::new().await;
    it.slack.takes_scope_away("files:write");
    it.slack.trouble("conversations.history", Trouble::Refuses("not_in_channel"));
    it.slack.group("S0SECURITY", &[]);
    it.slack.trouble("apps.connections.open", Trouble::Refuses("not_allowed_token_type"));
    let (code, said) = it.doctor(&[]).await;
    assert_eq!(code, 1, "{said}");
    for line in [
        "the scope files:write is not given: raw output does not reach the thread: add it to the app's manifest",
        "the bot is not in the channel C0NIGHT (not_in_channel): type /invite @mtls-medic in it",
        "the user group S0SECURITY is empty",
        "Slack refuses the app-level token (not_allowed_token_type), so no command or button arrives",
        " 4 missing, 0 could not be checked",
    ] {
        assert!(said.contains(line), "{line:?} is not in:\n{said}");
    }
    it.slack.trouble("auth.test", Trouble::Down);
    let (code, said) = it.doctor(&[]).await;
    assert_eq!(code, 2, "nothing is known: {said}");
    assert!(said.contains("unknown slack         the bot's token"), "{said}");
    it.slack.trouble("auth.test", Trouble::RateLimited(30));
    let (code, said) = it.doctor(&[]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("is rate limited: wait a minute and try again"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_bot_on_the_same_slack_app_is_told_before_it_hears_half_of_what_people_ask() {
    let mut it = SetUp::new().await;
    let said = |all: &str| all.lines().find(|line| line.contains("of this Slack app")).unwrap_or_default().to_owned();
    let (_, all) = it.doctor(&[]).await;
    assert_eq!(said(&all), "ok      slack         no other bot has a connection of this Slack app");
    it.slack.other_bots(2);
    let (code, all) = it.doctor(&[]).await;
    assert_eq!(code, 1, "{all}");
    assert_eq!(
        said(&all),
        "MISSING slack         2 other connections of this Slack app are open: another bot uses it, and hears a part of what \
         people ask this one: give each bot an app of its own, or set slack.shared_app: true in both, so that ids carry the \
         cluster (a bot that has just been started again may count twice: look again in a minute)"
    );
    it.slack.other_bots(1);
    let (code, all) = it.doctor(&[]).await;
    assert_eq!(code, 2, "it may be the running bot's, elsewhere: {all}");
    assert!(said(&all).starts_with("unknown slack         one other connection of this Slack app is open"), "{all}");
    it.config["slack"]["shared_app"] = json!(true);
    let (code, all) = it.doctor(&[]).await;
    assert_eq!(code, 0, "{all}");
    assert!(said(&all).contains("as slack.shared_app says"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_bot_takes_the_test_alert_and_opens_no_incident() {
    let mut it = SetUp::new().await;
    it.config["slack"] = Value::Null;
    let (code, said) = it.doctor(&["--send-test-alert"]).await;
    assert_eq!(code, 2, "nobody is there to take it: {said}");
    let bot = it.on_duty().await;
    let (code, said) = it.doctor(&["--send-test-alert"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the bot took a test alert that had ended already (0 opened, "), "{said}");
    assert!(said.contains("is open in the running bot, which is ready"), "{said}");
    fs::write(it.file("token"), "rotated").unwrap();
    let (code, said) = it.doctor(&["--send-test-alert"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("the bot refuses its own credentials (401): restart it"), "{said}");
    drop(bot);
    let (_, said) = it.doctor(&[]).await;
    assert!(said.contains("journal.sqlite opens with 0 incidents, and takes commits"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_with_problems_is_1_with_every_problem_and_one_that_is_none_is_3() {
    let mut it = SetUp::new().await;
    it.config["people"]["approvers"] = json!({});
    it.config["pagers"]["night"]["key"] = json!({ "file": "/nowhere/key" });
    it.config["journal"] = json!("/nowhere/journal.sqlite");
    let (code, said) = it.doctor(&["-o", "json"]).await;
    assert_eq!(code, 1, "{said}");
    let written: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(written["schema"], "mtls-medic.doctor/v1");
    assert_eq!(written["result"], "missing");
    let missing: Vec<&Value> =
        written["checks"].as_array().unwrap().iter().filter(|one| one["result"] == "missing").collect();
    let areas: Vec<&str> = missing.iter().map(|one| one["area"].as_str().unwrap()).collect();
    assert_eq!(areas, ["configuration", "pagers", "journal"], "{said}");
    assert!(missing.iter().all(|one| one["remedy"].is_string()), "{said}");
    it.config["jornal"] = json!("x");
    assert_eq!(it.doctor(&[]).await.0, 3);
}
