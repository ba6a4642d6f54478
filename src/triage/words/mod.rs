//! What the tools of a mesh write when identities, certificates or secrets fail, in one table a tool: `*.tsv` beside this file.
//! A row holds the words as their source has them, in which versions they stand, what they mean, which cause they point to, and
//! what they are easily taken for. Columns: `words` (constant parts; ` … ` stands for what differs), `level` (`err`: only within
//! the error of another line), `where` (the source), `versions` (`≤x`: in the oldest that was read already; `x–`: still there),
//! `meaning`, `cause`, `not` (easily mistaken for).
//!
//! SPIRE says where it failed in `msg` and why in `error`, to be read from its end; Envoy lists its TLS errors, the last of which
//! names the failure; pilot-agent and ztunnel put what they were told at the end as well. So of all rows that a line holds, the
//! one that tells most is the last one that points to a cause.

mod table;

use std::{borrow::Cow, sync::LazyLock};

use self::table::read;
use super::Scenario;

/// Whose words they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tool {
    /// SPIRE 0.9 to 1.15.
    SpireAgent,
    /// SPIRE 0.12 to 1.15.
    SpireServer,
    /// The sidecar's agent and istiod, Istio 1.6 to 1.31.
    PilotAgent,
    /// Envoy 1.40 and BoringSSL.
    Envoy,
    /// Istio 1.18 to 1.31.
    Ztunnel,
}

/// What words point to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PointsTo {
    /// All is well with what they speak of.
    HealthySign,
    /// Nothing.
    Nothing,
    /// Something failed, and the words do not say why.
    ConsequenceOnly,
    Cause(Scenario),
}

impl PointsTo {
    /// As the tables write it.
    fn parse(word: &str) -> Option<Self> {
        match word {
            "healthy-sign" => Some(Self::HealthySign),
            "none" => Some(Self::Nothing),
            "consequence-only" => Some(Self::ConsequenceOnly),
            cause => Scenario::ALL.into_iter().find(|scenario| scenario.as_str() == cause).map(Self::Cause),
        }
    }

    /// The cause, where the words name one.
    pub(super) fn scenario(self) -> Option<Scenario> {
        match self {
            Self::Cause(scenario) => Some(scenario),
            Self::HealthySign | Self::Nothing | Self::ConsequenceOnly => None,
        }
    }
}

/// A row of a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// The constant parts, in their order.
    parts: Vec<&'static str>,
    /// What they mean.
    pub(super) meaning: &'static str,
    pub(super) points_to: PointsTo,
}

static SPIRE_AGENT: LazyLock<Vec<Words>> = LazyLock::new(|| read(include_str!("spire-agent.tsv")));
static SPIRE_SERVER: LazyLock<Vec<Words>> = LazyLock::new(|| read(include_str!("spire-server.tsv")));
static PILOT_AGENT: LazyLock<Vec<Words>> = LazyLock::new(|| read(include_str!("pilot-agent.tsv")));
static ENVOY: LazyLock<Vec<Words>> = LazyLock::new(|| read(include_str!("envoy.tsv")));
static ZTUNNEL: LazyLock<Vec<Words>> = LazyLock::new(|| read(include_str!("ztunnel.tsv")));

impl Tool {
    fn table(self) -> &'static [Words] {
        match self {
            Self::SpireAgent => &SPIRE_AGENT,
            Self::SpireServer => &SPIRE_SERVER,
            Self::PilotAgent => &PILOT_AGENT,
            Self::Envoy => &ENVOY,
            Self::Ztunnel => &ZTUNNEL,
        }
    }

    /// The row that tells most of a line.
    pub(super) fn most_telling(self, line: &str) -> Option<&'static Words> {
        let line = self.plain(line);
        let found = self.table().iter().filter_map(|row| Some((row, self.end_of(row, &line)?)));
        let by_what_they_tell = |(row, end): &(&Words, usize)| (row.points_to.scenario().is_some(), *end, row.length());
        found.max_by_key(by_what_they_tell).map(|(row, _)| row)
    }

    /// Envoy's access log has underscores where its own log has blanks.
    fn plain(self, text: &str) -> Cow<'_, str> {
        if self == Self::Envoy { Cow::Owned(text.replace('_', " ")) } else { Cow::Borrowed(text) }
    }

    /// Where the last of the row's parts ends in a line that has all of them in their order.
    fn end_of(self, row: &Words, line: &str) -> Option<usize> {
        row.parts.iter().try_fold(0, |from, part| {
            let part = self.plain(part);
            // The last place of the last part is wanted, the first of the others.
            let rest = line.get(from..)?;
            let at = if row.parts.len() == 1 { rest.rfind(part.as_ref()) } else { rest.find(part.as_ref()) }?;
            Some(from.saturating_add(at).saturating_add(part.len()))
        })
    }
}

impl Words {
    fn length(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }
}

#[cfg(test)]
mod tests;
