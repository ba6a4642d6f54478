//! What a button carries comes back as it was.

use proptest::prelude::*;

use crate::{
    chat::{card::Press, discord::DiscordPress},
    escalation::LevelNumber,
    incident::{Act, HandOffTo, IncidentId},
    remediation::PlanId,
    triage::FixName,
};

fn acts() -> impl Strategy<Value = Act> {
    let plan = || proptest::option::of("[0-9a-f]{64}".prop_map(PlanId));
    prop_oneof![
        Just(Act::Acknowledge),
        Just(Act::AcknowledgeAll),
        Just(Act::Triage),
        Just(Act::Withdraw),
        Just(Act::Verify),
        any::<bool>().prop_map(|anyway| Act::Resolve { reason: None, anyway }),
        proptest::option::of(any::<u8>().prop_map(LevelNumber)).prop_map(|from| Act::Escalate { from }),
        plan().prop_map(|plan| Act::Approve { plan }),
        plan().prop_map(|plan| Act::Reject { plan }),
        proptest::sample::select(vec![
            FixName::RestartPod,
            FixName::RestartSpireAgent,
            FixName::SyncTrustBundle,
            FixName::RolloutRestart,
            FixName::EnforceStrictMtls,
            FixName::SetDestinationruleIstioMutual,
        ])
        .prop_map(|fix| Act::ProposeFix { fix }),
    ]
}

fn id(press: Press, confirmed: bool) -> Option<String> {
    DiscordPress { press, confirmed }.custom_id()
}

proptest! {
    #[test]
    fn every_press_of_a_button_comes_back_as_it_was(
        act in acts(),
        number in any::<u32>(),
        // As long as the configuration lets the names of bots be that share an app.
        cluster in proptest::option::of("[A-Za-z0-9._-]{1,40}"),
        confirmed in any::<bool>(),
    ) {
        let press = DiscordPress { press: Press { incident: IncidentId::new(number), cluster, act }, confirmed };
        let id = press.custom_id().unwrap();
        prop_assert!(id.encode_utf16().count() <= 100, "{}", id);
        prop_assert_eq!(DiscordPress::parse(&id), Some(press));
    }

    #[test]
    fn a_cluster_of_any_name_costs_no_button(act in acts(), cluster in "\\PC{0,200}") {
        let press = Press { incident: IncidentId::new(7), cluster: Some(cluster), act };
        let id = id(press.clone(), true).unwrap();
        prop_assert!(id.encode_utf16().count() <= 100, "{}", id);
        prop_assert!(DiscordPress::parse(&id).unwrap().press.is_same_as(&press));
    }

    #[test]
    fn what_this_bot_did_not_write_is_no_press(id in "\\PC{0,100}", near in "1[?!](ak|ap|rs|es|zz):[0-9+]{0,11}:[a-z:]{0,5}:[A-Za-z0-9=_-]{0,44}") {
        prop_assert_eq!(DiscordPress::parse(&id), None);
        if let Some(press) = DiscordPress::parse(&near) {
            prop_assert_eq!(press.custom_id(), Some(near));
        }
    }
}

#[test]
fn what_needs_words_of_a_person_is_on_no_button() {
    let of = |act| id(Press { incident: IncidentId::new(7), cluster: None, act }, true);
    assert_eq!(of(Act::Note { text: "x".to_owned() }), None);
    assert_eq!(of(Act::Resolve { reason: Some("x".to_owned()), anyway: true }), None);
    assert_eq!(of(Act::HandOff { to: HandOffTo::Level(LevelNumber(1)) }), None);
}

#[test]
fn the_buttons_of_today_are_read_by_the_bot_of_tomorrow() {
    let read = |id: &str| {
        DiscordPress::parse(id)
            .map(|press| (press.press.incident.to_string(), press.press.cluster, press.press.act, press.confirmed))
    };
    let approve = Act::Approve { plan: Some(PlanId("00".repeat(32))) };
    let zeros = "A".repeat(43);
    assert_eq!(
        read(&format!("1?ap:7:prod:{zeros}")),
        Some(("INC-7".to_owned(), Some("prod".to_owned()), approve, false))
    );
    assert_eq!(read("1!ak:12::"), Some(("INC-12".to_owned(), None, Act::Acknowledge, true)));
    assert_eq!(
        read("1?rs:12:prod:anyway"),
        Some(("INC-12".to_owned(), Some("prod".to_owned()), Act::Resolve { reason: None, anyway: true }, false))
    );
}
