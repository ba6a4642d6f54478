//! What DER is, by its first bytes alone: a key is recognised without being read.

/// What a piece of DER holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::triage) enum DerKind {
    /// It begins as a certificate does (RFC 5280, 4.1).
    Certificate,
    /// It begins as a private key does (RFC 5208, RFC 5915, RFC 8017) or a PKCS #12 archive (RFC 7292).
    Key,
    /// It is something else.
    Other,
}

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// The version of a certificate, which those of version 1 leave out.
const VERSION: u8 = 0xa0;

/// What the bytes begin like. They may have been cut.
pub(in crate::triage) fn der_kind(der: &[u8]) -> DerKind {
    let Some((SEQUENCE, outer, _)) = element(der) else { return DerKind::Other };
    match element(outer) {
        Some((INTEGER, ..)) => DerKind::Key,
        Some((SEQUENCE, inner, after)) => match (element(inner), after.first()) {
            (Some((VERSION | INTEGER, ..)), _) => DerKind::Certificate,
            // An encrypted key; with a bit string there, it is a public one.
            (Some((OBJECT_ID, ..)), Some(&OCTET_STRING)) => DerKind::Key,
            _ => DerKind::Other,
        },
        _ => DerKind::Other,
    }
}

/// The first element of DER alone: what was put behind it is no part of it.
pub(in crate::triage) fn first_element(der: &[u8]) -> &[u8] {
    element(der).and_then(|(_, _, after)| der.get(..der.len().checked_sub(after.len())?)).unwrap_or(der)
}

/// The tag of an element, its content as far as it is there, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, content) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (figures, rest) =
            rest.split_at_checked(usize::from(first & 0x7f)).filter(|(figures, _)| figures.len() <= 4)?;
        (figures.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte)), rest)
    };
    let (content, after) = content.split_at_checked(length).unwrap_or((content, &[]));
    Some((tag, content, after))
}
