//! A form for what needs a text: `/mtls note` without one, and `/mtls resolve` without a reason.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use serenity::model::application::{ComponentType, InputTextStyle};

use super::{
    limits::{CUSTOM_ID, INPUT_LABEL, INPUT_VALUE, MODAL_TITLE, length},
    registration::longest,
};
use crate::chat::{
    bounded::plain,
    grammar::{Chosen, Parameter, Verb},
};

/// How the custom_id of a form begins.
pub(super) const FORM: &str = "form/";

/// One form.
struct Form {
    title: &'static str,
    asks_for: Parameter,
    label: &'static str,
    /// Whether it can be sent without.
    required: bool,
}

fn form(verb: Verb) -> Option<Form> {
    match verb {
        Verb::Note => Some(Form {
            title: "Write something into the incident",
            asks_for: Parameter::Text,
            label: "Note",
            required: true,
        }),
        Verb::Resolve => Some(Form {
            title: "Close the incident",
            asks_for: Parameter::Reason,
            label: "Why it is over",
            required: false,
        }),
        _ => None,
    }
}

/// The form that a command opens, where it lacks its text. What was given for its other options travels in the form's id;
/// where that is too long, there is none.
pub(super) fn wanted(chosen: &Chosen) -> Option<Value> {
    let form = form(chosen.verb).filter(|form| !chosen.given.contains_key(&form.asks_for))?;
    let given = chosen.given.iter().map(|(parameter, value)| (parameter.name(), value.as_str()));
    let given = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
    let custom_id = format!("{FORM}{}?{given}", chosen.verb.word());
    let input = json!({
        "type": u8::from(ComponentType::InputText),
        "custom_id": form.asks_for.name(),
        "style": u8::from(InputTextStyle::Paragraph),
        "label": plain(form.label, INPUT_LABEL).0,
        "required": form.required,
        "max_length": longest(form.asks_for).min(INPUT_VALUE),
    });
    (length(&custom_id) <= CUSTOM_ID).then(|| {
        json!({
            "custom_id": custom_id,
            "title": plain(form.title, MODAL_TITLE).0,
            "components": [{ "type": u8::from(ComponentType::ActionRow), "components": [input] }],
        })
    })
}

/// Reads what travelled in a form's id, behind [`FORM`].
pub(super) fn read(id: &str) -> Option<Chosen> {
    let (verb, given) = id.split_once('?')?;
    let verb = Verb::parse(verb).filter(|verb| form(*verb).is_some())?;
    let mut chosen = Chosen { verb, given: BTreeMap::new() };
    for (name, value) in url::form_urlencoded::parse(given.as_bytes()) {
        let parameter = verb.parameters().iter().map(|taken| taken.what).find(|it| it.name() == name)?;
        chosen.given.insert(parameter, value.into_owned());
    }
    Some(chosen)
}
