//! A configuration that must not be used is refused by `serve`, `serve --check` and `doctor`, and what it gave away is not
//! said once more.

use std::process::Command;

use serde_json::{Value, json};

fn file(folder: &std::path::Path, pager: &Value, more: &Value) -> Value {
    let kept = |name: &str| {
        std::fs::write(folder.join(name), "a-secret-that-nobody-sees").unwrap();
        json!({ "file": folder.join(name) })
    };
    let mut config = json!({
        "listen": "127.0.0.1:0",
        "journal": folder.join("journal.sqlite"),
        "cluster": "prod-eu-1",
        "alertmanager": { "bearer_tokens": [kept("token")] },
        "kubernetes": { "kubeconfig": folder.join("kubeconfig") },
        "people": {
            "levels": [{ "team": "Platform On-Call", "window": "15m", "pager": "night" }],
            "commanders": { "users": ["U0ONCALL"] },
        },
        "pagers": { "night": pager },
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

/// Exit code, and all that was said.
fn run(args: &[&str], config: &std::path::Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mtls-medic"))
        .args(args)
        .arg("--config")
        .arg(config)
        .env("RUST_LOG", "trace")
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn a_secret_in_plain_text_and_an_address_that_is_never_called_are_refused_and_not_shown() {
    const SECRET: &str = "Hunter2zQ7xW9vK3mP5";
    let folder = tempfile::tempdir().unwrap();
    let address = folder.path().join("address");
    std::fs::write(&address, format!("http://pager.example.org/{SECRET}")).unwrap();
    let fine = json!({"kind": "generic", "url": "https://pager.example.org/page"});
    let nothing = json!({});
    let cases = [
        (json!({"kind": "generic", "url": format!("http://pager.example.org/{SECRET}")}), &nothing, "never called"),
        (json!({"kind": "generic", "url": {"file": address}}), &nothing, "never called"),
        (json!({"kind": "generic", "url": format!("https://bot:{SECRET}@pager.example.org/")}), &nothing, "plain text"),
        (json!({"kind": "generic", "url": "https://pager.example.org/", "key": SECRET}), &nothing, "plain text"),
        (fine.clone(), &json!({"heartbeat": {"url": format!("https://hc-ping.com/{SECRET}")}}), "plain text"),
        (fine.clone(), &json!({"heartbeat": {"url": {"file": address}}}), "not called"),
        (fine.clone(), &json!({"slack": {"bot_token": format!("xoxb-1234567890-{SECRET}")}}), "plain text"),
    ];
    for (pager, more, said) in cases {
        let path = folder.path().join("config.yaml");
        std::fs::write(&path, file(folder.path(), &pager, more).to_string()).unwrap();
        for args in [&["serve"][..], &["serve", "--check"], &["doctor"], &["doctor", "-o", "json"]] {
            let (code, text) = run(args, &path);
            assert!(code != Some(0) && text.contains(said), "{args:?}: {text}");
            assert!(!text.contains(SECRET), "{args:?}: {text}");
        }
    }
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, file(folder.path(), &fine, &nothing).to_string()).unwrap();
    let (code, text) = run(&["serve", "--check"], &path);
    let warned = "But no chat is configured: incidents are kept and pagers called, and nothing is posted.\n";
    assert_eq!((code, text), (Some(0), format!("The configuration is right.\n{warned}")));
}
