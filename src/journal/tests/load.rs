//! A night in which everything fails, and the journal of the night before.

use std::path::Path;

use sqlx::{ConnectOptions, migrate::Migrator, sqlite::SqliteConnectOptions};

use super::*;
use crate::{escalation::Rung, incident::Priority};

#[test]
fn every_priority_is_claimed_the_most_urgent_first() {
    let ranks = Priority::ALL.map(Priority::rank);
    assert!(ranks.is_sorted());
    assert_eq!(crate::journal::claims::ranks(), format!("{ranks:?}").replace(' ', ""));
}

#[tokio::test]
async fn the_end_of_a_window_is_not_behind_ten_thousand_looks_for_stale_alerts() {
    let (_folder, journal) = fresh().await;
    let mut storm = change(1, "a");
    storm.effects = (0..300).map(|number| effect(&format!("stale-{number}"), None)).collect();
    let rung = Rung::AllPaged { until: Timestamp::from_second(5).unwrap() };
    let work = Work::Timer { timer: Timer::RungEnds { rung } };
    storm.effects.push(NewEffect { key: "window".to_owned(), slot: None, due: rung.until(), work });
    journal.append(one(storm)).await.unwrap();
    let now = Timestamp::from_second(10).unwrap();
    let claims = journal.claim(Room::Engine, now, now + SignedDuration::from_secs(40), 3).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.key.as_str()).collect::<Vec<_>>(), ["window", "stale-0", "stale-1"]);
    let kept = RoomCapacity { most: 3, kept: 2, kept_for: Priority::Page, running: Vec::new() };
    let claims = journal.claim(Room::Engine, now, now + SignedDuration::from_secs(40), kept).await.unwrap();
    assert_eq!(claims.len(), 1, "the other places are for those by whom somebody is called");
}

#[tokio::test]
async fn a_body_of_a_thousand_services_opens_each_with_its_chain_whole() {
    let (_folder, journal) = fresh().await;
    let changes: Vec<_> = (1..=1_000)
        .map(|id| {
            let mut change = change(id, &format!("k{id}"));
            change.effects = vec![effect("stale", Some("stale"))];
            change
        })
        .collect();
    let before = journal.transactions();
    journal.append_alerts(Append { changes, ..Append::default() }).await.unwrap();
    assert_eq!(journal.transactions() - before, 1);
    assert_eq!(journal.newest(2_000).await.unwrap().len(), 1_000);
    for id in [1, 64, 65, 999, 1_000] {
        let links = journal.links(IncidentId::new(id)).await.unwrap();
        assert!(matches!(verify_chain(IncidentId::new(id), &links), Verified::Holds { events: 1, .. }), "{id}");
    }
    let now = Timestamp::from_second(10).unwrap();
    let claims = journal.claim(Room::Engine, now, now, 2_000).await.unwrap();
    assert_eq!(claims.len(), 1_000);
}

#[tokio::test]
async fn nine_hundred_repeated_alerts_write_their_incident_once() {
    let (folder, journal) = fresh().await;
    journal.append(one(change(1, "a"))).await.unwrap();
    let stored = journal.incident(IncidentId::new(1)).await.unwrap().unwrap();
    let mut other = connect(&folder.path().join("j.sqlite")).await;
    for statement in [
        "CREATE TABLE written (id INTEGER)",
        "CREATE TRIGGER count AFTER UPDATE ON incidents BEGIN INSERT INTO written VALUES (NEW.id); END",
    ] {
        sqlx::query(statement).execute(&mut other).await.unwrap();
    }
    let seen = (0..960).map(|second| (IncidentId::new(1), Timestamp::from_second(second).unwrap())).collect();
    let changes = vec![noted(&stored.incident)];
    let groups = vec![("g".to_owned(), 0); 960];
    journal.append_alerts(Append { changes, seen, groups, ..Append::default() }).await.unwrap();
    let written: i64 = sqlx::query_scalar("SELECT count(*) FROM written").fetch_one(&mut other).await.unwrap();
    assert_eq!(written, 2, "its state and when it was seen");
    assert_eq!(journal.live_in_group("g").await.unwrap().len(), 1);
    let stored = journal.incident(IncidentId::new(1)).await.unwrap().unwrap();
    assert_eq!(stored.last_seen, Timestamp::from_second(959).unwrap());
}

async fn connect(path: &Path) -> sqlx::SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

/// The journal as it was before its indexes were for a night in which everything fails.
async fn journal_of_before(path: &Path) {
    let mut connection = connect(path).await;
    let known = crate::journal::open::MIGRATIONS.iter().filter(|migration| migration.version <= 4).cloned();
    Migrator::with_migrations(known.collect()).run_direct(None, &mut connection, false).await.unwrap();
    let state = serde_json::to_string(&change(1, "a").after).unwrap();
    let event = serde_json::to_vec(&opened(1, "a")).unwrap();
    sqlx::query("INSERT INTO incidents (id, key, version, life, quiet, opened_at, last_seen, state) VALUES (1, 'a', 1, 'open', 0, 5, 5, ?)")
        .bind(state)
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query("INSERT INTO events (incident, seq, at, type, version, body, previous, hash) VALUES (1, 1, 7, 'opened', 1, ?, x'', ?)")
        .bind(&event)
        .bind(crate::journal::chain::link(&[], 1, 1, 7, &event))
        .execute(&mut connection)
        .await
        .unwrap();
    for (key, slot, state) in [("old", Some("stale"), "due"), ("new", Some("stale"), "due"), ("gone", None, "claimed")]
    {
        sqlx::query(
            "INSERT INTO effects (incident, key, slot, room, priority, due, state, claimed_until, version, work) \
             VALUES (1, ?, ?, 'engine', 0, 0, ?, 99, 1, ?)",
        )
        .bind(key)
        .bind(slot)
        .bind(state)
        .bind(serde_json::to_string(&Work::Timer { timer: Timer::StaleCheck }).unwrap())
        .execute(&mut connection)
        .await
        .unwrap();
    }
    sqlx::Connection::close(connection).await.unwrap();
}

#[tokio::test]
async fn the_journal_of_the_night_before_opens_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j.sqlite");
    journal_of_before(&path).await;
    let journal = Journal::open(&path).await.unwrap();
    let stored = journal.incident(IncidentId::new(1)).await.unwrap().unwrap();
    let moved: i64 =
        sqlx::query_scalar("SELECT last_event_at FROM incidents").fetch_one(&journal.readers).await.unwrap();
    assert_eq!(moved, 7, "the time of its last event");
    journal.append(one(noted(&stored.incident))).await.unwrap();
    let links = journal.links(IncidentId::new(1)).await.unwrap();
    assert!(matches!(verify_chain(IncidentId::new(1), &links), Verified::Holds { events: 2, .. }));
    let now = Timestamp::from_second(10).unwrap();
    let claims = journal.claim(Room::Engine, now, now, 10).await.unwrap();
    // What was claimed by the process before, and the newest of the slot, which calls nobody and comes last.
    assert_eq!(claims.iter().map(|claim| claim.key.as_str()).collect::<Vec<_>>(), ["gone", "new"]);
}
