//! Keeps journals of a release, one in every phase, for `upgrade`. Run by hand for a release, never by CI:
//!
//! `MTLS_MEDIC=/path/to/that/release KEEP=tests/data/journal/DATE cargo test --test crash -- --ignored keep`

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{mesh::Mesh, phase::Phase, serving::Outside};

/// Windows that are still running when a later version opens the journal.
const TEN_YEARS: &str = "87600h";

fn configuration(phase: Phase) -> Value {
    let hold = if phase == Phase::Closed { "1s" } else { TEN_YEARS };
    let window = if phase == Phase::Verifying { "1h" } else { "3s" };
    json!({
        "escalation": { "hold": hold, "storm_per_minute": if phase == Phase::Storm { 2 } else { 10 } },
        "approval": { "expires_after": TEN_YEARS, "verification_window": window, "settled_within": "1h" },
    })
}

async fn asks_for_the_fix(outside: &Outside) {
    outside.alertmanager_sends("firing-one-service.json").await;
    outside.channel_shows("expired certificate").await;
    outside.says("U0ONCALL", "fix restart-pod").await;
}

async fn approves(outside: &Outside) {
    outside.slack.until("the button", |slack| slack.with_button("Approve").is_some()).await;
    let button = outside.slack.pressed("U0SEC", "Approve");
    outside.presses(&button).await;
}

async fn storms(outside: &Outside) {
    for service in ["frontend", "checkout", "cart", "ledger", "search", "login"] {
        let labels = [("alertname", "MTLSHandshakeFailureRateHigh"), ("namespace", "web"), ("service", service)];
        let labels: BTreeMap<&str, String> = labels.map(|(name, value)| (name, value.to_owned())).into();
        outside.alertmanager_says("firing", &labels).await;
    }
}

/// Leads a bot into the phase, and kills it there.
async fn journal_in(phase: Phase) -> Outside {
    let (mesh, outside) = Mesh::and_outside_with(configuration(phase)).await;
    let bot = outside.starts().await;
    match phase {
        Phase::Drawing => {
            outside.alertmanager_sends("firing-one-service.json").await;
            outside.channel_shows("expired certificate").await;
            mesh.stops_answering("*", "*");
            outside.says("U0ONCALL", "fix restart-pod").await;
        }
        Phase::Asking => asks_for_the_fix(&outside).await,
        Phase::Approved => {
            asks_for_the_fix(&outside).await;
            Phase::Asking.reached_in(&outside.journal()).await;
            mesh.stops_answering("*", "*");
            approves(&outside).await;
        }
        Phase::Stepping => {
            asks_for_the_fix(&outside).await;
            mesh.stops_answering("create", "pods/eviction");
            approves(&outside).await;
        }
        Phase::Awaiting | Phase::Verifying => {
            asks_for_the_fix(&outside).await;
            approves(&outside).await;
        }
        Phase::Clearing | Phase::Closed => {
            outside.alertmanager_sends("firing-one-service.json").await;
            outside.channel_shows("expired certificate").await;
            outside.alertmanager_sends("resolved-one-service.json").await;
        }
        Phase::Storm => storms(&outside).await,
        Phase::WritesOff => {
            outside.alertmanager_sends("firing-one-service.json").await;
            outside.channel_shows("expired certificate").await;
            outside.says("U0SEC", "writes off the change freeze has begun").await;
        }
    }
    phase.reached_in(&outside.journal()).await;
    bot.killed();
    mesh.ends().await;
    outside
}

/// Takes in what the write-ahead log still holds, and gives back what is free: one small file.
async fn pack(journal: &Path, into: &Path) {
    let options = SqliteConnectOptions::new().filename(journal);
    let mut db = SqliteConnection::connect_with(&options).await.unwrap();
    // Bound as a value where SQLite takes one: a path is no part of a statement.
    sqlx::query("VACUUM INTO ?").bind(into.to_str().unwrap()).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "keeps journals of a release; run by hand"]
async fn keep() {
    let folder = PathBuf::from(std::env::var_os("KEEP").expect("KEEP names the folder that the journals go to"));
    std::fs::create_dir_all(&folder).unwrap();
    for phase in Phase::ALL {
        let outside = journal_in(phase).await;
        let file = folder.join(format!("{}.sqlite", phase.name()));
        drop(std::fs::remove_file(&file));
        pack(&outside.journal(), &file).await;
    }
}
