//! What a pod of the SPIRE server says of bundles: its own trust domain's, and those of the domains that it federates with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Gathered, RootsOf, redact::certificates_by_domain};

/// The roots of one trust domain or of several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainRoots {
    /// Base64 of their DER, by the trust domain that they speak for. A domain without roots has an empty bundle.
    #[serde(deserialize_with = "certificates_by_domain")]
    pub roots: BTreeMap<RootsOf, Vec<String>>,
    /// Whether more was there than is read.
    #[serde(default)]
    pub cut: bool,
}

/// The bundles as one pod of the SPIRE server has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerBundles {
    /// Its own: `spire-server bundle show`.
    pub own: Gathered<DomainRoots>,
    /// Those of federated trust domains: `spire-server bundle list`.
    pub federated: Gathered<DomainRoots>,
}
