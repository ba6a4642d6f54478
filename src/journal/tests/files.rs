//! The files of the journal: who may be in them, who may read them, and what happens when they are taken away.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use sqlx::ConnectOptions;

use super::*;
use crate::journal::lock::beside;

fn is_in_use<T>(opened: &Result<T, JournalError>) -> bool {
    matches!(opened, Err(JournalError::InUse(_)))
}

#[tokio::test]
async fn a_second_bot_finds_the_journal_in_use_by_whatever_name_it_comes() {
    let (folder, journal) = fresh().await;
    let at = |name: &str| folder.path().join(name);
    symlink(at("j.sqlite"), at("symbolic.sqlite")).unwrap();
    fs::hard_link(at("j.sqlite"), at("hard.sqlite")).unwrap();
    fs::create_dir(at("elsewhere")).unwrap();
    symlink(folder.path(), at("elsewhere/folder")).unwrap();
    for name in ["j.sqlite", "symbolic.sqlite", "hard.sqlite", "elsewhere/folder/j.sqlite"] {
        fs::remove_file(at("j.sqlite.lock")).ok();
        assert!(is_in_use(&Journal::open(&at(name)).await), "{name}");
        assert!(matches!(probe(&at(name)).await, Err(JournalError::InUse(_))), "doctor, {name}");
    }
    journal.append(one(change(1, "k"))).await.unwrap();
}

/// Another process sees SQLite's own locks: the ones that closing a second descriptor of the file would have dropped.
#[tokio::test]
async fn a_refused_second_opening_leaves_sqlites_own_locks_in_place() {
    let (folder, journal) = fresh().await;
    assert!(is_in_use(&Journal::open(&folder.path().join("j.sqlite")).await));
    let read_locked = "import fcntl,sys\n\
        file = open(sys.argv[1], 'r+b')\n\
        try: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)\n\
        except BlockingIOError: sys.exit(0)\n\
        sys.exit('nobody holds a lock on the pages that SQLite shares')";
    let python = std::process::Command::new("python3")
        .args(["-c", read_locked])
        .arg(folder.path().join("j.sqlite"))
        .status()
        .unwrap();
    assert!(python.success());
    drop(journal);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_journal_that_everybody_could_read_is_its_owners_alone_once_the_bot_has_opened_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j.sqlite");
    let endings = ["", "-wal", "-shm", ".lock"];
    // A bot that was killed leaves all of them behind.
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
    let mut old = options.connect().await.unwrap();
    sqlx::query("CREATE TABLE t (x)").execute(&mut old).await.unwrap();
    fs::write(beside(&path, ".lock"), "").unwrap();
    for ending in endings {
        fs::set_permissions(beside(&path, ending), fs::Permissions::from_mode(0o664)).unwrap();
    }
    let journal = Journal::open(&path).await.unwrap();
    journal.append(one(change(1, "k"))).await.unwrap();
    for ending in endings {
        assert_eq!(mode(&beside(&path, ending)), 0o600, "{ending}");
    }
}

/// What a person who looks into the folder does to it.
type Harm = fn(&Path);

#[tokio::test]
async fn nothing_is_answered_as_stored_once_a_file_of_the_journal_is_gone_and_what_was_stored_is_saved() {
    let harms: [(&str, Harm); 6] = [
        ("journal deleted", |path| fs::remove_file(path).unwrap()),
        ("journal moved away", |path| fs::rename(path, beside(path, ".old")).unwrap()),
        ("journal replaced", |path| {
            fs::copy(path, beside(path, ".copy")).unwrap();
            fs::rename(beside(path, ".copy"), path).unwrap();
        }),
        ("wal deleted", |path| fs::remove_file(beside(path, "-wal")).unwrap()),
        ("wal replaced", |path| {
            fs::remove_file(beside(path, "-wal")).unwrap();
            fs::write(beside(path, "-wal"), "").unwrap();
        }),
        ("shm deleted", |path| fs::remove_file(beside(path, "-shm")).unwrap()),
    ];
    for (harm, done) in harms {
        let (folder, journal) = fresh().await;
        let path = folder.path().join("j.sqlite");
        journal.append(one(change(1, "before"))).await.unwrap();
        done(&path);
        let refused = journal.append(one(change(2, "after"))).await;
        assert!(matches!(refused, Err(AppendError::NotStored(_))), "{harm}: {refused:?}");
        assert!(journal.append(one(change(3, "later"))).await.is_err(), "{harm}");
        assert!(journal.claim(Room::Engine, Timestamp::MAX, Timestamp::MAX, 1).await.is_err(), "{harm}");
        assert!(journal.fails(), "{harm}: readiness says so");
        let saved: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().contains(".rescued-"))
            .collect();
        assert_eq!(saved.len(), 1, "{harm}: one copy, however often it is noticed");
        assert_eq!(mode(&saved[0]), 0o600, "{harm}");
        let saved = Journal::open(&saved[0]).await.unwrap();
        let kept = saved.incident(IncidentId::new(1)).await.unwrap();
        assert_eq!(kept.unwrap().incident.key.0, "before", "{harm}");
    }
}

fn saved_beside(path: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let mut saved: Vec<_> = entries.filter(|path| path.to_string_lossy().contains(".rescued-")).collect();
    saved.sort();
    saved
}

/// A journal that was lost with an incident in it, whose bot has ended; with its path.
async fn lost() -> (tempfile::TempDir, std::path::PathBuf) {
    let (folder, journal) = fresh().await;
    let path = folder.path().join("j.sqlite");
    let by = crate::people::PersonId {
        platform: crate::people::Platform::Slack,
        workspace: "T0TEAM".to_owned(),
        user: "U0ONCALL".to_owned(),
    };
    let off = WriteSwitch { on: false, by, at: Timestamp::UNIX_EPOCH, reason: "stop".to_owned() };
    journal.append(Append { switch: Some(off), ..one(change(1, "before")) }).await.unwrap();
    for ending in ["", "-wal", "-shm"] {
        fs::remove_file(beside(&path, ending)).unwrap();
    }
    for _ in 0..2 {
        // The second comes once the first was dealt with.
        assert!(journal.append(one(change(2, "after"))).await.is_err());
    }
    (folder, path)
}

#[tokio::test]
async fn after_a_lost_journal_the_bot_starts_only_with_what_was_stored_so_that_fixes_stay_switched_off() {
    let (folder, path) = lost().await;
    let link = folder.path().join("link.sqlite");
    symlink("j.sqlite", &link).unwrap();
    for name in [&path, &link] {
        for refused in [Journal::open(name).await.map(drop), probe(name).await.map(drop)] {
            assert!(matches!(refused, Err(JournalError::Rescued { .. })), "{refused:?}");
        }
    }
    assert!(!path.exists(), "no other journal was begun");
    let copy = saved_beside(&path).remove(0);
    let said = Journal::open(&path).await.map(drop).unwrap_err().to_string();
    let said = said.replace(&*copy.to_string_lossy(), "COPY").replace(&*path.to_string_lossy(), "JOURNAL");
    insta::assert_snapshot!(said, @"the journal JOURNAL was lost while a bot had it open, and all that was stored then is in COPY. Take JOURNAL away, with its -wal and -shm, and move COPY to its place; or move COPY to another folder if it is not wanted: the bot then forgets who was called, and that fixes were switched off");
    fs::rename(&copy, &path).unwrap();
    let journal = reopened(folder.path()).await;
    assert!(!journal.write_switch().await.unwrap().unwrap().on);
}

#[tokio::test]
async fn a_copy_that_is_not_wanted_is_moved_away_and_the_bot_begins_anew() {
    let (folder, path) = lost().await;
    fs::create_dir(folder.path().join("old")).unwrap();
    fs::rename(saved_beside(&path).remove(0), folder.path().join("old/copy")).unwrap();
    assert_eq!(reopened(folder.path()).await.write_switch().await.unwrap(), None);
}

#[tokio::test]
async fn a_journal_that_is_lost_a_second_time_is_saved_a_second_time() {
    let (folder, journal) = fresh().await;
    let path = folder.path().join("j.sqlite");
    for times in 1..=2 {
        journal.append(one(change(times, &format!("k{times}")))).await.unwrap();
        fs::rename(&path, beside(&path, ".old")).unwrap();
        for _ in 0..2 {
            assert!(journal.append(one(change(3, "lost"))).await.is_err());
        }
        assert_eq!(saved_beside(&path).len(), usize::try_from(times).unwrap());
        fs::rename(beside(&path, ".old"), &path).unwrap();
    }
    let newest = saved_beside(&path).pop().unwrap();
    let saved = Journal::open(&newest).await.unwrap();
    assert_eq!(saved.incident(IncidentId::new(2)).await.unwrap().unwrap().incident.key.0, "k2");
}

#[tokio::test]
async fn a_journal_that_is_put_back_is_written_again() {
    let (folder, journal) = fresh().await;
    let path = folder.path().join("j.sqlite");
    fs::rename(&path, beside(&path, ".old")).unwrap();
    assert!(journal.append(one(change(1, "a"))).await.is_err());
    fs::rename(beside(&path, ".old"), &path).unwrap();
    journal.append(one(change(2, "b"))).await.unwrap();
    assert!(!journal.fails());
}

/// What another program does to the WAL under the bot.
const HARMS_TO_THE_WAL: [(&str, Harm); 4] = [
    ("cut off", |wal| fs::File::options().write(true).open(wal).unwrap().set_len(0).unwrap()),
    ("cut in half", |wal| {
        let file = fs::File::options().write(true).open(wal).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    }),
    ("overwritten with nothing", |wal| overwrite(wal, 0)),
    ("overwritten with something", |wal| overwrite(wal, 0x5a)),
];

fn overwrite(file: &Path, with: u8) {
    let length = usize::try_from(fs::metadata(file).unwrap().len()).unwrap();
    let mut open = fs::File::options().write(true).open(file).unwrap();
    std::io::Write::write_all(&mut open, &vec![with; length]).unwrap();
}

#[tokio::test]
async fn a_wal_that_somebody_cuts_or_overwrites_is_noticed_before_anything_more_is_answered() {
    for (harm, done) in HARMS_TO_THE_WAL {
        let (folder, journal) = fresh().await;
        let path = folder.path().join("j.sqlite");
        for number in 1..=20 {
            journal.append(one(change(number, &format!("k{number}")))).await.unwrap();
        }
        done(&beside(&path, "-wal"));
        for number in 21..=23 {
            let Err(AppendError::NotStored(why)) = journal.append(one(change(number, "after"))).await else {
                panic!("{harm}: it was answered")
            };
            assert!(why.contains("-wal was cut or overwritten by another program"), "{harm}: {why}");
        }
        assert!(journal.fails(), "{harm}: readiness says so");
        assert!(saved_beside(&path).is_empty(), "{harm}: what is read through a gap is no copy");
    }
}

#[tokio::test]
async fn the_wal_is_whole_while_others_fold_it_into_the_journal_and_cut_it_as_sqlite_does() {
    let (folder, journal) = fresh().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("j.sqlite"));
    let mut replicator = options.connect().await.unwrap();
    for number in 1..=30 {
        journal.append(one(change(number, &format!("k{number}")))).await.unwrap();
        let how =
            ["PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_checkpoint(RESTART)"];
        sqlx::query(how[usize::try_from(number % 3).unwrap()]).execute(&mut replicator).await.unwrap();
    }
    assert!(!journal.fails());
}

/// The files of a bot as a kill leaves them, in another folder.
fn killed(from: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["", "-wal", ".reached"] {
        fs::copy(beside(from, ending), folder.path().join(format!("j.sqlite{ending}"))).unwrap();
    }
    folder
}

#[tokio::test]
async fn what_was_answered_and_is_gone_after_a_kill_is_missed_at_the_next_start_and_only_then() {
    let (folder, journal) = fresh().await;
    let path = folder.path().join("j.sqlite");
    journal.append(one(change(1, "k1"))).await.unwrap();
    let early = killed(&path);
    for number in 2..=4 {
        journal.append(one(change(number, &format!("k{number}")))).await.unwrap();
    }
    assert_eq!(mode(&beside(&path, ".reached")), 0o600);

    let whole = reopened(killed(&path).path()).await;
    assert_eq!(whole.missing(), None, "a kill alone loses nothing");

    let cut = killed(&path);
    fs::write(cut.path().join("j.sqlite-wal"), "").unwrap();
    let journal = reopened(cut.path()).await;
    let missing = *journal.missing().unwrap();
    assert_eq!((missing.transactions, missing.since), (4, None));
    // What is stored before people heard of it does not hide it.
    journal.append(one(change(1, "new"))).await.unwrap();
    drop(journal);
    let journal = reopened(cut.path()).await;
    assert_eq!(journal.missing().unwrap().transactions, 3);
    journal.missing_is_told().await.unwrap();
    drop(journal);
    assert_eq!(reopened(cut.path()).await.missing(), None, "it is told once");

    // An older copy in place of the journal, and none at all.
    let replaced = killed(&path);
    for ending in ["", "-wal"] {
        fs::copy(early.path().join(format!("j.sqlite{ending}")), replaced.path().join(format!("j.sqlite{ending}")))
            .unwrap();
    }
    assert_eq!(reopened(replaced.path()).await.missing().unwrap().transactions, 3);
    let gone = killed(&path);
    for ending in ["", "-wal"] {
        fs::remove_file(gone.path().join(format!("j.sqlite{ending}"))).unwrap();
    }
    assert_eq!(reopened(gone.path()).await.missing().unwrap().transactions, 4);
}

#[tokio::test]
async fn a_mark_that_is_taken_away_is_made_anew_and_one_that_nobody_understands_says_nothing() {
    let (folder, journal) = fresh().await;
    let mark = beside(&folder.path().join("j.sqlite"), ".reached");
    journal.append(one(change(1, "k1"))).await.unwrap();
    fs::remove_file(&mark).unwrap();
    journal.append(one(change(2, "k2"))).await.unwrap();
    assert!(fs::read_to_string(&mark).unwrap().starts_with("mtls-medic.reached/v1 2 "));
    drop(journal);
    fs::write(&mark, "what is this").unwrap();
    assert_eq!(reopened(folder.path()).await.missing(), None);
}

#[tokio::test]
async fn after_a_kill_a_journal_with_two_names_opens_only_by_the_one_whose_wal_holds_the_rest() {
    let (folder, journal) = fresh().await;
    let (path, other) = (folder.path().join("j.sqlite"), folder.path().join("other.sqlite"));
    journal.append(one(change(1, "k1"))).await.unwrap();
    drop(journal);
    drop(reopened(folder.path()).await);
    while is_in_use(&probe(&path).await) {
        tokio::task::yield_now().await;
    }
    fs::hard_link(&path, &other).unwrap();
    // A bot that was killed leaves it.
    fs::write(beside(&path, "-wal"), "the rest").unwrap();
    let refused = [Journal::open(&other).await.map(drop), probe(&other).await.map(drop)];
    let said = refused.map(|refused| refused.unwrap_err().to_string());
    assert_eq!(said[0], said[1], "doctor says the same");
    let said = said[0].replace(&*folder.path().canonicalize().unwrap().to_string_lossy(), "FOLDER");
    insta::assert_snapshot!(said, @"the journal FOLDER/other.sqlite has several names (hard links), and a bot that was killed had it open as FOLDER/j.sqlite: what that bot stored last is in FOLDER/j.sqlite-wal. Start it with journal: FOLDER/j.sqlite once and stop it in order, or take the names away that are not used; a copy is made with cp while no bot runs, and never with ln");
    fs::remove_file(beside(&path, "-wal")).unwrap();
    drop(Journal::open(&other).await.unwrap());
}

#[tokio::test]
async fn a_journal_that_something_wrote_into_is_said_to_be_damaged_once_and_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j.sqlite");
    fs::write(&path, "x".repeat(8192)).unwrap();
    let error = Journal::open(&path).await.map(drop).unwrap_err();
    let said = format!("{:#}", anyhow::Error::from(error)).replace(&*path.to_string_lossy(), "JOURNAL");
    insta::assert_snapshot!(said, @"the journal JOURNAL is damaged (file is not a database): something else wrote into it, or into its -wal. Take JOURNAL away, with its -wal and -shm, and put a copy of it in its place; without a copy the bot begins anew, and forgets who was called, and that fixes were switched off");
}
