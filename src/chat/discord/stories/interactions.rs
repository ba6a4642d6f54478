//! What Discord sends when people ask something, and how it is read.

use serde_json::{Value, json};

use super::fake_interactions::{APPLICATION, CHANNEL, GUILD, Person, in_thread, ping};
use crate::chat::{
    discord::{Asked, Unknown, What, modal},
    grammar::{Chosen, Parameter, Verb},
};

const ON_CALL: Person<'static> =
    Person { user: "100000000000000001", roles: &["100000000000000011", "100000000000000012"], at: 1_772_326_800 };

fn read(interaction: &Value) -> Asked {
    Asked::read(&interaction.to_string()).unwrap()
}

fn chosen(verb: Verb, given: &[(Parameter, &str)]) -> Chosen {
    Chosen { verb, given: given.iter().map(|(parameter, value)| (*parameter, (*value).to_owned())).collect() }
}

fn command(interaction: &Value) -> Option<Chosen> {
    match read(interaction).what {
        What::Command(chosen) => Some(chosen),
        _ => None,
    }
}

#[test]
fn who_asked_where_and_with_which_roles_is_read_whatever_else_discord_says() {
    let interaction = ON_CALL.commands("ack", &[("incident", json!("INC-7"))]);
    let asked = read(&interaction);
    assert_eq!(format!("discord/{}", interaction["id"].as_str().unwrap()), asked.key());
    assert_eq!(asked.at.as_second(), ON_CALL.at);
    assert_eq!((asked.application.as_str(), asked.guild.as_deref()), (APPLICATION, Some(GUILD)));
    assert_eq!((asked.channel.as_str(), asked.thread_of.as_deref()), (CHANNEL, None), "a category is no channel");
    assert_eq!(asked.user, ON_CALL.user);
    assert_eq!(asked.roles.iter().map(String::as_str).collect::<Vec<_>>(), ON_CALL.roles);
    assert_eq!(command(&interaction), Some(chosen(Verb::Ack, &[(Parameter::Incident, "INC-7")])));
    assert!(!format!("{asked:?}").contains("token-"), "the token answers for this person");
}

#[test]
fn what_is_asked_in_a_thread_belongs_to_its_channel() {
    let asked = read(&in_thread(ON_CALL.commands("ack", &[]), "100000000000000500"));
    assert_eq!((asked.channel.as_str(), asked.thread_of.as_deref()), ("100000000000000500", Some(CHANNEL)));
}

#[test]
fn a_direct_message_has_no_server_and_nobody_has_roles_there() {
    let mut interaction = ON_CALL.commands("ack", &[]);
    interaction["user"] = interaction["member"]["user"].clone();
    for server_only in ["guild_id", "guild", "member"] {
        interaction.as_object_mut().unwrap().remove(server_only);
    }
    let asked = read(&interaction);
    assert_eq!((asked.guild, asked.user.as_str()), (None, ON_CALL.user));
    assert!(asked.roles.is_empty());
}

#[test]
fn options_of_each_kind_are_read_as_they_would_be_typed() {
    let given = [("incident", json!("INC-7")), ("anyway", json!(true)), ("reason", json!("rolled back"))];
    assert_eq!(
        command(&ON_CALL.commands("resolve", &given)),
        Some(chosen(
            Verb::Resolve,
            &[(Parameter::Incident, "INC-7"), (Parameter::Anyway, "true"), (Parameter::Reason, "rolled back")]
        ))
    );
}

#[test]
fn a_switch_that_is_off_is_not_given() {
    assert_eq!(command(&ON_CALL.commands("resolve", &[("anyway", json!(false))])), Some(chosen(Verb::Resolve, &[])));
}

#[test]
fn a_command_that_this_version_does_not_know_is_refused_with_a_way_on() {
    let mut other = ON_CALL.commands("ack", &[]);
    other["data"]["name"] = json!("deploy");
    let mut of_a_message = ON_CALL.commands("ack", &[]);
    of_a_message["data"]["type"] = json!(3);
    let strange = [
        ON_CALL.commands("dance", &[]),
        ON_CALL.commands("ack", &[("colour", json!("blue"))]),
        ON_CALL.commands("ack", &[("plan", json!("ab12cd34"))]),
        other,
        of_a_message,
        ON_CALL.types("ack", &[], "colour", "bl"),
    ];
    for interaction in strange {
        assert!(matches!(read(&interaction).what, What::Unknown(Unknown::Command)), "{interaction}");
    }
}

#[test]
fn a_form_brings_what_was_given_before_and_what_was_written() {
    let begun = chosen(Verb::Note, &[(Parameter::Incident, "INC-7/blue & green")]);
    let form = modal::wanted(&begun).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&form).unwrap(), @r#"
    {
      "components": [
        {
          "components": [
            {
              "custom_id": "text",
              "label": "Note",
              "max_length": 2000,
              "required": true,
              "style": 2,
              "type": 4
            }
          ],
          "type": 1
        }
      ],
      "custom_id": "form/note?incident=INC-7%2Fblue+%26+green",
      "title": "Write something into the incident"
    }
    "#);
    let What::Form(filled) = read(&ON_CALL.fills_in(&form, "line 1\nline 2")).what else { panic!() };
    let written = (Parameter::Text, "line 1\nline 2");
    assert_eq!(filled, chosen(Verb::Note, &[(Parameter::Incident, "INC-7/blue & green"), written]));
}

#[test]
fn only_a_note_without_text_and_a_resolve_without_reason_open_a_form() {
    let opens = |verb, given: &[(Parameter, &str)]| modal::wanted(&chosen(verb, given)).is_some();
    assert!(opens(Verb::Note, &[]) && opens(Verb::Resolve, &[(Parameter::Anyway, "true")]));
    assert!(!opens(Verb::Note, &[(Parameter::Text, "seen")]));
    assert!(!opens(Verb::Resolve, &[(Parameter::Reason, "over")]));
    let others = Verb::ALL.into_iter().filter(|verb| !matches!(verb, Verb::Note | Verb::Resolve));
    assert!(!others.into_iter().any(|verb| opens(verb, &[])));
    assert!(!opens(Verb::Note, &[(Parameter::Incident, &"x".repeat(90))]), "an id takes 100 characters");
}

#[test]
fn a_reason_that_nobody_wrote_is_none() {
    let form = modal::wanted(&chosen(Verb::Resolve, &[(Parameter::Anyway, "true")])).unwrap();
    let What::Form(filled) = read(&ON_CALL.fills_in(&form, " ")).what else { panic!() };
    assert_eq!(filled, chosen(Verb::Resolve, &[(Parameter::Anyway, "true")]));
}

/// serenity reads the kinds of components that it does not know as empty ones.
#[test]
fn a_form_of_parts_that_the_bot_cannot_read_is_refused_and_not_taken_as_empty() {
    let form = modal::wanted(&chosen(Verb::Note, &[])).unwrap();
    let text = json!({ "type": 4, "custom_id": "text", "value": "seen" });
    let labelled = json!([{ "type": 18, "id": 1, "component": text }]);
    let selected = json!([{ "type": 1, "components": [{ "type": 3, "custom_id": "text", "values": ["a"] }] }]);
    let of_a_new_kind = json!([{ "type": 1, "components": [{ "type": 77 }] }]);
    let two = json!([{ "type": 1, "components": [text, text] }]);
    for components in [labelled, selected, of_a_new_kind, two, json!([]), json!(null)] {
        let mut interaction = ON_CALL.fills_in(&form, "seen");
        interaction["data"]["components"] = components;
        assert!(matches!(read(&interaction).what, What::Unknown(Unknown::Form)), "{interaction}");
    }
    for id in ["", "form/", "form/note", "form/ack?", "form/note?colour=blue", "form/dance?"] {
        let mut interaction = ON_CALL.fills_in(&form, "seen");
        interaction["data"]["custom_id"] = json!(id);
        assert!(matches!(read(&interaction).what, What::Unknown(Unknown::Form)), "{id}");
    }
}

#[test]
fn a_press_says_what_the_button_said_and_in_which_message_it_stands() {
    let components = json!([{ "type": 1, "components": [
        { "type": 2, "style": 1, "custom_id": "one", "label": "Acknowledge" },
        { "type": 2, "style": 5, "url": "https://example.org", "label": "Runbook" },
    ] }]);
    let message = json!({ "id": "100000000000000600", "embeds": [{ "title": "INC-7" }], "components": components,
        "flags": 0, "poll": { "of_a_shape": "that nobody knows" } });
    let What::Press(pressed) = read(&ON_CALL.presses(&message, "one")).what else { panic!() };
    assert_eq!((pressed.label.as_str(), pressed.press, pressed.has_thread), ("Acknowledge", None, false));
    let body = pressed.message.unwrap().body();
    assert_eq!((&body["embeds"], &body["components"]), (&message["embeds"], &components));

    let mut menu = ON_CALL.presses(&message, "one");
    menu["data"]["component_type"] = json!(3);
    let mut of_nothing = ON_CALL.presses(&message, "one");
    of_nothing.as_object_mut().unwrap().remove("message");
    for interaction in [menu, of_nothing] {
        assert!(matches!(read(&interaction).what, What::Unknown(Unknown::Component)), "{interaction}");
    }
}

#[test]
fn a_ping_is_no_request_and_what_is_no_interaction_is_not_read() {
    assert!(matches!(read(&ping()).what, What::Ping));
    let mut of_a_new_kind = ON_CALL.commands("ack", &[]);
    of_a_new_kind["type"] = json!(77);
    assert!(matches!(read(&of_a_new_kind).what, What::Unknown(Unknown::Command)));
    let whole = ON_CALL.commands("ack", &[]);
    for part in ["id", "application_id", "type", "token"] {
        let mut broken = whole.clone();
        broken.as_object_mut().unwrap().remove(part);
        assert!(Asked::read(&broken.to_string()).is_err(), "without {part}");
    }
    for strange in ["", "{}", "[]", "not JSON", r#"{"id":"0"}"#] {
        assert!(Asked::read(strange).is_err(), "{strange}");
    }
}
