//! PEM files, without their keys.

use base64::{Engine, engine::general_purpose::STANDARD};
use x509_parser::pem::Pem;

use crate::triage::PemFile;

/// The most blocks that are read: a chain and a bundle in rotation have a handful.
const BLOCKS_MOST: usize = 64;

/// Reads the certificates of a PEM file. A block that is a private key is dropped unread and counted; whatever else is
/// in the file does no harm.
pub fn read_pem(text: &[u8]) -> PemFile {
    let mut file = PemFile::default();
    for block in Pem::iter_from_buffer(text).take(BLOCKS_MOST) {
        match block {
            Ok(block) if block.label == "CERTIFICATE" => file.certificates.push(STANDARD.encode(block.contents)),
            Ok(block) if block.label.ends_with("PRIVATE KEY") => {
                file.keys_dropped = file.keys_dropped.saturating_add(1);
            }
            Ok(_) => file.other_blocks = file.other_blocks.saturating_add(1),
            Err(_) => {
                file.other_blocks = file.other_blocks.saturating_add(1);
                break;
            }
        }
    }
    file
}
