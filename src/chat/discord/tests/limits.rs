//! The limits of Discord's reference, in a table of this test's own.

use std::{collections::BTreeMap, sync::Arc};

use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::Value;

use super::{drawn, hostile};
use crate::{
    chat::{
        Whose,
        card::{self, Button, Card, Link, tests as night},
        discord::{
            Typing, commands,
            message::{self, Message, key_mark},
            modal, suggestions,
        },
        grammar::{Chosen, Parameter, Verb},
        posts::{self, Raw},
    },
    escalation::LevelNumber,
    incident::{Act, CallReason, Incident, IncidentId, Notice, RunNumber},
    mesh::ControllerRef,
    people::{Mention, Platform},
    remediation::Operation,
};

/// (where, least, most): texts, in UTF-16 units.
const TEXTS: [(&str, usize, usize); 11] = [
    ("/content", 0, 2_000),
    ("/embeds/*/title", 1, 256),
    ("/embeds/*/description", 1, 4_096),
    ("/embeds/*/author/name", 1, 256),
    ("/embeds/*/footer/text", 1, 2_048),
    ("/embeds/*/fields/*/name", 1, 256),
    ("/embeds/*/fields/*/value", 1, 1_024),
    ("/components/*/components/*/label", 1, 80),
    ("/components/*/components/*/custom_id", 1, 100),
    ("/components/*/components/*/url", 1, 512),
    ("/nonce", 1, 25),
];
/// (where, least, most): lists.
const LISTS: [(&str, usize, usize); 6] = [
    ("/embeds", 1, 10),
    ("/embeds/*/fields", 1, 25),
    ("/components", 0, 5),
    ("/components/*/components", 1, 5),
    ("/allowed_mentions/users", 0, 100),
    ("/allowed_mentions/roles", 0, 100),
];
/// The texts of all embeds together.
const ALL_EMBEDS: usize = 6_000;

fn at<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![value];
    for step in path.split('/').skip(1) {
        found = found
            .into_iter()
            .flat_map(|value| match step {
                "*" => value.as_array().map(|all| all.iter().collect()).unwrap_or_default(),
                name => value.get(name).into_iter().collect::<Vec<_>>(),
            })
            .collect();
    }
    found
}

fn assert_taken_by_discord(body: &Value) -> Result<(), TestCaseError> {
    let units = |value: &Value| value.as_str().unwrap().encode_utf16().count();
    for (path, least, most) in TEXTS {
        for text in at(body, path) {
            prop_assert!((least..=most).contains(&units(text)), "{} has {} units: {}", path, units(text), text);
            // Discord trims a text before it looks whether it is empty.
            prop_assert!(least == 0 || !text.as_str().unwrap().trim().is_empty(), "{} is empty", path);
        }
    }
    for (path, least, most) in LISTS {
        for list in at(body, path) {
            let length = list.as_array().unwrap().len();
            prop_assert!((least..=most).contains(&length), "{} has {} entries", path, length);
        }
    }
    let of_embeds = TEXTS.iter().filter(|(path, ..)| path.starts_with("/embeds"));
    let all: usize = of_embeds.flat_map(|(path, ..)| at(body, path)).map(units).sum();
    prop_assert!(all <= ALL_EMBEDS, "the embeds have {} units", all);
    for embed in at(body, "/embeds/*") {
        let shown = ["title", "description", "fields"].iter().any(|part| embed.get(part).is_some());
        prop_assert!(shown, "an embed shows nothing: {}", embed);
    }
    let mut ids = at(body, "/components/*/components/*/custom_id");
    let count = ids.len();
    ids.sort_by_key(|id| id.as_str());
    ids.dedup();
    prop_assert_eq!(ids.len(), count, "two buttons carry the same");
    for button in at(body, "/components/*/components/*") {
        let link = button["style"] == 5;
        prop_assert_eq!((button.get("url").is_some(), button.get("custom_id").is_some()), (link, !link));
    }
    Ok(())
}

/// A message in every shape that it may be sent in.
fn shapes(message: &Message, long: &str) -> Vec<Value> {
    let why = vec![card::text(long)];
    let all = message.clone().signed(long).without_file().without_buttons(&why).without_buttons(&why);
    let kept = Message::kept(&message.body()).unwrap().without_buttons(&why);
    vec![message.body(), message.body_once(long), message.clone().signed(long).body(), all.body(), kept.body()]
}

/// What is offered while somebody types, of an incident that somebody from outside named.
fn suggestions_are_taken_by_discord(incident: &Incident, wrote: &str, long: &str) -> Result<(), TestCaseError> {
    for parameter in [Parameter::Incident, Parameter::Fix, Parameter::Plan, Parameter::To] {
        let chosen = Chosen { verb: Verb::Status, given: BTreeMap::new() };
        for so_far in ["", wrote, long] {
            let typing = Typing { chosen: chosen.clone(), parameter, so_far: so_far.to_owned() };
            let live = (1..40).map(|number| Incident { id: IncidentId::new(number), ..incident.clone() });
            let live: Vec<_> = live.map(Arc::new).collect();
            let body = suggestions::body(&suggestions::suggest(&typing, &live, &Whose::default()));
            let choices = body["choices"].as_array().unwrap();
            prop_assert!(choices.len() <= 25);
            for text in choices.iter().flat_map(|choice| [&choice["name"], &choice["value"]]) {
                let units = text.as_str().unwrap().encode_utf16().count();
                prop_assert!((1..=100).contains(&units) && !text.as_str().unwrap().trim().is_empty(), "{}", text);
            }
        }
    }
    Ok(())
}

/// The form that a command opens, which carries what somebody gave for its other options.
fn a_form_is_taken_by_discord(wrote: &str) -> Result<(), TestCaseError> {
    for verb in [Verb::Note, Verb::Resolve] {
        let chosen = Chosen { verb, given: [(Parameter::Incident, wrote.to_owned())].into() };
        let Some(form) = modal::wanted(&chosen) else { continue };
        for (path, most) in [("/title", 45), ("/custom_id", 100), ("/components/*/components/*/label", 45)] {
            for text in at(&form, path) {
                let units = text.as_str().unwrap().encode_utf16().count();
                prop_assert!((1..=most).contains(&units), "{}: {}", path, text);
            }
        }
        for most in at(&form, "/components/*/components/*/max_length") {
            prop_assert!((1..=4_000).contains(&most.as_u64().unwrap()));
        }
        let read = modal::read(form["custom_id"].as_str().unwrap().strip_prefix(modal::FORM).unwrap()).unwrap();
        prop_assert_eq!(read.given.get(&Parameter::Incident).map(String::as_str), Some(wrote));
    }
    Ok(())
}

#[test]
fn the_commands_keep_the_limits_of_registration() {
    let all = commands();
    let mut texts = 0;
    let mut look = |one: &Value| {
        let length = |name: &str| one[name].as_str().unwrap().encode_utf16().count();
        assert!((1..=32).contains(&length("name")) && (1..=100).contains(&length("description")), "{one}");
        assert!(one["options"].as_array().is_none_or(|options| options.len() <= 25), "{one}");
        assert!(one["max_length"].as_u64().is_none_or(|most| (1..=6_000).contains(&most)), "{one}");
        texts += length("name") + length("description");
    };
    for path in ["/*", "/*/options/*", "/*/options/*/options/*"] {
        at(&all, path).into_iter().for_each(&mut look);
    }
    for choice in at(&all, "/*/options/*/options/*/choices/*") {
        texts += choice["name"].as_str().unwrap().len() + choice["value"].as_str().unwrap().len();
    }
    assert!(texts <= 4_000, "{texts}: the older of two documented figures");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn hostile_and_endless_texts_never_break_a_limit(
        wrote in hostile(),
        times in 1usize..80,
        many in 0usize..60,
        raw in 0usize..6_000,
    ) {
        let long = wrote.repeat(times);
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
        suggestions_are_taken_by_discord(&incident, &wrote, &long)?;
        a_form_is_taken_by_discord(&wrote)?;
        let until = night::at(15) + SignedDuration::from_secs(1);
        let notices = [
            Notice::ApprovalWanted { plan: id },
            Notice::Verdict { run: RunNumber(1) },
            Notice::Note { by: night::who("U0ONCALL"), text: long.clone() },
            Notice::CouldNot { what: long.clone(), reason: long.clone() },
            Notice::Reminder { level: Some(LevelNumber(1)), until },
        ];
        let links: Vec<Link> = (0..many).map(|at| Link { label: long.clone(), url: format!("http://in-cluster/{at}/{}", "x".repeat(raw % 700)) }).collect();
        let mentions: Vec<Mention> = (0..many * 4).map(|at| Mention::user(Platform::Discord, (1_000 + at).to_string())).collect();
        let mut posts: Vec<_> = notices.iter().map(|notice| posts::notice(notice, &incident)).collect();
        posts.push(posts::call(LevelNumber(1), &CallReason::Opened, &incident));
        for post in &mut posts {
            post.links.clone_from(&links);
            post.raw = Some(Raw::new("checks", "`x\n".repeat(raw)));
        }
        let mut card = Card::of(&incident);
        card.links = links;
        let lines = vec![vec![card::text(long.clone()), card::strong(long.clone()), card::code(long.clone())]; many];
        let confirm = card::Confirm { title: long.clone(), text: long.clone(), yes: long.clone() };
        let whole = [message::card(&card, &long), message::answer(&lines), message::ask_back(&confirm, &card.buttons[0].press)];
        let posts = posts.iter().map(|post| message::post(post, &mentions, &long));
        for message in whole.into_iter().chain(posts) {
            for body in shapes(&message, &long) {
                assert_taken_by_discord(&body)?;
            }
        }
    }
}

#[test]
fn a_text_over_every_limit_is_cut_with_a_mark_and_becomes_a_file() {
    let mut incident = night::diagnosed();
    let verdict = incident.verdict.as_mut().unwrap();
    verdict.checks = (0..200).map(|_| verdict.checks[0].clone()).collect();
    verdict.reasons = vec!["x".repeat(10_000).into()];
    let post = posts::notice(&Notice::Verdict { run: RunNumber(1) }, &incident);
    let message = message::post(&post, &[], "verdict-1");
    assert!(message.cuts >= 2);
    let body = message.body().to_string();
    assert!(body.contains("… [cut]") && body.contains("The whole text is in the file of this message."), "{body}");
    let without = message.clone().without_file();
    assert_eq!(without.file, None);
    assert!(
        without.body().to_string().contains("Cut here: Discord did not take the rest as a file."),
        "{}",
        without.body()
    );
    assert_eq!(message.file.unwrap().text.matches("1.1-svid-dates").count(), 200);
}

#[test]
fn of_more_buttons_than_discord_takes_the_first_are_drawn_and_a_double_only_once() {
    let mut card = Card::of(&night::asking());
    let first = card.buttons[0].clone();
    let other = |level: u8| {
        let act = Act::Escalate { from: Some(LevelNumber(level)) };
        Button { press: card::Press { act, ..first.press.clone() }, label: level.to_string(), ..first.clone() }
    };
    card.buttons = std::iter::once(first.clone()).chain([first.clone()]).chain((0..30).map(other)).collect();
    card.links = vec![Link { label: "Runbook".to_owned(), url: "https://wiki.example.org/r".to_owned() }];
    let message = message::card(&card, "card");
    assert_eq!(message.components.len(), 5);
    assert_eq!(message.presses().len(), 25);
    assert_eq!(message.cuts, 7);
    let text = message.embeds[0].description.as_deref().unwrap();
    assert!(text.contains("\n… 6 more button(s) [cut]. `/mtls` does what they do.\n"), "{text}");
    assert!(text.ends_with("[Runbook](https://wiki.example.org/r)"), "the link has no button: {text}");
}

#[test]
fn a_link_that_discord_may_not_take_behind_a_button_stands_in_the_text() {
    let mut card = Card::of(&night::opened());
    let link = |label: &str, url: &str| Link { label: label.to_owned(), url: url.to_owned() };
    card.links = vec![
        link("Runbook", "https://wiki.example.org/mtls"),
        link("Graph", "http://grafana.monitoring.svc:3000/d/1"),
        link("Logs", "http://loki:3100/"),
        link("Node", "http://10.0.0.1/"),
        link("Long", &format!("https://wiki.example.org/{}", "x".repeat(500))),
        link("Wrong", "javascript:alert(1)"),
        link("Secret", "https://me:word@wiki.example.org/"),
    ];
    let body = message::card(&card, "card").body();
    let urls = at(&body, "/components/*/components/*/url");
    assert_eq!(urls, ["https://wiki.example.org/mtls", "http://grafana.monitoring.svc:3000/d/1"]);
    let text = body["embeds"][0]["description"].as_str().unwrap();
    for label in ["[Logs](", "[Node](", "[Long](", "[Secret]("] {
        assert!(text.contains(label), "{label} in {text}");
    }
    assert!(!body.to_string().contains("javascript"));
}

#[test]
fn our_key_is_found_again_in_what_discord_keeps_and_a_card_is_known_from_a_post() {
    let card = drawn(&night::asking());
    let post = message::post(&posts::notice(&Notice::Verdict { run: RunNumber(1) }, &night::diagnosed()), &[], "a");
    let kept = |message: &Message| Message::kept(&message.body()).unwrap();
    assert!(kept(&card).carries("mtls/INC-7/card") && kept(&card).is_card());
    assert!(kept(&post).carries("a") && !kept(&post).carries("b") && !kept(&post).is_card());
    assert_eq!(kept(&card).presses(), card.presses());
    assert_eq!(key_mark("a").len(), 16);
    assert!(!message::answer(&[]).carries("") && !Message::default().is_card());
}

#[test]
fn a_post_whose_question_is_decided_loses_its_buttons_and_says_why_once() {
    let asking = night::asking();
    let post = posts::notice(&Notice::ApprovalWanted { plan: night::plan().id() }, &asking);
    let mut message = message::post(&post, &[Mention::group(Platform::Discord, "77")], "ask");
    assert!(!message.presses().is_empty());
    for why in ["first", "second"] {
        message = Message::kept(&message.body()).unwrap().without_buttons(&vec![card::text(why)]);
    }
    assert_eq!(message.presses(), []);
    let fields: Vec<&str> =
        message.embeds.iter().flat_map(|embed| &embed.fields).map(|field| field.value.as_str()).collect();
    assert_eq!(fields, ["second"]);
    assert!(message.allowed_mentions.roles.is_empty(), "nobody is called again");
    assert!(message.carries("ask"));
}
