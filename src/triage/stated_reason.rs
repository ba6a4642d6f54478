//! A sentence that speaks for a verdict, and the fact behind it.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Serialize};

use super::Subject;
use crate::mesh::NodeName;

/// What several services of a storm can have in common. Sentences about a service's own pods and logs have no such fact: those
/// of two services are never the same, however alike they read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharedFact {
    /// The SPIRE server issues nothing.
    NoSpireServer,
    /// Whether the SPIRE server is healthy, seen from its own pods.
    SpireServerHealth,
    /// How the SPIRE agent of this node is.
    SpireAgent(NodeName),
    /// The last root of this bundle ends, or has ended.
    BundleEnds(Subject),
    /// The bot lacks this right, and so did not see all.
    MissingGrant(String),
    /// All that was looked at is fine.
    AllIsFine,
    /// Where to look for a registration entry.
    LookForEntry,
    /// This version does not check istiod.
    IstiodNotChecked,
    /// Bundles could not be compared at every hop.
    BundlesNotCompared,
    /// No certificate is over yet.
    NothingIsOver,
}

/// One sentence of a verdict. It is stored and shown as text alone: the fact lives as long as the triage that found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct StatedReason {
    /// What it says, where several services can have that in common.
    pub fact: Option<SharedFact>,
    /// The sentence.
    pub text: String,
}

impl SharedFact {
    /// This fact, in a sentence.
    pub(crate) fn stated(self, text: impl Into<String>) -> StatedReason {
        StatedReason { fact: Some(self), text: text.into() }
    }
}

impl From<String> for StatedReason {
    fn from(text: String) -> Self {
        Self { fact: None, text }
    }
}

impl From<&str> for StatedReason {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<StatedReason> for String {
    fn from(reason: StatedReason) -> Self {
        reason.text
    }
}

impl Deref for StatedReason {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl AsRef<str> for StatedReason {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for StatedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
