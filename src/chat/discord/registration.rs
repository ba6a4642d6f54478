//! The application command `/mtls`, as Discord registers it: a subcommand for each verb, with typed options.

use std::time::Duration;

use serde_json::{Map, Value, json};
use serenity::model::application::{CommandOptionType, CommandType, InstallationContext, InteractionContext};

use super::{
    error::DiscordError,
    gateway::GatewayPatience,
    interaction::COMMAND,
    jitter::jittered,
    limits::{CHOICE, COMMAND_DESCRIPTION, COMMAND_OPTIONS},
    rest::Rest,
};
use crate::{
    chat::{
        bounded::plain,
        grammar::{Parameter, Verb},
    },
    incident::{NOTE_MOST, REASON_MOST},
    metrics::Metric,
};

const _: () = assert!(Verb::ALL.len() <= COMMAND_OPTIONS, "Discord takes no more subcommands");

/// The longest text that the bot takes for a parameter: what is longer Discord does not let people send, so that nothing they
/// wrote is lost.
pub(super) fn longest(parameter: Parameter) -> usize {
    match parameter {
        Parameter::Text => NOTE_MOST,
        Parameter::Reason => REASON_MOST,
        // What is suggested is never longer.
        _ => CHOICE,
    }
}

/// What is registered in a server (`PUT /applications/…/guilds/…/commands`).
///
/// Everybody sees it: who may do what is decided for the person, with each command.
pub fn commands() -> Value {
    let subcommands: Vec<Value> = Verb::ALL.into_iter().map(subcommand).collect();
    json!([{
        "type": u8::from(CommandType::ChatInput),
        "name": COMMAND,
        "description": "Incidents of mTLS: take them, diagnose, fix, approve",
        "options": subcommands,
        "contexts": [u8::from(InteractionContext::Guild)],
        "integration_types": [u8::from(InstallationContext::Guild)],
    }])
}

/// Registers the commands, again and again until Discord takes them: in a mesh the way out often opens some seconds after the
/// bot has started. A refusal somebody has to mend, and then nobody has to start the bot anew.
pub async fn register(rest: &Rest, application: &str, guild: &str, patience: &GatewayPatience) {
    rest.metrics.set(Metric::DiscordCommandsRegistered, 0);
    let mut waits = patience.waits.iter();
    let mut wait = patience.slow;
    loop {
        let Err(error) = rest.register(application, guild, &commands()).await else { break };
        tracing::error!(%error, "the commands could not be registered with Discord yet: people have the buttons alone");
        wait = waits.next().copied().unwrap_or(wait);
        let asked = match &error {
            DiscordError::RateLimited { after, .. } => Duration::try_from(*after).unwrap_or_default(),
            DiscordError::Refused { .. } => patience.slow,
            _ => Duration::ZERO,
        };
        tokio::time::sleep(asked.max(jittered(wait))).await;
    }
    rest.metrics.set(Metric::DiscordCommandsRegistered, 1);
}

/// Whether the registered commands are those of this version. Discord adds fields of its own, and leaves out what is usual.
pub fn are_ours(registered: &Value) -> bool {
    covers(registered, &commands())
}

fn covers(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Array(theirs), Value::Array(ours)) => {
            theirs.len() == ours.len() && theirs.iter().zip(ours).all(|(theirs, ours)| covers(theirs, ours))
        }
        (Value::Object(theirs), Value::Object(ours)) => {
            let same = |(name, ours): (&String, &Value)| match theirs.get(name).filter(|theirs| !theirs.is_null()) {
                Some(theirs) => covers(theirs, ours),
                None => *ours == json!(false) || *ours == json!([]),
            };
            // An option of an earlier version may have had more.
            let more = |name: &&str| !ours.contains_key(*name) && theirs.get(*name).is_some_and(is_said);
            ours.iter().all(same) && !["options", "choices", "required", "autocomplete"].iter().any(more)
        }
        _ => theirs == ours,
    }
}

fn is_said(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && value.as_array().is_none_or(|all| !all.is_empty())
}

fn subcommand(verb: Verb) -> Value {
    // Discord wants the required ones first.
    let (first, then) = (verb.parameters().iter().filter(|taken| taken.required), verb.parameters());
    let all = first.chain(then.iter().filter(|taken| !taken.required));
    let options: Vec<Value> = all.map(|taken| option(taken.what, taken.required)).collect();
    json!({
        "type": u8::from(CommandOptionType::SubCommand),
        "name": verb.word(),
        "description": plain(verb.description(), COMMAND_DESCRIPTION).0,
        "options": options,
    })
}

fn option(parameter: Parameter, required: bool) -> Value {
    let mut option = Map::new();
    let kind = if parameter == Parameter::Anyway { CommandOptionType::Boolean } else { CommandOptionType::String };
    option.insert("type".to_owned(), u8::from(kind).into());
    option.insert("name".to_owned(), parameter.name().into());
    option.insert("description".to_owned(), plain(parameter.description(), COMMAND_DESCRIPTION).0.into());
    option.insert("required".to_owned(), required.into());
    match parameter {
        Parameter::Incident | Parameter::Plan | Parameter::Fix | Parameter::To => {
            option.insert("autocomplete".to_owned(), true.into());
            option.insert("max_length".to_owned(), longest(parameter).into());
        }
        Parameter::Namespace | Parameter::Workload | Parameter::Text | Parameter::Reason => {
            option.insert("max_length".to_owned(), longest(parameter).into());
        }
        Parameter::Switch => {
            option.insert(
                "choices".to_owned(),
                json!([{ "name": "off", "value": "off" }, { "name": "on", "value": "on" }]),
            );
        }
        Parameter::Anyway => {}
    }
    Value::Object(option)
}
