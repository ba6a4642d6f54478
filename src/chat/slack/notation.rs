//! How Slack writes people, groups and special characters in what was typed.

use crate::chat::grammar::{Notation, is_id};

/// Slack's way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SlackNotation;

impl Notation for SlackNotation {
    /// The user of `<@U123|name>` or `<@U123>`. A bare `@name` is no id: it would hand an incident to nobody.
    fn user<'a>(&self, word: &'a str) -> Option<&'a str> {
        let user = id(word.strip_prefix("<@")?.strip_suffix('>')?)?;
        user.starts_with(['U', 'W']).then_some(user)
    }

    /// The user group of `<!subteam^S123|@name>`.
    fn group<'a>(&self, word: &'a str) -> Option<&'a str> {
        id(word.strip_prefix("<!subteam^")?.strip_suffix('>')?)
    }

    /// `&lt;`, `&gt;` and `&amp;` mean one character each, and `<x|label>` means `x`.
    fn text(&self, typed: &str) -> String {
        let mut plain = String::with_capacity(typed.len());
        let mut rest = typed;
        while let Some(start) = rest.find('<') {
            let (before, from) = rest.split_at(start);
            plain.push_str(before);
            if let Some(end) = from.find('>') {
                let inner = from.get(1..end).unwrap_or_default();
                plain.push_str(inner.split('|').next().unwrap_or_default());
                rest = from.get(end.saturating_add(1)..).unwrap_or_default();
            } else {
                plain.push_str(from);
                rest = "";
            }
        }
        plain.push_str(rest);
        // `&amp;` last, so that `&amp;lt;` stays the `&lt;` that was typed.
        plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }
}

fn id(inner: &str) -> Option<&str> {
    inner.split('|').next().filter(|id| is_id(id))
}
