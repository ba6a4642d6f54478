//! What is offered while somebody fills in an option.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    chat::{
        Whose,
        card::tests as night,
        discord::{Typing, limits::CHOICES, suggestions::suggest},
        grammar::{Chosen, Parameter, Verb},
    },
    incident::{Incident, IncidentId, Keeper, OwnCluster},
};

fn typing(verb: Verb, given: &[(Parameter, &str)], parameter: Parameter, so_far: &str) -> Typing {
    let given: BTreeMap<_, _> = given.iter().map(|(parameter, value)| (*parameter, (*value).to_owned())).collect();
    Typing { chosen: Chosen { verb, given }, parameter, so_far: so_far.to_owned() }
}

fn shown(typing: &Typing, live: &[Incident], whose: &Whose) -> String {
    let live: Vec<Arc<Incident>> = live.iter().cloned().map(Arc::new).collect();
    let lines = suggest(typing, &live, whose).into_iter().map(|one| format!("{} → {}", one.name, one.value));
    lines.collect::<Vec<_>>().join("\n")
}

fn offered(typing: &Typing, live: &[Incident]) -> String {
    shown(typing, live, &Whose::default())
}

fn numbered(number: u32, incident: Incident) -> Incident {
    Incident { id: IncidentId::new(number), ..incident }
}

#[test]
fn open_incidents_are_offered_with_their_titles_newest_first() {
    let live = [numbered(7, night::diagnosed()), numbered(12, night::opened())];
    insta::assert_snapshot!(offered(&typing(Verb::Status, &[], Parameter::Incident, ""), &live), @r"
    INC-12 MTLSHandshakeFailureRateHigh: web svc/frontend (unanswered) → INC-12
    INC-7 MTLSHandshakeFailureRateHigh: web svc/frontend (unanswered) → INC-7
    ");
    insta::assert_snapshot!(offered(&typing(Verb::Ack, &[], Parameter::Incident, "ALL"), &live), @r"all that are open → all");
    insta::assert_snapshot!(offered(&typing(Verb::Status, &[], Parameter::Incident, "c-7"), &live), @r"INC-7 MTLSHandshakeFailureRateHigh: web svc/frontend (unanswered) → INC-7");
    assert_eq!(offered(&typing(Verb::Status, &[], Parameter::Incident, "nothing like it"), &live), "");
}

#[test]
fn where_other_bots_hear_it_too_the_cluster_stands_in_what_is_offered() {
    let own = OwnCluster::new("blue", std::iter::empty());
    let whose = Whose::new(own, Keeper::new("blue", true));
    let live = [numbered(7, night::opened()), numbered(8, night::opened())];
    insta::assert_snapshot!(shown(&typing(Verb::Ack, &[], Parameter::Incident, ""), &live, &whose), @r"
    all that are open → all/blue
    INC-8 MTLSHandshakeFailureRateHigh: web svc/frontend (unanswered) → INC-8/blue
    INC-7 MTLSHandshakeFailureRateHigh: web svc/frontend (unanswered) → INC-7/blue
    ");
}

#[test]
fn fixes_that_fit_and_plans_that_wait_are_offered_for_the_incident_that_was_named() {
    let live = [numbered(7, night::diagnosed()), numbered(12, night::asking())];
    insta::assert_snapshot!(offered(&typing(Verb::Fix, &[], Parameter::Fix, ""), &live), @r"restart-pod (fits INC-7) → restart-pod");
    let named = [(Parameter::Incident, "INC-12")];
    assert_eq!(offered(&typing(Verb::Fix, &named, Parameter::Fix, ""), &live), "", "one is under way there");
    insta::assert_snapshot!(offered(&typing(Verb::Approve, &named, Parameter::Plan, ""), &live), @r"1e972060: restart-pod of INC-12 → 1e972060");
    let other = [(Parameter::Incident, "INC-7")];
    assert_eq!(offered(&typing(Verb::Approve, &other, Parameter::Plan, ""), &live), "");
}

#[test]
fn levels_are_offered_for_a_handoff_and_nothing_for_free_text() {
    let live = [night::opened(), numbered(12, night::opened())];
    insta::assert_snapshot!(offered(&typing(Verb::Handoff, &[], Parameter::To, ""), &live), @r"
    L1 Platform On-Call → L1
    L2 Platform Security → L2
    L3 Infrastructure → L3
    ");
    assert_eq!(offered(&typing(Verb::Note, &[], Parameter::Text, ""), &live), "");
    assert_eq!(offered(&typing(Verb::Handoff, &[], Parameter::To, ""), &[]), "");
}

#[test]
fn of_a_storm_as_many_are_offered_as_discord_shows_and_hostile_names_stay_short_and_legible() {
    let hostile = |number| {
        let alert = format!("\u{202e}evil\u{200b}\n{}", "x".repeat(500));
        numbered(number, Incident { alert, ..night::opened() })
    };
    let live: Vec<Arc<Incident>> = (1..=60).map(hostile).map(Arc::new).collect();
    let all = suggest(&typing(Verb::Status, &[], Parameter::Incident, ""), &live, &Whose::default());
    assert_eq!(all.len(), CHOICES);
    assert_eq!(all[0].value, "INC-60");
    for one in all {
        assert!((1..=100).contains(&one.name.encode_utf16().count()) && (1..=100).contains(&one.value.chars().count()));
        assert!(!one.name.contains(['\u{202e}', '\u{200b}', '\n']), "{:?}", one.name);
    }
}
