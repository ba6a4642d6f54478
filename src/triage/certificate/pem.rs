//! PEM files, without their keys.
//!
//! The blocks are found by their marks alone (RFC 7468 in its lax form), so that a broken block, whatever it is, hides
//! nothing behind it: the next block starts at the next `-----BEGIN`.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use super::der::{DerKind, der_kind, first_element};
use crate::triage::PemFile;

/// The most blocks that are read: a chain and a bundle in rotation have a handful.
pub(super) const BLOCKS_MOST: usize = 64;
/// The most of a file that is read, in bytes: 64 certificates of 8 KiB.
const FILE_MOST: usize = 512 * 1024;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";

/// Reads the certificates of a PEM file. A block that is a private key, whole, broken, without its beginning, or under the
/// name of a certificate, is dropped unread and counted; whatever else is in the file does no harm. Issuers often write the
/// chain in another order than leaf first, so the leaf is put first ([`leaf_first`]); the others keep the order of the file.
pub fn read_pem(text: &[u8]) -> PemFile {
    let mut file = PemFile { cut: text.len() > FILE_MOST, ..PemFile::default() };
    let mut rest = text.get(..FILE_MOST).unwrap_or(text);
    let mut certificates = Vec::new();
    let mut blocks = 0_usize;
    while let Some(start) = find(rest, BEGIN) {
        file.keys_dropped = file.keys_dropped.saturating_add(ends_of_keys(rest.get(..start).unwrap_or_default()));
        if blocks == BLOCKS_MOST {
            file.cut = true;
            break;
        }
        blocks = blocks.saturating_add(1);
        let (label, body) = label_of(rest.get(start.saturating_add(BEGIN.len())..).unwrap_or_default());
        let end = [find(body, BEGIN), find(body, END)].into_iter().flatten().min();
        let (content, after) = body.split_at_checked(end.unwrap_or(body.len())).unwrap_or((body, &[]));
        let closed = after.starts_with(END);
        if contains(label, b"PRIVATE KEY") {
            file.keys_dropped = file.keys_dropped.saturating_add(1);
        } else {
            match Some(content).filter(|_| closed && label == b"CERTIFICATE").and_then(certificate) {
                Some(der) if der_kind(&der) == DerKind::Key => file.keys_dropped = file.keys_dropped.saturating_add(1),
                Some(der) => {
                    // Something that was put behind a certificate is no part of it, and may be a key.
                    let alone = first_element(&der);
                    file.other_blocks = file.other_blocks.saturating_add(u32::from(alone.len() < der.len()));
                    certificates.push(alone.to_vec());
                }
                None => file.other_blocks = file.other_blocks.saturating_add(1),
            }
        }
        // The end of this block; what follows may end a key whose beginning is not there.
        rest = after.strip_prefix(END).map_or(after, |behind| label_of(behind).1);
    }
    file.keys_dropped = file.keys_dropped.saturating_add(ends_of_keys(rest));
    file.certificates = leaf_first(certificates).iter().map(|der| STANDARD.encode(der)).collect();
    file
}

/// How many keys end in a text between blocks: their beginning was cut off.
fn ends_of_keys(mut text: &[u8]) -> u32 {
    let mut keys = 0_u32;
    while let Some(end) = find(text, END) {
        let (label, rest) = label_of(text.get(end.saturating_add(END.len())..).unwrap_or_default());
        keys = keys.saturating_add(u32::from(contains(label, b"PRIVATE KEY")));
        text = rest;
    }
    keys
}

/// The certificates with the leaf in front: the first that is no authority and has a SPIFFE ID, or else the first that
/// is no authority. The order of the others stays. What cannot be parsed is nobody's leaf.
pub fn leaf_first(mut certificates: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let kinds: Vec<Kind> = certificates.iter().map(|der| kind(der)).collect();
    let at = |wanted: Kind| kinds.iter().position(|kind| *kind == wanted);
    if let Some(leaf) = at(Kind::Workload).or_else(|| at(Kind::Leaf)) {
        let leaf = certificates.remove(leaf);
        certificates.insert(0, leaf);
    }
    certificates
}

/// What a person should know about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PemRemark {
    /// So many private keys lie beside the certificates.
    Keys(u32),
    /// So many blocks are broken or no certificates.
    OtherBlocks(u32),
    /// Not all of it was read.
    Cut,
}

impl PemRemark {
    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Keys(_) => "keep the key in a file of its own",
            Self::OtherBlocks(_) => "see which block it is: a certificate that is broken is trusted by nobody",
            Self::Cut => "see what fills the file: a chain or a bundle has a handful of certificates",
        }
    }
}

impl fmt::Display for PemRemark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys(count) => write!(f, "it holds {count} private key block(s) as well, dropped unread"),
            Self::OtherBlocks(count) => write!(f, "{count} block(s) of it are broken or are no certificates"),
            Self::Cut => write!(f, "only its first {BLOCKS_MOST} blocks or {} KiB were read", FILE_MOST / 1024),
        }
    }
}

/// The remarks about a file: keys that lie beside certificates, blocks that are broken, and that not all of it was read.
pub fn pem_remarks(file: &PemFile) -> Vec<PemRemark> {
    let keys = (file.keys_dropped > 0).then_some(PemRemark::Keys(file.keys_dropped));
    let others = (file.other_blocks > 0).then_some(PemRemark::OtherBlocks(file.other_blocks));
    let cut = file.cut.then_some(PemRemark::Cut);
    [keys, others, cut].into_iter().flatten().collect()
}

/// Whether a certificate is that of a workload: no authority, and with a SPIFFE ID.
pub(in crate::triage) fn is_workload(der: &[u8]) -> bool {
    kind(der) == Kind::Workload
}

/// Whether a certificate is an authority under another one.
pub(in crate::triage) fn is_intermediate(der: &[u8]) -> bool {
    let parsed = X509Certificate::from_der(der);
    parsed.is_ok_and(|(_, certificate)| certificate.is_ca() && certificate.subject() != certificate.issuer())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Workload,
    Leaf,
    Authority,
    Unreadable,
}

fn kind(der: &[u8]) -> Kind {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else { return Kind::Unreadable };
    if certificate.is_ca() {
        return Kind::Authority;
    }
    let names = certificate.subject_alternative_name().ok().flatten();
    let spiffe = names
        .iter()
        .flat_map(|names| &names.value.general_names)
        .any(|name| matches!(name, GeneralName::URI(uri) if uri.starts_with("spiffe://")));
    if spiffe { Kind::Workload } else { Kind::Leaf }
}

/// The label up to its dashes or its line end, and what follows.
fn label_of(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| matches!(byte, b'-' | b'\r' | b'\n')).unwrap_or(text.len());
    let (label, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    // At most the five dashes of this mark: those behind them may begin the next one.
    let dashes = rest.iter().take(5).take_while(|byte| **byte == b'-').count();
    (label.trim_ascii(), rest.get(dashes..).unwrap_or_default())
}

fn certificate(content: &[u8]) -> Option<Vec<u8>> {
    let base64: Vec<u8> = content.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(base64).ok().filter(|der| !der.is_empty())
}

fn find(text: &[u8], mark: &[u8]) -> Option<usize> {
    text.windows(mark.len()).position(|window| window == mark)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    find(text, part).is_some()
}
