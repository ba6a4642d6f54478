//! Bodies that come at once meet the brake one after the other.

use jiff::Timestamp;

use super::*;

fn three_in_the_morning() -> Timestamp {
    "2026-11-24T03:00:00Z".parse().unwrap()
}

#[test]
fn of_64_bodies_that_come_at_once_only_as_many_are_called_about_as_the_brake_lets_through() {
    let storm = Storm::default();
    let loud = std::thread::scope(|scope| {
        let bodies: Vec<_> = (0..64)
            .map(|_| {
                scope.spawn(|| {
                    let mut openings = storm.openings(three_in_the_morning());
                    let quiet = openings.add(10);
                    openings.keep();
                    quiet
                })
            })
            .collect();
        bodies.into_iter().map(|body| body.join().unwrap()).filter(|quiet| !quiet).count()
    });
    assert_eq!(loud, 10);
}

#[test]
fn a_body_that_was_not_stored_takes_no_place_before_the_brake() {
    let storm = Storm::default();
    for _ in 0..20 {
        let mut openings = storm.openings(three_in_the_morning());
        assert!(!openings.add(2));
        assert!(!openings.add(2));
    }
}

#[test]
fn an_event_storm_of_160_alerts_in_one_body_calls_about_ten_and_a_minute_later_about_the_next() {
    let storm = Storm::default();
    let mut body = storm.openings(three_in_the_morning());
    let loud = (0..160).filter(|_| !body.add(10)).count();
    assert_eq!(loud, 10);
    assert!(body.keep());
    let mut next = storm.openings(three_in_the_morning() + SignedDuration::from_secs(61));
    assert!(!next.add(10));
}
