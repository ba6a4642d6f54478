//! A link that an alert brings along: its runbook, its graph.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest address in bytes: with its sentence it fits into one section of a Slack message (3,000 characters). A longer
/// one is left out, since half an address leads nowhere.
const LENGTH_MOST: usize = 2_000;

/// An address of the web that people may be shown as a link: http or https, with a host, without a user's name or password,
/// in printable ASCII, and without the characters that end a link in a chat's markup (`<`, `>`, `|`, `"`, space).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebAddress(String);

impl WebAddress {
    /// Reads an address from outside; `None` for what is no address that may be shown.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > LENGTH_MOST {
            return None;
        }
        let parsed = url::Url::parse(text).ok()?;
        let plain = parsed.username().is_empty() && parsed.password().is_none();
        if !plain || !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
            return None;
        }
        let written = parsed.as_str().replace('|', "%7C");
        let shown = written.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"'));
        (shown && written.len() <= LENGTH_MOST).then_some(Self(written))
    }

    /// As it is shown and followed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        WebAddress::parse(text).map(|address| address.to_string())
    }

    #[test]
    fn a_link_that_an_alert_brings_is_shown_only_where_it_leads_to_the_web_and_breaks_no_markup() {
        assert_eq!(read("https://runbooks.example.com/mtls"), Some("https://runbooks.example.com/mtls".to_owned()));
        assert_eq!(
            read("http://prometheus:9090/graph?g0.expr=a|b<c>\"d\" e&g0.tab=1").as_deref(),
            Some("http://prometheus:9090/graph?g0.expr=a%7Cb%3Cc%3E%22d%22%20e&g0.tab=1")
        );
        assert_eq!(
            read("https://runbooks.example.com/\u{202e}gnp"),
            Some("https://runbooks.example.com/%E2%80%AEgnp".to_owned())
        );
        let nowhere =
            ["", "runbook", "/graph?g0=1", "javascript:alert(1)", "file:///etc/passwd", "https://", "slack://x"];
        for text in nowhere.into_iter().chain(["https://me:secret@example.com/", "https://me@example.com/"]) {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(&format!("https://example.com/{}", "x".repeat(2_000))), None, "cut, it would lead elsewhere");
        let grows = format!("https://example.com/?{}", " ".repeat(900) + &"|".repeat(900));
        assert_eq!(read(&grows), None, "the bound is on what is shown");
    }
}
