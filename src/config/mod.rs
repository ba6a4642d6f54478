//! The configuration file: YAML, every field documented beside its type, unknown fields refused, all problems told at
//! once. Secrets are never in the file: they come from other files or from the environment.

mod duration;
mod file;
mod ids;
mod secret;
mod settle;

use std::path::{Path, PathBuf};

pub use file::{
    Alertmanager, Approval, Config, Escalation, Kubernetes, LevelFile, Mesh, Pager, PagerKind, People, Roster, Slack,
    SlackMode, TriageLimits,
};
pub use secret::{Address, Secret};
pub use settle::Settled;

/// The configuration could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("the configuration {path} could not be read")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
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
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|why| ConfigError::Shape { path: path.to_owned(), why })
    }

    /// Reads a text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > FILE_MOST {
            return Err(format!("it is over {FILE_MOST} bytes"));
        }
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
