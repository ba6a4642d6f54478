//! SPIFFE identities, as the SPIFFE ID specification (section 2) writes them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a text is not a SPIFFE ID or trust domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeIdError {
    /// The scheme is not `spiffe`.
    #[error("a SPIFFE ID starts with spiffe://")]
    Scheme,
    /// The trust domain is empty, too long, or has characters outside the allowed set.
    #[error("a trust domain has 1 to 255 lower-case letters, digits, '.', '-' or '_'")]
    TrustDomain,
    /// A path segment is empty, `.`, `..`, or has characters outside the allowed set.
    #[error("a SPIFFE ID's path has segments of letters, digits, '.', '-' and '_', none empty, '.' or '..'")]
    Path,
    /// The whole is longer than 2048 bytes.
    #[error("a SPIFFE ID has at most 2048 bytes")]
    Length,
}

/// The longest SPIFFE ID, in bytes (SPIFFE ID specification, section 2.3).
const ID_MOST: usize = 2048;
/// The longest trust domain name, in bytes (section 2.1).
const TRUST_DOMAIN_MOST: usize = 255;

/// A trust domain, as `prod.example.org`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustDomain(String);

impl TrustDomain {
    /// Parses a bare trust domain name.
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        let length_fine = !text.is_empty() && text.len() <= TRUST_DOMAIN_MOST;
        if length_fine && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(SpiffeIdError::TrustDomain)
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A SPIFFE ID, as `spiffe://prod.example.org/ns/web/sa/frontend`. The path is empty for the ID of a trust domain itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpiffeId {
    trust_domain: TrustDomain,
    path: String,
}

impl SpiffeId {
    /// Parses a SPIFFE ID.
    pub fn parse(text: &str) -> Result<Self, SpiffeIdError> {
        if text.len() > ID_MOST {
            return Err(SpiffeIdError::Length);
        }
        let rest = text.strip_prefix("spiffe://").ok_or(SpiffeIdError::Scheme)?;
        let (domain, path) = match rest.find('/') {
            None => (rest, ""),
            Some(slash) => rest.split_at(slash),
        };
        if !path.is_empty() && !path.split('/').skip(1).all(is_segment) {
            return Err(SpiffeIdError::Path);
        }
        Ok(Self { trust_domain: TrustDomain::parse(domain)?, path: path.to_owned() })
    }

    /// The trust domain that vouches for this identity.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The path with its leading slash, empty for the trust domain's own ID.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether this names the trust domain itself, as signing certificates do, and no workload.
    pub fn is_trust_domain(&self) -> bool {
        self.path.is_empty()
    }
}

fn is_segment(segment: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(allowed)
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}{}", self.trust_domain, self.path)
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;
    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for TrustDomain {
    type Error = SpiffeIdError;
    fn try_from(text: String) -> Result<Self, SpiffeIdError> {
        Self::parse(&text)
    }
}

impl From<TrustDomain> for String {
    fn from(domain: TrustDomain) -> String {
        domain.0
    }
}

impl TryFrom<String> for SpiffeId {
    type Error = SpiffeIdError;
    fn try_from(text: String) -> Result<Self, SpiffeIdError> {
        Self::parse(&text)
    }
}

impl From<SpiffeId> for String {
    fn from(id: SpiffeId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_the_specification_are_read_and_written_back() {
        for good in ["spiffe://prod.example.org/ns/web/sa/frontend", "spiffe://a_b-c", "spiffe://td/A.b_c-9"] {
            assert_eq!(SpiffeId::parse(good).unwrap().to_string(), good);
        }
        assert!(SpiffeId::parse("spiffe://td").unwrap().is_trust_domain());
    }

    #[test]
    fn ids_that_the_specification_forbids_are_refused() {
        let bad = [
            "",
            "https://td/x",
            "spiffe://",
            "spiffe:///x",
            "spiffe://TD/x",
            "spiffe://td/",
            "spiffe://td/x/",
            "spiffe://td//x",
            "spiffe://td/./x",
            "spiffe://td/../x",
            "spiffe://td:80/x",
            "spiffe://u@td/x",
            "spiffe://td/x?q",
            "spiffe://td/x#f",
            "spiffe://td/%41",
            "SPIFFE://td/x",
        ];
        for id in bad {
            assert!(SpiffeId::parse(id).is_err(), "{id}");
        }
        assert_eq!(SpiffeId::parse(&format!("spiffe://td/{}", "x".repeat(2048))), Err(SpiffeIdError::Length));
    }
}
