//! What an X.509-SVID should have and a validator does not insist on.

use std::fmt;

use x509_parser::{certificate::X509Certificate, extensions::ParsedExtension};

/// What binds issuers and not validators (X509-SVID, section 4.3): a remark, never a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// There is no key usage.
    NoKeyUsage,
    /// The key usage is not critical.
    KeyUsageNotCritical,
    /// The key usage lacks digitalSignature.
    NoDigitalSignature,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKeyUsage => "its issuer set no key usage (X509-SVID 4.3)",
            Self::KeyUsageNotCritical => "its issuer did not mark the key usage as critical (X509-SVID 4.3)",
            Self::NoDigitalSignature => "its key usage lacks digitalSignature (X509-SVID 4.3)",
        })
    }
}

/// The warnings about one leaf.
pub(super) fn warnings(certificate: &X509Certificate<'_>) -> Vec<Warning> {
    let usage = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::KeyUsage(usage) => Some((extension.critical, usage)),
        _ => None,
    });
    let Some((critical, usage)) = usage else { return vec![Warning::NoKeyUsage] };
    let critical = (!critical).then_some(Warning::KeyUsageNotCritical);
    let signature = (!usage.digital_signature()).then_some(Warning::NoDigitalSignature);
    critical.into_iter().chain(signature).collect()
}
