use jiff::SignedDuration;

use super::rehearsal::{MINUTE, Rehearsal};
use crate::incident::{
    Act, AlertEffect, AlertStatus, CloseReason, Event, IncidentStatus, Outcome, SightingContext, Timer, Work,
    end_cut_off,
};

#[test]
fn a_group_that_is_sent_again_by_a_second_alertmanager_changes_nothing() {
    let mut night = Rehearsal::with_an_alert();
    let version = night.incident().version;
    for _ in 0..200 {
        assert_eq!(night.alert("frontend-1", AlertStatus::Firing), AlertEffect::Nothing);
    }
    assert_eq!(night.incident().version, version);
}

#[test]
fn a_resolved_alert_that_nobody_saw_firing_opens_nothing() {
    let mut night = Rehearsal::quiet();
    assert_eq!(night.alert("frontend-1", AlertStatus::Resolved), AlertEffect::Nothing);
    assert!(night.incident.is_none());
}

#[test]
fn a_new_pod_joins_the_incident_that_is_open() {
    let mut night = Rehearsal::with_an_alert();
    assert!(matches!(night.alert("frontend-2", AlertStatus::Firing), AlertEffect::Change(_)));
    assert_eq!(night.incident().alerts.len(), 2);
}

#[test]
fn a_mixed_group_clears_only_when_its_last_alert_has_ended() {
    let mut night = Rehearsal::with_an_alert();
    night.alert("frontend-2", AlertStatus::Firing);
    night.alert("frontend-1", AlertStatus::Resolved);
    assert_eq!(night.incident().status, IncidentStatus::Open);
    night.alert("frontend-2", AlertStatus::Resolved);
    assert_eq!(night.incident().status, IncidentStatus::Clearing { until: night.now + 5 * MINUTE });
}

#[test]
fn it_closes_by_itself_after_the_hold_time_and_calls_nobody_meanwhile() {
    let mut night = Rehearsal::with_an_alert();
    night.takes_calls();
    night.passes(14 * MINUTE);
    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(5 * MINUTE);
    assert!(matches!(&night.incident().status, IncidentStatus::Closed { reason: CloseReason::AlertsResolved, .. }));
    night.passes(240 * MINUTE);
    assert!(night.takes_calls().is_empty());
}

#[test]
fn firing_again_while_clearing_restores_what_was_left_of_the_window() {
    let mut night = Rehearsal::with_an_alert();
    night.passes(10 * MINUTE);
    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(4 * MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    assert_eq!(night.incident().status, IncidentStatus::Open);
    assert_eq!(night.rung().until(), night.now + 5 * MINUTE, "five of fifteen minutes were left");
    // The hold that was running then ends without effect.
    night.passes(2 * MINUTE);
    assert_eq!(night.incident().status, IncidentStatus::Open);
}

#[test]
fn firing_within_the_flap_window_reopens_the_same_incident_and_later_opens_a_new_one() {
    let closed = || {
        let mut night = Rehearsal::with_an_alert();
        night.alert("frontend-1", AlertStatus::Resolved);
        night.passes(5 * MINUTE);
        night
    };
    let mut soon = closed();
    soon.passes(29 * MINUTE);
    assert!(matches!(soon.alert("frontend-1", AlertStatus::Firing), AlertEffect::Change(_)));
    assert!(soon.events.contains(&Event::Reopened));
    assert!(soon.incident().reopened_at.is_some());

    let mut late = closed();
    late.passes(31 * MINUTE);
    assert!(matches!(late.alert("frontend-1", AlertStatus::Firing), AlertEffect::Open(_)));
}

#[test]
fn what_a_person_closed_stays_closed_for_the_same_firing_and_opens_for_a_new_one() {
    let mut night = Rehearsal::with_an_alert();
    night.says("U0ONCALL", Act::Resolve { reason: None, anyway: true }).unwrap();
    assert_eq!(night.alert("frontend-1", AlertStatus::Firing), AlertEffect::Nothing, "the same firing, repeated");
    let mut again = Rehearsal::sighting("frontend-1", AlertStatus::Firing);
    again.starts_at = night.now + SignedDuration::from_secs(30);
    night.now += MINUTE;
    assert!(matches!(night.sees(&again), AlertEffect::Change(_)));
    assert!(night.incident().is_live());
}

fn begun(night: &Rehearsal, seconds: i64, status: AlertStatus) -> crate::incident::AlertSighting {
    let mut sighting = Rehearsal::sighting("frontend-1", status);
    sighting.starts_at = night.now + SignedDuration::from_secs(seconds);
    sighting
}

#[test]
fn a_late_resolved_notice_of_an_older_firing_ends_nothing() {
    let mut night = Rehearsal::with_an_alert();
    let (mut first, opened) = (Rehearsal::sighting("frontend-1", AlertStatus::Resolved), night.now);
    night.now += 10 * MINUTE;
    night.sees(&begun(&night, -60, AlertStatus::Firing));
    assert_eq!(
        night.sees(&first),
        AlertEffect::Nothing,
        "it does not say when it ended, and its firing was seen before"
    );
    first.ends_at = Some(opened + 5 * MINUTE);
    assert_eq!(night.sees(&first), AlertEffect::Nothing, "it ended before the firing that is known began");
    first.ends_at = Some(night.now);
    assert!(matches!(night.sees(&first), AlertEffect::Change(_)), "by its own word it ended after that");
}

/// Two replicas of Prometheus behind one Alertmanager see the alert begin seconds apart: the notice of its firing has the
/// start of the one that spoke first, and the notice of its end the earlier one.
#[test]
fn a_resolved_notice_with_an_earlier_start_ends_the_alert() {
    for (ends_after, told) in [(None, "without its end"), (Some(9 * MINUTE), "with its end")] {
        let mut night = Rehearsal::quiet();
        night.now += 10 * MINUTE;
        night.sees(&begun(&night, -30, AlertStatus::Firing));
        let mut resolved = begun(&night, -33, AlertStatus::Resolved);
        resolved.ends_at = ends_after.map(|after| night.now + after);
        night.now += 10 * MINUTE;
        assert!(matches!(night.sees(&resolved), AlertEffect::Change(_)), "{told}");
        assert!(matches!(night.incident().status, IncidentStatus::Clearing { .. }), "{told}");
    }
}

#[test]
fn the_other_replicas_start_of_one_firing_reopens_nothing_that_a_person_closed() {
    let mut night = Rehearsal::with_an_alert();
    night.passes(10 * MINUTE);
    night.says("U0ONCALL", Act::Resolve { reason: None, anyway: true }).unwrap();
    night.now += MINUTE;
    assert_eq!(night.sees(&begun(&night, -11 * 60 + 3, AlertStatus::Firing)), AlertEffect::Nothing);
    night.sees(&begun(&night, -11 * 60, AlertStatus::Resolved));
    night.now += MINUTE;
    assert!(
        matches!(night.sees(&begun(&night, -1, AlertStatus::Firing)), AlertEffect::Change(_)),
        "it ended and fires anew"
    );
}

/// A clock that is ahead, or the year 9999 in every notice.
#[test]
fn a_start_in_the_future_is_seen_now_and_hides_no_later_firing() {
    let far = "9999-01-01T00:00:00Z".parse().unwrap();
    let notice = |status| {
        let mut sighting = Rehearsal::sighting("frontend-1", status);
        sighting.starts_at = far;
        sighting
    };
    let mut night = Rehearsal::quiet();
    let opened = night.now;
    night.sees(&notice(AlertStatus::Firing));
    assert_eq!(night.incident().alerts.values().next().unwrap().sighting.starts_at, opened);
    night.now += MINUTE;
    assert_eq!(night.sees(&notice(AlertStatus::Firing)), AlertEffect::Nothing, "repeated, it is the same firing");
    night.says("U0ONCALL", Act::Resolve { reason: None, anyway: true }).unwrap();
    assert_eq!(night.sees(&notice(AlertStatus::Firing)), AlertEffect::Nothing, "and it does not reopen");
    night.now += MINUTE;
    night.sees(&notice(AlertStatus::Resolved));
    night.now += MINUTE;
    assert!(
        matches!(night.sees(&notice(AlertStatus::Firing)), AlertEffect::Change(_)),
        "it ended, so this is another firing"
    );

    night.says("U0ONCALL", Act::Resolve { reason: None, anyway: true }).unwrap();
    night.now += MINUTE;
    assert!(
        matches!(night.sees(&begun(&night, -1, AlertStatus::Firing)), AlertEffect::Change(_)),
        "the clock was set right"
    );
}

/// A clock that is ahead by an hour: the end of the firing is heard, and so is the next one.
#[test]
fn an_alert_of_a_sender_whose_clock_is_ahead_ends_and_fires_again_as_any_other() {
    let mut night = Rehearsal::quiet();
    night.sees(&begun(&night, 3_600, AlertStatus::Firing));
    night.now += 5 * MINUTE;
    night.sees(&begun(&night, 3_300, AlertStatus::Resolved));
    assert!(matches!(night.incident().status, IncidentStatus::Clearing { .. }));
    night.now += MINUTE;
    night.sees(&begun(&night, 3_600, AlertStatus::Firing));
    assert_eq!(night.incident().status, IncidentStatus::Open);
    night.now += MINUTE;
    night.sees(&begun(&night, 3_540, AlertStatus::Resolved));
    assert!(matches!(night.incident().status, IncidentStatus::Clearing { .. }));
}

#[test]
fn a_start_in_the_future_that_an_earlier_version_stored_hides_no_later_firing() {
    let mut night = Rehearsal::with_an_alert();
    let far = "9999-01-01T00:00:00Z".parse().unwrap();
    night.incident.as_mut().unwrap().alerts.values_mut().for_each(|alert| alert.sighting.starts_at = far);
    let mut resolved = Rehearsal::sighting("frontend-1", AlertStatus::Resolved);
    resolved.starts_at = far;
    night.sees(&resolved);
    night.says("U0ONCALL", Act::Resolve { reason: None, anyway: true }).unwrap();
    night.now += MINUTE;
    assert!(matches!(night.sees(&begun(&night, -1, AlertStatus::Firing)), AlertEffect::Change(_)));
}

#[test]
fn a_resolved_group_ends_also_the_alerts_that_were_cut_off_its_body() {
    let mut night = Rehearsal::with_an_alert();
    night.alert("frontend-2", AlertStatus::Firing);
    let policy = night.policy.clone();
    let context = SightingContext {
        now: night.now,
        policy: &policy,
        fresh: crate::incident::IncidentId::new(9),
        quiet: false,
        group: Some("group"),
    };
    let events = end_cut_off(night.incident(), &["frontend-1"], &context);
    assert!(matches!(events.as_slice(), [Event::AlertResolved { .. }]), "frontend-1 is listed and speaks for itself");
    let events = end_cut_off(night.incident(), &[], &context);
    assert!(matches!(events.last(), Some(Event::ClearingBegan { .. })));
}

#[test]
fn an_alert_that_is_no_longer_repeated_is_shown_as_stale_and_never_closes_by_itself() {
    let mut night = Rehearsal::with_an_alert();
    night.passes(9 * 60 * MINUTE);
    assert!(night.incident().stale_since.is_some());
    assert!(night.incident().is_live());
    night.alert("frontend-1", AlertStatus::Firing);
    assert!(night.incident().stale_since.is_none(), "a repeat makes it fresh again");
}

#[test]
fn a_repeat_after_it_went_stale_has_its_staleness_watched_again() {
    let mut night = Rehearsal::with_an_alert();
    night.passes(9 * 60 * MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    let watched = night.waiting.iter().any(|effect| matches!(&effect.work, Work::Timer { timer: Timer::StaleCheck }));
    assert!(watched);
    night.passes(9 * 60 * MINUTE);
    assert!(night.incident().stale_since.is_some(), "its source went silent a second time");
}

#[test]
fn a_look_that_falls_into_the_clearing_is_taken_again() {
    let mut night = Rehearsal::with_an_alert();
    night.passes(8 * 60 * MINUTE - MINUTE);
    night.alert("frontend-1", AlertStatus::Resolved);
    night.passes(2 * MINUTE);
    night.alert("frontend-1", AlertStatus::Firing);
    night.passes(9 * 60 * MINUTE);
    assert!(night.incident().stale_since.is_some());
}

#[test]
fn a_group_that_was_cut_ends_no_alert_of_another_group_of_the_same_incident() {
    let night = Rehearsal::with_an_alert();
    let policy = night.policy.clone();
    let fresh = crate::incident::IncidentId::new(9);
    let of = |group| SightingContext { now: night.now, policy: &policy, fresh, quiet: false, group: Some(group) };
    assert!(end_cut_off(night.incident(), &[], &of("another")).is_empty());
    assert!(!end_cut_off(night.incident(), &[], &of("group")).is_empty());
}

/// Complaint: alertmanager 891, alerts that were inhibited arrive as resolved.
#[test]
fn an_inhibited_alert_that_arrives_as_resolved_opens_nothing_and_ends_only_itself() {
    let mut night = Rehearsal::quiet();
    assert_eq!(night.alert("frontend-1", AlertStatus::Resolved), AlertEffect::Nothing);
    night.alert("frontend-1", AlertStatus::Firing);
    assert_eq!(night.alert("frontend-2", AlertStatus::Resolved), AlertEffect::Nothing);
    assert_eq!(night.incident().status, IncidentStatus::Open);
}

#[test]
fn an_incident_keeps_a_bounded_number_of_alerts_and_those_that_ended_make_room() {
    let mut night = Rehearsal::with_an_alert();
    for number in 0..crate::incident::ALERTS_MOST + 5 {
        night.alert(&format!("pod-{number}"), AlertStatus::Firing);
    }
    assert_eq!(night.incident().alerts.len(), crate::incident::ALERTS_MOST);
    let version = night.incident().version;
    assert_eq!(night.alert("one-more", AlertStatus::Firing), AlertEffect::Nothing);
    assert_eq!(night.incident().version, version);
    night.alert("pod-3", AlertStatus::Resolved);
    assert!(matches!(night.alert("one-more", AlertStatus::Firing), AlertEffect::Change(_)));
    assert_eq!(night.incident().alerts.len(), crate::incident::ALERTS_MOST);
}

#[test]
fn in_a_storm_an_incident_is_kept_but_neither_posted_nor_called_about() {
    let mut night = Rehearsal::quiet();
    let policy = night.policy.clone();
    let sighting = Rehearsal::sighting("frontend-1", AlertStatus::Firing);
    let context = SightingContext {
        now: night.now,
        policy: &policy,
        fresh: crate::incident::IncidentId::new(1),
        quiet: true,
        group: None,
    };
    let AlertEffect::Open(events) = crate::incident::sight(None, &sighting, &context) else { panic!("it opens") };
    let mut incident = crate::incident::begin(&events[0], night.now).unwrap();
    for event in &events[1..] {
        crate::incident::apply(&mut incident, event, night.now);
        let asked = crate::incident::effects(&incident, event, night.now, &policy);
        assert!(asked.iter().all(|effect| matches!(effect.work, Work::Timer { .. })), "{asked:?}");
    }
    night.now += MINUTE;
    let hold = Outcome::Elapsed { timer: Timer::StaleCheck, last_seen: night.now };
    assert!(crate::incident::settle(&incident, &hold, night.now, &policy).contains(&Event::StillRepeated));
}
