//! What is found calls a level at once, beside the windows: nobody is ever called later because of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::rehearsal::{MINUTE, Rehearsal, person, verdict};
use crate::{
    escalation::{LevelNumber, PagerName, Rung},
    incident::{Act, AlertStatus, CallReason, Event, HandOffTo, Outcome, PageState, Work},
    people::PersonId,
    triage::{CallAtOnce, Scenario},
};

const L1: LevelNumber = LevelNumber(1);
const L2: LevelNumber = LevelNumber(2);
const L3: LevelNumber = LevelNumber(3);

/// A triage ends with a verdict that calls this level, or none.
fn found(night: &mut Rehearsal, call: Option<CallAtOnce>) {
    night.says("U0ONCALL", Act::Triage).ok();
    diagnosed(night, call);
}

fn diagnosed(night: &mut Rehearsal, call: Option<CallAtOnce>) {
    let run = night.incident().last_run().unwrap();
    let mut found = verdict(Scenario::Network, Vec::new(), night.now);
    found.call_at_once = call;
    night.outcome(&Outcome::TriageFinished { run, verdict: Box::new(found), evidence: None });
}

fn reached(night: &mut Rehearsal, level: LevelNumber) {
    let to = night.policy.channels[0].clone();
    night.outcome(&Outcome::Mentioned { level, to, unexplained: None });
}

/// The calls that are made by now; each gets through.
fn takes_calls(night: &mut Rehearsal) -> Vec<LevelNumber> {
    let calls = night.takes_calls();
    for level in &calls {
        reached(night, *level);
    }
    calls
}

#[test]
fn a_network_verdict_calls_l3_and_leaves_l1_and_l2_their_windows() {
    let mut night = Rehearsal::with_an_alert();
    assert_eq!(takes_calls(&mut night), [L1]);
    let window = night.rung();
    night.passes(MINUTE);
    diagnosed(&mut night, Some(CallAtOnce::L3));
    assert_eq!(takes_calls(&mut night), [L3]);
    assert_eq!(night.rung(), window, "L1 keeps what is left of its 15 minutes");
    night.passes(14 * MINUTE);
    assert_eq!(takes_calls(&mut night), [L2], "at 15 min, as without the verdict");
    night.passes(30 * MINUTE);
    assert_eq!(takes_calls(&mut night), [L3], "at 45 min; it was called 44 min ago and has not answered");
    assert!(night.incident().calls.calls_again(L3), "so the text says that it is called again");
    night.passes(60 * MINUTE);
    assert_eq!(takes_calls(&mut night), [L1, L2, L3]);
}

#[test]
fn a_level_that_was_reached_a_moment_ago_is_not_called_twice_when_the_ladder_comes_to_it() {
    let mut night = Rehearsal::with_an_alert();
    takes_calls(&mut night);
    night.passes(14 * MINUTE);
    diagnosed(&mut night, Some(CallAtOnce::L2));
    assert_eq!(takes_calls(&mut night), [L2]);
    night.passes(MINUTE);
    assert!(takes_calls(&mut night).is_empty(), "one minute later it knows");
    assert!(matches!(night.rung(), Rung::Waiting { level: L2, .. }), "and has its window");
    night.passes(30 * MINUTE);
    assert_eq!(takes_calls(&mut night), [L3]);

    let mut unreached = Rehearsal::with_an_alert();
    takes_calls(&mut unreached);
    unreached.passes(14 * MINUTE);
    diagnosed(&mut unreached, Some(CallAtOnce::L2));
    unreached.passes(MINUTE);
    assert_eq!(unreached.takes_calls(), [L2], "nothing got through yet, so the ladder's own call replaces it");
}

#[test]
fn an_acknowledgement_stops_the_call_beside_the_window_as_well() {
    let mut night = Rehearsal::with_an_alert();
    takes_calls(&mut night);
    diagnosed(&mut night, Some(CallAtOnce::L3));
    night.says("U0SECURITY", Act::Acknowledge).unwrap();
    assert!(night.takes_calls().is_empty(), "it was not made yet, and is not made any more");
    assert_eq!(night.incident().called_beside().count(), 0);
}

#[test]
fn a_call_for_help_that_an_acknowledgement_dropped_is_made_when_the_same_is_found_again() {
    let mut night = Rehearsal::with_an_alert();
    takes_calls(&mut night);
    diagnosed(&mut night, Some(CallAtOnce::L3));
    night.says("U0SECURITY", Act::Acknowledge).unwrap();
    assert!(night.takes_calls().is_empty());
    found(&mut night, Some(CallAtOnce::L3));
    assert_eq!(takes_calls(&mut night), [L3]);
    night.says("U0ONCALL", Act::HandOff { to: HandOffTo::Person(person("U0ONCALL")) }).unwrap();
    found(&mut night, Some(CallAtOnce::L3));
    assert!(takes_calls(&mut night).is_empty(), "it was reached, and is not called twice for one fault");
}

#[test]
fn a_level_to_which_the_ladder_has_come_is_no_longer_said_to_be_called_as_well() {
    let mut night = Rehearsal::with_an_alert();
    takes_calls(&mut night);
    night.passes(14 * MINUTE);
    diagnosed(&mut night, Some(CallAtOnce::L2));
    takes_calls(&mut night);
    assert_eq!(night.incident().called_beside().collect::<Vec<_>>(), [L2]);
    night.passes(MINUTE);
    assert!(matches!(night.rung(), Rung::Waiting { level: L2, .. }));
    assert_eq!(night.incident().called_beside().count(), 0, "the card says that it has until then");
}

/// What was found after somebody took it: they keep it, their idle clock goes on, and they get help.
#[test]
fn what_is_found_later_calls_for_help_and_takes_the_incident_from_nobody() {
    let mut night = Rehearsal::quiet();
    night.policy.escalation.levels[1].pager = Some(PagerName("security".to_owned()));
    night.alert("frontend-1", AlertStatus::Firing);
    takes_calls(&mut night);
    night.says("U0ONCALL", Act::Acknowledge).unwrap();
    let before = night.incident().ladder.clone();
    diagnosed(&mut night, Some(CallAtOnce::L2));
    assert_eq!(night.incident().ladder, before);
    assert_eq!(takes_calls(&mut night), [L2]);
    let rings = night.takes_pager_work();
    assert!(matches!(rings.as_slice(), [Work::CallPager { level: L2, .. }]), "{rings:?}");
    let page = Some((PagerName("security".to_owned()), "page-1".to_owned()));
    night.outcome(&Outcome::PagerCalled { level: L2, page, lacks: crate::incident::Lacks::default() });
    assert_eq!(night.incident().calls.pages[0].state, PageState::Ringing, "a call for help is not ended at once");
    night.says("U0SECURITY", Act::HandOff { to: HandOffTo::Person(person("U0SECURITY")) }).unwrap();
    assert_eq!(night.incident().calls.pages[0].state, PageState::Acknowledged);
}

#[test]
fn a_level_beside_the_window_that_nobody_can_be_reached_at_is_said_and_the_one_above_is_called_beside_it() {
    let mut night = Rehearsal::quiet();
    night.policy.escalation.levels[1].mentions.clear();
    night.alert("frontend-1", AlertStatus::Firing);
    takes_calls(&mut night);
    let window = night.rung();
    diagnosed(&mut night, Some(CallAtOnce::L2));
    assert_eq!(takes_calls(&mut night), [L3], "L2 has neither mention nor pager");
    assert_eq!(night.rung(), window);

    let mut empty = Rehearsal::with_an_alert();
    takes_calls(&mut empty);
    diagnosed(&mut empty, Some(CallAtOnce::L2));
    empty.takes_calls();
    empty.outcome(&Outcome::NobodyBehind { level: L2, why: "the user group is empty".to_owned() });
    assert_eq!(empty.takes_calls(), [L3]);
    empty.outcome(&Outcome::NobodyBehind { level: L3, why: "the user group is empty".to_owned() });
    assert!(empty.takes_calls().is_empty(), "nobody is left above; the windows go on");
    assert!(matches!(empty.rung(), Rung::Waiting { level: L1, .. }));
}

#[test]
fn a_call_beside_the_window_that_fell_into_a_pause_is_made_when_it_fires_again() {
    let mut night = Rehearsal::with_an_alert();
    takes_calls(&mut night);
    diagnosed(&mut night, Some(CallAtOnce::L3));
    night.alert("frontend-1", AlertStatus::Resolved);
    assert!(night.takes_calls().is_empty());
    night.passes(MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    assert_eq!(night.takes_calls(), [L3]);
}

/// As a journal of the version before has it: the window itself was L3's.
#[test]
fn a_night_in_which_an_older_version_put_l1_aside_goes_on() {
    let mut night = Rehearsal::with_an_alert();
    let rung = Rung::Waiting { level: L3, until: night.now + 60 * MINUTE };
    let reason = CallReason::Evidence { because: "the verdict is \"network issue\"".to_owned() };
    let old = Event::RungBegan { rung, call: vec![L3], reason };
    let incident = night.incident.as_mut().unwrap();
    crate::incident::apply(incident, &old, night.now);
    diagnosed(&mut night, Some(CallAtOnce::L3));
    assert_eq!(night.rung(), rung, "and is not called twice for one verdict");
}

#[derive(Debug, Clone)]
enum Move {
    Passes(i32),
    Finds(CallAtOnce),
    Says(&'static str, Act),
    Alert(bool),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let to = |level| Act::HandOff { to: HandOffTo::Level(LevelNumber(level)) };
    let act = prop_oneof![
        Just(Act::Acknowledge),
        Just(Act::Escalate { from: None }),
        Just(Act::Note { text: "x".to_owned() }),
        Just(Act::Triage),
        Just(Act::Resolve { reason: None, anyway: true }),
        (1_u8..=3).prop_map(to),
        Just(Act::HandOff { to: HandOffTo::Person(person("U0OTHER")) }),
    ];
    let one = prop_oneof![
        6 => (1_i32..40).prop_map(Move::Passes),
        3 => prop_oneof![Just(CallAtOnce::L2), Just(CallAtOnce::L3)].prop_map(Move::Finds),
        2 => (prop_oneof![Just("U0ONCALL"), Just("U0NOBODY")], act).prop_map(|(who, act)| Move::Says(who, act)),
        2 => any::<bool>().prop_map(Move::Alert),
    ];
    proptest::collection::vec(one, 1..40)
}

/// A night, and when each level was called in it.
struct BesideStory {
    night: Rehearsal,
    evidence: bool,
    calls: BTreeMap<LevelNumber, Vec<Timestamp>>,
}

impl BesideStory {
    fn of(evidence: bool) -> Self {
        Self { night: Rehearsal::with_an_alert(), evidence, calls: BTreeMap::new() }
    }

    fn notes_calls(&mut self) {
        for level in takes_calls(&mut self.night) {
            self.calls.entry(level).or_default().push(self.night.now);
        }
    }

    fn plays(&mut self, one: &Move) {
        match one {
            Move::Passes(minutes) => {
                for _ in 0..*minutes {
                    self.night.passes(MINUTE);
                    self.notes_calls();
                }
            }
            Move::Finds(call) => found(&mut self.night, self.evidence.then_some(*call)),
            Move::Says(who, act) => drop(self.night.says(who, act.clone())),
            Move::Alert(firing) => {
                let status = if *firing { AlertStatus::Firing } else { AlertStatus::Resolved };
                self.night.alert("frontend-1", status);
            }
        }
        self.notes_calls();
    }

    fn holder(&self) -> Option<&PersonId> {
        self.night.incident().ladder.holder()
    }
}

proptest! {
    #[test]
    fn with_evidence_every_level_is_called_no_later_than_without(moves in moves()) {
        let (mut with, mut without) = (BesideStory::of(true), BesideStory::of(false));
        for one in &moves {
            with.plays(one);
            without.plays(one);
            prop_assert_eq!(&with.night.incident().ladder, &without.night.incident().ladder);
            prop_assert_eq!(with.holder(), without.holder());
            for (level, plain) in &without.calls {
                let sooner = with.calls.get(level).map_or(&[][..], Vec::as_slice);
                prop_assert!(sooner.len() >= plain.len(), "{level}: {sooner:?}, without {plain:?}");
                for (sooner, plain) in sooner.iter().zip(plain) {
                    prop_assert!(sooner <= plain, "{level}: {sooner}, without {plain}");
                }
            }
        }
    }
}
