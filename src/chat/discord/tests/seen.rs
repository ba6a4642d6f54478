//! What people read on Discord, as a night goes on.

use jiff::SignedDuration;

use super::drawn;
use crate::{
    chat::{
        card::{Card, Link, tests as night, utc},
        discord::{
            as_read::as_read,
            message::{self, Message},
        },
        wording,
    },
    escalation::{Ladder, LevelNumber},
    incident::{CallReason, CloseReason, Incident, Life, Notice, RunNumber},
    people::{Mention, Platform},
    remediation::Proof,
};

fn seen(message: &Message) -> String {
    as_read(message, utc).join("\n")
}

fn posted(notice: &Notice, incident: &Incident, mentions: &[Mention]) -> String {
    seen(&message::post(&wording::notice(notice, incident), mentions, "post"))
}

#[test]
fn the_card_when_it_opens() {
    let mut card = Card::of(&night::opened());
    card.links = [("Runbook", "https://wiki.example.org/mtls"), ("Graph", "http://grafana:3000/d/1")]
        .map(|(label, url)| Link { label: label.to_owned(), url: url.to_owned() })
        .to_vec();
    insta::assert_snapshot!(seen(&message::card(&card, "card")), @"");
}

#[test]
fn the_card_of_a_plan_that_waits_for_approval() {
    insta::assert_snapshot!(seen(&drawn(&night::asking())), @"");
}

#[test]
fn the_card_while_fixes_are_switched_off_and_posts_wait() {
    let card = Card::of(&night::diagnosed()).with_writes_off();
    insta::assert_snapshot!(seen(&message::card(&card, "card")), @"");
}

#[test]
fn the_card_after_an_unproven_fix() {
    insta::assert_snapshot!(seen(&drawn(&night::after(Proof::Unproven))), @"");
}

#[test]
fn the_card_while_it_clears_and_when_it_has_closed() {
    let clearing = Incident { life: Life::Clearing { until: night::at(20) }, ..night::diagnosed() };
    let message = drawn(&clearing);
    assert_eq!(message.embeds[0].color, Some(0x09_69_da), "blue");
    insta::assert_snapshot!(message.embeds[0].description.as_ref().unwrap(), @"");
    let life = Life::Closed { at: night::at(30), reason: CloseReason::AlertsResolved };
    let closed = drawn(&Incident { life, ladder: Ladder::Still, ..night::diagnosed() });
    assert_eq!((closed.embeds[0].color, closed.components.len()), (Some(0x1a_7f_37), 0));
    insta::assert_snapshot!(closed.embeds[0].description.as_ref().unwrap(), @"");
}

#[test]
fn a_call_says_in_its_text_who_is_called_and_why() {
    let call = wording::call(LevelNumber(1), &CallReason::Opened, &night::opened());
    let role = [Mention::group(Platform::Discord, "771122334455667788")];
    let message = message::post(&call, &role, "call");
    assert_eq!(message.allowed_mentions.roles, ["771122334455667788"]);
    insta::assert_snapshot!(seen(&message), @"");
}

#[test]
fn the_posts_that_ask_and_tell() {
    let approvers = [Mention::user(Platform::Discord, "42")];
    insta::assert_snapshot!(posted(&Notice::ApprovalWanted { plan: night::plan().id() }, &night::asking(), &approvers), @"");
    insta::assert_snapshot!(posted(&Notice::Verdict { run: RunNumber(1) }, &night::diagnosed(), &[]), @"");
    let until = night::at(15) + SignedDuration::from_secs(1);
    insta::assert_snapshot!(posted(&Notice::Reminder { level: Some(LevelNumber(1)), until }, &night::opened(), &approvers), @"");
}

#[test]
fn a_press_that_needs_a_second_word_is_asked_back() {
    let card = Card::of(&night::asking());
    let (confirm, press) =
        card.buttons.iter().find_map(|button| Some((button.confirm.clone()?, button.press.clone()))).unwrap();
    let back = message::ask_back(&confirm, &press);
    insta::assert_snapshot!(seen(&back), @"");
    assert_eq!(back.presses(), [press]);
    assert!(
        back.components[0].components[0].custom_id.as_deref().unwrap().starts_with("1!"),
        "the second press counts"
    );
}
