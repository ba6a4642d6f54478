//! Evidence that is read back: what an older build kept is cleared once more.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer};

use super::{Redacted, RedactedLog};
use crate::triage::{
    RootsOf,
    certificate::{DerKind, der_kind},
};

/// The lines of one log: a key may take several of them.
pub(in crate::triage) fn lines_of_one_log<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Redacted>, D::Error> {
    let lines = Vec::<String>::deserialize(from)?;
    // One line each, whatever an edited file holds.
    let joined = lines.iter().map(|line| line.replace(['\n', '\r'], " ")).collect::<Vec<_>>().join("\n");
    let log = RedactedLog::new(&joined);
    Ok(if lines.is_empty() { Vec::new() } else { log.split('\n').map(Redacted::from).collect() })
}

/// Base64 of DER without what is a private key.
pub(in crate::triage) fn certificates_only<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Vec::<String>::deserialize(from).map(without_keys)
}

/// The same for the roots of each trust domain.
pub(in crate::triage) fn certificates_by_domain<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<RootsOf, Vec<String>>, D::Error> {
    let all = BTreeMap::<RootsOf, Vec<String>>::deserialize(from)?;
    Ok(all.into_iter().map(|(whose, roots)| (whose, without_keys(roots))).collect())
}

fn without_keys(mut certificates: Vec<String>) -> Vec<String> {
    certificates.retain(|text| STANDARD.decode(text).map_or(true, |der| der_kind(&der) != DerKind::Key));
    certificates
}
