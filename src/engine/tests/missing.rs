//! The journal no longer holds what was answered.

use super::{lessons::with_two_levels, *};

#[tokio::test]
async fn when_answered_alerts_are_gone_at_the_start_people_are_called_once_and_fixes_stay_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j.sqlite");
    std::fs::write(folder.path().join("j.sqlite.reached"), "mtls-medic.reached/v1 7 2026-11-28T03:00:00.123Z\n")
        .unwrap();
    let engine = async |journal| {
        let clock = Arc::new(VirtualClock::starting_at(Timestamp::UNIX_EPOCH));
        let mut policy = with_two_levels();
        policy.writes_enabled = true;
        Engine::builder(journal, clock, "c", policy).build().await.unwrap()
    };
    let first = engine(Journal::open(&path).await.unwrap()).await;
    let live = first.inbox().live(10).await.unwrap();
    let [incident] = live.iter().map(|stored| &stored.incident).collect::<Vec<_>>()[..] else { panic!("{live:?}") };
    let alert = incident.alerts.values().next().unwrap();
    insta::assert_snapshot!(format!("{}: {}", incident.alert, alert.sighting.summary.as_ref().unwrap()), @"MtlsMedicJournalLostRecords: The bot's journal lost what was stored from the beginning to 2026-11-28T03:00:00Z (7 transactions), and alerts that were answered may be among it: look in Alertmanager for what fires. Fixes are off until an approver says `writes on`");
    assert!(matches!(incident.ladder, crate::escalation::Ladder::Running { .. }), "its first level is called");
    assert!(!first.inbox().policy().writes_enabled);
    drop(first);

    let second = engine(Journal::open(&path).await.unwrap()).await;
    assert!(second.inbox().0.journal.missing().is_none(), "it is told once");
    assert_eq!(second.inbox().live(10).await.unwrap().len(), 1);
    assert!(!second.inbox().policy().writes_enabled, "until somebody switches them on");
}
