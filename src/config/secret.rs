//! Secrets: named in the configuration, kept elsewhere.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

/// Where a secret is: `{file: /path}` or `{env: NAME}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// A file that holds nothing else, as Kubernetes mounts it.
    file: Option<PathBuf>,
    /// An environment variable.
    env: Option<String>,
}

/// An address: written out, or kept elsewhere as a secret, since the addresses of many webhooks are one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Address {
    /// `https://…`
    Plain(String),
    /// `{file: /path}` or `{env: NAME}`.
    Kept(Secret),
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

impl Secret {
    /// Reads it; `name` is the field, for the error.
    pub fn read(&self, name: &str) -> Result<SecretString, String> {
        let text = match (&self.file, &self.env) {
            (Some(path), None) => std::fs::read_to_string(path)
                .map_err(|error| format!("{name}: the file {} could not be read: {error}", path.display()))?,
            (None, Some(variable)) => std::env::var(variable)
                .map_err(|_| format!("{name}: the environment variable {variable} is not set"))?,
            _ => return Err(format!("{name}: name one of file and env")),
        };
        let text = text.trim();
        if text.is_empty() { Err(format!("{name}: it is empty")) } else { Ok(SecretString::from(text)) }
    }
}
