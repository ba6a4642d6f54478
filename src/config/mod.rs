//! The configuration file: YAML. Each field is documented beside its type; unknown fields are refused, and all problems
//! are reported at once. Secrets are never in the file: they come from other files or from the environment.

mod chats;
mod duration;
mod file;
mod ids;
mod mesh;
mod mistakes;
mod plain_secrets;
mod secret;
mod validate;

use std::{
    io::Read,
    path::{Path, PathBuf},
};

pub use file::{
    Alertmanager, Approval, Config, Discord, DiscordMode, DiscordRoster, Escalation, HeartbeatFile, Kubernetes,
    LevelFile, MeshFile, PagerFile, PagerKind, People, RosterFile, SamePerson, Slack, SlackMode, TriageLimits,
};
pub use mesh::mesh_settings;
pub use secret::{Address, SecretSource};
pub use validate::SettledConfig;

/// The configuration could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("the configuration {path} could not be read")]
    Read {
        /// Which file.
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// It is not YAML of the right shape.
    #[error("the configuration {path} is not understood: {why}")]
    Shape {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
    /// It is understood, and cannot be right.
    #[error("the configuration has {} problem(s):\n  - {}", .0.len(), .0.join("\n  - "))]
    Problems(Vec<String>),
}

/// The largest file that is read, in bytes.
const FILE_MOST: usize = 1024 * 1024;

impl Config {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        read(&text_of(path)?).map_err(|problems| shape(path, problems))
    }

    /// Reads a text.
    pub fn parse(text: &str) -> Result<Self, String> {
        read(text).map_err(|problems| problems.join("; "))
    }
}

/// The error where a value stands in place of fields, as when somebody writes a secret out.
const NO_FIELDS: &str = "expected mapping start";

/// Reads a text into a shape. What looks like a secret is refused wherever it stands; and an error names the line and the
/// field, and shows no value: a secret that was written there by mistake must not end up in a log.
fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Vec<String>> {
    if text.trim().is_empty() {
        return Err(vec!["it is empty: see config/example.yaml".to_owned()]);
    }
    let mut problems = plain_secrets::problems(text);
    let with_hint = |why: String| {
        let hint =
            "fields are wanted there (a secret is named, as {file: /path} or {env: NAME}, and never written here)";
        if why.contains(NO_FIELDS) { format!("{why}: {hint}") } else { why }
    };
    match mistakes::read(text) {
        Ok(read) if problems.is_empty() => Ok(read),
        other => {
            problems.extend(other.err().into_iter().flatten().map(with_hint));
            Err(problems)
        }
    }
}

/// One problem is told as it is, several one a line.
fn shape(path: &Path, problems: Vec<String>) -> ConfigError {
    match <[String; 1]>::try_from(problems) {
        Ok([why]) => ConfigError::Shape { path: path.to_owned(), why },
        Err(problems) => ConfigError::Problems(problems),
    }
}

/// The text of a file, unless it is far too long for a configuration.
fn text_of(path: &Path) -> Result<String, ConfigError> {
    let read = |source| ConfigError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(read)?;
    let most = u64::try_from(FILE_MOST).unwrap_or(u64::MAX);
    let length = file.take(most.saturating_add(1)).read_to_string(&mut text).map_err(read)?;
    if length > FILE_MOST {
        return Err(ConfigError::Shape { path: path.to_owned(), why: format!("it is over {FILE_MOST} bytes") });
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
