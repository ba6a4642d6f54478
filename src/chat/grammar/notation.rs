//! How a platform writes people, groups and special characters in what was typed.

use std::fmt::Debug;

/// One platform's way.
pub trait Notation: Debug + Sync {
    /// The id of the user that a word means.
    fn user<'a>(&self, word: &'a str) -> Option<&'a str>;
    /// The id of the user group or role that a word means.
    fn group<'a>(&self, word: &'a str) -> Option<&'a str>;
    /// Text as the person typed it. What comes out is text from outside: it is escaped again wherever it is shown.
    fn text(&self, typed: &str) -> String;
}

/// A page or terminal, where people are called by name: `@name`.
#[derive(Debug, Clone, Copy)]
pub struct ByName;

impl Notation for ByName {
    fn user<'a>(&self, word: &'a str) -> Option<&'a str> {
        word.strip_prefix('@').filter(|name| is_id(name))
    }

    fn group<'a>(&self, _: &'a str) -> Option<&'a str> {
        None
    }

    fn text(&self, typed: &str) -> String {
        typed.to_owned()
    }
}

/// The longest id of a user or group that is believed.
const ID_MOST: usize = 32;

/// Whether this can be the id of a user or group on any platform.
pub fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID_MOST && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
