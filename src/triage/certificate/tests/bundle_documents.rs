//! Bundles in each form that SPIRE writes.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::make::{Authority, authority_params, root};
use crate::triage::{
    RootsOf,
    certificate::{ders, read_bundle, read_listed_bundles, read_shown_bundle},
};

fn base64(authority: &Authority) -> String {
    STANDARD.encode(&authority.der)
}

fn jwks(keys: &[Value]) -> Vec<u8> {
    json!({"keys": keys, "spiffe_sequence": 3, "spiffe_refresh_hint": 60}).to_string().into_bytes()
}

fn x509(authority: &Authority) -> Value {
    json!({"use": "x509-svid", "kty": "EC", "crv": "P-256", "x": "fK", "y": "wq", "x5c": [base64(authority)]})
}

fn jwt() -> Value {
    json!({"use": "jwt-svid", "kty": "EC", "kid": "KID", "crv": "P-256", "x": "fK", "y": "wq"})
}

#[test]
fn a_spiffe_bundle_holds_the_same_roots_as_the_pem_file() {
    let (old, new) = (root(authority_params("old")), root(authority_params("new")));
    let pem = read_bundle(format!("{}{}", old.pem, new.pem).as_bytes()).unwrap();
    let spiffe = read_bundle(&jwks(&[x509(&old), jwt(), x509(&new)])).unwrap();
    assert_eq!(spiffe, pem);
    assert_eq!(ders(&spiffe.certificates), [old.der, new.der]);
}

#[test]
fn a_private_key_in_a_spiffe_bundle_is_counted_and_never_kept() {
    let authority = root(authority_params("SPIFFE"));
    let mut private = x509(&authority);
    private["d"] = "c2VjcmV0".into();
    let symmetric = json!({"kty": "oct", "k": "c2VjcmV0"});
    let file = read_bundle(&jwks(&[private, symmetric])).unwrap();
    assert_eq!((file.keys_dropped, file.certificates.len()), (2, 1));
    assert!(!serde_json::to_string(&file).unwrap().contains("c2VjcmV0"));
    // The DER of a key under the name of a certificate.
    let key = STANDARD.encode(rcgen::KeyPair::generate().unwrap().serialize_der());
    let file = read_bundle(&jwks(&[json!({"use": "x509-svid", "x5c": [key]})])).unwrap();
    assert_eq!((file.certificates.len(), file.other_blocks), (0, 1));
}

#[test]
fn what_is_broken_is_no_empty_bundle_and_an_empty_bundle_is_no_error() {
    for broken in [&b"{"[..], b"{\"keys\": 1}", b"{\"keys\": [{\"use\": \"x509-svid\", \"x5c\": \"AAAA\"}]}"] {
        assert!(read_bundle(broken).is_err(), "{}", String::from_utf8_lossy(broken));
    }
    for empty in [&b"{\"keys\": []}"[..], b"{\"keys\": null}", b"{}"] {
        assert!(read_bundle(empty).unwrap().certificates.is_empty());
    }
    let no_certificate = read_bundle(&jwks(&[json!({"use": "x509-svid", "kty": "EC"})])).unwrap();
    assert_eq!(no_certificate.other_blocks, 1, "an authority without its certificate is said");
    let authority = root(authority_params("SPIFFE"));
    let many = read_bundle(&jwks(&vec![x509(&authority); 65])).unwrap();
    assert_eq!((many.certificates.len(), many.cut), (64, true));
}

#[test]
fn the_servers_bundle_is_read_with_the_domain_that_it_names() {
    let authority = root(authority_params("SPIFFE"));
    let shown = |domain: &str| {
        json!({"trust_domain": domain, "x509_authorities": [{"asn1": base64(&authority), "tainted": false}],
            "jwt_authorities": [{"public_key": "MFkw", "key_id": "KID", "expires_at": "0"}], "refresh_hint": "60",
            "sequence_number": "42"})
    };
    // With the scheme and without: versions differ.
    for domain in ["prod.example.org", "spiffe://prod.example.org"] {
        let found = read_shown_bundle(shown(domain).to_string().as_bytes()).unwrap();
        assert_eq!(found.roots.into_iter().collect::<Vec<_>>(), [(of("prod.example.org"), vec![base64(&authority)])]);
    }
    let listed =
        json!({"bundles": [shown("one.example.org"), {"trust_domain": "two.example.org"}], "next_page_token": ""});
    let found = read_listed_bundles(listed.to_string().as_bytes()).unwrap();
    let counts: Vec<_> = found.roots.iter().map(|(domain, roots)| (domain.clone(), roots.len())).collect();
    assert_eq!(counts, [(of("one.example.org"), 1), (of("two.example.org"), 0)]);
    assert!(read_listed_bundles(b"{}").unwrap().roots.is_empty(), "it federates with nobody");
    assert!(read_shown_bundle(b"{}").is_err() && read_shown_bundle(b"-----BEGIN CERTIFICATE-----").is_err());
    let many: Vec<Value> = (0..65).map(|number| shown(&format!("d{number}.example.org"))).collect();
    let found = read_listed_bundles(json!({"bundles": many}).to_string().as_bytes()).unwrap();
    assert_eq!((found.roots.len(), found.cut), (64, true));
}

fn of(domain: &str) -> RootsOf {
    RootsOf::Domain(domain.to_owned())
}
