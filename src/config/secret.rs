//! Secrets: named in the configuration, kept elsewhere.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};

/// Where a secret is: `{file: /path}` or `{env: NAME}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSource {
    /// A file that holds nothing else, as Kubernetes mounts it.
    file: Option<PathBuf>,
    /// An environment variable.
    env: Option<String>,
}

/// An address: written out, or kept elsewhere as a secret, since the addresses of many webhooks are one.
#[derive(Clone, PartialEq, Eq)]
pub enum Address {
    /// `https://…`
    Plain(String),
    /// `{file: /path}` or `{env: NAME}`.
    Kept(SecretSource),
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain"),
            Self::Kept(secret) => f.debug_tuple("Kept").field(secret).finish(),
        }
    }
}

impl Address {
    /// Reads it; `name` is the field, for the error.
    pub fn read(&self, name: &str) -> Result<SecretString, String> {
        match self {
            Self::Plain(address) => Ok(SecretString::from(address.as_str())),
            Self::Kept(secret) => secret.read(name),
        }
    }
}

impl SecretSource {
    /// Reads it; `name` is the field, for the error.
    pub fn read(&self, name: &str) -> Result<SecretString, String> {
        let text = match (&self.file, &self.env) {
            (Some(path), None) => bounded(path)
                .map_err(|error| format!("{name}: the file {} could not be read: {error}", path_shown(path)))?,
            (None, Some(variable)) => std::env::var(variable)
                .map_err(|_| format!("{name}: the environment variable {} is not set", variable_shown(variable)))?,
            _ => return Err(format!("{name}: name one of file and env")),
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(format!("{name}: it is empty"));
        }
        // No header can carry one, so nobody could ever show it: two tokens in one file, most likely.
        if text.contains(char::is_control) {
            return Err(format!("{name}: it has more than one line or a control character: name one file a secret"));
        }
        Ok(SecretString::from(text))
    }
}

/// The longest secret in bytes: a file that never ends is none.
const SECRET_MOST: u64 = 64 * 1024;

fn bounded(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;

    let mut text = String::new();
    let read = std::fs::File::open(path)?.take(SECRET_MOST.saturating_add(1)).read_to_string(&mut text)?;
    let too_long = u64::try_from(read).is_ok_and(|read| read > SECRET_MOST);
    if too_long { Err(std::io::Error::other("it is longer than a secret")) } else { Ok(text) }
}

const NOT_SHOWN: &str = "that is named there (not shown: it may be the secret itself)";

/// A path, unless somebody wrote the secret where its file is named.
fn path_shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_path = path.is_absolute() || text.starts_with('.') || path.extension().is_some();
    if is_path && !crate::triage::holds_a_secret(&text) { text.into_owned() } else { NOT_SHOWN.to_owned() }
}

/// The name of a variable, as they are usually written; a secret put there by mistake is none.
fn variable_shown(variable: &str) -> &str {
    let usual = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    let is_name = variable.len() <= 64 && variable.chars().all(usual) && !crate::triage::holds_a_secret(variable);
    if is_name { variable } else { NOT_SHOWN }
}

/// In place of serde's own error, which quotes the value.
const IN_PLAIN_TEXT: &str = "a secret is named there, as {file: /path} or {env: NAME}, and never written in plain text";

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SecretVisitor)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AddressVisitor)
    }
}

struct SecretVisitor;

impl<'de> Visitor<'de> for SecretVisitor {
    type Value = SecretSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{file: /path} or {env: NAME}")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<SecretSource, E> {
        Err(E::custom(IN_PLAIN_TEXT))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<SecretSource, E> {
        Err(E::custom(IN_PLAIN_TEXT))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<SecretSource, E> {
        Err(E::custom(IN_PLAIN_TEXT))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<SecretSource, E> {
        Err(E::custom(IN_PLAIN_TEXT))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<SecretSource, E> {
        Err(E::custom(IN_PLAIN_TEXT))
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<SecretSource, E> {
        Err(E::custom(IN_PLAIN_TEXT))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<SecretSource, E> {
        Err(E::custom(IN_PLAIN_TEXT))
    }

    fn visit_unit<E: Error>(self) -> Result<SecretSource, E> {
        Err(E::custom("nothing is named there: write {file: /path} or {env: NAME}"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<SecretSource, A::Error> {
        Err(A::Error::custom(IN_PLAIN_TEXT))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<SecretSource, A::Error> {
        let mut secret = SecretSource { file: None, env: None };
        while let Some(name) = fields.next_key::<String>()? {
            match name.as_str() {
                "file" => secret.file = fields.next_value::<Option<PathBuf>>()?,
                "env" => secret.env = fields.next_value::<Option<String>>()?,
                // Its name may be the secret.
                _ => return Err(A::Error::custom(IN_PLAIN_TEXT)),
            }
        }
        Ok(secret)
    }
}

struct AddressVisitor;

impl<'de> Visitor<'de> for AddressVisitor {
    type Value = Address;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address, {file: /path} or {env: NAME}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Address, E> {
        Ok(Address::Plain(text.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Address, E> {
        SecretVisitor.visit_unit().map(Address::Kept)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Address, A::Error> {
        SecretVisitor.visit_map(fields).map(Address::Kept)
    }
}
