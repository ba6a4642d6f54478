//! What scripts see of `triage`, `diagnose`, `demo --auto` and `serve --check`: the exit codes and the words of the real
//! binary, against the simulated mesh.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use mtls_medic::{
    clock::SystemClock,
    simulate::{Simulation, world::Scenario},
};
use tempfile::TempDir;

/// A simulated mesh, and a terminal whose kubeconfig points at it.
struct Terminal {
    simulation: Simulation,
    folder: TempDir,
}

impl Terminal {
    async fn on(scenario: Scenario) -> Self {
        let listen = "127.0.0.1:0".parse().unwrap();
        let simulation = Simulation::start(Arc::new(SystemClock), scenario, listen).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        simulation.write_kubeconfig(&folder.path().join("kubeconfig")).unwrap();
        Self { simulation, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn triage(&self, more: &[&str]) -> (i32, String) {
        let kubeconfig = self.file("kubeconfig");
        let usual = ["triage", "svc/frontend", "-n", "web", "--kubeconfig", kubeconfig.to_str().unwrap()];
        let args: Vec<String> = usual.iter().chain(more).map(|arg| (*arg).to_owned()).collect();
        tokio::task::spawn_blocking(move || run(&args)).await.unwrap()
    }
}

/// The exit code, and what was written to both streams.
fn run(args: &[impl AsRef<std::ffi::OsStr>]) -> (i32, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_mtls-medic")).args(args).env_remove("KUBECONFIG").output().unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (status.code().unwrap(), text)
}

fn diagnose(file: &Path) -> (i32, String) {
    run(&["diagnose", file.to_str().unwrap()])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_mesh_is_0_and_a_fault_is_1() {
    let healthy = Terminal::on(Scenario::Healthy).await.triage(&[]).await;
    assert_eq!(healthy.0, 0, "{}", healthy.1);
    let broken = Terminal::on(Scenario::ExpiredCertificate).await.triage(&[]).await;
    assert_eq!(broken.0, 1, "{}", broken.1);
    assert!(broken.1.contains("frontend"), "{}", broken.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_may_be_looked_at_it_is_2_and_says_what_to_grant() {
    let terminal = Terminal::on(Scenario::ExpiredCertificate).await;
    for resource in ["pods/exec", "pods/portforward", "pods/log", "configmaps"] {
        terminal.simulation.options.deny("*", resource);
    }
    let (code, said) = terminal.triage(&[]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("get and create pods/exec in web"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_run_is_3_and_never_reads_as_a_verdict() {
    let terminal = Terminal::on(Scenario::Healthy).await;
    // Nobody listens there once the listener is dropped.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = std::fs::read_to_string(terminal.file("kubeconfig")).unwrap();
    let elsewhere = text.replace(&terminal.simulation.address.to_string(), &free.to_string());
    std::fs::write(terminal.file("elsewhere"), elsewhere).unwrap();
    let unreachable =
        run(&["triage", "svc/frontend", "-n", "web", "--kubeconfig", terminal.file("elsewhere").to_str().unwrap()]);
    assert_eq!(unreachable.0, 3, "{}", unreachable.1);
    let cases: [&[&str]; 5] = [
        &["triage"],
        &["triage", "svc/frontend", "-n", "web", "--no-such-option"],
        &["triage", "svc/frontend", "-n", "not a namespace"],
        &["diagnose"],
        &["diagnose", "/no/such/file"],
    ];
    for args in cases {
        let (code, said) = run(args);
        assert_eq!(code, 3, "{args:?}: {said}");
        assert!(!said.is_empty(), "{args:?}");
    }
    assert_eq!(run(&["triage", "--help"]).0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pair_and_whatif_ask_the_cluster_where_no_file_is_given() {
    let terminal = Terminal::on(Scenario::IstioConfiguration).await;
    let ask = async |args: &[&str]| {
        let kubeconfig = terminal.file("kubeconfig");
        let args: Vec<String> =
            args.iter().chain(&["--kubeconfig", kubeconfig.to_str().unwrap()]).map(|arg| (*arg).to_owned()).collect();
        tokio::task::spawn_blocking(move || run(&args)).await.unwrap()
    };
    let question = ["pair", "-n", "web", "deploy/gateway", "frontend.web:8443"];
    let (code, said) = ask(&question).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("the client's proxy sends plain text (DestinationRule web/frontend, trafficPolicy: DISABLE)"),
        "{said}"
    );
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {namespace: web, name: frontend}\n\
                spec: {host: frontend.web.svc.cluster.local, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}\n";
    std::fs::write(terminal.file("mended.yaml"), rule).unwrap();
    let mended = terminal.file("mended.yaml");
    let (code, said) = ask(&["whatif", "-f", mended.to_str().unwrap()]).await;
    assert_eq!(code, 0, "{said}");
    std::fs::write(
        terminal.file("worse.yaml"),
        rule.replace("frontend", "checkout").replace("web", "payments").replace("ISTIO_MUTUAL", "DISABLE"),
    )
    .unwrap();
    let (code, said) = ask(&["whatif", "-f", terminal.file("worse.yaml").to_str().unwrap()]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("checkout"), "{said}");
    // What is beside the answer lowers its certainty; without what decides there is none.
    terminal.simulation.options.deny("list", "envoyfilters");
    let (code, said) = ask(&question).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("less certain: the EnvoyFilter objects of all namespaces could not be read"), "{said}");
    terminal.simulation.options.deny("list", "destinationrules");
    let (code, said) = ask(&question).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("not allowed to list destinationrules in all namespaces"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mesh_with_other_paths_is_looked_at_with_its_own_configuration() {
    let terminal = Terminal::on(Scenario::Healthy).await;
    let config = terminal.file("config.yaml");
    std::fs::write(&config, "mesh: {svid_path: /elsewhere/svid.pem}\n").unwrap();
    let (_, said) = terminal.triage(&["--config", config.to_str().unwrap()]).await;
    assert!(said.contains("/elsewhere/svid.pem"), "{said}");
    std::fs::write(&config, "mesh: {svid_pth: /elsewhere/svid.pem}\n").unwrap();
    let (code, said) = terminal.triage(&["--config", config.to_str().unwrap()]).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("svid_pth"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn saved_evidence_gives_the_same_code_offline_and_what_a_newer_build_wrote_is_refused() {
    let terminal = Terminal::on(Scenario::ExpiredCertificate).await;
    let saved = terminal.file("evidence.json");
    assert_eq!(terminal.triage(&["--save", saved.to_str().unwrap()]).await.0, 1);
    assert_eq!(diagnose(&saved).0, 1);
    let text = std::fs::read_to_string(&saved).unwrap();
    for (schema, said) in [("mtls-medic.evidence/v2", "newer mtls-medic"), ("mtls-medic.verdict/v1", "triage --save")] {
        std::fs::write(&saved, text.replace("mtls-medic.evidence/v1", schema)).unwrap();
        let (code, told) = diagnose(&saved);
        assert_eq!(code, 3, "{told}");
        assert!(told.contains(said) && told.contains(schema), "{told}");
    }
    std::fs::write(&saved, "no JSON").unwrap();
    let (code, told) = diagnose(&saved);
    assert_eq!((code, told.contains("triage --save")), (3, true), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_changes_no_exit_code() {
    let terminal = Terminal::on(Scenario::ExpiredCertificate).await;
    let saved = terminal.file("evidence.json");
    assert_eq!(terminal.triage(&["--save", saved.to_str().unwrap()]).await.0, 1);
    // As `| head` does, but surely before anything is written.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtls-medic"));
    let ended = command.arg("diagnose").arg(&saved).stdout(writer).output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), told.as_str()), (Some(1), ""));
}

#[test]
fn a_played_night_ends_well_where_nothing_is_broken_and_where_the_right_level_is_called_about_the_cause() {
    let play = |scenario| run(&["demo", "--auto", "--speed", "300", "--scenario", scenario]);
    let (code, text) = play("healthy");
    assert!(code == 0 && text.contains("nobody was called"), "{code} {text}");
    let (code, text) = play("clock-skew");
    assert!(code == 0 && text.contains("the cause was named (clock skew)"), "{code} {text}");
    assert!(text.contains("has no fix for it, and L3 is called"), "{text}");
    assert_eq!(text.matches("/mtls escalate").count(), 0, "the verdict has called L3 already: {text}");
}

#[cfg(feature = "discord")]
#[test]
fn a_night_can_be_seen_as_discord_shows_it_without_a_token() {
    let (code, text) =
        run(&["demo", "--auto", "--speed", "300", "--scenario", "expired-certificate", "--shape", "discord"]);
    assert_eq!(code, 0, "{text}");
    for shown in [
        "card:          │ 🔴 INC-1 ",
        "[Acknowledge] [",
        "on-call:       /mtls fix fix:restart-pod",
        "mtls-medic:    @approvers Approval wanted",
        "│ WHAT IS WRONG",
        "│ – INC-1 · card ",
        "diagnosed, mended by two people",
    ] {
        assert!(text.contains(shown), "{shown} in {text}");
    }
}

#[test]
fn every_secret_that_is_missing_is_named_at_once() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config/example.yaml");
    let (code, text) = run(&["serve", "--config", example, "--check"]);
    assert_eq!(code, 3, "{text}");
    for field in ["alertmanager.bearer_tokens[0]", "slack.bot_token", "slack.app_token", "pagers.on-call.key"] {
        assert!(text.contains(&format!("{field}: the file")), "{field} in {text}");
    }
}

#[test]
fn what_serve_would_warn_of_is_said_by_its_check() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    let config = "listen: 127.0.0.1:0\njournal: /nowhere/j.sqlite\ncluster: c\nalertmanager: {authenticated_by_proxy: true}\n\
                  people: {levels: [{team: A, window: 15m, mention: {users: [U0A]}}], commanders: {users: [U0A]}}\n";
    std::fs::write(&file, config).unwrap();
    let (code, text) = run(&["serve", "--check", "--config", file.to_str().unwrap()]);
    assert_eq!(
        (code, text.as_str()),
        (
            0,
            "The configuration is right.\n\
             But people.levels: L1 \"A\" is only mentioned, and without slack nobody is: give it a pager, or configure slack.\n\
             But no chat is configured: incidents are kept and pagers called, and nothing is posted.\n"
        )
    );
}
