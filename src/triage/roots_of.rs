//! Whose roots a proxy trusts, as it names them.

use serde::{Deserialize, Serialize};

/// Whose roots they are. Stored as the name, which is empty for none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum RootsOf {
    /// No trust domain is named: they vouch for every name.
    NoDomain,
    /// Those of one trust domain, in the words of the proxy: what it names may be no valid one.
    Domain(String),
}

impl RootsOf {
    pub(super) fn domain(&self) -> Option<&str> {
        match self {
            Self::NoDomain => None,
            Self::Domain(name) => Some(name),
        }
    }
}

impl From<String> for RootsOf {
    fn from(name: String) -> Self {
        if name.is_empty() { Self::NoDomain } else { Self::Domain(name) }
    }
}

impl From<RootsOf> for String {
    fn from(whose: RootsOf) -> Self {
        match whose {
            RootsOf::NoDomain => String::new(),
            RootsOf::Domain(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::triage::ServedSecrets;

    use super::*;

    #[test]
    fn roots_are_stored_under_the_names_that_they_always_had() {
        let stored = r#"{"chain":[],"roots":{"":["AAAA"],"Not A Domain":[],"prod.example.org":["BBBB"]}}"#;
        let served: ServedSecrets = serde_json::from_str(stored).unwrap();
        let whose: Vec<_> = served.roots.keys().map(RootsOf::domain).collect();
        assert_eq!(whose, [None, Some("Not A Domain"), Some("prod.example.org")]);
        assert_eq!(serde_json::to_string(&served).unwrap(), stored);
    }
}
