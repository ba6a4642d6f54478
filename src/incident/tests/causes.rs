//! A call tells the cause: the first call waits for the diagnosis, and not long; the bot completes one that could not wait. And
//! the bot ends every page that may ring.

use jiff::{SignedDuration, Timestamp};

use super::rehearsal::{MINUTE, Rehearsal, three_in_the_morning, verdict};
use crate::{
    escalation::{LevelNumber, PagerName, windows::DIAGNOSIS_WAIT},
    incident::{
        Act, AlertStatus, Cause, Destination, Event, Face, Lacks, MentionPost, Outcome, PageEnd, WebAddress, Work,
        page_key, still_wanted,
    },
    triage::Scenario,
};

const L1: LevelNumber = LevelNumber(1);

fn duty() -> PagerName {
    PagerName("duty".to_owned())
}

/// L1 has a pager beside its mention; its alert is not here yet.
fn quiet() -> Rehearsal {
    let mut night = Rehearsal::quiet();
    night.policy.escalation.levels[0].pager = Some(duty());
    night
}

fn with_a_pager() -> Rehearsal {
    let mut night = quiet();
    night.alert("frontend-1", AlertStatus::Firing);
    night
}

/// When each call of a level that still waits is due: its pager's first.
fn calls_due(night: &Rehearsal) -> Vec<Timestamp> {
    let is_call = |work: &Work| matches!(work, Work::CallPager { .. } | Work::Mention { .. });
    let wanted = night.waiting.iter().filter(|effect| is_call(&effect.work));
    wanted.filter(|effect| still_wanted(night.incident(), &effect.work, night.now)).map(|effect| effect.due).collect()
}

fn is_found(night: &mut Rehearsal) {
    let run = night.incident().last_run().unwrap();
    let found = Box::new(verdict(Scenario::ExpiredCertificate, Vec::new(), night.now));
    night.outcome(&Outcome::TriageFinished { run, verdict: found, evidence: None });
}

fn could_not_be_looked_for(night: &mut Rehearsal) {
    let run = night.incident().last_run().unwrap();
    night.outcome(&Outcome::TriageFailed { run, reason: "the API server did not answer".to_owned() });
}

#[test]
fn the_first_call_waits_for_the_diagnosis_and_is_made_when_that_ends_well_or_badly() {
    for ends in [is_found, could_not_be_looked_for] {
        let mut night = with_a_pager();
        let at_most = three_in_the_morning() + DIAGNOSIS_WAIT;
        assert_eq!(calls_due(&night), [at_most, at_most]);
        night.now += SignedDuration::from_secs(7);
        ends(&mut night);
        assert_eq!(calls_due(&night), [night.now, night.now], "and it is the same two calls");
    }
}

#[test]
fn with_no_target_nothing_is_waited_for() {
    let mut night = quiet();
    let mut sighting = Rehearsal::sighting("frontend-1", AlertStatus::Firing);
    sighting.target = None;
    night.sees(&sighting);
    assert_eq!(calls_due(&night), [night.now, night.now]);
}

#[test]
fn a_person_who_asks_for_a_level_does_not_wait_for_the_diagnosis() {
    let mut night = with_a_pager();
    night.takes_calls();
    night.says("U0ONCALL", Act::Escalate { from: None }).unwrap();
    assert_eq!(calls_due(&night)[1..], [night.now], "L2 has no pager");
}

#[test]
fn a_call_of_an_opening_again_waits_for_the_new_diagnosis() {
    let mut night = with_a_pager();
    is_found(&mut night);
    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(6 * MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    assert_eq!(calls_due(&night), [night.now + DIAGNOSIS_WAIT; 2]);
    assert_eq!(Cause::of(night.incident()), Cause::Running, "the verdict of the opening before is not quoted as new");
    is_found(&mut night);
    assert_eq!(calls_due(&night), [night.now; 2]);
    assert!(matches!(Cause::of(night.incident()), Cause::Found(_)));
}

#[test]
fn an_alert_that_pauses_while_the_diagnosis_runs_does_not_make_the_call_wait_anew() {
    let mut night = with_a_pager();
    let at_most = night.now + DIAGNOSIS_WAIT;
    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(SignedDuration::from_secs(15));
    night.alert("frontend-1", AlertStatus::Firing);
    assert_eq!(calls_due(&night), [at_most; 2], "twenty seconds since the diagnosis began");
    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(SignedDuration::from_secs(15));
    night.alert("frontend-1", AlertStatus::Firing);
    assert_eq!(calls_due(&night), [night.now; 2], "they are over");
}

#[test]
fn whatever_comes_when_no_first_call_is_due_later_than_twenty_seconds_after_its_incident_opened() {
    for step in 0..64_u32 {
        let mut night = with_a_pager();
        for at in 0..3 {
            match (step >> (2 * at)) & 3 {
                0 => is_found(&mut night),
                1 => could_not_be_looked_for(&mut night),
                2 => {
                    night.alert("frontend-1", AlertStatus::Resolved);
                    night.alert("frontend-1", AlertStatus::Firing);
                }
                _ => drop(night.alert("frontend-2", AlertStatus::Firing)),
            }
            night.now += SignedDuration::from_secs(3);
        }
        let due = calls_due(&night);
        assert_eq!(due.len(), 2, "{step}");
        assert!(due.iter().all(|due| *due <= three_in_the_morning() + DIAGNOSIS_WAIT), "{step}: {due:?}");
    }
}

fn called(night: &mut Rehearsal, key: &str, lacks: Lacks) {
    night.outcome(&Outcome::PagerCalled { level: L1, page: Some((duty(), key.to_owned())), lacks });
}

const CAUSE: Lacks = Lacks { cause: true, card: false };

#[test]
fn a_page_that_could_not_wait_is_completed_with_the_cause_once() {
    let mut night = with_a_pager();
    night.takes_pager_work();
    called(&mut night, "page-1", CAUSE);
    assert!(night.takes_pager_work().is_empty(), "there is nothing to add yet");
    is_found(&mut night);
    assert!(matches!(night.takes_pager_work().as_slice(), [Work::UpdatePage { key, .. }] if key == "page-1"));
    night.says("U0ONCALL", Act::Triage).unwrap();
    is_found(&mut night);
    let updated = |work: &Work| matches!(work, Work::UpdatePage { .. });
    assert!(!night.takes_pager_work().iter().any(updated), "it says the cause");
}

#[test]
fn a_page_that_was_on_its_way_when_the_diagnosis_ended_is_completed_too() {
    let mut night = with_a_pager();
    night.takes_pager_work();
    is_found(&mut night);
    night.takes_pager_work();
    called(&mut night, "page-1", CAUSE);
    assert!(matches!(night.takes_pager_work().as_slice(), [Work::UpdatePage { .. }]));
}

#[test]
fn a_page_learns_where_the_card_is_when_the_card_comes_after_it() {
    let mut night = with_a_pager();
    night.takes_pager_work();
    called(&mut night, "page-1", Lacks { cause: true, card: true });
    let (to, link) = (night.policy.channels[0].clone(), WebAddress::parse("https://x.slack.com/archives/C0/p1"));
    night.outcome(&Outcome::CardPosted { to, link });
    assert!(matches!(night.takes_pager_work().as_slice(), [Work::UpdatePage { .. }]));
    is_found(&mut night);
    assert!(
        matches!(night.takes_pager_work().as_slice(), [Work::UpdatePage { .. }]),
        "and the cause when that is known"
    );
}

#[test]
fn a_page_lacks_the_card_until_it_is_posted_on_every_chat_whose_messages_have_addresses() {
    for (face, lacks) in [(Face::Slack, true), (Face::Discord, true), (Face::Page, false), (Face::Terminal, false)] {
        let mut incident = with_a_pager().incident().clone();
        incident.channels = vec![Destination { face, channel: "1".to_owned() }];
        assert_eq!(Lacks::of(&incident).card, lacks, "{face}");
    }
}

#[test]
fn nobody_who_has_it_is_rung_by_an_update() {
    let mut night = with_a_pager();
    night.takes_pager_work();
    called(&mut night, "page-1", CAUSE);
    night.alert("frontend-1", AlertStatus::Resolved);
    night.takes_pager_work();
    is_found(&mut night);
    assert!(night.takes_pager_work().is_empty(), "to the pager it is over: with that key it would ring anew");

    let mut meanwhile = with_a_pager();
    meanwhile.takes_pager_work();
    called(&mut meanwhile, "page-1", CAUSE);
    is_found(&mut meanwhile);
    meanwhile.alert("frontend-1", AlertStatus::Resolved);
    let told = meanwhile.takes_pager_work();
    assert!(matches!(told.as_slice(), [Work::EndPage { how: PageEnd::Resolve, .. }]), "{told:?}");
}

#[test]
fn a_mention_that_said_that_the_diagnosis_runs_says_the_cause_later() {
    let mut night = with_a_pager();
    let to: Destination = night.policy.channels[0].clone();
    let post = MentionPost { key: "call:4:L1:0".to_owned(), reason: crate::incident::CallReason::Opened };
    night.outcome(&Outcome::Mentioned { level: L1, to: to.clone(), unexplained: Some(post.clone()) });
    is_found(&mut night);
    let completed = Work::UpdateMention { to, level: L1, post };
    assert_eq!(night.waiting.iter().filter(|effect| effect.work == completed).count(), 1);
    let before = night.waiting.len();
    night.alert("frontend-2", AlertStatus::Firing);
    let again = night.waiting[before..].iter().any(|effect| effect.work == completed);
    assert!(!again, "once");
}

fn unanswered(night: &mut Rehearsal) -> String {
    let call = "pager:4:L1";
    night.outcome(&Outcome::PageUnanswered { level: L1, pager: duty(), call: call.to_owned() });
    page_key(night.incident(), call)
}

#[test]
fn a_page_whose_answer_was_lost_is_still_sent_and_is_ended_when_somebody_has_the_incident_or_it_is_over() {
    let mut night = with_a_pager();
    let key = unanswered(&mut night);
    assert_eq!(calls_due(&night).len(), 2, "nobody knows that it arrived");
    unanswered(&mut night);
    let told = night.events.iter().filter(|event| matches!(event, Event::PageUncertain { .. })).count();
    assert_eq!(told, 1, "an attempt that fails like the one before is nothing new");
    night.says("U0ONCALL", Act::Acknowledge).unwrap();
    let ends = |night: &mut Rehearsal, how| match night.takes_pager_work().as_slice() {
        [Work::EndPage { key: ended, how: as_that, .. }] => assert_eq!((ended, *as_that), (&key, how)),
        other => panic!("{other:?}"),
    };
    ends(&mut night, PageEnd::Acknowledge);
    unanswered(&mut night);
    ends(&mut night, PageEnd::Acknowledge); // it was on its way meanwhile, and may have come after its end
    night.alert("frontend-1", AlertStatus::Resolved);
    ends(&mut night, PageEnd::Resolve);
}

#[test]
fn two_calls_of_a_cluster_with_a_very_long_name_are_two_pages() {
    let mut incident = with_a_pager().incident().clone();
    assert_eq!(page_key(&incident, "pager:4:L1"), "mtls-medic/prod/INC-1/pager:4:L1");
    incident.cluster = "c".repeat(300);
    let keys = ["pager:4:L1", "pager:9:L1"].map(|call| page_key(&incident, call));
    assert!(keys.iter().all(|key| key.chars().count() <= 255));
    assert_ne!(keys[0], keys[1]);
}
