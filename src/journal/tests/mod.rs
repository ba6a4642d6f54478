mod files;
mod load;
mod plans;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::{
    escalation::{self, LevelNumber, PagerName},
    incident::{
        Event, Fix, FixEnd, FixNumber, FixPhase, Incident, IncidentId, IncidentKey, NewEffect, PageEnd, Room, Run,
        Timer, Work, WriteSwitch, apply, begin,
    },
    people::{PersonId, Platform},
    remediation::{PlanId, StepNumber},
    triage::FixName,
};

fn opened(id: u32, key: &str) -> Event {
    Event::Opened {
        id: IncidentId::new(id),
        key: IncidentKey(key.to_owned()),
        alert: "a".to_owned(),
        cluster: "c".to_owned(),
        target: None,
        policy: Box::new(escalation::EscalationPolicy::of(Vec::new())),
        channels: Vec::new(),
        quiet: false,
    }
}

fn change(id: u32, key: &str) -> Change {
    let event = opened(id, key);
    let at = Timestamp::UNIX_EPOCH;
    Change { read_version: 0, after: begin(&event, at).unwrap(), events: vec![event], effects: Vec::new(), at }
}

fn noted(before: &Incident) -> Change {
    let event = Event::StormGrew { count: 2 };
    let at = Timestamp::UNIX_EPOCH;
    let mut after = before.clone();
    apply(&mut after, &event, at);
    Change { read_version: before.version, after, events: vec![event], effects: Vec::new(), at }
}

fn one(change: Change) -> Append {
    Append { changes: vec![change], ..Append::default() }
}

async fn fresh() -> (tempfile::TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("j.sqlite")).await.unwrap();
    (folder, journal)
}

impl Journal {
    /// How many incidents it knows in how many groups.
    pub(crate) async fn groups(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM groups").fetch_one(&self.readers).await.unwrap()
    }
}

/// Makes the state of an incident one that nobody can read.
pub(crate) async fn damage(journal: &std::path::Path, incident: IncidentId) {
    use sqlx::ConnectOptions;
    let mut other = sqlx::sqlite::SqliteConnectOptions::new().filename(journal).connect().await.unwrap();
    let damaged = "UPDATE incidents SET state = '{' WHERE id = ?";
    sqlx::query(damaged).bind(i64::from(incident.number())).execute(&mut other).await.unwrap();
}

#[tokio::test]
async fn what_was_appended_is_there_after_a_restart() {
    let (folder, journal) = fresh().await;
    journal.append(one(change(1, "k"))).await.unwrap();
    drop(journal);
    let journal = reopened(folder.path()).await;
    let stored = journal.incident(IncidentId::new(1)).await.unwrap().unwrap();
    assert_eq!(stored.incident.key.0, "k");
    let next = Change { after: Incident { id: IncidentId::UNNUMBERED, ..change(0, "l").after }, ..change(0, "l") };
    assert_eq!(journal.append(one(next)).await, Ok(vec![IncidentId::new(2)]), "names go on where they were");
}

/// Opens again; the writer of the dropped handle lets go of the lock when its task has ended.
async fn reopened(folder: &std::path::Path) -> Journal {
    loop {
        match Journal::open(&folder.join("j.sqlite")).await {
            Ok(journal) => return journal,
            Err(JournalError::InUse(_)) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_second_process_is_told_that_the_journal_is_in_use() {
    let (folder, _journal) = fresh().await;
    let second = Journal::open(&folder.path().join("j.sqlite")).await;
    assert!(matches!(second.err(), Some(JournalError::InUse(_))));
}

#[tokio::test]
async fn a_conflict_never_fails_its_neighbours_in_one_batch() {
    let (_folder, journal) = fresh().await;
    journal.append(one(change(1, "a"))).await.unwrap();
    let stale = noted(&journal.incident(IncidentId::new(1)).await.unwrap().unwrap().incident);
    journal.append(one(stale.clone())).await.unwrap();
    let (lost, kept, same_key) = tokio::join!(
        journal.append(one(stale)),
        journal.append(one(change(2, "b"))),
        journal.append(one(change(3, "a")))
    );
    assert_eq!(lost, Err(AppendError::Conflict));
    assert_eq!(kept, Ok(vec![IncidentId::new(2)]));
    assert_eq!(same_key, Err(AppendError::Conflict), "two live incidents of one key");
    assert!(journal.incident(IncidentId::new(3)).await.unwrap().is_none());
}

/// Two Alertmanagers send the same new groups at the same time: all but the first of each key lose, and use up no number.
#[tokio::test]
async fn numbers_of_incidents_do_not_jump_when_openings_collide() {
    let (_folder, journal) = fresh().await;
    let keys = ["a", "a", "a", "b", "a", "b", "c"];
    let opened = futures::future::join_all(keys.map(|key| journal.append(one(change(0, key))))).await;
    let names: Vec<u32> = opened.into_iter().flatten().flatten().map(IncidentId::number).collect();
    assert_eq!(names, [1, 2, 3]);
    let groups = [("g".to_owned(), 0), ("g".to_owned(), 1)];
    let both = Append { changes: vec![change(0, "d"), change(0, "e")], groups: groups.to_vec(), ..Append::default() };
    assert_eq!(journal.append(both).await, Ok(vec![IncidentId::new(4), IncidentId::new(5)]));
    for id in 1..=5 {
        let first = journal.events(IncidentId::new(id)).await.unwrap().remove(0).event;
        assert!(matches!(first, Event::Opened { id: its, .. } if its.number() == id), "the event knows its number");
        let links = journal.links(IncidentId::new(id)).await.unwrap();
        assert!(matches!(verify_chain(IncidentId::new(id), &links), Verified::Holds { .. }));
    }
    assert_eq!(journal.live_in_group("g").await.unwrap().len(), 2);
}

#[tokio::test]
async fn tampering_in_the_middle_of_a_night_is_found() {
    let (_folder, journal) = fresh().await;
    journal.append(one(change(1, "a"))).await.unwrap();
    for _ in 0..3 {
        let incident = journal.incident(IncidentId::new(1)).await.unwrap().unwrap().incident;
        journal.append(one(noted(&incident))).await.unwrap();
    }
    let links = journal.links(IncidentId::new(1)).await.unwrap();
    assert!(matches!(verify_chain(IncidentId::new(1), &links), Verified::Holds { events: 4, .. }));
    let mut changed = links.clone();
    changed[1].body = changed[1].body.to_ascii_uppercase();
    assert_eq!(verify_chain(IncidentId::new(1), &changed), Verified::BrokenAt { seq: 2 });
    let mut shortened = links.clone();
    shortened.remove(1);
    assert_eq!(verify_chain(IncidentId::new(1), &shortened), Verified::BrokenAt { seq: 2 });
    assert!(
        matches!(verify_chain(IncidentId::new(2), &links), Verified::BrokenAt { seq: 1 }),
        "moved to another incident"
    );
}

fn effect(key: &str, slot: Option<&str>) -> NewEffect {
    let work = Work::Timer { timer: Timer::StaleCheck };
    NewEffect { key: key.to_owned(), slot: slot.map(str::to_owned), due: Timestamp::UNIX_EPOCH, work }
}

#[tokio::test]
async fn a_due_effect_is_claimed_once_and_a_claim_that_ran_out_is_due_again() {
    let (_folder, journal) = fresh().await;
    let mut with_effect = change(1, "a");
    with_effect.effects = vec![effect("e", None)];
    journal.append(one(with_effect)).await.unwrap();
    let now = Timestamp::from_second(10).unwrap();
    let until = now + SignedDuration::from_secs(40);
    let claims = journal.claim(Room::Engine, now, until, 10).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.attempt).collect::<Vec<_>>(), [1]);
    assert!(journal.claim(Room::Engine, now, until, 10).await.unwrap().is_empty());
    let later = until + SignedDuration::from_secs(1);
    let again = journal.claim(Room::Engine, later, later, 10).await.unwrap();
    assert_eq!(again[0].attempt, 2, "the attempt counts, so that posts are looked for");
    let late = Append { finish: Some((claims[0].row, claims[0].attempt, Finish::Done)), ..Append::default() };
    assert!(journal.append(late).await.is_err(), "whose claim ran out ends nothing: somebody else has it");
    let ends = Append { finish: Some((again[0].row, again[0].attempt, Finish::Done)), ..Append::default() };
    assert_eq!(journal.append(ends.clone()).await, Ok(Vec::new()));
    assert!(journal.append(ends).await.is_err(), "an effect ends once");
}

#[tokio::test]
async fn of_the_edits_of_one_message_only_the_newest_is_kept_and_none_overtakes() {
    let (_folder, journal) = fresh().await;
    let mut first = change(1, "a");
    first.effects = vec![effect("v1", Some("card")), effect("v2", Some("card"))];
    journal.append(one(first)).await.unwrap();
    let now = Timestamp::from_second(10).unwrap();
    let claims = journal.claim(Room::Engine, now, now + SignedDuration::from_secs(40), 10).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.key.as_str()).collect::<Vec<_>>(), ["v2"]);
    let mut next = noted(&journal.incident(IncidentId::new(1)).await.unwrap().unwrap().incident);
    next.effects = vec![effect("v3", Some("card"))];
    journal.append(one(next)).await.unwrap();
    let waits = journal.claim(Room::Engine, now, now + SignedDuration::from_secs(40), 10).await.unwrap();
    assert!(waits.is_empty(), "the edit before is under way");
    journal
        .append(Append { finish: Some((claims[0].row, claims[0].attempt, Finish::Done)), ..Append::default() })
        .await
        .unwrap();
    let goes = journal.claim(Room::Engine, now, now + SignedDuration::from_secs(40), 10).await.unwrap();
    assert_eq!(goes[0].key, "v3");
}

#[tokio::test]
async fn a_card_whose_answer_was_lost_is_looked_for_however_many_newer_states_replace_it() {
    let (_folder, journal) = fresh().await;
    let mut first = change(1, "a");
    first.effects = vec![effect("v1", Some("card"))];
    journal.append(one(first)).await.unwrap();
    let now = Timestamp::from_second(10).unwrap();
    let until = now + SignedDuration::from_secs(40);
    let claims = journal.claim(Room::Engine, now, until, 10).await.unwrap();
    for version in ["v2", "v3"] {
        let mut next = noted(&journal.incident(IncidentId::new(1)).await.unwrap().unwrap().incident);
        next.effects = vec![effect(version, Some("card"))];
        journal.append(one(next)).await.unwrap();
    }
    let asked_to_wait = now + SignedDuration::from_secs(30);
    let lost = Finish::Again { due: asked_to_wait, error: "no answer".to_owned(), counts: true, refused: false };
    let finish = Some((claims[0].row, claims[0].attempt, lost));
    journal.append(Append { finish, ..Append::default() }).await.unwrap();
    assert!(journal.claim(Room::Engine, now, until, 10).await.unwrap().is_empty(), "the wait holds for the newer one");
    let again = journal.claim(Room::Engine, asked_to_wait, until, 10).await.unwrap();
    assert_eq!(again.iter().map(|claim| (claim.key.as_str(), claim.attempt)).collect::<Vec<_>>(), [("v3", 2)]);
}

#[tokio::test]
async fn work_that_cannot_be_read_is_said_aloud_on_its_incident() {
    let (folder, journal) = fresh().await;
    let mut with_effect = change(1, "a");
    with_effect.effects = vec![effect("e", None)];
    journal.append(one(with_effect)).await.unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("j.sqlite"));
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("UPDATE effects SET work = '{}'").execute(&mut other).await.unwrap();
    let now = Timestamp::from_second(10).unwrap();
    assert!(journal.claim(Room::Engine, now, now, 10).await.unwrap().is_empty());
    let events = journal.events(IncidentId::new(1)).await.unwrap();
    assert!(matches!(&events.last().unwrap().event, Event::CouldNot { what, .. } if what.contains("(e)")));
}

/// As after a bot of a newer version, whose journal was handed back to this one.
#[tokio::test]
async fn a_step_that_cannot_be_read_ends_its_fix_as_unknown_and_another_incident_gets_its_lock() {
    let (folder, journal) = fresh().await;
    let lock = |incident| Append {
        lock: Some(("spire-agents".to_owned(), IncidentId::new(incident), FixNumber::FIRST)),
        ..Append::default()
    };
    for number in [1, 2] {
        let mut opens = change(number, &format!("k{number}"));
        opens.after.fix = Some(at_a_step());
        opens.effects = vec![effect("step:4:0", None)];
        journal.append(one(opens)).await.unwrap();
    }
    journal.append(lock(1)).await.unwrap();
    assert!(matches!(journal.append(lock(2)).await, Err(AppendError::Locked(_))));
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("j.sqlite"));
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("UPDATE effects SET version = version + 1 WHERE incident = 1").execute(&mut other).await.unwrap();
    let now = Timestamp::from_second(10).unwrap();
    assert_eq!(journal.claim(Room::Engine, now, now, 10).await.unwrap().len(), 1, "the other one's");
    let incident = journal.incident(IncidentId::new(1)).await.unwrap().unwrap().incident;
    assert_eq!(incident.fix, None);
    assert_eq!(incident.past_fixes[0].end, FixEnd::Unknown { step: StepNumber::FIRST });
    journal.append(lock(2)).await.unwrap();
}

/// A fix whose write is about to be done.
fn at_a_step() -> Fix {
    let requester = PersonId { platform: Platform::Slack, workspace: "T0".to_owned(), user: "U0ONCALL".to_owned() };
    let plan = PlanId("0".repeat(64));
    let (step, since) = (StepNumber::FIRST, Timestamp::UNIX_EPOCH);
    Fix {
        number: FixNumber::FIRST,
        name: FixName::RestartPod,
        requester,
        plan: None,
        plans_drawn: 1,
        verifies: None,
        phase: FixPhase::Stepping { plan, by: Vec::new(), step, since },
        run: Run::default(),
        results: Vec::new(),
        before: Vec::new(),
        start: Vec::new(),
    }
}

#[tokio::test]
async fn two_incidents_cannot_hold_one_object() {
    let (_folder, journal) = fresh().await;
    let lock = |incident| Append {
        lock: Some(("pod/1".to_owned(), IncidentId::new(incident), FixNumber::FIRST)),
        ..Append::default()
    };
    for number in [1, 2] {
        let mut opens = change(number, &format!("k{number}"));
        opens.after.fix = Some(at_a_step());
        opens.effects = vec![effect("step:4:0", None)];
        journal.append(one(opens)).await.unwrap();
    }
    journal.append(lock(1)).await.unwrap();
    journal.append(lock(1)).await.unwrap();
    assert!(matches!(journal.append(lock(2)).await, Err(AppendError::Locked(_))));
    let unlock = |incident| Append {
        unlock: Some(("pod/1".to_owned(), IncidentId::new(incident), FixNumber::FIRST)),
        ..Append::default()
    };
    journal.append(unlock(2)).await.unwrap();
    assert!(matches!(journal.append(lock(2)).await, Err(AppendError::Locked(_))), "a bot that waits frees nothing");
    journal.append(unlock(1)).await.unwrap();
    journal.append(lock(2)).await.unwrap();
}

#[tokio::test]
async fn a_journal_of_a_newer_version_is_refused() {
    let (folder, journal) = fresh().await;
    drop(journal);
    drop(reopened(folder.path()).await);
    let path = folder.path().join("j.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'x', 1, x'00', 0)")
        .execute(&mut connection)
        .await
        .unwrap();
    drop(connection);
    let refused = loop {
        match Journal::open(&path).await {
            Err(JournalError::InUse(_)) => tokio::task::yield_now().await,
            other => break other.err(),
        }
    };
    assert!(matches!(refused, Some(JournalError::Newer)), "{refused:?}");
}

#[test]
fn stored_events_of_version_one_are_still_read() {
    let text = r#"{"event":"note_added","by":{"platform":"slack","workspace":"T0","user":"U0"},"text":"hello"}"#;
    let event: Event = serde_json::from_str(text).unwrap();
    assert_eq!(event.name(), "note_added");
}

#[tokio::test]
async fn the_kill_switch_stands_after_a_restart_as_it_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j.sqlite");
    let by = crate::people::PersonId {
        platform: crate::people::Platform::Slack,
        workspace: "T0TEAM".to_owned(),
        user: "U0ONCALL".to_owned(),
    };
    let off = WriteSwitch { on: false, by, at: Timestamp::UNIX_EPOCH, reason: "stop".to_owned() };
    {
        let journal = Journal::open(&path).await.unwrap();
        assert_eq!(journal.write_switch().await.unwrap(), None);
        for switch in [WriteSwitch { on: true, ..off.clone() }, off.clone()] {
            journal.append(Append { switch: Some(switch), ..Append::default() }).await.unwrap();
        }
        journal.readers.close().await;
    }
    let journal = reopened(folder.path()).await;
    assert_eq!(journal.write_switch().await.unwrap(), Some(off));
}

/// A full disk makes SQLite end the transaction by itself, as this trigger does.
#[tokio::test]
async fn after_a_full_disk_the_journal_writes_again_and_what_was_lost_with_it_was_no_success() {
    let (folder, journal) = fresh().await;
    let address = format!("sqlite://{}", folder.path().join("j.sqlite").display());
    let pool = sqlx::SqlitePool::connect(&address).await.unwrap();
    let full = "CREATE TRIGGER full BEFORE INSERT ON events WHEN NEW.incident = 2 \
                BEGIN SELECT RAISE(ROLLBACK, 'the disk is full'); END";
    sqlx::query(full).execute(&pool).await.unwrap();
    let appends = (1..=4).map(|id| journal.append(one(change(id, &format!("key-{id}")))));
    let results = futures::future::join_all(appends).await;
    assert!(results[1].is_err());
    for (id, result) in (1..).zip(&results) {
        let stored = journal.incident(IncidentId::new(id)).await.unwrap().is_some();
        assert!(stored || result.is_err(), "{id} was answered as stored, and is not there");
    }
    assert!(journal.append(one(change(2, "key-2"))).await.is_err());
    assert!(journal.fails(), "readiness says so");
    sqlx::query("DROP TRIGGER full").execute(&pool).await.unwrap();
    for id in 5..8 {
        journal.append(one(change(id, &format!("key-{id}")))).await.unwrap();
    }
    assert!(!journal.fails());
}

#[tokio::test]
async fn the_same_effect_asked_for_again_comes_sooner_unless_it_was_begun() {
    let (_folder, journal) = fresh().await;
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    let effect = |seconds| NewEffect {
        key: "call".to_owned(),
        slot: None,
        due: at(seconds),
        work: Work::Timer { timer: Timer::StaleCheck },
    };
    journal.append(one(Change { effects: vec![effect(20)], ..change(1, "k") })).await.unwrap();
    assert!(journal.claim(Room::Engine, at(5), at(60), 10).await.unwrap().is_empty());
    let again = |journal: Journal, seconds| async move {
        let before = journal.incident(IncidentId::new(1)).await.unwrap().unwrap().incident;
        journal.append(one(Change { effects: vec![effect(seconds)], ..noted(&before) })).await.unwrap();
    };
    again(journal.clone(), 30).await;
    assert_eq!(journal.next_due().await.unwrap(), Some(at(20)), "never later");
    again(journal.clone(), 5).await;
    let claims = journal.claim(Room::Engine, at(5), at(60), 10).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.wanted).collect::<Vec<_>>(), [at(5)]);
    again(journal.clone(), 6).await;
    assert!(journal.claim(Room::Engine, at(50), at(60), 10).await.unwrap().is_empty(), "it is being done");
}

/// A pager that refuses updates is asked to end the page all the same, at once and as often as any other end.
#[tokio::test]
async fn the_end_of_a_page_takes_over_neither_the_attempts_nor_the_wait_of_the_update_before_it() {
    let (_folder, journal) = fresh().await;
    let about = |key: &str, work: Work| NewEffect {
        key: key.to_owned(),
        slot: Some("page:page-1".to_owned()),
        due: Timestamp::UNIX_EPOCH,
        work,
    };
    let (pager, level, key) = (PagerName("duty".to_owned()), LevelNumber(1), "page-1".to_owned());
    let update = Work::UpdatePage { pager: pager.clone(), level, key: key.clone() };
    let mut first = change(1, "k");
    first.effects.push(about("update", update));
    let opened = first.after.clone();
    journal.append(one(first)).await.unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let later = now + SignedDuration::from_secs(120);
    let claim = journal.claim(Room::Pager, now, later, 1).await.unwrap().remove(0);
    let again = Finish::Again { due: later, error: "503".to_owned(), counts: true, refused: false };
    let failed = Append { finish: Some((claim.row, claim.attempt, again)), ..Append::default() };
    journal.append_outcome(failed).await.unwrap();

    let mut next = noted(&opened);
    next.effects.push(about("end", Work::EndPage { pager, level, key, how: PageEnd::Resolve }));
    journal.append(one(next)).await.unwrap();
    let ends = journal.claim(Room::Pager, now, later, 10).await.unwrap();
    let told: Vec<_> = ends.iter().map(|claim| (claim.key.as_str(), claim.attempt)).collect();
    assert_eq!(told, [("end", 1)], "it is due now, with all its attempts, and the update is gone");
}
