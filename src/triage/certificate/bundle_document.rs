//! Bundles in the forms that SPIRE writes: PEM, the SPIFFE bundle (a JWK Set; SPIFFE Trust Domain and Bundle, section 4), and
//! the answers of `spire-server bundle show` and `bundle list` with `-output json`.
//!
//! Those two are read as JSON because half of a JSON document is none: of a PEM text that was cut behind the API server
//! between two certificates nobody would know that a root is missing.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::IgnoredAny};

use super::{
    der::{DerKind, der_kind, first_element},
    pem::{BLOCKS_MOST, read_pem},
};
use crate::triage::{DomainRoots, PemFile};

/// The most federated trust domains that are read.
const DOMAINS_MOST: usize = 64;

/// Why a document is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum NoBundle {
    /// Broken JSON, or JSON of another shape.
    #[error("it is no bundle that SPIRE writes: {0}")]
    Json(#[from] serde_json::Error),
}

/// Reads a bundle file or the value of a ConfigMap's key, in either form.
pub fn read_bundle(text: &[u8]) -> Result<PemFile, NoBundle> {
    if text.trim_ascii_start().starts_with(b"{") { read_jwks(text) } else { Ok(read_pem(text)) }
}

#[derive(Deserialize)]
struct JwkSet {
    /// An empty bundle may have `null` here (Go writes it for no keys).
    keys: Option<Vec<Jwk>>,
}

#[derive(Deserialize)]
struct Jwk {
    #[serde(default, rename = "use")]
    usage: String,
    #[serde(default)]
    x5c: Vec<String>,
    /// The private half of a key (RFC 7518, 6.2.2 and 6.3.2), and that of a symmetric one: neither belongs into a bundle.
    d: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
}

/// The authorities for X.509-SVIDs. Those for JWT-SVIDs are no part of the file; a private key is dropped unread and counted.
fn read_jwks(text: &[u8]) -> Result<PemFile, NoBundle> {
    let set: JwkSet = serde_json::from_slice(text)?;
    let keys = set.keys.unwrap_or_default();
    let private = keys.iter().filter(|key| key.d.is_some() || key.k.is_some()).count();
    let mut file = PemFile { keys_dropped: u32::try_from(private).unwrap_or(u32::MAX), ..PemFile::default() };
    // The certificate of an authority is the first one of its key.
    let authorities = keys.into_iter().filter(|key| key.usage == "x509-svid").map(|key| key.x5c.into_iter().next());
    for (place, authority) in authorities.enumerate() {
        if place == BLOCKS_MOST {
            file.cut = true;
            break;
        }
        match authority.as_deref().and_then(certificate) {
            Some(authority) => file.certificates.push(authority),
            None => file.other_blocks = file.other_blocks.saturating_add(1),
        }
    }
    Ok(file)
}

/// The certificate alone, in the spelling that all evidence uses; `None` for what is none, or a key.
fn certificate(base64: &str) -> Option<String> {
    let der = STANDARD.decode(base64.trim()).ok()?;
    (der_kind(&der) == DerKind::Certificate).then(|| STANDARD.encode(first_element(&der)))
}

#[derive(Deserialize)]
struct ShownBundle {
    trust_domain: String,
    #[serde(default)]
    x509_authorities: Vec<X509Authority>,
}

#[derive(Deserialize)]
struct X509Authority {
    asn1: String,
}

#[derive(Deserialize)]
struct ListedBundles {
    #[serde(default)]
    bundles: Vec<ShownBundle>,
}

/// Reads what `spire-server bundle show -output json` prints.
pub fn read_shown_bundle(json: &[u8]) -> Result<DomainRoots, NoBundle> {
    Ok(domain_roots(vec![serde_json::from_slice(json)?]))
}

/// Reads what `spire-server bundle list -output json` prints: the bundles of federated trust domains.
pub fn read_listed_bundles(json: &[u8]) -> Result<DomainRoots, NoBundle> {
    let listed: ListedBundles = serde_json::from_slice(json)?;
    Ok(domain_roots(listed.bundles))
}

fn domain_roots(bundles: Vec<ShownBundle>) -> DomainRoots {
    let mut found = DomainRoots { cut: bundles.len() > DOMAINS_MOST, ..DomainRoots::default() };
    for bundle in bundles.into_iter().take(DOMAINS_MOST) {
        // Versions differ in whether they write the scheme.
        let domain = bundle.trust_domain.strip_prefix("spiffe://").unwrap_or(&bundle.trust_domain).to_owned();
        found.cut |= bundle.x509_authorities.len() > BLOCKS_MOST;
        let authorities = bundle.x509_authorities.iter().take(BLOCKS_MOST);
        let read = authorities.filter_map(|authority| certificate(&authority.asn1));
        found.roots.entry(domain.into()).or_default().extend(read);
    }
    found
}
