//! Every limit of Discord that we touch, in one table (its reference: "Message", "Components", "Application Commands").
//!
//! Discord's server counts code points, as its engineers say (discord-api-docs issue 1315); its app and many libraries
//! count UTF-16 units. We count UTF-16 units, which are never fewer, so that what fits here fits for both.

pub(super) use crate::chat::bounded::length;

/// The text of a message.
pub const CONTENT: usize = 2_000;
/// Embeds of a message.
pub const EMBEDS: usize = 10;
/// All texts of all embeds of a message together: titles, descriptions, names and values of fields, footers, authors.
pub const EMBEDS_TEXT: usize = 6_000;
/// The title of an embed.
pub const TITLE: usize = 256;
/// The description of an embed.
pub const DESCRIPTION: usize = 4_096;
/// Fields of an embed.
pub const FIELDS: usize = 25;
/// The name of a field.
pub const FIELD_NAME: usize = 256;
/// The value of a field.
pub const FIELD_VALUE: usize = 1_024;
/// The footer of an embed.
pub const FOOTER: usize = 2_048;
/// The author of an embed.
pub const AUTHOR: usize = 256;

/// Rows of components of a message.
pub const ROWS: usize = 5;
/// Buttons of a row.
pub const ROW_BUTTONS: usize = 5;
/// What a button says.
pub const LABEL: usize = 80;
/// The address behind a link button.
pub const BUTTON_URL: usize = 512;
/// A custom id, of a component or a modal.
pub const CUSTOM_ID: usize = 100;

/// The title of a modal.
pub const MODAL_TITLE: usize = 45;
/// The label of a text input.
pub const INPUT_LABEL: usize = 45;
/// What somebody types into a text input.
pub const INPUT_VALUE: usize = 4_000;

/// Users, and roles, that `allowed_mentions` can name.
pub const ALLOWED_MENTIONS: usize = 100;
/// The nonce of a message.
pub const NONCE: usize = 25;
/// The name of a thread.
pub const THREAD_NAME: usize = 100;

/// The description of a command or of an option.
pub const COMMAND_DESCRIPTION: usize = 100;
/// Options (or subcommands) of a command.
pub const COMMAND_OPTIONS: usize = 25;
/// Choices of an option, or of an answer to autocomplete.
pub const CHOICES: usize = 25;
/// The name of a choice, and its value.
pub const CHOICE: usize = 100;
