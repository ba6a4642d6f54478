use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::{
    mesh::{Namespace, ObjectName, PodRef, PodUid},
    remediation::{Counters, Proof, Sample, verify},
};

const WINDOW: i64 = 120;

fn sample(name: &str, second: i64, counters: Counters) -> Sample {
    let began: Timestamp = "2026-11-24T03:00:00Z".parse().unwrap();
    Sample {
        pod: PodRef { namespace: Namespace::parse("web").unwrap(), name: ObjectName::parse(name).unwrap() },
        uid: PodUid::parse(&format!("uid-{name}")).unwrap(),
        uptime_seconds: u64::try_from(1000 + second).ok(),
        at: began + SignedDuration::from_secs(second),
        counters,
        svid_not_after: Some(began + SignedDuration::from_hours(1)),
    }
}

/// Nothing but a log that was read and is clean.
fn quiet() -> Counters {
    Counters { new_log_errors: Some(0), ..Counters::default() }
}

fn server(handshakes: u64, failures: u64) -> Counters {
    Counters { server_handshakes: Some(handshakes), server_failures: Some(failures), ..quiet() }
}

fn client(handshakes: u64, failures: u64, answered: u64) -> Counters {
    Counters {
        client_handshakes: Some(handshakes),
        client_failures: Some(failures),
        requests_answered: Some(answered),
        ..quiet()
    }
}

fn hosts(answered: u64, failed: u64) -> Counters {
    Counters { requests_answered: Some(answered), requests_failed: Some(failed), ..quiet() }
}

/// The proof of one replacement whose counters went from `first` to `last`.
fn proof(first: Counters, last: Counters) -> Proof {
    verify(&[], &[sample("new", 0, first)], &[sample("new", WINDOW, last)]).proof
}

/// How many failed, of how many.
fn rate(first: Counters, last: Counters) -> Option<(u64, u64)> {
    let rate = verify(&[], &[sample("new", 0, first)], &[sample("new", WINDOW, last)]).rate?;
    assert_eq!(rate.until.duration_since(rate.from), SignedDuration::from_secs(WINDOW));
    Some((rate.failed, rate.of))
}

#[test]
fn how_much_fails_after_a_fix_is_what_its_proxies_counted_and_else_not_known() {
    assert_eq!(rate(server(3, 7), server(9, 9)), Some((2, 8)), "and not what was before");
    assert_eq!(rate(client(0, 0, 0), client(6, 6, 0)), Some((6, 6)), "TLS 1.3: the failed ones shook hands as well");
    assert_eq!(rate(client(0, 0, 0), client(6, 1, 90)), Some((1, 6)));
    assert_eq!(rate(hosts(10, 4), hosts(90, 24)), Some((20, 100)), "hidden ssl.* counters");
    assert_eq!(rate(server(0, 0), Counters { new_log_errors: Some(2), ..server(8, 0) }), Some((2, 10)));
    assert_eq!(rate(server(3, 7), server(3, 7)), None, "no traffic");
    assert_eq!(rate(client(0, 0, 0), client(6, 0, 0)), None, "handshakes without an answer prove nothing");
    assert_eq!(verify(&[], &[], &[]).rate, None);
}

#[test]
fn success_on_the_server_or_answers_behind_the_clients_tls_are_proof() {
    assert_eq!(proof(server(3, 7), server(9, 7)), Proof::Worked);
    assert_eq!(proof(client(3, 7, 10), client(5, 7, 90)), Proof::Worked);
    assert_eq!(proof(hosts(10, 4), hosts(90, 4)), Proof::Worked, "hidden ssl.* counters: the hosts' own have to do");
}

/// The signature of `client-cert-expired` in tests/data/envoy/tls13: the runbook's own check calls this a success.
#[test]
fn a_total_outage_under_tls_1_3_is_no_success_though_client_handshakes_grow() {
    assert_eq!(proof(client(0, 0, 0), client(6, 6, 0)), Proof::NoEffect);
    assert_eq!(proof(client(0, 0, 0), client(6, 0, 0)), Proof::Unproven, "handshakes without an answer");
}

/// kubernaut 722: success declared with no data at all.
#[test]
fn no_traffic_and_no_data_prove_nothing() {
    assert_eq!(verify(&[], &[], &[]).proof, Proof::Unproven);
    assert_eq!(proof(server(3, 7), server(3, 7)), Proof::Unproven, "no traffic");
    assert_eq!(proof(Counters::default(), Counters::default()), Proof::Unproven, "no counters");
    let answered = |figure| Counters { requests_answered: Some(figure), ..quiet() };
    assert_eq!(proof(answered(0), answered(50)), Proof::Unproven, "answers without any view of failures");
    let shaken = |figure| Counters { server_handshakes: Some(figure), ..quiet() };
    assert_eq!(proof(shaken(0), shaken(50)), Proof::Unproven, "handshakes without any view of failures");
}

/// Hosts that are spoken to in plain text answer too: where TLS counters are visible, they have to move.
#[test]
fn answers_that_no_handshake_carried_prove_nothing() {
    assert_eq!(proof(client(4, 0, 0), client(4, 0, 80)), Proof::Unproven);
}

#[test]
fn one_failure_beside_a_thousand_successes_is_not_worked() {
    assert_eq!(proof(server(0, 0), server(1000, 1)), Proof::NoEffect);
    assert_eq!(proof(hosts(0, 0), hosts(1000, 1)), Proof::NoEffect);
}

/// kubernaut 639: "anomaly persists" after a good fix, because totals were read.
#[test]
fn failures_from_before_the_window_do_not_count() {
    assert_eq!(proof(server(10, 5000), server(20, 5000)), Proof::Worked);
}

#[test]
fn new_tls_errors_in_the_log_veto() {
    let last = Counters { new_log_errors: Some(1), ..server(50, 0) };
    assert_eq!(proof(server(0, 0), last), Proof::NoEffect);
    let clean = Counters { new_log_errors: Some(0), ..server(50, 0) };
    assert_eq!(proof(server(0, 0), clean), Proof::Worked);
}

/// Istio's hosts count every 5xx, and those of plaintext clusters too.
#[test]
fn a_business_error_beside_good_handshakes_does_not_spoil_the_fix() {
    let with = |mut counters: Counters, failed| {
        counters.requests_failed = Some(failed);
        counters
    };
    assert_eq!(proof(with(server(3, 7), 1), with(server(9, 7), 2)), Proof::Worked);
    assert_eq!(proof(with(client(3, 0, 10), 1), with(client(9, 0, 90), 40)), Proof::Worked);
    let gone = proof(with(server(3, 7), 9), with(server(9, 7), 2));
    assert_eq!(gone, Proof::Worked, "a host that went away took its figures along: no proxy restarted");
}

/// Where the server's counters are shown and no client's are, the hosts are spoken to in plain text.
#[test]
fn answers_over_plaintext_beside_an_idle_server_prove_nothing() {
    let with = |answered| Counters { requests_answered: Some(answered), requests_failed: Some(0), ..server(3, 0) };
    assert_eq!(proof(with(0), with(50)), Proof::Unproven);
}

#[test]
fn a_log_that_was_not_read_is_not_a_clean_one() {
    let unread = Counters { new_log_errors: None, ..server(50, 0) };
    let verified = verify(&[], &[sample("new", 0, server(0, 0))], &[sample("new", WINDOW, unread)]);
    assert_eq!(verified.proof, Proof::Unproven);
    assert!(verified.reasons.iter().any(|reason| reason.contains("could not be read")), "{:?}", verified.reasons);
}

#[test]
fn a_proxy_without_an_access_log_is_said_to_have_none() {
    let silent = Counters { access_lines: Some(0), ..server(50, 0) };
    let verified = verify(&[], &[sample("new", 0, server(0, 0))], &[sample("new", WINDOW, silent)]);
    assert_eq!(verified.proof, Proof::Worked);
    assert!(verified.reasons.iter().any(|reason| reason.contains("no access log")), "{:?}", verified.reasons);
}

#[test]
fn a_certificate_that_is_over_or_unseen_is_never_worked_however_good_the_counters() {
    let start = [sample("new", 0, server(0, 0))];
    let mut end = [sample("new", WINDOW, server(90, 0))];
    end[0].svid_not_after = Some(end[0].at);
    let over = verify(&[], &start, &end);
    assert_eq!(over.proof, Proof::NoEffect);
    assert!(over.reasons.iter().any(|reason| reason.contains("its SVID ended at")), "{:?}", over.reasons);
    end[0].svid_not_after = None;
    assert_eq!(verify(&[], &start, &end).proof, Proof::Unproven);
}

#[test]
fn a_sibling_whose_certificate_is_over_is_not_the_fixs_matter_but_is_said() {
    let before = [sample("sibling", -60, server(0, 0))];
    let start = [sample("new", 0, server(0, 0)), sample("sibling", 0, server(4, 0))];
    let mut end = [sample("new", WINDOW, server(9, 0)), sample("sibling", WINDOW, server(4, 0))];
    end[1].svid_not_after = Some(start[0].at);
    let verified = verify(&before, &start, &end);
    assert_eq!(verified.proof, Proof::Worked);
    assert!(verified.reasons[0].contains("1 of 1 pods"), "over how many it speaks: {:?}", verified.reasons);
    assert!(verified.reasons.iter().any(|reason| reason.contains("its SVID ended at")), "{:?}", verified.reasons);
}

#[test]
fn two_lives_of_a_proxy_are_never_compared() {
    let (first, mut last) = (sample("new", 0, server(3, 0)), sample("new", WINDOW, server(90, 0)));
    last.uptime_seconds = Some(20);
    assert_eq!(verify(&[], std::slice::from_ref(&first), std::slice::from_ref(&last)).proof, Proof::Unproven);
    last.uptime_seconds = None;
    assert_eq!(verify(&[], std::slice::from_ref(&first), std::slice::from_ref(&last)).proof, Proof::Unproven);
    last.uptime_seconds = Some(5000);
    last.uid = PodUid::parse("uid-another").unwrap();
    assert_eq!(verify(&[], &[first], &[last]).proof, Proof::Unproven);
}

#[test]
fn a_counter_that_fell_says_that_the_proxy_began_again() {
    assert_eq!(proof(server(3, 10), server(90, 2)), Proof::Unproven);
    assert_eq!(proof(server(50, 0), server(20, 0)), Proof::Unproven);
}

#[test]
fn failures_that_are_visible_only_once_leave_it_open() {
    let hidden = Counters { server_failures: None, ..client(0, 0, 0) };
    let shown = Counters { server_failures: Some(4), ..client(9, 0, 40) };
    assert_eq!(proof(hidden.clone(), shown), Proof::Unproven);
    let none = Counters { server_failures: Some(0), ..client(9, 0, 40) };
    assert_eq!(proof(hidden, none), Proof::Worked, "a counter that stands at zero counted nothing in all its life");
}

#[test]
fn every_replacement_has_to_prove_itself() {
    let start = [sample("one", 0, server(0, 0)), sample("two", 0, server(0, 0))];
    let (one, two) = (sample("one", WINDOW, server(9, 0)), sample("two", WINDOW, server(9, 0)));
    let both = [one.clone(), two];
    assert_eq!(verify(&[], &start, &both).proof, Proof::Worked);
    let lost = verify(&[], &start, std::slice::from_ref(&one));
    assert_eq!(lost.proof, Proof::Unproven);
    assert!(lost.reasons.iter().any(|reason| reason.contains("web/two")), "{:?}", lost.reasons);
    assert_eq!(verify(&[], &start[..1], &both).proof, Proof::Unproven, "read only at the end");
    let unreadable = [one, sample("two", WINDOW, Counters::default())];
    assert_eq!(verify(&[], &start, &unreadable).proof, Proof::Unproven, "a sample without figures");
}

#[test]
fn a_pod_that_lived_through_the_fix_shows_whether_it_got_worse_and_proves_nothing() {
    let grew = |earlier: u64, later: u64| {
        let before = [sample("old", -60, server(0, 0)), sample("sibling", -60, server(0, 0))];
        let start = [sample("new", 0, server(0, 0)), sample("sibling", 0, server(50, earlier))];
        let end = [sample("new", WINDOW, server(90, 0)), sample("sibling", WINDOW, server(99, earlier + later))];
        verify(&before, &start, &end).proof
    };
    assert_eq!(grew(0, 0), Proof::Worked);
    assert_eq!(grew(60, 120), Proof::NoEffect, "one a second before and after");
    assert_eq!(grew(60, 600), Proof::Worse, "five a second instead of one");
    assert_eq!(grew(0, 1), Proof::NoEffect, "a single failure is no trend, and no success either");
    assert_eq!(grew(0, 5), Proof::Worse);
    let idle = [sample("new", 0, server(5, 0)), sample("sibling", 0, server(50, 0))];
    let end = [sample("new", WINDOW, server(5, 0)), sample("sibling", WINDOW, server(99, 0))];
    assert_eq!(verify(&[sample("sibling", -60, server(0, 0))], &idle, &end).proof, Proof::Unproven);
}

#[test]
fn a_sibling_that_went_away_or_is_idle_does_not_spoil_a_good_fix() {
    let before = [sample("sibling", -60, server(0, 0))];
    let start = [sample("new", 0, server(0, 0)), sample("sibling", 0, server(4, 0))];
    let end = [sample("new", WINDOW, server(9, 0))];
    assert_eq!(verify(&before, &start, &end).proof, Proof::Worked);
    let idle = [end[0].clone(), sample("sibling", WINDOW, server(4, 0))];
    assert_eq!(verify(&before, &start, &idle).proof, Proof::Worked);
}

fn figure() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![1 => Just(None), 4 => (0_u64..4).prop_map(Some)]
}

fn counters() -> impl Strategy<Value = Counters> {
    (figure(), figure(), figure(), figure(), figure(), figure(), figure()).prop_map(|figures| Counters {
        access_lines: None,
        server_handshakes: figures.0,
        server_failures: figures.1,
        client_handshakes: figures.2,
        client_failures: figures.3,
        requests_answered: figures.4,
        requests_failed: figures.5,
        new_log_errors: figures.6,
    })
}

fn samples(second: i64) -> impl Strategy<Value = Vec<Sample>> {
    let one = |name: &'static str| {
        proptest::option::weighted(
            0.8,
            (counters(), proptest::option::weighted(0.9, 0_u64..9), proptest::option::weighted(0.9, -9_i64..90))
                .prop_map(move |(counters, uptime, left)| {
                    let mut sample = Sample { uptime_seconds: uptime, ..sample(name, second, counters) };
                    sample.svid_not_after = left.map(|left| sample.at + SignedDuration::from_secs(left));
                    sample
                }),
        )
    };
    (one("new"), one("other"), one("sibling"))
        .prop_map(|(new, other, sibling)| [new, other, sibling].into_iter().flatten().collect())
}

fn find<'a>(samples: &'a [Sample], of: &Sample) -> Option<&'a Sample> {
    samples.iter().find(|sample| sample.uid == of.uid)
}

proptest! {
    /// Invariant 8, counted a second time and in another way.
    #[test]
    fn worked_is_never_said_over_a_failure_a_gap_or_silence(
        before in samples(-60), start in samples(0), end in samples(WINDOW),
    ) {
        let lived = |sample: &Sample| find(&before, sample).is_some();
        let replaced: Vec<&Sample> = start.iter().chain(&end).filter(|sample| !lived(sample)).collect();
        if verify(&before, &start, &end).proof == Proof::Worked {
            prop_assert!(!start.is_empty() && !end.is_empty());
            for last in &end {
                let Some(first) = find(&start, last) else { continue };
                if first.uptime_seconds.zip(last.uptime_seconds).is_some_and(|(first, last)| last < first) {
                    // Two lives: nothing is known of this sibling, and a replacement would have made it unproven.
                    prop_assert!(lived(last) && !replaced.is_empty());
                    continue;
                }
                let hidden = first.counters.hides_tls() && last.counters.hides_tls();
                let failures = |c: &Counters| [c.server_failures, c.client_failures, c.requests_failed.filter(|_| hidden)];
                for (first, last) in failures(&first.counters).into_iter().zip(failures(&last.counters)) {
                    if let (Some(first), Some(last)) = (first, last) {
                        prop_assert!(last <= first);
                    }
                }
                prop_assert_eq!(last.counters.new_log_errors.unwrap_or(0), 0);
            }
            let judged: Vec<&Sample> = if replaced.is_empty() { end.iter().collect() } else { replaced };
            for one in judged {
                let (first, last) = (find(&start, one), find(&end, one));
                prop_assert!(first.is_some() && last.is_some(), "{one:?} was not read twice");
                let last = last.unwrap();
                prop_assert_eq!(last.counters.new_log_errors, Some(0), "its log was not read");
                prop_assert!(last.svid_not_after.is_some_and(|ends| ends > last.at), "its SVID was not seen to be valid");
                let (first, last) = (&first.unwrap().counters, &last.counters);
                let rose = |first: Option<u64>, last: Option<u64>| first.zip(last).is_some_and(|(first, last)| last > first);
                prop_assert!(
                    rose(first.server_handshakes, last.server_handshakes)
                        || rose(first.requests_answered, last.requests_answered)
                );
            }
        }
    }
}
