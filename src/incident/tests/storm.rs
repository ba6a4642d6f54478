//! What opens within a storm is called about as one, until somebody takes it up or the storm is over.

use super::rehearsal::{MINUTE, Night, target, three_in_the_morning, verdict};
use crate::{
    escalation::{Ladder, LevelNumber, PagerName, Rung},
    incident::{
        Act, AlertSighting, AlertStatus, Cause, Command, Event, Incident, IncidentId, Lacks, Life, Notice, Outcome,
        QuietOnes, Refusal, RunNumber, Seen, Share, Sighted, StormLook, Taken, Timer, Triage, Work, apply, begin,
        decide, held_back, join, leave_storm, may_take_all, settle, share, still_wanted, storm,
    },
    mesh::TargetRef,
    triage::{CallAtOnce, FixName, Scenario, Survey, Verdict},
};

const L1: LevelNumber = LevelNumber(1);

fn in_a_storm() -> Night {
    let mut night = Night::quiet();
    night.storms = true;
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(night.waiting.iter().all(|effect| matches!(effect.work, Work::Timer { .. })));
    night
}

fn shown(night: &Night) -> bool {
    night.waiting.iter().any(|effect| matches!(effect.work, Work::DrawCard { .. }))
}

#[test]
fn the_first_command_about_a_quiet_incident_gives_it_its_card_its_triage_and_its_ladder() {
    let mut night = in_a_storm();
    night.says("U0ONCALL", Act::Note { text: "this one is ours".to_owned() }).unwrap();
    assert!(shown(&night));
    assert!(night.waiting.iter().any(|effect| matches!(effect.work, Work::Triage { run: RunNumber(1) })));
    assert!(night.takes_calls().is_empty(), "whoever wrote the note has it");
    night.passes(15 * MINUTE);
    assert_eq!(night.takes_calls(), [L1], "and then did nothing");
    night.passes(15 * MINUTE);
    assert_eq!(night.takes_calls(), [LevelNumber(2)]);
}

#[test]
fn a_command_that_is_answered_with_called_now_calls() {
    let mut night = in_a_storm();
    night.says("U0ONCALL", Act::Escalate { from: None }).unwrap();
    assert_eq!(night.takes_calls(), [L1, LevelNumber(2)]);

    let mut taken = in_a_storm();
    taken.says("U0ONCALL", Act::Acknowledge).unwrap();
    assert!(taken.takes_calls().is_empty());

    let mut closed = in_a_storm();
    closed.says("U0ONCALL", Act::Resolve { reason: None, anyway: true }).unwrap();
    assert!(closed.takes_calls().is_empty() && !closed.incident().is_live());
}

#[test]
fn what_still_fires_when_the_storm_is_over_is_called_about_on_its_own() {
    let night = in_a_storm();
    let events = leave_storm(night.incident(), night.now);
    assert!(events.contains(&Event::LeftStorm));
    assert!(events.iter().any(|event| matches!(event, Event::RungBegan { .. })));
    assert!(leave_storm(Night::with_an_alert().incident(), night.now).is_empty());
}

#[test]
fn an_incident_that_opens_again_respects_the_brake() {
    let mut night = Night::with_an_alert();
    night.takes_calls();
    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(6 * MINUTE);
    night.storms = true;
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(night.incident().quiet && night.incident().is_live());
    assert!(night.takes_calls().is_empty());

    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(6 * MINUTE);
    night.storms = false;
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(!night.incident().quiet);
    assert_eq!(night.takes_calls(), [L1]);
}

#[test]
fn one_that_was_taken_up_while_it_cleared_within_the_storm_calls_and_is_diagnosed_when_it_fires_again() {
    let mut night = in_a_storm();
    night.alert("frontend-1", AlertStatus::Resolved);
    night.says("U0ONCALL", Act::Note { text: "is this ours?".to_owned() }).unwrap();
    assert!(night.takes_calls().is_empty(), "nobody is called while it clears");
    night.passes(MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    assert_eq!(night.takes_calls(), [L1]);
    assert!(night.waiting.iter().any(|effect| matches!(effect.work, Work::Triage { run: RunNumber(1) })));
    night.passes(15 * MINUTE);
    assert_eq!(night.takes_calls(), [LevelNumber(2)], "and its windows run");
}

/// As a journal of the version before has it, which gave no ladder to what left a storm while it cleared.
#[test]
fn one_that_an_older_version_left_open_without_a_ladder_calls_when_its_alert_is_repeated() {
    let mut night = Night::with_an_alert();
    night.takes_calls();
    night.incident.as_mut().unwrap().ladder = Ladder::Still;
    night.alert("frontend-1", AlertStatus::Firing);
    assert_eq!(night.takes_calls(), [L1]);
    assert_eq!(night.alert("frontend-1", AlertStatus::Firing), Seen::Nothing, "once");
}

#[test]
fn what_was_found_while_it_cleared_calls_beside_the_ladder_that_begins_when_it_fires_again() {
    let mut night = in_a_storm();
    night.alert("frontend-1", AlertStatus::Resolved);
    night.says("U0ONCALL", Act::Triage).unwrap();
    let found = Verdict { call_at_once: Some(CallAtOnce::L3), ..verdict(Scenario::Network, Vec::new(), night.now) };
    night.outcome(&Outcome::TriageFinished { run: RunNumber(1), verdict: Box::new(found), evidence: None });
    night.passes(MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    assert_eq!(night.takes_calls(), [L1, LevelNumber(3)]);
    assert!(
        !night.waiting.iter().any(|effect| matches!(effect.work, Work::Triage { run: RunNumber(2) })),
        "it was looked at"
    );
}

#[test]
fn an_incident_that_fires_and_joins_one_that_cleared_within_the_storm_calls_there() {
    let mut clears = in_a_storm();
    clears.alert("frontend-1", AlertStatus::Resolved);
    let mut joins = Night::quiet();
    joins.sees(&AlertSighting { target: None, ..Night::sighting("group-1", AlertStatus::Firing) });
    joins.incident.as_mut().unwrap().id = IncidentId::new(2);
    let actor = joins.actor("U0ONCALL");
    let act = Act::SetTarget { target: target() };
    let command = Command { incident: IncidentId::new(2), actor, key: "k".to_owned(), act };
    let joining = join(joins.incident(), clears.incident(), &command, clears.now, &clears.policy).unwrap();
    clears.record(&joining.taken_in);
    assert!(shown(&clears));
    assert!(clears.waiting.iter().any(|effect| matches!(effect.work, Work::Triage { run: RunNumber(1) })));
    clears.passes(15 * MINUTE);
    assert_eq!(clears.takes_calls(), [L1], "whoever said so has it, and then did nothing");
}

#[test]
fn a_page_that_was_taken_late_rings_for_nobody_any_more_once_somebody_has_all_of_the_storm() {
    let mut night = in_a_storm();
    let page = Some((PagerName("duty".to_owned()), "page-1".to_owned()));
    night.outcome(&Outcome::PagerCalled { level: L1, page, lacks: Lacks::default() });
    let Share::Taken(events) = share(night.incident(), &night.actor("U0ONCALL"), night.now, &night.policy) else {
        panic!("it is free")
    };
    night.record(&events);
    let ended = night.takes_pager_work();
    assert!(matches!(ended.as_slice(), [Work::EndPage { key, .. }] if key == "page-1"), "{ended:?}");
}

fn context(night: &Night) -> Sighted<'_> {
    Sighted { now: night.now, policy: &night.policy, fresh: IncidentId::new(7), quiet: false, group: None }
}

fn standing(night: &Night, count: u32) -> Incident {
    let quiet = QuietOnes { count, newest: Some(night.now) };
    let Seen::Open(events) = storm(None, "prod", quiet, &StormLook::default(), &context(night)) else {
        panic!("a storm opens")
    };
    let mut incident = begin(&events[0], night.now).unwrap();
    for event in &events[1..] {
        apply(&mut incident, event, night.now);
    }
    incident
}

#[test]
fn a_storm_ends_by_itself_when_no_quiet_incident_is_left_and_never_goes_stale() {
    let night = Night::quiet();
    let mut incident = standing(&night, 40);
    let none = QuietOnes { count: 0, newest: None };
    let Seen::Change(events) = storm(Some(&incident), "prod", none, &StormLook::default(), &context(&night)) else {
        panic!("it clears")
    };
    for event in &events {
        apply(&mut incident, event, night.now);
    }
    let Life::Clearing { until } = incident.life else { panic!("{:?}", incident.life) };
    let hold = Outcome::Elapsed { timer: Timer::HoldEnds { until }, last_seen: night.now };
    assert!(settle(&incident, &hold, until, &night.policy).iter().any(|event| matches!(event, Event::Closed { .. })));
    let again = QuietOnes { count: 41, newest: Some(night.now) };
    let Seen::Change(events) = storm(Some(&incident), "prod", again, &StormLook::default(), &context(&night)) else {
        panic!("it goes on")
    };
    assert!(events.contains(&Event::ClearingEnded));

    let stale = Outcome::Elapsed { timer: Timer::StaleCheck, last_seen: three_in_the_morning() };
    let much_later = night.now + 24 * 60 * MINUTE;
    assert!(settle(&standing(&night, 40), &stale, much_later, &night.policy).is_empty());
}

#[test]
fn a_storm_that_a_person_closed_does_not_come_back_for_the_same_incidents() {
    let night = Night::quiet();
    let mut incident = standing(&night, 40);
    let by = super::rehearsal::person("U0ONCALL");
    apply(&mut incident, &Event::Closed { reason: crate::incident::CloseReason::Person(by.into()) }, night.now);
    let same = QuietOnes { count: 40, newest: Some(night.now - MINUTE) };
    assert_eq!(
        storm(Some(&incident), "prod", same, &StormLook::default(), &context(&night)),
        Seen::Nothing,
        "as after a restart"
    );
    let newer = QuietOnes { count: 41, newest: Some(night.now + MINUTE) };
    assert!(matches!(storm(Some(&incident), "prod", newer, &StormLook::default(), &context(&night)), Seen::Change(_)));
}

fn in_storm(number: u32, service: &str, namespace: &str) -> Incident {
    let mut night = Night::quiet();
    night.storms = true;
    let target = TargetRef::parse(namespace.parse().unwrap(), service).unwrap();
    let alert = AlertSighting { target: Some(target), ..Night::sighting("frontend-1", AlertStatus::Firing) };
    night.sees(&alert);
    Incident { id: IncidentId::new(number), ..night.incident().clone() }
}

fn services(look: &StormLook) -> Vec<String> {
    look.services.iter().map(ToString::to_string).collect()
}

#[test]
fn a_storm_names_services_of_every_namespace_and_counts_what_it_does_not_name() {
    let mut all: Vec<Incident> = (0..20).map(|n| in_storm(n, &format!("svc-{n:02}"), "web")).collect();
    all.push(in_storm(20, "cart", "shop"));
    all.push(in_storm(21, "cart", "shop"));
    all.push(Incident { target: None, ..in_storm(22, "x", "web") });
    all.push(Incident { foreign_to: Some("blue".to_owned()), ..in_storm(23, "y", "web") });
    let look = held_back(&all);
    assert_eq!(services(&look)[..3], ["shop svc/cart", "web svc/svc-00", "web svc/svc-01"]);
    assert_eq!((look.services.len(), look.more, look.looked_at().len()), (8, 13, 5));
    assert_eq!((look.without_target, look.of_other_clusters), (1, 1));
}

/// What a storm of `count` incidents comes to, given what is known of its services.
fn grows(night: &Night, incident: &mut Incident, count: u32, held: &StormLook) -> Vec<Event> {
    let quiet = QuietOnes { count, newest: Some(night.now) };
    let Seen::Change(events) = storm(Some(incident), "prod", quiet, held, &context(night)) else { return Vec::new() };
    for event in &events {
        apply(incident, event, night.now);
    }
    events
}

fn begins_a_look(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::TriageStarted { .. }))
}

#[test]
fn a_storm_is_diagnosed_when_it_opens_and_again_when_it_has_grown_and_not_for_ever() {
    let mut night = Night::quiet();
    let held = held_back(&[in_storm(1, "cart", "shop")]);
    let quiet = QuietOnes { count: 12, newest: Some(night.now) };
    let Seen::Open(events) = storm(None, "prod", quiet, &held, &context(&night)) else { panic!("a storm opens") };
    assert!(begins_a_look(&events), "{events:?}");
    let mut incident = begin(&events[0], night.now).unwrap();
    for event in &events[1..] {
        apply(&mut incident, event, night.now);
    }
    assert!(!begins_a_look(&grows(&night, &mut incident, 40, &held)), "not while it is looked at");
    let (mut looks, mut count) = (1, 40);
    for _ in 0..20 {
        let done = Outcome::Surveyed {
            run: incident.last_run().unwrap(),
            survey: Box::new(survey(&night, None)),
            evidence: None,
        };
        for event in settle(&incident, &done, night.now, &night.policy) {
            apply(&mut incident, &event, night.now);
        }
        assert!(!begins_a_look(&grows(&night, &mut incident, count * 2, &held)), "not twice within a minute");
        night.now += 2 * MINUTE;
        count *= 2;
        looks += usize::from(begins_a_look(&grows(&night, &mut incident, count, &held)));
        assert!(!begins_a_look(&grows(&night, &mut incident, count + 1, &held)), "one more is no growth");
    }
    assert_eq!(looks, 5);
}

#[test]
fn what_a_look_at_the_storm_came_to_is_posted() {
    let night = Night::quiet();
    let mut incident = standing(&night, 12);
    grows(&night, &mut incident, 13, &held_back(&[in_storm(1, "cart", "shop")]));
    let to = night.policy.channels[0].clone();
    let post = Work::Post { to, notice: Notice::Verdict { run: RunNumber(1) } };
    assert!(!still_wanted(&incident, &post, night.now), "nothing was found yet");
    let done = Outcome::Surveyed { run: RunNumber(1), survey: Box::new(survey(&night, None)), evidence: None };
    for event in settle(&incident, &done, night.now, &night.policy) {
        apply(&mut incident, &event, night.now);
    }
    assert!(still_wanted(&incident, &post, night.now));
}

#[test]
fn a_storm_that_opens_again_quotes_nothing_of_the_storm_before() {
    let mut night = Night::quiet();
    let held = held_back(&[in_storm(1, "cart", "shop")]);
    let mut incident = standing(&night, 12);
    grows(&night, &mut incident, 13, &held);
    let done = Outcome::Surveyed { run: RunNumber(1), survey: Box::new(survey(&night, None)), evidence: None };
    for event in settle(&incident, &done, night.now, &night.policy) {
        apply(&mut incident, &event, night.now);
    }
    assert!(matches!(Cause::of(&incident), Cause::Surveyed(_)));
    apply(&mut incident, &Event::Closed { reason: crate::incident::CloseReason::AlertsResolved }, night.now);
    night.now += MINUTE;
    grows(&night, &mut incident, 12, &held);
    assert!(incident.is_live());
    assert_eq!((Cause::of(&incident), incident.survey.as_ref()), (Cause::Running, None));
}

#[test]
fn what_a_look_found_while_the_storm_cleared_calls_when_it_rages_again() {
    let night = Night::quiet();
    let held = held_back(&[in_storm(1, "cart", "shop")]);
    let mut incident = standing(&night, 12);
    grows(&night, &mut incident, 13, &held);
    grows(&night, &mut incident, 0, &held);
    let done =
        Outcome::Surveyed { run: RunNumber(1), survey: Box::new(survey(&night, Some(CallAtOnce::L2))), evidence: None };
    for event in settle(&incident, &done, night.now, &night.policy) {
        apply(&mut incident, &event, night.now);
    }
    let events = grows(&night, &mut incident, 13, &held);
    assert!(
        events.iter().any(|event| matches!(event, Event::CalledBeside { level: LevelNumber(2), .. })),
        "{events:?}"
    );
}

#[test]
fn a_storm_whose_services_nobody_names_is_looked_at_once_one_is_known() {
    let mut night = Night::quiet();
    let mut incident = standing(&night, 12);
    assert_eq!(incident.triage, Triage::NotRun);
    night.now += MINUTE;
    let held = held_back(&[in_storm(1, "cart", "shop")]);
    assert!(begins_a_look(&grows(&night, &mut incident, 13, &held)));
}

fn survey(night: &Night, call_at_once: Option<CallAtOnce>) -> Survey {
    let found = Verdict { call_at_once, ..verdict(Scenario::SpireServer, Vec::new(), night.now) };
    Survey::of(&[found], Vec::new(), night.now)
}

#[test]
fn a_storm_that_spires_server_explains_calls_the_security_team_at_once() {
    let night = Night::quiet();
    let held = held_back(&[in_storm(1, "cart", "shop")]);
    let mut incident = standing(&night, 12);
    grows(&night, &mut incident, 13, &held);
    let done =
        Outcome::Surveyed { run: RunNumber(1), survey: Box::new(survey(&night, Some(CallAtOnce::L2))), evidence: None };
    let events = settle(&incident, &done, night.now, &night.policy);
    assert!(matches!(&events[0], Event::Surveyed { run: RunNumber(1), .. }));
    let called = events.iter().any(|event| matches!(event, Event::CalledBeside { level: LevelNumber(2), .. }));
    assert!(called, "{events:?}");
    let late = Outcome::Surveyed { run: RunNumber(0), survey: Box::new(survey(&night, None)), evidence: None };
    assert!(settle(&incident, &late, night.now, &night.policy).is_empty(), "a run that is no longer the newest");
}

#[test]
fn what_stands_for_many_is_diagnosed_on_command_and_has_no_service_and_no_fix_of_its_own() {
    let mut night = Night::quiet();
    let mut incident = standing(&night, 12);
    incident.id = IncidentId::new(1);
    night.incident = Some(incident.clone());
    let refused = |act| match night_says(&night, act) {
        Err(refusal) => refusal.to_string(),
        Ok(()) => panic!("it was done"),
    };
    let many = "INC-1 stands for many incidents and has no service of its own: name one of them, as `/mtls incidents` lists them";
    assert_eq!(refused(Act::SetTarget { target: target() }), many);
    assert_eq!(refused(Act::ProposeFix { fix: FixName::RestartPod }), many);
    assert_eq!(refused(Act::Triage), many);
    let look = StormLook { looks: 5, count: 12, ..held_back(&[in_storm(1, "cart", "shop")]) };
    apply(&mut incident, &Event::StormSeen { look }, night.now);
    night.incident = Some(incident);
    assert!(night_says(&night, Act::Triage).is_ok(), "also after the bot has looked as often as it does by itself");
}

fn night_says(night: &Night, act: Act) -> Result<(), Refusal> {
    let command = Command { incident: IncidentId::new(1), actor: night.actor("U0SEC"), key: "k".to_owned(), act };
    decide(night.incident(), &command, night.now, &night.policy).map(drop)
}

#[test]
fn one_that_had_been_diagnosed_before_is_diagnosed_afresh_when_it_leaves_the_storm() {
    let mut night = Night::with_a_verdict();
    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(6 * MINUTE);
    night.storms = true;
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(night.incident().quiet);
    let events = leave_storm(night.incident(), night.now);
    assert!(events.contains(&Event::TriageStarted { run: RunNumber(2), by: None }), "{events:?}");
}

#[test]
fn whoever_takes_all_has_what_is_held_back_as_well_without_a_card_for_each() {
    let mut night = in_a_storm();
    let actor = night.actor("U0ONCALL");
    let Share::Taken(events) = share(night.incident(), &actor, night.now, &night.policy) else { panic!("it is free") };
    night.record(&events);
    assert!(night.incident().quiet && !shown(&night), "no card is drawn");
    assert_eq!(share(night.incident(), &actor, night.now, &night.policy), Share::Theirs);
    let other = night.actor("U0SEC");
    assert_eq!(share(night.incident(), &other, night.now, &night.policy), Share::Somebodys);
    // It leaves the storm: it is shown and diagnosed, and nobody is called, since somebody has it.
    let events = leave_storm(night.incident(), night.now);
    night.record(&events);
    assert!(shown(&night));
    assert!(night.waiting.iter().any(|effect| matches!(effect.work, Work::Triage { .. })));
    assert!(night.takes_calls().is_empty());
}

#[test]
fn one_that_was_taken_within_the_storm_and_then_left_alone_calls_when_the_storm_is_over() {
    let mut night = in_a_storm();
    let actor = night.actor("U0ONCALL");
    let Share::Taken(events) = share(night.incident(), &actor, night.now, &night.policy) else { panic!("it is free") };
    night.record(&events);
    night.passes(16 * MINUTE);
    assert!(night.takes_calls().is_empty(), "within the storm nobody is called about it");
    let breached = night.events.iter().filter(|event| matches!(event, Event::WindowBreached { .. }));
    assert_eq!(breached.count(), 0, "and no window of it runs that anybody could miss");
    let events = leave_storm(night.incident(), night.now);
    night.record(&events);
    assert_eq!(night.takes_calls(), [L1]);
}

#[test]
fn one_that_was_taken_within_the_storm_keeps_what_is_left_of_its_window_after_it() {
    let mut night = in_a_storm();
    let actor = night.actor("U0ONCALL");
    let Share::Taken(events) = share(night.incident(), &actor, night.now, &night.policy) else { panic!("it is free") };
    night.record(&events);
    night.passes(6 * MINUTE);
    let events = leave_storm(night.incident(), night.now);
    night.record(&events);
    night.passes(8 * MINUTE);
    assert!(night.takes_calls().is_empty());
    night.passes(MINUTE);
    assert_eq!(night.takes_calls(), [L1], "15 min after it was taken");
}

/// As a journal of the version before has it, in which that window ran unheard.
#[test]
fn a_window_that_an_older_version_began_within_the_storm_calls_nobody_there() {
    let mut night = in_a_storm();
    let by = super::rehearsal::person("U0ONCALL");
    let rung = Rung::Acknowledged { level: L1, until: night.now + 15 * MINUTE };
    apply(night.incident.as_mut().unwrap(), &Event::Acknowledged { by, rung }, night.now);
    night.now += 15 * MINUTE;
    let elapsed = Outcome::Elapsed { timer: Timer::RungEnds { rung }, last_seen: night.now };
    assert!(night.outcome(&elapsed).is_empty());
}

#[test]
fn only_who_may_acknowledge_one_may_take_all_and_the_answer_counts() {
    let night = in_a_storm();
    let refused = may_take_all(&night.actor("U0NOBODY"), night.now).unwrap_err();
    assert_eq!(refused, Refusal::NotAllowed(crate::people::Role::Commander));
    may_take_all(&night.actor("U0ONCALL"), night.now).unwrap();
    let mut taken = Taken::default();
    assert_eq!(taken.answer().text, "There was nothing to take.");
    let loud = Night::with_an_alert();
    for _ in 0..10 {
        taken.count(loud.incident(), &Share::Taken(Vec::new()));
    }
    for _ in 0..54 {
        taken.count(night.incident(), &Share::Taken(Vec::new()));
    }
    for share in [Share::Theirs, Share::Somebodys, Share::Somebodys, Share::Ending, Share::OnlyTells] {
        taken.count(loud.incident(), &share);
    }
    insta::assert_snapshot!(taken.answer().text, @"You have 64 incidents more, 54 of them held back in a storm. Nobody else is called about those that are shown; without a sign of work on one (a command, a fix, a note) for a whole window, its level is called again. One that is held back is shown when it still fires after the storm; it is yours then, and its level is called if it was left alone for a whole window. 1 yours already. 2 somebody else's, who keeps it. 1 resolved, and closing by itself. 1 about a rule that sees nothing, for which nobody is called.");
}
