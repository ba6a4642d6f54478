//! How the command line names the formats of a verdict.

use clap::{ValueEnum, builder::PossibleValue};

use crate::report::Format;

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Text, Self::Json, Self::Markdown]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            Self::Text => PossibleValue::new("text").help("Lines for a terminal"),
            Self::Json => PossibleValue::new("json").help("The versioned object, for programs"),
            Self::Markdown => PossibleValue::new("markdown").help("Markdown, for a ticket or a post-mortem"),
        })
    }
}
