//! What is kept, and for how long: raw evidence a year and a month after its incident, events for ever.

use super::*;
use crate::{
    engine::health::forget_evidence,
    incident::{CloseReason, EvidenceDigest, IncidentStatus},
    journal::{FORGOTTEN_AT_ONCE, digest},
};

async fn triaged(journal: &Journal, incident: u32, text: &str, at: Timestamp) -> EvidenceDigest {
    let digest = digest(text.as_bytes());
    let evidence = Some((IncidentId::new(incident), digest.clone(), text.as_bytes().to_vec(), at));
    journal.append(Append { evidence, ..Append::default() }).await.unwrap();
    digest
}

#[tokio::test]
async fn raw_evidence_of_a_night_long_closed_is_forgotten_and_its_events_stay() {
    let bot = TestBot::new();
    let journal = bot.journal().await;
    let day = |day: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * day);
    let closed = |at: Timestamp| {
        move |one: &mut Incident| one.status = IncidentStatus::Closed { at, reason: CloseReason::AlertsResolved }
    };
    opens(&journal, 1, day(0), Vec::new(), closed(day(0))).await;
    opens(&journal, 2, day(300), Vec::new(), closed(day(300))).await;
    opens(&journal, 3, day(0), Vec::new(), |_| {}).await;
    // More than one batch of the first; and a look that the second night had in common with it.
    let mut old = Vec::new();
    for run in 0..=FORGOTTEN_AT_ONCE {
        old.push(triaged(&journal, 1, &format!("run {run}"), day(0)).await);
    }
    let shared = triaged(&journal, 1, "the same", day(0)).await;
    triaged(&journal, 2, "the same", day(300)).await;
    let open = triaged(&journal, 3, "still open", day(0)).await;
    let engine = bot.built_on(journal.clone()).await;

    forget_evidence(&engine.shared, day(399)).await;
    assert!(journal.evidence(&old[0]).await.unwrap().is_some(), "not yet 400 days");
    forget_evidence(&engine.shared, day(401)).await;
    for digest in &old {
        assert_eq!(journal.evidence(digest).await.unwrap(), None);
    }
    assert!(journal.evidence(&shared).await.unwrap().is_some(), "another night has it too");
    assert!(journal.evidence(&open).await.unwrap().is_some(), "an open incident keeps what it has");
    assert_eq!(journal.events(IncidentId::new(1)).await.unwrap().len(), 1, "events stay");
}

#[tokio::test]
async fn in_which_groups_an_incident_was_is_forgotten_a_quarter_after_it_closed_and_never_while_it_is_open() {
    let bot = TestBot::new();
    let journal = bot.journal().await;
    let day = |day: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * day);
    let closed =
        |one: &mut Incident| one.status = IncidentStatus::Closed { at: day(0), reason: CloseReason::AlertsResolved };
    let in_groups = |number: u32, groups: u32| Append {
        groups: (0..groups).map(|group| (format!("g{number}-{group}"), 0)).collect(),
        ..Append::default()
    };
    for (number, groups) in [(1, 1_200), (2, 1)] {
        opens(&journal, number, day(0), Vec::new(), |one| {
            if number == 1 {
                closed(one);
            }
        })
        .await;
        let before = journal.incident(IncidentId::new(number)).await.unwrap().unwrap().incident;
        let noted =
            Change { read_version: before.version, after: before, events: Vec::new(), effects: Vec::new(), at: day(0) };
        journal.append(Append { changes: vec![noted], ..in_groups(number, groups) }).await.unwrap();
    }
    for (days, kept) in [(89, 1_201), (91, 1)] {
        journal.forget_groups(day(days)).await.unwrap();
        assert_eq!(journal.groups().await, kept, "after {days} days");
    }
}
