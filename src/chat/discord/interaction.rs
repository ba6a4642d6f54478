//! An interaction as Discord sends it, by the gateway or over HTTP, read once at the border.
//!
//! What stands around it is read by hand, and no more of it than is needed: nobody's press may fail because Discord describes
//! avatars in a new way. What people chose and wrote is read by serenity's models, where they know it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::value::RawValue;
use serenity::model::{
    application::{
        ActionRow, ActionRowComponent, CommandDataOption, CommandDataOptionValue, CommandType, ComponentType,
        InteractionType,
    },
    channel::{ChannelType, MessageFlags},
    id::{ApplicationId, ChannelId, GuildId, InteractionId, RoleId, UserId},
};

use super::{
    custom_id::DiscordPress,
    message,
    modal::{self, FORM},
    snowflake::made_at,
};
use crate::chat::{
    card,
    grammar::{Chosen, Parameter, Verb},
};

/// The name of the application command, before which Discord shows a slash itself.
pub const COMMAND: &str = card::COMMAND.split_at(1).1;
/// How many roles of a person are looked at: Discord allows 250 in a server.
const ROLES_MOST: usize = 250;
/// The longest token of an interaction that is believed.
const TOKEN_MOST: usize = 1_000;

/// What somebody asked, and where.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Discord's name for this one interaction: the same when it is sent again.
    pub id: String,
    /// When, by Discord's clock.
    pub at: Timestamp,
    /// With this, private answers can be given for fifteen minutes.
    pub token: SecretString,
    pub application: String,
    /// `None` in a direct message.
    pub guild: Option<String>,
    pub channel: String,
    /// The channel of the thread that it was asked in.
    pub thread_of: Option<String>,
    /// The person.
    pub user: String,
    /// The ids of the roles that the person has in the server now.
    pub roles: BTreeSet<String>,
    pub what: What,
}

/// What was asked.
#[derive(Debug, Clone)]
pub enum What {
    /// Discord asks whether we are there; over HTTP only.
    Ping,
    /// A command with what was given for its options.
    Command(Chosen),
    /// A command that a form has completed.
    Form(Chosen),
    /// A button was pressed.
    Press(Box<Pressed>),
    /// Somebody fills in an option of a command.
    Typing(Typing),
    /// Nothing that this version knows.
    Unknown(Unknown),
}

/// A button that was pressed.
#[derive(Debug, Clone)]
pub struct Pressed {
    /// What it was drawn for; `None` where this bot did not draw it.
    pub press: Option<DiscordPress>,
    /// What it said.
    pub label: String,
    /// Whether a thread was made from its message: of the bot's messages, only cards have one.
    pub has_thread: bool,
    /// The message that it stands in, where it is one as this bot draws them.
    pub message: Option<message::Message>,
}

impl Pressed {
    /// Whether it stands in a card: by what the bot wrote below it, and by its thread, which no other message has.
    pub fn is_card(&self) -> bool {
        self.has_thread || self.message.as_ref().is_some_and(message::Message::is_card)
    }
}

/// An option that is being filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typing {
    /// What was given for the other options.
    pub chosen: Chosen,
    pub parameter: Parameter,
    pub so_far: String,
}

/// Why what was asked means nothing to this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    #[error(
        "that command is of another version of the bot: reload Discord (Ctrl+R) to see the commands of this one, and run \
         `mtls-medic doctor` if that does not help"
    )]
    Command,
    #[error("that is no button of this bot: use the newest card, or a command")]
    Component,
    #[error("that form is of another version of the bot: give the command again")]
    Form,
}

/// Why an interaction cannot even be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// What it is, by serde's word, which repeats nothing of it.
    #[error("the interaction could not be read: {0}")]
    Malformed(&'static str),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    id: InteractionId,
    application_id: ApplicationId,
    #[serde(rename = "type")]
    kind: InteractionType,
    token: String,
    guild_id: Option<GuildId>,
    channel_id: Option<ChannelId>,
    channel: Option<Channel>,
    member: Option<Member>,
    user: Option<User>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Channel {
    #[serde(rename = "type")]
    kind: ChannelType,
    parent_id: Option<ChannelId>,
}

#[derive(Deserialize)]
struct Member {
    user: User,
    #[serde(default)]
    roles: Vec<RoleId>,
}

#[derive(Deserialize)]
struct User {
    id: UserId,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default = "MessageFlags::empty")]
    flags: MessageFlags,
}

#[derive(Deserialize)]
struct CommandData {
    name: String,
    #[serde(rename = "type")]
    kind: CommandType,
    #[serde(default)]
    options: Vec<CommandDataOption>,
}

#[derive(Deserialize)]
struct ComponentData {
    custom_id: String,
    component_type: ComponentType,
}

#[derive(Deserialize)]
struct FormData {
    custom_id: String,
    components: Vec<ActionRow>,
}

impl Asked {
    /// Reads the JSON of an interaction.
    pub fn read(json: &str) -> Result<Self, Unreadable> {
        let envelope: Envelope<'_> = serde_json::from_str(json)
            .map_err(|_| Unreadable::Malformed("a part that every interaction has is missing"))?;
        if envelope.token.is_empty() || envelope.token.len() > TOKEN_MOST {
            return Err(Unreadable::Malformed("it has no token"));
        }
        let what = envelope.what();
        let user = envelope.member.as_ref().map(|member| &member.user).or(envelope.user.as_ref());
        let roles = envelope.member.as_ref().map(|member| member.roles.as_slice()).unwrap_or_default();
        let is_thread = |channel: &&Channel| {
            matches!(channel.kind, ChannelType::NewsThread | ChannelType::PublicThread | ChannelType::PrivateThread)
        };
        let thread_of = envelope.channel.as_ref().filter(is_thread).and_then(|channel| channel.parent_id);
        Ok(Self {
            id: envelope.id.to_string(),
            at: made_at(envelope.id.get()),
            token: envelope.token.clone().into(),
            application: envelope.application_id.to_string(),
            guild: envelope.guild_id.map(|id| id.to_string()),
            channel: envelope.channel_id.map(|id| id.to_string()).unwrap_or_default(),
            thread_of: thread_of.map(|id| id.to_string()),
            user: user.map(|user| user.id.to_string()).unwrap_or_default(),
            roles: roles.iter().take(ROLES_MOST).map(ToString::to_string).collect(),
            what,
        })
    }

    /// By this key what was asked is decided on once.
    pub fn key(&self) -> String {
        format!("discord/{}", self.id)
    }
}

impl Envelope<'_> {
    fn what(&self) -> What {
        let read = match self.kind {
            InteractionType::Ping => Ok(What::Ping),
            InteractionType::Command => self.command().map(What::Command).ok_or(Unknown::Command),
            InteractionType::Autocomplete => self.typing().map(What::Typing).ok_or(Unknown::Command),
            InteractionType::Component => {
                self.pressed().map(|pressed| What::Press(Box::new(pressed))).ok_or(Unknown::Component)
            }
            InteractionType::Modal => self.form().map(What::Form).ok_or(Unknown::Form),
            _ => Err(Unknown::Command),
        };
        read.unwrap_or_else(What::Unknown)
    }

    fn data<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_str(self.data?.get()).ok()
    }

    /// The one subcommand that was chosen, and its options.
    fn subcommand(&self) -> Option<(Verb, Vec<CommandDataOption>)> {
        let data: CommandData = self.data()?;
        if data.name != COMMAND || data.kind != CommandType::ChatInput {
            return None;
        }
        let [chosen]: [CommandDataOption; 1] = data.options.try_into().ok()?;
        let CommandDataOptionValue::SubCommand(options) = chosen.value else { return None };
        Some((Verb::parse(&chosen.name)?, options))
    }

    fn command(&self) -> Option<Chosen> {
        let (verb, options) = self.subcommand()?;
        let mut given = BTreeMap::new();
        for option in &options {
            give(&mut given, parameter(verb, &option.name)?, &option.value)?;
        }
        Some(Chosen { verb, given })
    }

    fn typing(&self) -> Option<Typing> {
        let (verb, options) = self.subcommand()?;
        let mut given = BTreeMap::new();
        let mut focused = None;
        for option in options {
            let parameter = parameter(verb, &option.name)?;
            match option.value {
                CommandDataOptionValue::Autocomplete { value, .. } => focused = Some((parameter, value)),
                other => give(&mut given, parameter, &other)?,
            }
        }
        let (parameter, so_far) = focused?;
        Some(Typing { chosen: Chosen { verb, given }, parameter, so_far })
    }

    fn pressed(&self) -> Option<Pressed> {
        let data: ComponentData = self.data()?;
        let message = self.message.filter(|_| data.component_type == ComponentType::Button)?;
        let flags =
            serde_json::from_str::<Message>(message.get()).map_or(MessageFlags::empty(), |message| message.flags);
        let message = serde_json::from_str(message.get()).ok().and_then(|message| message::Message::kept(&message));
        let label = message.as_ref().and_then(|message| message.label_of(&data.custom_id));
        Some(Pressed {
            label: label.unwrap_or_default().to_owned(),
            press: DiscordPress::parse(&data.custom_id),
            has_thread: flags.contains(MessageFlags::HAS_THREAD),
            message,
        })
    }

    /// serenity reads a row of a kind that it does not know as one that is empty, so kinds are looked at here.
    fn form(&self) -> Option<Chosen> {
        let data: FormData = self.data()?;
        let mut chosen = modal::read(data.custom_id.strip_prefix(FORM)?)?;
        if data.components.is_empty() {
            return None;
        }
        for row in data.components {
            let [ActionRowComponent::InputText(input)] = row.components.as_slice() else { return None };
            let parameter = parameter(chosen.verb, &input.custom_id)?;
            let text = input.value.as_deref()?.trim();
            if !text.is_empty() {
                chosen.given.insert(parameter, text.to_owned());
            }
        }
        Some(chosen)
    }
}

fn parameter(verb: Verb, name: &str) -> Option<Parameter> {
    verb.parameters().iter().map(|taken| taken.what).find(|parameter| parameter.name() == name)
}

/// Adds what was given for an option, as it would be typed; `None` where it is of a kind that no option has. A switch that is
/// off is not given.
fn give(given: &mut BTreeMap<Parameter, String>, parameter: Parameter, value: &CommandDataOptionValue) -> Option<()> {
    let typed = match value {
        CommandDataOptionValue::String(text) | CommandDataOptionValue::Autocomplete { value: text, .. } => text.clone(),
        CommandDataOptionValue::Boolean(true) => true.to_string(),
        CommandDataOptionValue::Boolean(false) => return Some(()),
        _ => return None,
    };
    given.insert(parameter, typed);
    Some(())
}
