//! X.509-SVIDs: read from PEM, checked against the SPIFFE X509-SVID specification, verified up to the bundle.

mod path;
mod pem;
mod svid;

pub use path::{PathError, verify_path};
pub use pem::read_pem;
pub use svid::{CLOCK_SKEW, Life, OVERDUE_SHARE, Svid, SvidError, moment};

use base64::{Engine, engine::general_purpose::STANDARD};

/// The DER of certificates that evidence keeps as base64; what does not decode is left out.
pub fn ders(certificates: &[String]) -> Vec<Vec<u8>> {
    certificates.iter().filter_map(|text| STANDARD.decode(text).ok()).collect()
}
