//! Where secrets must not go: the real binary at trace level, against a mesh whose logs and certificate files hold them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail")]

#[path = "../fake_pager/mod.rs"]
mod fake_pager;
#[path = "../fake_slack/mod.rs"]
mod fake_slack;
mod refused;
#[path = "../serving/mod.rs"]
mod serving;

use std::{path::Path, process::Command, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use fake_slack::{BOT_TOKEN, SIGNING_SECRET};
use mtls_medic::{
    clock::SystemClock,
    simulate::{Simulation, world::Scenario},
};
use serde_json::json;
use serving::{Outside, TOKEN};

/// A form in which a line holds a secret, and the part of it that must be seen nowhere.
struct Form {
    written: String,
    secret: String,
}

fn forms(key: &str) -> Vec<Form> {
    let in_one_line = key.replace('\n', "\\n");
    let body = key.lines().nth(1).unwrap().to_owned();
    let of_key = |written: String, secret: &str| Form { written, secret: secret.to_owned() };
    let in_base64 = STANDARD.encode(key);
    let mut all: Vec<Form> = [
        "authorization: Bearer #",
        "Proxy-Authorization: Digest username=x, response=#",
        "{\\\"authorization\\\":\\\"Custom #\\\"}",
        "cookie: sid=#; theme=dark",
        "Set-Cookie: sid=#; Path=/; HttpOnly",
        "GET https://shop.example.org/pay?card=#&x=1",
        "dial postgres://bot:#@db.example.org:5432/shop",
        "Server=db;User Id=sa;Password=#;Encrypt=true",
        "password: #",
        "{\\\"passwd\\\":\\\"#\\\"}",
        "PGPASSWORD=#",
        "run --token #",
        "run --token=#",
        "x-api-key: #",
        "client_secret=#",
        "AWS_SECRET_ACCESS_KEY=#",
        "join_token=#",
        "https://hooks.slack.com/services/T0/B0/#",
        "xoxb-123456789012-#",
        "ghp_#",
        "eyJhbGciOiJSUzI1NiJ9.#.c2ln",
    ]
    .iter()
    .enumerate()
    .map(|(number, form)| {
        let secret = format!("Hunter{number:02}zQ7xW9vK3mP5");
        Form { written: form.replace('#', &secret), secret }
    })
    .collect();
    // A password may hold whatever ends a word elsewhere: what stands behind that must not stay.
    let odd = [
        "DB_PASSWORD=Xy7)#",
        "password: a}b'#",
        "run --token <Ab#",
        "SECRET_KEY_BASE=ab<cd`#",
        "keytool -storepass x]#",
        "tokens: [a1, b2#]",
        "{name: DB_PASSWORD, value: #}",
        "{\\\"name\\\":\\\"DB_PASSWORD\\\",\\\"value\\\":\\\"#\\\"}",
        "{\\\"token\\\":[\\\"a1\\\",\\\"#\\\"]}",
    ];
    all.extend(odd.iter().enumerate().map(|(number, form)| {
        let secret = format!("Odd{number:02}zQ7xW9vK3mP5");
        Form { written: form.replace('#', &secret), secret }
    }));
    all.push(of_key(format!("read {in_one_line}"), &body[..40]));
    all.push(of_key(format!("dumped {in_base64}"), &in_base64[60..100]));
    all.push(of_key(format!("read {body}"), &body[..40]));
    all
}

/// A mesh whose agents and proxies log every form, whose certificate files hold a key, and a service with a fault.
async fn mesh(forms: &[Form], key: &str) -> Simulation {
    let listen = "127.0.0.1:0".parse().unwrap();
    let mesh = Simulation::start(Arc::new(SystemClock), Scenario::ExpiredCertificate, listen).await.unwrap();
    // Evidence keeps fifteen lines of a kind.
    let kinds = ["Synchronize failed", "Could not rotate agent SVID", "No identity issued"];
    for (number, form) in forms.iter().enumerate() {
        let msg = kinds[number % kinds.len()];
        let agent = format!(
            "time=\"2026-11-24T03:00:00Z\" level=error msg=\"{msg}\" form-{number:02} error=\"{}\"",
            form.written
        );
        mesh.planted.log("spire-agent", &agent);
        let written = form.written.replace("\\\"", "\"");
        mesh.planted.log(
            "istio-proxy",
            &format!("2026-11-24T03:00:00Z\twarning\tenvoy Secret is not supplied by SDS form-{number:02} {written}"),
        );
    }
    mesh.planted.in_files(key);
    mesh
}

fn key() -> String {
    rcgen::KeyPair::generate().unwrap().serialize_pem()
}

/// That none of the secrets, nor any line of the key, is in what was written there.
fn holds_none(place: &str, bytes: &[u8], forms: &[Form], key: &str) {
    let has = |needle: &str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    let text = String::from_utf8_lossy(bytes);
    for form in forms {
        let line = || text.lines().find(|line| line.contains(&form.secret)).unwrap_or_default().to_owned();
        assert!(!has(&form.secret), "{place} holds {}: {}", form.written, line());
    }
    for line in key.lines().filter(|line| !line.starts_with("---")) {
        assert!(!has(line), "{place} holds the key of the certificate file");
    }
    for token in [BOT_TOKEN, SIGNING_SECRET, TOKEN] {
        assert!(!has(token), "{place} holds {token}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_form_of_a_secret_reaches_log_journal_or_chat_of_serve_at_trace_level() {
    let key = key();
    let forms = forms(&key);
    let mesh = mesh(&forms, &key).await;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    mesh.write_kubeconfig(&kubeconfig).unwrap();
    let outside = Outside::with(&kubeconfig, json!({})).await;

    let bot = outside.starts_with(&[("RUST_LOG", "trace")]).await;
    outside.alertmanager_sends("firing-one-service.json").await;
    outside.channel_shows("private key").await;
    outside.says("U0ONCALL", "triage").await;
    outside.channel_shows("form-").await;
    let mut written = outside.written();
    assert!(written.iter().any(|(name, _)| name == "journal.sqlite-wal"), "looked at while it was open");
    assert!(bot.asked_to_stop().await.success());
    written.extend(outside.written());
    for (name, bytes) in &written {
        holds_none(name, bytes, &forms, &key);
    }
    let journal = written.iter().filter(|(name, _)| name.starts_with("journal")).map(|(_, bytes)| bytes.as_slice());
    let journal = String::from_utf8_lossy(&journal.collect::<Vec<_>>().concat()).into_owned();
    for number in 0..forms.len() {
        assert!(journal.contains(&format!("form-{number:02}")), "the line with form {number} is evidence");
    }
    let slack = &outside.slack;
    let chat = format!("{:?} {:?} {:?}", slack.messages(), slack.all_whispers(), slack.files());
    holds_none("the chat", chat.as_bytes(), &forms, &key);
    holds_none("the pager", outside.pager.said().as_bytes(), &forms, &key);
    let log = written.iter().find(|(name, _)| name == "log").map(|(_, bytes)| String::from_utf8_lossy(bytes)).unwrap();
    assert!(log.contains("mtls-medic is on duty"));
    for line in log.lines().filter(|line| line.starts_with("20")) {
        assert!(line.contains(" mtls_medic::"), "a library said: {line}");
    }
    mesh.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_form_of_a_secret_reaches_terminal_or_evidence_of_triage_at_trace_level() {
    let key = key();
    let forms = forms(&key);
    let mesh = mesh(&forms, &key).await;
    let folder = tempfile::tempdir().unwrap();
    let (kubeconfig, saved) = (folder.path().join("kubeconfig"), folder.path().join("evidence.json"));
    mesh.write_kubeconfig(&kubeconfig).unwrap();
    let seen = triage(&kubeconfig, &saved).await;
    holds_none("the terminal", &seen, &forms, &key);
    let text = String::from_utf8(seen).unwrap();
    assert!(
        text.contains("1.0-key-in-file") && text.contains("1 private key block(s) as well, dropped unread"),
        "{text}"
    );
    let evidence = std::fs::read(&saved).unwrap();
    holds_none("the evidence", &evidence, &forms, &key);
    let evidence = String::from_utf8(evidence).unwrap();
    for (number, form) in forms.iter().enumerate() {
        let of_it = evidence.lines().filter(|line| line.contains(&format!("form-{number:02}"))).collect::<Vec<_>>();
        assert!(
            !of_it.is_empty() && of_it.iter().all(|line| line.contains("[redacted]")),
            "{}: {of_it:?}",
            form.written
        );
    }
    mesh.stop().await;
}

async fn triage(kubeconfig: &Path, saved: &Path) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtls-medic"));
    command.args(["triage", "svc/frontend", "-n", "web", "--kubeconfig"]).arg(kubeconfig);
    command.arg("--save").arg(saved).env("RUST_LOG", "trace,mtls_medic=trace");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    [output.stdout, output.stderr].concat()
}
