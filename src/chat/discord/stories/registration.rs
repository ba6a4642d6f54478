//! The command as Discord registers it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    fake_interactions::{APPLICATION, GUILD},
    fake_rest::{BOT_TOKEN, FakeDiscord, Trouble},
};
use crate::{
    chat::{
        discord::{GatewayPatience, Rest, are_ours, commands, register},
        grammar::Verb,
    },
    incident::{NOTE_MOST, REASON_MOST},
    metrics::Metrics,
};

/// One line for each subcommand: `name: option type` and what is special about it.
fn in_short(command: &Value) -> String {
    let line = |verb: &Value| {
        let options = verb["options"].as_array().unwrap().iter().map(|option| {
            let required = if option["required"] == true { "" } else { "?" };
            let suggests = if option["autocomplete"] == true { " suggests" } else { "" };
            let choices = option["choices"].as_array().map(|all| format!(" of {}", all.len())).unwrap_or_default();
            format!("{}{required}:{}{suggests}{choices}", option["name"].as_str().unwrap(), option["type"])
        });
        let options: Vec<String> = options.collect();
        format!("{} {}", verb["name"].as_str().unwrap(), options.join(", ")).trim_end().to_owned()
    };
    command["options"].as_array().unwrap().iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_verb_is_a_subcommand_with_typed_options() {
    insta::assert_snapshot!(in_short(&commands()[0]), @r"
    help
    incidents
    status incident?:3 suggests
    ack incident?:3 suggests
    target namespace:3, workload:3, incident?:3 suggests
    triage incident?:3 suggests
    fix fix:3 suggests, incident?:3 suggests
    withdraw incident?:3 suggests
    approve incident?:3 suggests, plan?:3 suggests
    reject incident?:3 suggests, plan?:3 suggests
    verify incident?:3 suggests
    note incident?:3 suggests, text?:3
    handoff to:3 suggests, incident?:3 suggests
    escalate incident?:3 suggests
    resolve incident?:3 suggests, anyway?:5, reason?:3
    writes switch:3 of 2, reason?:3
    ");
    assert_eq!(commands()[0]["options"].as_array().unwrap().len(), Verb::ALL.len());
}

/// Discord's reference, "Application Commands".
#[test]
fn the_command_keeps_the_limits_of_discords_reference() {
    fn check(part: &Value, text: &mut usize) {
        let (name, description) = (part["name"].as_str().unwrap(), part["description"].as_str().unwrap());
        assert!((1..=32).contains(&name.len()) && name.chars().all(|c| c.is_ascii_lowercase()), "{name}");
        assert!((1..=100).contains(&description.chars().count()), "{name}: {description}");
        *text += name.chars().count() + description.chars().count();
        let options = part["options"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(options.len() <= 25, "{name}");
        let required: Vec<bool> = options.iter().map(|option| option["required"] == true).collect();
        assert!(required.is_sorted_by(|before, after| before >= after), "{name}: required options come first");
        for option in options {
            assert!(option["max_length"].as_u64().is_none_or(|most| most <= 6_000));
            assert!(option["autocomplete"] != true || option["choices"].is_null(), "either or");
            check(option, text);
        }
    }
    let mut text = 0;
    check(&commands()[0], &mut text);
    assert!(text <= 8_000, "{text}");
}

#[test]
fn what_was_registered_by_another_version_is_noticed() {
    let mut registered = commands();
    assert!(are_ours(&registered));
    // What Discord adds, and leaves out.
    registered[0]["id"] = json!("1");
    registered[0]["version"] = json!("2");
    registered[0]["name_localizations"] = json!(null);
    registered[0]["options"][0].as_object_mut().unwrap().remove("options");
    for option in registered[0]["options"].as_array_mut().unwrap() {
        for parameter in option["options"].as_array_mut().into_iter().flatten() {
            let fields = parameter.as_object_mut().unwrap();
            if fields["required"] == false {
                fields.remove("required");
            }
        }
    }
    assert!(are_ours(&registered));

    let changes: [fn(&mut Value); 5] = [
        |it| it[0]["options"][3]["name"] = json!("take"),
        |it| drop(it[0]["options"].as_array_mut().unwrap().pop()),
        |it| it[0]["options"][0]["options"] = json!([{ "type": 3, "name": "more", "description": "more" }]),
        |it| it[0]["options"][4]["options"][0]["required"] = json!(false),
        |it| it[0]["description"] = json!("old"),
    ];
    for change in changes {
        let mut other = registered.clone();
        change(&mut other);
        assert!(!are_ours(&other), "{other}");
    }
    assert!(!are_ours(&json!([])) && !are_ours(&json!(null)));
}

#[tokio::test]
async fn a_bot_that_starts_before_its_way_out_is_open_registers_its_commands_when_it_is() {
    let discord = FakeDiscord::open("1").await;
    for trouble in [Trouble::Down, Trouble::Refuses(50_001), Trouble::Down] {
        discord.trouble("PUT commands", trouble);
    }
    let metrics = Metrics::default();
    let rest = Rest::new(&discord.api(), &BOT_TOKEN.to_owned().into(), metrics.clone()).unwrap();
    let patience = GatewayPatience { waits: vec![Duration::ZERO], slow: Duration::ZERO, ..GatewayPatience::default() };
    tokio::time::timeout(Duration::from_secs(20), register(&rest, APPLICATION, GUILD, &patience)).await.unwrap();
    assert_eq!(discord.calls("PUT commands"), 4);
    assert!(are_ours(&discord.commands()), "{}", discord.commands());
    assert!(metrics.render().contains("mtls_medic_discord_commands_registered 1"), "{}", metrics.render());
}

#[test]
fn discord_lets_people_write_no_more_than_the_bot_takes() {
    let longest = |verb: &str, name: &str| {
        let command = &commands()[0];
        let verb = command["options"].as_array().unwrap().iter().find(|option| option["name"] == verb).unwrap();
        verb["options"].as_array().unwrap().iter().find(|option| option["name"] == name).unwrap()["max_length"].clone()
    };
    assert_eq!(
        [longest("note", "text"), longest("resolve", "reason"), longest("writes", "reason")],
        [json!(NOTE_MOST), json!(REASON_MOST), json!(REASON_MOST)]
    );
}
