//! A configuration that a release took is taken by every later one. Those of each release are kept in `tests/data/config`.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// What the secrets of the kept files hold; they name them by file or by environment.
const SECRETS: [(&str, &str); 10] = [
    ("alertmanager-token", "a token"),
    ("slack-bot-token", "xoxb-1"),
    ("slack-app-token", "xapp-1"),
    ("pagerduty-routing-key", "a key"),
    ("password", "a password"),
    ("signing-secret", "a secret"),
    ("pager-url", "https://pager.example.com/hook"),
    ("pager-token", "a token"),
    ("heartbeat-url", "https://watch.example.com/beat"),
    ("kubeconfig", "{apiVersion: v1, kind: Config}"),
];

fn kept() -> Vec<PathBuf> {
    let releases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/config").read_dir().unwrap();
    let files = releases.flat_map(|release| release.unwrap().path().read_dir().unwrap());
    files.map(|file| file.unwrap().path()).collect()
}

#[test]
fn every_configuration_that_was_ever_right_is_still_taken() {
    let files = kept();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap();
        for (name, secret) in SECRETS {
            std::fs::write(folder.path().join(name), secret).unwrap();
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.replace("FOLDER", place).replace("/etc/mtls-medic/secrets", place);
        let config = folder.path().join("config.yaml");
        std::fs::write(&config, text.replace("/var/lib/mtls-medic", place)).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_mtls-medic"))
            .args(["serve", "--check", "--config"])
            .arg(&config)
            .envs([("ALERTMANAGER_TOKEN", "a token"), ("SLACK_BOT_TOKEN", "xoxb-1"), ("PAGERDUTY_KEY", "a key")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", file.display());
    }
}
