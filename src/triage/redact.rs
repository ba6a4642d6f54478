//! Evidence holds lines that others wrote: access logs with query strings, agents' logs with tokens. What could be a
//! secret, and what could steer a terminal, is dropped once, before the evidence is stored, saved or shown.

use super::{Evidence, Gathered, LogExcerpt, Missing};

/// What stands where something was dropped.
const DROPPED: &str = "[redacted]";
/// The longest text that is quoted, in bytes.
const TEXT_MOST: usize = 2048;
/// What comes before a secret, in lower case.
const BEFORE_A_SECRET: [&str; 9] =
    ["bearer ", "basic ", "token=", "token\":\"", "password=", "secret=", "authorization: ", "api_key=", "join_token="];
/// JSON Web Tokens begin with `{"` in base64url.
const JWT: &str = "eyJ";
/// The shortest run of letters that is taken for a token, so that a name that happens to begin like one stays.
const JWT_LEAST: usize = 20;

impl Evidence {
    /// The same evidence, with everything that was quoted from outside cleared.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        for pod in &mut self.pods {
            clear_log(&mut pod.proxy_log);
            clear_reason(&mut pod.svid_file);
            clear_reason(&mut pod.bundle_file);
            clear_reason(&mut pod.served);
            clear_reason(&mut pod.stats);
        }
        for agent in &mut self.agents {
            clear_log(&mut agent.log);
            clear_check(&mut agent.healthcheck);
        }
        for server in &mut self.servers {
            clear_check(&mut server.healthcheck);
        }
        self
    }
}

fn clear_log(log: &mut Gathered<LogExcerpt>) {
    if let Gathered::Seen { value, .. } = log {
        for line in &mut value.lines {
            *line = redacted(line);
        }
    }
    clear_reason(log);
}

fn clear_check(check: &mut Gathered<super::Healthcheck>) {
    if let Gathered::Seen { value, .. } = check {
        value.output = redacted(&value.output);
    }
    clear_reason(check);
}

fn clear_reason<T>(gathered: &mut Gathered<T>) {
    if let Gathered::Missing { reason: Missing::Other { why }, .. } = gathered {
        *why = redacted(why);
    }
}

/// One text without query strings, tokens and control characters, and not longer than is ever read.
pub(super) fn redacted(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(lead) = secret_ahead(rest) {
            let (shown, hidden) = rest.split_at_checked(lead).unwrap_or((rest, ""));
            kept.push_str(shown);
            kept.push_str(DROPPED);
            rest = after_the_secret(hidden);
        } else {
            kept.push(if letter.is_control() { ' ' } else { letter });
            rest = rest.get(letter.len_utf8()..).unwrap_or_default();
        }
        if kept.len() >= TEXT_MOST {
            kept.push('…');
            break;
        }
    }
    kept
}

/// How many bytes of `text` are shown before a secret that begins right there, if one does.
fn secret_ahead(text: &str) -> Option<usize> {
    if text.starts_with('?') && text.get(1..).is_some_and(|query| query.starts_with(|next: char| !next.is_whitespace()))
    {
        return Some(1);
    }
    let begins = |word: &&&str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    if let Some(word) = BEFORE_A_SECRET.iter().find(begins) {
        // The word "Bearer" may follow "authorization:", and the secret only after that.
        let rest = text.get(word.len()..).unwrap_or_default();
        let quote = rest.len().saturating_sub(rest.trim_start_matches(['"', '\\', '\'']).len());
        let inner = rest.get(quote..).unwrap_or_default();
        let more = secret_ahead(inner).unwrap_or(0);
        return (!inner.is_empty()).then(|| word.len().saturating_add(quote).saturating_add(more));
    }
    let token = text.find(|letter: char| !is_of_a_token(letter)).unwrap_or(text.len());
    (text.starts_with(JWT) && token >= JWT_LEAST).then_some(0)
}

fn is_of_a_token(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '=' | '+' | '/')
}

fn after_the_secret(hidden: &str) -> &str {
    let end = hidden.find(|letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | ',' | '&' | ';'));
    let rest = end.and_then(|end| hidden.get(end..)).unwrap_or_default();
    // All of a query string goes, not only its first pair.
    if rest.starts_with(['&', ';']) { after_the_secret(rest.get(1..).unwrap_or_default()) } else { rest }
}
