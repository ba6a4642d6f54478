//! A bundle that ends before its successor is there is an incident in waiting.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{shown, svid::moment};

/// SPIRE signs with the next authority when a sixth of the life of the old one is left, at most 7 days, and prepares it
/// when half is left, at most 30 days (spire pkg/server/ca/manager, `keyActivationThreshold`, `preparationThreshold`): a
/// bundle that has none by then is late.
const LATE_SHARE: i32 = 6;
const LATE_MOST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The bundle ends, and nothing in it outlives that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleEnd {
    /// The root that ends last.
    pub subject: String,
    /// When it ends.
    pub ends: Timestamp,
    /// Whether that is past.
    pub over: bool,
}

impl fmt::Display for BundleEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, ends, over } = self;
        let verb = if *over { "ended" } else { "ends" };
        write!(f, "the last root of the bundle, \"{subject}\", {verb} at {ends:.0}, and its successor is not there")
    }
}

/// Whether the bundle of one trust domain ends soon, or has ended, and no successor is in it. `None` for a bundle that
/// is fine, and for one that holds no certificate: an empty bundle is another finding.
pub fn bundle_end(roots: &[Vec<u8>], now: Timestamp) -> Option<BundleEnd> {
    let ends = |der: &Vec<u8>| {
        let (_, root) = X509Certificate::from_der(der).ok()?;
        let (begins, ends) = (moment(root.validity().not_before), moment(root.validity().not_after));
        let late = (ends.duration_since(begins) / LATE_SHARE).min(LATE_MOST);
        Some((ends, late, shown(root.subject())))
    };
    let (ends, late, subject) = roots.iter().filter_map(ends).max_by_key(|(ends, ..)| *ends)?;
    let left = ends.duration_since(now);
    (left < late).then(|| BundleEnd { subject, ends, over: left < SignedDuration::ZERO })
}
