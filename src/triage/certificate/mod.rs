//! X.509-SVIDs: read from PEM, checked against the SPIFFE X509-SVID specification, verified up to the bundle.

mod bundle;
mod bundle_document;
mod constraints;
mod der;
mod issuer;
mod path;
mod pem;
mod search;
mod svid;
mod warning;

#[cfg(test)]
mod tests;

pub use bundle::{BundleEnd, bundle_end};
pub use bundle_document::{NoBundle, read_bundle, read_listed_bundles, read_shown_bundle};
pub(in crate::triage) use der::{DerKind, der_kind};
pub(in crate::triage) use issuer::trust_domains;
pub use path::{PathError, verify_path};
pub use pem::{PemRemark, leaf_first, pem_remarks, read_pem};
pub(in crate::triage) use pem::{is_intermediate, is_workload};
pub use search::SIGNATURES_MOST;
pub use svid::{CLOCK_SKEW, OVERDUE_SHARE, Svid, SvidError, Validity, moment};
pub use warning::Warning;

use base64::{Engine, engine::general_purpose::STANDARD};
use x509_parser::{certificate::X509Certificate, x509::X509Name};

use crate::legible;

/// The DER of certificates that evidence keeps as base64; what does not decode is left out.
pub fn ders(certificates: &[String]) -> Vec<Vec<u8>> {
    certificates.iter().filter_map(|text| STANDARD.decode(text).ok()).collect()
}

/// The longest name of a certificate that is shown, in characters: real ones have some thirty.
const NAME_MOST: usize = 120;

/// What a certificate is called, for people.
pub(in crate::triage) fn subject_of(certificate: &X509Certificate<'_>) -> String {
    shown(certificate.subject())
}

/// A subject or issuer for people. The maker of the certificate chose it, so it is cut, and made legible.
fn shown(name: &X509Name<'_>) -> String {
    let text = name.to_string();
    let text = legible::line(&text);
    let mut shown: String = text.chars().take(NAME_MOST).collect();
    if text.chars().count() > NAME_MOST {
        shown.push('…');
    }
    shown
}
