//! The identity of an incident, made of labels only (design section 6).
//!
//! A key is a path. Its first part is the cluster, or one of the words that the bot itself uses; a label value that looks like
//! such a word, or holds a separator, is escaped, so that it means nothing special.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Fingerprint;
use crate::mesh::TargetRef;

/// What makes two alerts the same incident: cluster, alert name, namespace and service; or, where those labels are missing,
/// cluster, alert name and the labels of its group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentKey(pub String);

/// The longest key in characters.
const LENGTH_MOST: usize = 1_000;

/// The first part of the key of an incident that stands for a storm.
const STORM: &str = "storm";
/// The first part of the key of an incident about a rule that cannot see.
const UNSEEN: &str = "unseen";

impl IncidentKey {
    /// Of an alert whose labels name its service.
    pub fn of_target(cluster: &str, alert: &str, target: &TargetRef) -> Self {
        Self::joined(&[&cluster_part(cluster), &part(alert), target.namespace.as_str(), target.name.as_str()])
    }

    /// Of an alert whose labels do not: one a group. The part of the namespace is empty, which no namespace is.
    pub fn of_group(cluster: &str, alert: &str, labels: &BTreeMap<String, String>) -> Self {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{}={}", label_part(name), label_part(value))).collect();
        Self::joined(&[&cluster_part(cluster), &part(alert), "", &labels.join(",")])
    }

    /// Of a rule that has no data or cannot be evaluated.
    pub fn of_rule(cluster: &str, rule: &str) -> Self {
        Self::joined(&[UNSEEN, &part(cluster), &part(rule)])
    }

    /// Of the storms of a cluster.
    pub fn of_storm(cluster: &str) -> Self {
        Self(format!("{STORM}/{cluster}"))
    }

    /// As it was made before values were escaped and groups were counted: incidents of that time may be open still.
    pub fn as_once_made(cluster: &str, alert: &str, target: Option<&TargetRef>, fingerprint: &Fingerprint) -> Self {
        let made = match target {
            Some(target) => format!("{cluster}/{alert}/{}/{}", target.namespace, target.name),
            None => format!("{cluster}/{alert}/fingerprint/{}", fingerprint.0),
        };
        Self(made.chars().take(LENGTH_MOST).collect())
    }

    /// Whether it is the key of a storm. Before values were escaped, alerts of a cluster named "storm" had keys like it.
    pub fn is_of_storm(&self) -> bool {
        self.begins_with(STORM)
    }

    /// Whether it is the key of a rule that cannot see.
    pub fn is_of_rule(&self) -> bool {
        self.begins_with(UNSEEN)
    }

    fn begins_with(&self, word: &str) -> bool {
        self.0.split_once('/').is_some_and(|(first, _)| first == word)
    }

    fn joined(parts: &[&str]) -> Self {
        Self(distinct(&parts.join("/"), LENGTH_MOST))
    }
}

impl fmt::Display for IncidentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text of at most `most` characters as it is, and a longer one by its beginning and its digest: two that differ only
/// behind the bound stay two. The result is longer than `most` then, so that no short text can be it.
pub fn distinct(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    text.chars().take(most).chain(['~']).chain(digest.chars().take(32)).collect()
}

fn part(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}

fn label_part(text: &str) -> String {
    part(text).replace(',', "%2C").replace('=', "%3D")
}

fn cluster_part(cluster: &str) -> String {
    match cluster {
        STORM => "%73torm".to_owned(),
        UNSEEN => "%75nseen".to_owned(),
        other => part(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mesh::Namespace;

    fn frontend() -> TargetRef {
        TargetRef::parse(Namespace::parse("web").unwrap(), "svc/frontend").unwrap()
    }

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn keys_of_ordinary_labels_are_what_they_always_were() {
        let target = frontend();
        let key = IncidentKey::of_target("prod-eu-1", "MTLSHandshakeFailureRateHigh", &target);
        assert_eq!(key.0, "prod-eu-1/MTLSHandshakeFailureRateHigh/web/frontend");
        let once = IncidentKey::as_once_made(
            "prod-eu-1",
            "MTLSHandshakeFailureRateHigh",
            Some(&target),
            &Fingerprint("f".into()),
        );
        assert_eq!(once, key);
        assert_eq!(IncidentKey::of_storm("prod-eu-1").0, "storm/prod-eu-1");
    }

    #[test]
    fn the_words_that_the_bot_uses_inside_and_separators_mean_nothing_special_in_labels() {
        let target = frontend();
        for word in ["storm", "unseen"] {
            let key = IncidentKey::of_target(word, "A", &target);
            assert!(!key.is_of_storm() && !key.is_of_rule(), "{key}");
            assert!(!IncidentKey::of_group(word, "A", &BTreeMap::new()).is_of_storm());
        }
        assert!(IncidentKey::of_storm("storm").is_of_storm());
        assert!(IncidentKey::of_rule("storm", "A").is_of_rule());
        assert_ne!(IncidentKey::of_target("a/B", "C", &target), IncidentKey::of_target("a", "B/C", &target));
        assert_ne!(IncidentKey::of_target("%73torm", "A", &target), IncidentKey::of_target("storm", "A", &target));
        let one = labels(&[("a", "1,b=2")]);
        let two = labels(&[("a", "1"), ("b", "2")]);
        assert_ne!(IncidentKey::of_group("c", "A", &one), IncidentKey::of_group("c", "A", &two));
        let fingerprint = TargetRef::parse(Namespace::parse("fingerprint").unwrap(), "svc/f").unwrap();
        assert_ne!(
            IncidentKey::of_target("c", "A", &fingerprint),
            IncidentKey::of_group("c", "A", &labels(&[("f", "")]))
        );
    }

    #[test]
    fn two_long_values_that_differ_only_behind_the_bound_stay_two_and_are_bounded() {
        let long = |end: char| "x".repeat(100_000) + &end.to_string();
        let keys = ['a', 'b'].map(|end| IncidentKey::of_target(&long(end), "A", &frontend()));
        assert_ne!(keys[0], keys[1]);
        assert!(keys[0].0.len() < 1_100);
        let whole = distinct(&long('a'), 200);
        assert_ne!(distinct(&whole, 200), whole, "a value that looks like a cut one is another one");
    }

    proptest! {
        /// Whatever the labels hold: two alerts have one key only where cluster, name and group are the same.
        #[test]
        fn no_two_alerts_share_a_key_by_accident(
            a in ("[a-c/%~=,]{0,6}", "[a-c/%~=,]{0,6}", proptest::collection::btree_map("[a/%=,]{0,3}", "[a/%=,]{0,3}", 0..3)),
            b in ("[a-c/%~=,]{0,6}", "[a-c/%~=,]{0,6}", proptest::collection::btree_map("[a/%=,]{0,3}", "[a/%=,]{0,3}", 0..3)),
        ) {
            let same = IncidentKey::of_group(&a.0, &a.1, &a.2) == IncidentKey::of_group(&b.0, &b.1, &b.2);
            prop_assert_eq!(same, a == b);
        }
    }
}
