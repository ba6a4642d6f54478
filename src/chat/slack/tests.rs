//! What Slack is sent: as people see it, and with everything that outsiders may put into it.

use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::Value;

use super::{
    Asked,
    block_kit::{self, Message},
};
use crate::{
    chat::{
        card::{Card, tests as night},
        posts,
    },
    escalation::LevelNumber,
    incident::{CallReason, Incident, Notice, RunNumber},
    legible::hostile,
    mesh::ControllerRef,
    people::{Mention, Platform},
    remediation::{Operation, Proof},
};

/// The message as a reader sees it: texts and buttons, one a line.
fn seen(message: &Message) -> String {
    let mut lines = vec![format!("text: {}", message.text.lines().next().unwrap_or_default())];
    for block in &message.blocks {
        let kind = block["type"].as_str().unwrap();
        match kind {
            "actions" => {
                let labels =
                    block["elements"].as_array().unwrap().iter().map(|one| one["text"]["text"].as_str().unwrap());
                lines.push(format!("[{}]", labels.collect::<Vec<_>>().join("] [")));
            }
            "context" => lines.push(format!("~ {}", block["elements"][0]["text"].as_str().unwrap())),
            _ => lines.push(format!("{kind}: {}", block["text"]["text"].as_str().unwrap())),
        }
    }
    lines.join("\n")
}

fn drawn(incident: &Incident) -> Message {
    block_kit::card(&Card::of(incident), "mtls/INC-7/card")
}

#[test]
fn the_card_of_a_night_as_it_goes_on() {
    insta::assert_snapshot!("card_opened", seen(&drawn(&night::opened())));
    insta::assert_snapshot!("card_asking", seen(&drawn(&night::asking())));
    insta::assert_snapshot!("card_after_an_unproven_fix", seen(&drawn(&night::after(Proof::Unproven))));
}

#[test]
fn the_posts_that_call_and_ask() {
    let incident = night::opened();
    let call = posts::call(LevelNumber(1), &CallReason::Opened, &incident);
    insta::assert_snapshot!("call", seen(&block_kit::post(&call, &call.mentions, "call-1")));
    let asking = night::asking();
    let wanted = posts::notice(&Notice::ApprovalWanted { plan: night::plan().id() }, &asking);
    assert!(wanted.to_approvers);
    let approvers = [Mention::group(Platform::Slack, "S0APPROVERS")];
    insta::assert_snapshot!("approval_wanted", seen(&block_kit::post(&wanted, &approvers, "ask-1")));
    let verdict = posts::notice(&Notice::Verdict { run: RunNumber(1) }, &night::diagnosed());
    insta::assert_snapshot!("verdict", seen(&block_kit::post(&verdict, &[], "verdict-1")));
}

#[test]
fn the_whole_json_of_a_button_and_a_time() {
    let message = drawn(&night::asking());
    let actions = message.blocks.iter().find(|block| block["type"] == "actions").unwrap();
    insta::assert_snapshot!("approve_button", serde_json::to_string_pretty(&actions["elements"][0]).unwrap());
    assert!(
        message.blocks[2]["text"]["text"]
            .as_str()
            .unwrap()
            .contains("<!date^1772335080^{date_short_pretty} {time}|2026-03-01 03:18:00 UTC>")
    );
}

#[test]
fn nothing_from_outside_can_mention_people_or_make_a_link() {
    let hostile =
        "<!here> <@U0BOSS> <https://evil.example|click> @channel `code` *bold* & \u{202e}rev\u{200f}er\u{61c}sed";
    let mut incident = night::diagnosed();
    incident.alert = hostile.to_owned();
    incident.alerts.values_mut().for_each(|alert| alert.sighting.summary = Some(hostile.to_owned()));
    incident.verdict.as_mut().unwrap().reasons = vec![hostile.into()];
    let message = drawn(&incident);
    let all = serde_json::to_string(&message.blocks).unwrap() + &message.text;
    for forbidden in ["<!here", "<@U0BOSS", "<https://evil", "\u{202e}", "\u{200f}", "\u{61c}"] {
        let in_markup: Vec<&Value> = message.blocks.iter().filter(|block| block["text"]["type"] == "mrkdwn").collect();
        let markup = serde_json::to_string(&in_markup).unwrap() + &message.text;
        assert!(!markup.contains(forbidden), "{forbidden} in {all}");
    }
}

#[test]
fn a_text_over_every_limit_is_cut_with_a_mark_and_becomes_a_file() {
    let mut incident = night::diagnosed();
    let verdict = incident.verdict.as_mut().unwrap();
    verdict.checks = (0..200).map(|_| verdict.checks[0].clone()).collect();
    verdict.reasons = vec!["x".repeat(10_000).into()];
    let post = posts::notice(&Notice::Verdict { run: RunNumber(1) }, &incident);
    let message = block_kit::post(&post, &[], "verdict-1");
    assert!(message.cuts >= 2);
    assert!(seen(&message).contains("… [cut]"));
    assert!(seen(&message).contains("The whole text is in the file below"));
    let file = message.file.unwrap();
    assert_eq!(file.text.matches("1.1-svid-dates").count(), 200);
}

fn assert_within_limits(message: &Message) -> Result<(), TestCaseError> {
    let units = |value: &Value| value.as_str().unwrap_or_default().encode_utf16().count();
    prop_assert!(message.blocks.len() <= 50);
    prop_assert!(message.text.encode_utf16().count() <= 4_000);
    let mut all = 0;
    for block in &message.blocks {
        prop_assert!(units(&block["block_id"]) <= 255);
        let most = if block["type"] == "header" { 150 } else { 3_000 };
        prop_assert!(units(&block["text"]["text"]) <= most);
        all += units(&block["text"]["text"]);
        if block["type"] == "header" || block["type"] == "section" {
            prop_assert!(units(&block["text"]["text"]) > 0);
        }
        let elements = block["elements"].as_array().cloned().unwrap_or_default();
        let most = if block["type"] == "actions" { 25 } else { 10 };
        prop_assert!(elements.len() <= most);
        for element in elements.iter().filter(|element| element["type"] == "button") {
            prop_assert!((1..=75).contains(&units(&element["text"]["text"])));
            prop_assert!(units(&element["value"]) <= 2_000);
            prop_assert!(units(&element["confirm"]["text"]["text"]) <= 300);
            prop_assert!(units(&element["confirm"]["title"]["text"]) <= 100);
        }
    }
    prop_assert!(all <= 8_500, "{all}");
    Ok(())
}

/// Every `<` that is left in the markup is one that we wrote.
fn assert_only_our_markup(message: &Message) -> Result<(), TestCaseError> {
    let ours = ["<!date^", "<@U0ONCALL>", "<@U0INFRA>", "<!subteam^S0ONCALL>"];
    for block in message.blocks.iter().filter(|block| block["text"]["type"] == "mrkdwn") {
        let text = block["text"]["text"].as_str().unwrap();
        for (at, _) in text.match_indices('<') {
            prop_assert!(ours.iter().any(|mark| text[at..].starts_with(mark)), "{text}");
        }
        prop_assert_eq!(text.matches('<').count(), text.matches('>').count(), "{}", text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_turns_hides_or_steers_in_card_post_file_and_whisper(text in hostile::text()) {
        let incident = night::saying(&text);
        let verdict = posts::notice(&Notice::Verdict { run: RunNumber(1) }, &incident);
        let call = posts::call(LevelNumber(1), &CallReason::Opened, &incident);
        let whisper = block_kit::answer(&[vec![crate::chat::card::text(text.clone()), crate::chat::card::code(text)]]);
        let posts = [&verdict, &call].map(|post| block_kit::post(post, &post.mentions, "key"));
        for message in [drawn(&incident), whisper].iter().chain(&posts) {
            let blocks = Value::from(message.blocks.clone());
            prop_assert!(hostile::is_legible(&message.text) && hostile::all_legible(&blocks), "{}", blocks);
        }
        prop_assert!(verdict.raw.is_some_and(|raw| hostile::is_legible(&raw.text)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn hostile_and_endless_texts_never_break_a_limit_or_the_markup(
        text in "([<>&!@|*`_\\n ]|[a-z]|\\PC){0,200}",
        times in 1usize..60,
        many in 0usize..40,
    ) {
        let long = text.repeat(times);
        let mut incident = night::asking();
        incident.alert.clone_from(&long);
        incident.alerts.values_mut().for_each(|alert| alert.sighting.summary = Some(long.clone()));
        let plan = incident.fix.as_mut().unwrap().plan.as_mut().unwrap();
        plan.warnings = vec![long.clone(); many];
        let Operation::EvictPod(eviction) = &mut plan.operations[0] else { panic!("it ends no pod") };
        eviction.because.clone_from(&long);
        eviction.controller = ControllerRef::new("ReplicaSet", long.as_str());
        let id = plan.id();
        let verdict = incident.verdict.as_mut().unwrap();
        verdict.reasons = vec![long.clone().into(); many];
        verdict.not_checked.iter_mut().for_each(|not| not.why.clone_from(&long));
        incident.policy.levels.iter_mut().for_each(|level| level.team.clone_from(&long));
        let until = night::at(15) + SignedDuration::from_secs(1);
        let notices = [
            Notice::ApprovalWanted { plan: id },
            Notice::Verdict { run: RunNumber(1) },
            Notice::Note { by: night::who("U0ONCALL"), text: long.clone() },
            Notice::CouldNot { what: long.clone(), reason: long.clone() },
            Notice::Reminder { level: Some(LevelNumber(1)), until },
        ];
        let posts = notices.iter().map(|notice| {
            let post = posts::notice(notice, &incident);
            block_kit::post(&post, &post.mentions, &long)
        });
        for message in std::iter::once(drawn(&incident)).chain(posts) {
            assert_within_limits(&message)?;
            assert_only_our_markup(&message)?;
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    let names = prop_oneof![
        Just("actions"),
        Just("value"),
        Just("user"),
        Just("team"),
        Just("id"),
        Just("channel"),
        Just("trigger_id"),
        Just("message"),
        Just("blocks"),
        Just("ts"),
        Just("text"),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(names.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_payload_breaks_the_border(mut payload in any_json(), form in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(fields) = payload.as_object_mut() {
            fields.insert("type".to_owned(), Value::from("block_actions"));
        }
        let _ = Asked::interaction(&payload);
        let _ = Asked::command(&payload);
        let _ = Asked::interaction_form(&form);
        prop_assert!(Asked::command_form(&form).is_err(), "random bytes name no team");
    }
}
