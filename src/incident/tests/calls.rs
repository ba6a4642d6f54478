//! No page is lost and none is made for nothing: what a call meets between being asked for and being made.

use super::rehearsal::{MINUTE, Rehearsal, verdict};
use crate::{
    escalation::{LevelNumber, PagerName, Rung},
    incident::{
        Act, AlertEffect, AlertStatus, Event, Follows, HandOffTo, Lacks, Outcome, PageEnd, Priority, Work, still_wanted,
    },
    triage::{CallAtOnce, Scenario},
};

const L1: LevelNumber = LevelNumber(1);
const L2: LevelNumber = LevelNumber(2);
const L3: LevelNumber = LevelNumber(3);

fn duty() -> PagerName {
    PagerName("duty".to_owned())
}

/// L1 has a pager beside its mention.
fn with_a_pager() -> Rehearsal {
    let mut night = Rehearsal::quiet();
    night.policy.escalation.levels[0].pager = Some(duty());
    night.alert("frontend-1", AlertStatus::Firing);
    night
}

fn mention_of(night: &Rehearsal, level: LevelNumber) -> Work {
    let of_level = |work: &&Work| matches!(work, Work::Mention { level: called, .. } if *called == level);
    night.waiting.iter().map(|effect| &effect.work).find(of_level).unwrap().clone()
}

fn mentioned(night: &mut Rehearsal, level: LevelNumber) {
    let to = night.policy.channels[0].clone();
    night.outcome(&Outcome::Mentioned { level, to, unexplained: None });
}

fn found(night: &mut Rehearsal, call: CallAtOnce) {
    let run = night.incident().last_run().unwrap();
    let mut found = verdict(Scenario::SpireServer, Vec::new(), night.now);
    found.call_at_once = Some(call);
    night.outcome(&Outcome::TriageFinished { run, verdict: Box::new(found), evidence: None });
}

#[test]
fn a_page_that_could_not_be_sent_within_its_window_is_sent_late() {
    let mut night = Rehearsal::with_an_alert();
    night.passes(15 * MINUTE);
    assert_eq!(night.takes_calls(), [L1, L2], "Slack was down for L1's whole window");

    let mut answered = Rehearsal::with_an_alert();
    answered.passes(15 * MINUTE);
    answered.says("U0ONCALL", Act::Acknowledge).unwrap();
    assert!(answered.takes_calls().is_empty(), "somebody has it");
    answered.passes(31 * MINUTE);
    assert_eq!(answered.takes_calls(), [L2], "and the older calls do not come back with the idle one");
}

#[test]
fn a_late_page_is_superseded_when_its_level_is_called_again() {
    let mut night = Rehearsal::with_an_alert();
    night.passes(105 * MINUTE);
    assert_eq!(night.takes_calls(), [L1, L2, L3], "once each, although six calls were asked for");
}

#[test]
fn an_alert_that_flaps_loses_no_page() {
    let mut night = Rehearsal::with_an_alert();
    night.alert("frontend-1", AlertStatus::Resolved);
    assert!(night.takes_calls().is_empty(), "nobody is called while it clears");
    night.passes(MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    assert_eq!(night.takes_calls(), [L1]);
    mentioned(&mut night, L1);
    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(night.takes_calls().is_empty(), "L1 was reached already");
}

#[test]
fn an_alert_that_flaps_within_one_body_calls_once() {
    let mut night = Rehearsal::with_an_alert();
    night.alert("frontend-1", AlertStatus::Resolved);
    night.alert("frontend-2", AlertStatus::Firing);
    assert_eq!(night.takes_calls(), [L1]);
}

#[test]
fn a_mention_that_is_refused_for_good_is_said_and_the_next_level_is_called() {
    let mut night = Rehearsal::with_an_alert();
    let work = Box::new(mention_of(&night, L1));
    night.takes_calls();
    night.outcome(&Outcome::Died { work, reason: "the bot is not in the channel".to_owned(), untouched: false });
    assert_eq!(night.takes_calls(), [L2]);
    let said = |event: &Event| matches!(event, Event::LevelUnreachable { level, follows: Follows::NextLevel, .. } if *level == L1);
    assert!(night.events.iter().any(said));
    assert!(!night.incident().troubles.is_empty());
}

#[test]
fn while_its_pager_rings_a_level_whose_mention_fails_is_not_passed_over() {
    let mut night = with_a_pager();
    night.takes_calls();
    let empty = Outcome::NobodyBehind { level: L1, why: "the user group is empty".to_owned() };
    let events = night.outcome(&empty);
    assert!(matches!(events.as_slice(), [Event::LevelUnreachable { follows: Follows::OtherWay, .. }]), "{events:?}");
    let pager = night.takes_pager_work().remove(0);
    night.outcome(&Outcome::Died { work: Box::new(pager), reason: "no such key".to_owned(), untouched: false });
    assert_eq!(night.takes_calls(), [L2], "now neither way is left");
}

#[test]
fn with_a_pager_and_nobody_to_mention_the_channel_is_not_told_that_nobody_can_be_called() {
    let mut night = Rehearsal::quiet();
    night.policy.escalation.levels[0].pager = Some(duty());
    night.policy.escalation.levels[0].mentions.clear();
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(night.takes_calls().is_empty());
    assert!(matches!(night.takes_pager_work().as_slice(), [Work::CallPager { .. }]));
}

#[test]
fn when_the_last_level_has_nobody_all_levels_are_called() {
    let mut night = Rehearsal::with_an_alert();
    night.says("U0ONCALL", Act::HandOff { to: HandOffTo::Level(L3) }).unwrap();
    night.takes_calls();
    night.outcome(&Outcome::NobodyBehind { level: L3, why: "the user group is empty".to_owned() });
    assert_eq!(night.takes_calls(), [L1, L2, L3]);
    let said = |event: &Event| matches!(event, Event::LevelUnreachable { follows: Follows::AllLevels, .. });
    assert!(night.events.iter().any(said));
}

#[test]
fn a_spire_server_verdict_calls_l2_in_each_opening_and_once() {
    let mut night = Rehearsal::with_an_alert();
    night.takes_calls();
    found(&mut night, CallAtOnce::L2);
    assert_eq!(night.takes_calls(), [L2]);
    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(6 * MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    night.takes_calls();
    found(&mut night, CallAtOnce::L2);
    assert_eq!(night.takes_calls(), [L2], "the same verdict, another opening");
    mentioned(&mut night, L2);
    night.says("U0ONCALL", Act::Acknowledge).unwrap();
    night.says("U0ONCALL", Act::Triage).unwrap();
    found(&mut night, CallAtOnce::L2);
    assert!(night.takes_calls().is_empty());
}

#[test]
fn a_verdict_that_comes_while_it_clears_calls_when_it_fires_again() {
    let mut night = Rehearsal::with_an_alert();
    mentioned(&mut night, L1);
    night.takes_calls();
    night.alert("frontend-1", AlertStatus::Resolved);
    found(&mut night, CallAtOnce::L2);
    assert!(night.takes_calls().is_empty());
    night.passes(MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    assert_eq!(night.takes_calls(), [L2]);
}

#[test]
fn with_two_levels_a_network_verdict_calls_the_higher_one() {
    let mut night = Rehearsal::quiet();
    night.policy.escalation.levels.truncate(2);
    night.alert("frontend-1", AlertStatus::Firing);
    night.takes_calls();
    found(&mut night, CallAtOnce::L3);
    assert_eq!(night.takes_calls(), [L2]);
}

fn paged(night: &mut Rehearsal, key: &str) {
    let page = Some((duty(), key.to_owned()));
    night.outcome(&Outcome::PagerCalled { level: L1, page, lacks: Lacks::default() });
}

/// Complaint: oncall 4654, notifications that go on after acknowledge or resolve.
#[test]
fn nothing_is_paged_after_acknowledge_or_resolve_and_pages_that_ring_are_ended() {
    let mut night = with_a_pager();
    assert_eq!(night.takes_pager_work().len(), 1);
    paged(&mut night, "page-1");
    night.says("U0ONCALL", Act::Acknowledge).unwrap();
    let ended = night.takes_pager_work();
    assert!(matches!(ended.as_slice(), [Work::EndPage { key, how: PageEnd::Acknowledge, .. }] if key == "page-1"));
    night.alert("frontend-1", AlertStatus::Resolved);
    assert!(matches!(night.takes_pager_work().as_slice(), [Work::EndPage { how: PageEnd::Resolve, .. }]));
    night.passes(240 * MINUTE);
    assert!(night.takes_pager_work().is_empty() && night.takes_calls().is_empty());

    let mut unsent = with_a_pager();
    unsent.says("U0ONCALL", Act::Acknowledge).unwrap();
    assert!(unsent.takes_pager_work().is_empty(), "a call that waits is not made any more");
    paged(&mut unsent, "page-2");
    let ended = unsent.takes_pager_work();
    assert!(matches!(ended.as_slice(), [Work::EndPage { .. }]), "one that was under way is ended: {ended:?}");
}

#[test]
fn whoever_was_told_that_it_is_over_is_rung_again_when_it_is_not() {
    let mut night = with_a_pager();
    night.takes_pager_work();
    night.takes_calls();
    mentioned(&mut night, L1);
    paged(&mut night, "page-1");
    night.alert("frontend-1", AlertStatus::Resolved);
    night.takes_pager_work();
    night.passes(MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(matches!(night.takes_pager_work().as_slice(), [Work::CallPager { .. }]));
    assert!(night.takes_calls().is_empty(), "the mention is still there to be read");
}

#[test]
fn a_page_that_was_under_way_while_its_alert_ended_rings_again_when_it_fires_again() {
    let mut night = with_a_pager();
    night.takes_pager_work();
    night.takes_calls();
    mentioned(&mut night, L1);
    night.alert("frontend-1", AlertStatus::Resolved);
    paged(&mut night, "page-1");
    assert!(matches!(night.takes_pager_work().as_slice(), [Work::EndPage { .. }]), "it is ended at once");
    night.passes(MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(matches!(night.takes_pager_work().as_slice(), [Work::CallPager { level: L1, .. }]));
}

/// Bodies that are stored together share one moment, and the first may end what the second brings again.
#[test]
fn an_alert_that_flaps_in_one_moment_after_its_page_was_taken_rings_again() {
    let mut night = with_a_pager();
    night.takes_pager_work();
    night.takes_calls();
    mentioned(&mut night, L1);
    paged(&mut night, "page-1");
    night.passes(MINUTE);
    night.alert("frontend-1", AlertStatus::Resolved);
    night.alert("frontend-2", AlertStatus::Firing);
    let told = night.takes_pager_work();
    let ends = |work: &&Work| matches!(work, Work::EndPage { key, how: PageEnd::Resolve, .. } if key == "page-1");
    assert_eq!(told.iter().filter(ends).count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|work| matches!(work, Work::CallPager { .. })).count(), 1, "{told:?}");
    assert!(night.takes_calls().is_empty(), "the mention is still there to be read");
    night.alert("frontend-2", AlertStatus::Resolved);
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(night.takes_pager_work().is_empty(), "a call that waits to be made is not made twice");
}

#[test]
fn an_alert_that_flaps_in_one_moment_before_its_mention_was_posted_is_mentioned_once() {
    let mut night = with_a_pager();
    night.takes_pager_work();
    paged(&mut night, "page-1");
    night.alert("frontend-1", AlertStatus::Resolved);
    night.alert("frontend-2", AlertStatus::Firing);
    assert_eq!(night.takes_calls(), [L1]);
    assert!(night.takes_pager_work().iter().any(|work| matches!(work, Work::CallPager { .. })));
    // The diagnosis ends: what waited for it is made now, and nothing twice.
    let run = night.incident().last_run().unwrap();
    night.outcome(&Outcome::TriageFailed { run, reason: "x".to_owned() });
    assert!(night.takes_calls().is_empty() && night.takes_pager_work().is_empty());
}

/// Its first answer was lost, so the call is made again under the same name, which its end must not silence.
#[test]
fn the_end_of_a_page_is_not_told_once_the_page_rings_anew() {
    let mut night = with_a_pager();
    let call = night.waiting.iter().find(|effect| matches!(effect.work, Work::CallPager { .. })).unwrap().clone();
    let unanswered = Outcome::PageUnanswered { level: L1, pager: duty(), call: call.key.clone() };
    night.outcome(&unanswered);
    let key = night.incident().calls.pages[0].key.clone();
    night.alert("frontend-1", AlertStatus::Resolved);
    night.alert("frontend-2", AlertStatus::Firing);
    let end = night.waiting.iter().map(|effect| &effect.work).find(|work| matches!(work, Work::EndPage { .. }));
    let end = end.unwrap().clone();
    assert!(still_wanted(night.incident(), &end, night.now), "it may ring for what is over");
    paged(&mut night, &key);
    assert!(!still_wanted(night.incident(), &end, night.now), "it rings for what fires now");
}

#[test]
fn a_level_whose_mention_was_refused_before_the_alert_flapped_is_not_passed_over_while_its_pager_is_called_anew() {
    let mut night = with_a_pager();
    night.takes_pager_work();
    night.takes_calls();
    let empty = Outcome::NobodyBehind { level: L1, why: "the user group is empty".to_owned() };
    night.outcome(&empty);
    paged(&mut night, "page-1");
    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    night.takes_calls();
    night.outcome(&empty);
    assert!(night.takes_calls().is_empty(), "L2 is not called: the pager of L1 rings in a moment");
    assert!(night.takes_pager_work().iter().any(|work| matches!(work, Work::CallPager { level: L1, .. })));
}

#[test]
fn a_weekend_of_pages_leaves_none_ringing_that_is_forgotten() {
    let mut night = with_a_pager();
    for number in 0..103 {
        paged(&mut night, &format!("page-{number}"));
    }
    let ended = |night: &mut Rehearsal| -> Vec<String> {
        let keys = night.takes_pager_work().into_iter().filter_map(|work| match work {
            Work::EndPage { key, how: PageEnd::Resolve, .. } => Some(key),
            _ => None,
        });
        keys.collect()
    };
    assert_eq!(ended(&mut night), ["page-0", "page-1", "page-2"], "the oldest are ended, since newer ones ring");
    night.says("U0ONCALL", Act::Resolve { reason: None, anyway: true }).unwrap();
    assert_eq!(ended(&mut night).len(), 100, "and all others when it is over");
}

#[test]
fn while_slack_is_down_the_fall_back_pager_rings_once_a_call() {
    let mut night = Rehearsal::quiet();
    night.policy.escalation.fallback_pager = Some(duty());
    night.alert("frontend-1", AlertStatus::Firing);
    let delayed = Outcome::Delayed { work: Box::new(mention_of(&night, L1)) };
    night.outcome(&delayed);
    night.outcome(&delayed);
    assert!(matches!(night.takes_pager_work().as_slice(), [Work::CallPager { level: L1, .. }]));
    assert_eq!(night.takes_calls(), [L1], "the mention stays due");

    // Its page ends with the alert, and Slack is still down when it fires again.
    paged(&mut night, "fallback-1");
    night.alert("frontend-1", AlertStatus::Resolved);
    assert!(matches!(night.takes_pager_work().as_slice(), [Work::EndPage { .. }]));
    night.passes(MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    let again = Outcome::Delayed { work: Box::new(mention_of(&night, L1)) };
    night.outcome(&again);
    night.outcome(&again);
    assert!(matches!(night.takes_pager_work().as_slice(), [Work::CallPager { level: L1, .. }]));

    let mut own = with_a_pager();
    own.outcome(&Outcome::Delayed { work: Box::new(mention_of(&own, L1)) });
    assert_eq!(own.takes_pager_work().len(), 1, "its own pager rings already");
}

#[test]
fn a_hand_off_to_a_person_is_a_page_that_is_never_given_up_while_they_hold_it() {
    let mut night = Rehearsal::with_an_alert();
    let to = super::rehearsal::person("U0SECURITY");
    night.says("U0ONCALL", Act::HandOff { to: HandOffTo::Person(to) }).unwrap();
    assert!(night.events.iter().any(|event| matches!(event, Event::WindowMet { rung: Rung::Waiting { .. } })));
    let handed = |work: &&Work| matches!(work, Work::Post { notice: crate::incident::Notice::HandedTo { .. }, .. });
    let post = night.waiting.iter().map(|effect| &effect.work).find(handed).unwrap().clone();
    assert!(post.never_dies());
    assert_eq!(post.priority(), Priority::Page);
    assert!(still_wanted(night.incident(), &post, night.now));
    night.says("U0ONCALL", Act::HandOff { to: HandOffTo::Person(super::rehearsal::person("U0OTHER")) }).unwrap();
    assert!(!still_wanted(night.incident(), &post, night.now));
}

#[test]
fn two_prometheus_servers_that_date_one_firing_differently_are_one_firing() {
    let mut night = Rehearsal::with_an_alert();
    let mut later = Rehearsal::sighting("frontend-1", AlertStatus::Firing);
    later.starts_at = night.now + MINUTE;
    night.sees(&later);
    for _ in 0..10 {
        assert_eq!(night.alert("frontend-1", AlertStatus::Firing), AlertEffect::Nothing);
        assert_eq!(night.sees(&later), AlertEffect::Nothing);
    }
    night.says("U0ONCALL", Act::Resolve { reason: None, anyway: true }).unwrap();
    assert_eq!(night.alert("frontend-1", AlertStatus::Firing), AlertEffect::Nothing);
    assert_eq!(night.sees(&later), AlertEffect::Nothing);
}
