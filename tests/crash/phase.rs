//! Where a journal's newest incident stands, read from its file without the bot.

use std::{path::Path, time::Duration};

use serde_json::Value;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

/// How long a phase may take to come.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long the file is left alone between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What a fixture is kept of, in the words of the file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Drawing,
    Asking,
    Approved,
    Stepping,
    Awaiting,
    Verifying,
    Clearing,
    Closed,
    Storm,
    WritesOff,
}

impl Phase {
    pub const ALL: [Self; 10] = [
        Self::Drawing,
        Self::Asking,
        Self::Approved,
        Self::Stepping,
        Self::Awaiting,
        Self::Verifying,
        Self::Clearing,
        Self::Closed,
        Self::Storm,
        Self::WritesOff,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Drawing => "drawing",
            Self::Asking => "asking",
            Self::Approved => "approved",
            Self::Stepping => "stepping",
            Self::Awaiting => "awaiting",
            Self::Verifying => "verifying",
            Self::Clearing => "clearing",
            Self::Closed => "closed",
            Self::Storm => "storm",
            Self::WritesOff => "writes-off",
        }
    }

    /// Whether the journal is in this phase, as its stored state says.
    pub async fn is_of(self, journal: &Path) -> bool {
        let mut db = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(journal).read_only(true))
            .await
            .unwrap();
        let states: Vec<String> = sqlx::query_scalar("SELECT state FROM incidents").fetch_all(&mut db).await.unwrap();
        let switches: i64 = sqlx::query_scalar("SELECT count(*) FROM switches").fetch_one(&mut db).await.unwrap();
        db.close().await.unwrap();
        let states: Vec<Value> = states.iter().map(|state| serde_json::from_str(state).unwrap()).collect();
        let any = |at: &str, is: &str| states.iter().any(|state| state.pointer(at).is_some_and(|value| value == is));
        match self {
            Self::Drawing => any("/fix/phase/phase", "drawing"),
            Self::Asking => any("/fix/phase/phase", "asking"),
            Self::Approved => any("/fix/phase/phase", "approved"),
            Self::Stepping => any("/fix/phase/phase", "stepping"),
            Self::Awaiting => any("/fix/phase/phase", "replacing"),
            Self::Verifying => any("/fix/phase/phase", "verifying"),
            Self::Clearing => any("/life/life", "clearing"),
            Self::Closed => any("/life/life", "closed"),
            Self::Storm => states.iter().any(|state| state["storm"].as_u64() >= Some(3)),
            Self::WritesOff => switches > 0,
        }
    }

    pub async fn reached_in(self, journal: &Path) {
        let reached = async {
            while !self.is_of(journal).await {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{} never came", self.name()));
    }
}
