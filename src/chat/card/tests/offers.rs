//! What the card offers is what somebody is allowed to do, and nothing else is.

use proptest::prelude::*;

use crate::{
    chat::card::Card,
    incident::{
        Act, Command, asking, decide,
        tests::random_nights::{Standing, random_nights},
    },
    remediation::is_outdated,
    triage::FixName,
};

/// Whether the card has a button for it.
fn offered(night: &Standing, act: &Act) -> bool {
    Card::of(&night.incident).buttons.iter().any(|button| button.press.act == *act)
}

/// Whether anybody may do it now.
fn allowed(night: &Standing, act: &Act) -> bool {
    let may = |actor: &crate::people::Actor| {
        let (actor, act) = (actor.clone(), act.clone());
        let command = Command { incident: night.incident.id, actor, key: "k".to_owned(), act };
        decide(&night.incident, &command, night.now, &night.policy).is_ok()
    };
    night.people.iter().any(may)
}

/// Asking for a fix, approving the plan that waits, looking again and taking back.
fn acts(night: &Standing) -> Vec<Act> {
    let waiting = asking(&night.incident).filter(|(_, question)| night.now < question.expires_at);
    let approve = waiting.map(|(fix, _)| Act::Approve { plan: fix.plan_id() });
    // A card that was drawn before the verdict was outdated shows the fix until the next change; it is refused all the same.
    let stands = night.incident.verdict.as_ref().is_none_or(|verdict| !is_outdated(verdict, night.now));
    let fixes = FixName::CARRIED_OUT.map(|fix| Act::ProposeFix { fix });
    fixes.into_iter().filter(move |_| stands).chain([Act::Verify, Act::Withdraw]).chain(approve).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn the_card_offers_what_somebody_may_do_and_only_that(night in random_nights()) {
        for act in acts(&night) {
            prop_assert_eq!(offered(&night, &act), allowed(&night, &act), "{:?} in {:#?}", act, night.incident);
        }
    }
}

/// The nights above must lead to each of these, or the property says nothing.
#[test]
fn the_random_nights_come_to_offer_each_of_these_acts() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let (mut runner, nights) = (TestRunner::deterministic(), random_nights());
    let mut seen = [false; 4];
    for _ in 0..600 {
        let night = nights.new_tree(&mut runner).unwrap().current();
        for act in acts(&night).iter().filter(|act| offered(&night, act)) {
            let place = match act {
                Act::ProposeFix { .. } => 0,
                Act::Approve { .. } => 1,
                Act::Verify => 2,
                _ => 3,
            };
            seen[place] = true;
        }
    }
    assert_eq!(seen, [true; 4], "fix, approve, verify, withdraw");
}
