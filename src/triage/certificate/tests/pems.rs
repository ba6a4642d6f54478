use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::make::{FRONTEND, authority_params, leaf, leaf_params, root, under};
use crate::triage::{
    PemFile,
    certificate::{ders, leaf_first, pem_remarks, read_pem},
};

const KEYS: [&str; 5] = [
    "-----BEGIN PRIVATE KEY-----\nAAECAwQ=\n-----END PRIVATE KEY-----\n",
    "-----BEGIN RSA PRIVATE KEY-----\nAAECAwQ=\n-----END RSA PRIVATE KEY-----\n",
    "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAECAwQ=\n-----END EC PRIVATE KEY-----\n",
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAECAwQ=\n-----END ENCRYPTED PRIVATE KEY-----\n",
    // Broken: no proper mark at its beginning, no base64, and no end.
    "-----BEGIN PRIVATE KEY---\n\u{1}\u{2} no base64 at all\n",
];

/// A leaf of frontend, its intermediate and the root, as PEM.
fn chain() -> [String; 3] {
    let root = root(authority_params("root"));
    let nested = under(&root, authority_params("nested"));
    let (_, leaf) = leaf(&nested, &leaf_params(&[FRONTEND]));
    [leaf, nested.pem, root.pem]
}

fn first(file: &PemFile) -> String {
    crate::triage::certificate::Svid::read(&ders(&file.certificates)[0]).unwrap().spiffe_id.to_string()
}

#[test]
fn the_leaf_is_found_wherever_it_stands_in_the_file() {
    let [leaf, nested, root] = chain();
    for order in [[&leaf, &nested, &root], [&root, &nested, &leaf], [&nested, &leaf, &root]] {
        let file = read_pem(order.map(String::as_str).concat().as_bytes());
        assert_eq!((first(&file).as_str(), file.certificates.len()), (FRONTEND, 3));
    }
    let bundle = read_pem(format!("{root}{nested}").as_bytes());
    let turned = read_pem(format!("{nested}{root}").as_bytes());
    assert_eq!(bundle.certificates[0], turned.certificates[1], "without a leaf the order stays");
    assert_eq!(leaf_first(vec![vec![1], vec![2]]), [vec![1], vec![2]], "what cannot be parsed is nobody's leaf");
}

#[test]
fn a_key_before_between_or_behind_hides_no_certificate_and_is_reported_unread() {
    let [leaf, nested, root] = chain();
    for key in KEYS {
        for text in [
            format!("{key}{leaf}{nested}{root}"),
            format!("{leaf}{key}{nested}{root}"),
            format!("{leaf}{nested}{root}{key}"),
        ] {
            let file = read_pem(text.as_bytes());
            assert_eq!((file.certificates.len(), file.keys_dropped, file.other_blocks), (3, 1, 0), "{key}");
            assert!(pem_remarks(&file)[0].to_string().contains("private key"));
            assert!(!format!("{file:?}").contains("AAECAwQ"), "the key is nowhere in the evidence");
        }
    }
    let text = read_pem(format!("{}{leaf}", KEYS.concat()).as_bytes());
    assert_eq!((text.certificates.len(), text.keys_dropped), (1, 5));
}

#[test]
fn a_key_without_its_beginning_under_another_name_or_behind_a_certificate_is_no_evidence() {
    let [leaf, ..] = chain();
    let key = rcgen::KeyPair::generate().unwrap();
    let der = key.serialize_der();
    let pem = key.serialize_pem();
    let (_, cut) = pem.split_once('\n').unwrap();
    let block =
        |der: &[u8]| format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der));
    let and_a_key = [ders(&read_pem(leaf.as_bytes()).certificates).concat(), der.clone()].concat();
    for (text, counted) in [
        (format!("{cut}{leaf}"), (1, 0)),
        (format!("{leaf}{cut}"), (1, 0)),
        (format!("{leaf}{}", block(&der)), (1, 0)),
        (block(&and_a_key), (0, 1)),
    ] {
        let file = read_pem(text.as_bytes());
        assert_eq!((first(&file).as_str(), file.certificates.len()), (FRONTEND, 1));
        assert_eq!((file.keys_dropped, file.other_blocks), counted, "{text}");
        let (kept, end) = (ders(&file.certificates).concat(), &der[der.len() - 12..]);
        assert!(!kept.windows(end.len()).any(|part| part == end), "{text}");
    }
}

#[test]
fn a_broken_certificate_hides_none_behind_it() {
    let [leaf, nested, _] = chain();
    let unended = &nested[..nested.len() / 2];
    let file = read_pem(format!("{unended}\n{leaf}").as_bytes());
    assert_eq!((first(&file).as_str(), file.other_blocks), (FRONTEND, 1));
    let other = "-----BEGIN X509 CRL-----\nAAEC\n-----END X509 CRL-----\n# a comment\n";
    let file = read_pem(format!("\u{feff}{other}{}", leaf.replace('\n', "\r\n")).as_bytes());
    assert_eq!((first(&file).as_str(), file.other_blocks), (FRONTEND, 1));
    assert!(pem_remarks(&file)[0].to_string().contains("broken"));
}

#[test]
fn more_than_64_blocks_and_more_than_512_kib_are_cut_and_said() {
    let [leaf, ..] = chain();
    assert!(!read_pem(leaf.repeat(64).as_bytes()).cut);
    let many = read_pem(leaf.repeat(65).as_bytes());
    assert_eq!((many.certificates.len(), many.cut), (64, true));
    let large = read_pem(format!("{leaf}{}{leaf}", "x".repeat(512 * 1024)).as_bytes());
    assert_eq!((large.certificates.len(), large.cut), (1, true));
    assert!(pem_remarks(&large)[0].to_string().contains("512 KiB"));
    assert!(pem_remarks(&read_pem(leaf.as_bytes())).is_empty());
}

#[test]
fn evidence_of_an_older_build_is_read() {
    let old = r#"{"certificates": ["AAEC"], "keys_dropped": 0, "other_blocks": 1}"#;
    assert!(!serde_json::from_str::<PemFile>(old).unwrap().cut);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        read_pem(&bytes);
        let block = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&bytes));
        read_pem(block.as_bytes());
    }

    #[test]
    fn no_heap_of_pieces_makes_it_panic(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "-----BEGIN ", "-----END ", "CERTIFICATE", "PRIVATE KEY", "-----", "\n", "AAEC", "-", "=", "é",
            ]),
            0..60,
        )
    ) {
        let file = read_pem(pieces.concat().as_bytes());
        prop_assert!(file.certificates.len() <= 64);
    }

    /// Truncated and damaged DER behind a leaf's rules.
    #[test]
    fn no_damage_makes_the_reading_panic(place in 0_usize..700, byte in any::<u8>(), end in 0_usize..700) {
        let mut der = std::fs::read(concat!(
            env!("CARGO_MANIFEST_DIR"), "/src/triage/certificate/tests/data/rsa-2048-leaf.der"
        )).unwrap();
        if let Some(hit) = der.get_mut(place) { *hit = byte; }
        der.truncate(der.len() - end);
        let _ = crate::triage::certificate::Svid::read(&der);
        let _ = crate::triage::certificate::verify_path(&der, &[der.clone()], &[der.clone()], super::make::now());
    }
}
