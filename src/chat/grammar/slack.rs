//! How Slack writes people, groups and special characters in what was typed.

use crate::people::Platform;

/// The longest id of a user or group that is believed.
const ID_MOST: usize = 32;

/// The user of `<@U123|name>` or `<@U123>`. A bare `@name` is no id on Slack: it would hand an incident to nobody. Elsewhere
/// people are called by such names.
pub(super) fn user(word: &str, platform: Platform) -> Option<&str> {
    if platform != Platform::Slack {
        return id(word.strip_prefix('@')?);
    }
    let user = id(word.strip_prefix("<@")?.strip_suffix('>')?)?;
    user.starts_with(['U', 'W']).then_some(user)
}

/// The user group of `<!subteam^S123|@name>`.
pub(super) fn group(word: &str) -> Option<&str> {
    id(word.strip_prefix("<!subteam^")?.strip_suffix('>')?)
}

fn id(inner: &str) -> Option<&str> {
    let id = inner.split('|').next()?;
    let fine =
        !id.is_empty() && id.len() <= ID_MOST && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    fine.then_some(id)
}

/// Text as the person typed it: `&lt;`, `&gt;` and `&amp;` mean one character each, and `<x|label>` means `x`.
/// What comes out is text from outside: it is escaped again wherever it is shown.
pub(super) fn unescape(text: &str, platform: Platform) -> String {
    if platform != Platform::Slack {
        return text.to_owned();
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
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
