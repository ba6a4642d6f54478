//! What Discord is sent: as people see it, within its limits, and with everything that outsiders may put into it.

mod custom_id;
mod limits;
mod markdown;
mod reader;
mod seen;

use proptest::prelude::*;

use super::message::{self, Message};
use crate::{chat::card::Card, incident::Incident};

fn drawn(incident: &Incident) -> Message {
    message::card(&Card::of(incident), "mtls/INC-7/card")
}

/// Texts that mean harm on Discord: its marks and what it makes of plain text, among whatever Unicode has.
fn hostile() -> impl Strategy<Value = String> {
    let marks = proptest::sample::select(vec![
        "@everyone",
        "@here",
        "@",
        "<@123>",
        "<@!123>",
        "<@&123>",
        "<#123>",
        "<id:guide>",
        "</run:123>",
        "<:x:123>",
        "<t:1:R>",
        "[click](https://evil.example)",
        "[",
        "](",
        ")",
        "https://evil.example",
        "http:",
        "//",
        "<https://evil.example>",
        "steam://x",
        "discord.gg/abc",
        "Discord.com/invite/abc",
        "DISCORDAPP.",
        ":skull:",
        ":",
        "||",
        "|",
        "**",
        "*",
        "__",
        "_",
        "~~",
        "~",
        "```",
        "`",
        "\\",
        "# ",
        "-# ",
        "> ",
        ">>> ",
        "- ",
        "+ ",
        "1. ",
        "12) ",
        "\n",
        "\r\n",
        " ",
        "\t",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{200f}",
        "\u{feff}",
        "\u{1b}[31m",
        "\u{2028}",
        "\u{1f512}",
        "עברית",
        "word",
        "x",
    ]);
    let one = prop_oneof![
        3 => marks.prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "[a-z0-9 ]{1,5}",
    ];
    proptest::collection::vec(one, 0..24).prop_map(|parts| parts.concat())
}
