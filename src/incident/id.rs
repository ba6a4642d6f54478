//! Names of incidents and of stored evidence.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The bot that keeps an incident, by its cluster. Each bot counts its incidents from 1, so that `INC-7` of one cluster and
/// `INC-7` of another are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeper {
    cluster: &'static str,
    named: bool,
}

impl Keeper {
    /// The bot of `cluster`. With `named`, each of its incidents is written with the cluster, as `INC-7/blue`: for bots that
    /// share one app of a chat, where people must tell them apart.
    ///
    /// A process has one keeper for as long as it lives, so its name is never given back; that makes ids cheap to copy.
    pub fn new(cluster: &str, named: bool) -> Self {
        Self { cluster: Box::leak(cluster.to_owned().into_boxed_str()), named }
    }

    /// The cluster that the bot looks after.
    pub fn cluster(self) -> &'static str {
        self.cluster
    }

    /// Whether ids are written with the cluster.
    pub fn is_named(self) -> bool {
        self.named
    }
}

/// The name of an incident, as `INC-42`: short enough to type on a phone. Two are the same if their numbers are: the keeper
/// is no part of what is stored, and every id of one process has the same.
#[derive(Debug, Clone, Copy)]
pub struct IncidentId {
    number: u32,
    keeper: Option<Keeper>,
}

impl IncidentId {
    /// No name yet: the journal gives the next number in the transaction that opens the incident, so that an opening that
    /// came to nothing leaves no gap.
    pub const UNNUMBERED: Self = Self::new(0);

    /// The incident of that number.
    pub const fn new(number: u32) -> Self {
        Self { number, keeper: None }
    }

    /// Its number, from 1.
    pub const fn number(self) -> u32 {
        self.number
    }

    /// The same, kept by that bot.
    pub const fn kept_by(self, keeper: Option<Keeper>) -> Self {
        Self { keeper, ..self }
    }

    /// The same, kept by the bot that keeps `other`: what is stored within an incident names no keeper.
    pub const fn kept_like(self, other: Self) -> Self {
        Self { keeper: other.keeper, ..self }
    }

    /// The cluster of the bot that keeps it, where that is known.
    pub fn keeper(self) -> Option<&'static str> {
        self.keeper.map(Keeper::cluster)
    }
}

impl PartialEq for IncidentId {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for IncidentId {}

impl PartialOrd for IncidentId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for IncidentId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.cmp(&other.number)
    }
}

impl Hash for IncidentId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

impl Serialize for IncidentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.number.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for IncidentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer).map(Self::new)
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "INC-{}", self.number)?;
        match self.keeper {
            Some(Keeper { cluster, named: true }) => write!(f, "/{cluster}"),
            _ => Ok(()),
        }
    }
}

/// The text is not the name of an incident.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an incident is named like INC-42, or INC-42/CLUSTER")]
pub struct NotAnIncidentId;

/// The name of an incident as somebody typed it, with the cluster where they named one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedId {
    pub incident: IncidentId,
    /// The cluster behind the slash.
    pub cluster: Option<String>,
}

impl FromStr for TypedId {
    type Err = NotAnIncidentId;

    /// Reads `INC-42`, `inc-42`, `42`, and each with a cluster: `INC-42/blue`.
    fn from_str(text: &str) -> Result<Self, NotAnIncidentId> {
        let (name, cluster) = text.split_once('/').map_or((text, None), |(name, cluster)| (name, Some(cluster)));
        let digits = name.get(..4).filter(|start| start.eq_ignore_ascii_case("inc-")).map_or(name, |_| &name[4..]);
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !plain || cluster.is_some_and(str::is_empty) {
            return Err(NotAnIncidentId);
        }
        let number = digits.parse().map_err(|_| NotAnIncidentId)?;
        Ok(Self { incident: IncidentId::new(number), cluster: cluster.map(str::to_owned) })
    }
}

impl FromStr for IncidentId {
    type Err = NotAnIncidentId;

    /// Reads `INC-42`, `inc-42` and `42`.
    fn from_str(text: &str) -> Result<Self, NotAnIncidentId> {
        match text.parse()? {
            TypedId { incident, cluster: None } => Ok(incident),
            TypedId { .. } => Err(NotAnIncidentId),
        }
    }
}

/// The SHA-256 of stored evidence, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EvidenceDigest(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_stored_as_its_number_and_written_with_the_cluster_only_where_bots_share_an_app() {
        let (alone, shared) = (Keeper::new("blue", false), Keeper::new("blue", true));
        let id = IncidentId::new(7);
        assert_eq!(id.kept_by(Some(alone)).to_string(), "INC-7");
        assert_eq!(id.kept_by(Some(shared)).to_string(), "INC-7/blue");
        assert_eq!(serde_json::to_string(&id.kept_by(Some(shared))).unwrap(), "7");
        assert_eq!(serde_json::from_str::<IncidentId>("7").unwrap(), id.kept_by(Some(shared)));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let written = IncidentId::new(7).kept_by(Some(Keeper::new("prod-eu-1", true))).to_string();
        let read: TypedId = written.parse().unwrap();
        assert_eq!(read, TypedId { incident: IncidentId::new(7), cluster: Some("prod-eu-1".to_owned()) });
        for text in ["INC-7", "inc-7", "7"] {
            assert_eq!(text.parse::<IncidentId>(), Ok(IncidentId::new(7)), "{text}");
        }
        for text in ["", "INC-", "INC-7/", "seven", "INC-99999999999", "/blue", "INC-é7"] {
            assert!(text.parse::<TypedId>().is_err(), "{text}");
        }
    }
}
