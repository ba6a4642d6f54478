//! `/config_dump?resource=dynamic_active_secrets`: the chain that is served and the roots that are trusted.
//!
//! `/certs` shows no issuer and only the first root, so bundles are never compared from it (domain notes, section 5).

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use crate::{
    mesh::TrustDomain,
    triage::{
        RootsOf, ServedSecrets,
        certificate::{ders, is_workload, read_pem},
    },
};

#[derive(Deserialize)]
struct Dump {
    #[serde(default)]
    configs: Vec<Config>,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    name: String,
    #[serde(default)]
    secret: Secret,
}

#[derive(Deserialize, Default)]
struct Secret {
    tls_certificate: Option<TlsCertificate>,
    validation_context: Option<ValidationContext>,
}

#[derive(Deserialize)]
struct TlsCertificate {
    certificate_chain: Option<Source>,
}

#[derive(Deserialize)]
struct ValidationContext {
    trusted_ca: Option<Source>,
    custom_validator_config: Option<Validator>,
}

#[derive(Deserialize)]
struct Validator {
    typed_config: Option<SpiffeValidator>,
}

#[derive(Deserialize)]
struct SpiffeValidator {
    #[serde(default)]
    trust_domains: Vec<TrustDomainBundle>,
}

#[derive(Deserialize)]
struct TrustDomainBundle {
    #[serde(default)]
    name: String,
    trust_bundle: Option<Source>,
}

#[derive(Deserialize)]
struct Source {
    inline_bytes: Option<String>,
    inline_string: Option<String>,
}

impl Source {
    fn certificates(&self) -> Vec<String> {
        let bytes = match (&self.inline_bytes, &self.inline_string) {
            (Some(encoded), _) => STANDARD.decode(encoded).unwrap_or_default(),
            (None, Some(text)) => text.clone().into_bytes(),
            (None, None) => Vec::new(),
        };
        read_pem(&bytes).certificates
    }
}

/// What Istio calls the identity of a proxy.
const IDENTITY: &str = "default";
/// How a gateway's secrets from Kubernetes begin: certificates for its guests, and roots for theirs.
const OF_GATEWAY: &str = "kubernetes://";

/// Reads the dump. Private keys are not among its fields, so they are never read (Envoy redacts them as well).
///
/// A proxy may hold several certificates. Its identity is the secret named `default`, or else the one with a SPIFFE ID,
/// or else the first; a gateway's certificate for its guests is nobody's identity.
pub fn read_secrets(json: &[u8]) -> Result<ServedSecrets, serde_json::Error> {
    let dump: Dump = serde_json::from_slice(json)?;
    let mut served = ServedSecrets { chain: Vec::new(), roots: BTreeMap::new() };
    let mut chosen = None;
    for Config { name, secret } in dump.configs {
        let chain = secret.tls_certificate.and_then(|certificate| certificate.certificate_chain);
        if let Some(chain) = chain.map(|chain| chain.certificates())
            && let Some(rank) = rank(&name, &chain)
            && chosen.is_none_or(|chosen| rank < chosen)
        {
            (chosen, served.chain) = (Some(rank), chain);
        }
        let Some(context) = secret.validation_context.filter(|_| !name.starts_with(OF_GATEWAY)) else { continue };
        if let Some(trusted) = context.trusted_ca {
            served.roots.entry(RootsOf::NoDomain).or_default().extend(trusted.certificates());
        }
        let domains = context.custom_validator_config.and_then(|validator| validator.typed_config);
        for domain in domains.into_iter().flat_map(|config| config.trust_domains) {
            let certificates = domain.trust_bundle.map(|bundle| bundle.certificates()).unwrap_or_default();
            served.roots.entry(domain.name.into()).or_default().extend(certificates);
        }
    }
    Ok(served)
}

/// How much a secret is the identity of its proxy, the least first; `None` when it is not at all.
fn rank(name: &str, chain: &[String]) -> Option<u8> {
    let spiffe = || ders(chain).first().is_some_and(|leaf| is_workload(leaf));
    if chain.is_empty() {
        None
    } else if name == IDENTITY {
        Some(0)
    } else if spiffe() {
        Some(1)
    } else {
        Some(2).filter(|_| !name.starts_with(OF_GATEWAY))
    }
}

impl ServedSecrets {
    /// The roots that vouch for a trust domain. A root of one domain never vouches for another, so with a SPIFFE
    /// validator it is the bundle of that domain or nothing; without one, Envoy trusts its roots for every name.
    pub fn roots_of(&self, domain: &TrustDomain) -> &[String] {
        let by_domain = self.roots.keys().any(|whose| *whose != RootsOf::NoDomain);
        let whose = if by_domain { RootsOf::Domain(domain.to_string()) } else { RootsOf::NoDomain };
        self.roots.get(&whose).map(Vec::as_slice).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};
    use serde_json::{Value, json};

    use super::*;

    fn pem(san: SanType) -> String {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![san];
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    fn svid() -> String {
        pem(SanType::URI("spiffe://prod.example.org/ns/web/sa/gateway".try_into().unwrap()))
    }

    fn shop() -> String {
        pem(SanType::DnsName("shop.example.org".try_into().unwrap()))
    }

    fn certificate(name: &str, pem: &str) -> Value {
        let bytes = STANDARD.encode(pem);
        json!({"name": name, "secret": {"name": name, "tls_certificate": {"certificate_chain": {"inline_bytes": bytes}}}})
    }

    fn trusted(name: &str, pem: &str) -> Value {
        json!({"name": name, "secret": {"name": name, "validation_context": {"trusted_ca": {"inline_string": pem}}}})
    }

    fn read(configs: &[Value]) -> ServedSecrets {
        read_secrets(json!({"configs": configs}).to_string().as_bytes()).unwrap()
    }

    fn same(chain: &[String], pem: &str) -> bool {
        chain == read_pem(pem.as_bytes()).certificates
    }

    #[test]
    fn a_gateways_certificate_for_its_guests_is_not_its_identity() {
        let (shop, svid) = (shop(), svid());
        let (guests, own) = (certificate("kubernetes://shop-cert", &shop), certificate("default", &svid));
        assert!(same(&read(&[guests.clone(), own.clone()]).chain, &svid));
        assert!(same(&read(&[own, guests.clone()]).chain, &svid));
        assert!(read(std::slice::from_ref(&guests)).chain.is_empty(), "it has no identity, and is not given another's");
        let named = certificate("spiffe://prod.example.org/ns/web/sa/gateway", &svid);
        assert!(same(&read(&[certificate("file-cert:/etc/shop", &shop), guests, named]).chain, &svid));
        assert!(same(&read(&[certificate("file-cert:/etc/own", &shop)]).chain, &shop), "better than nothing");
    }

    #[test]
    fn a_default_that_is_empty_while_it_is_rotated_does_not_hide_another_svid() {
        let svid = svid();
        let empty = certificate("default", "");
        assert!(same(&read(&[empty, certificate("spiffe://prod.example.org/x", &svid)]).chain, &svid));
    }

    #[test]
    fn a_root_of_one_trust_domain_never_vouches_for_another() {
        let (ours, theirs) = (shop(), shop());
        let bundle = |name: &str, pem: &str| json!({"name": name, "trust_bundle": {"inline_string": pem}});
        let validator = json!({"name": "ROOTCA", "secret": {"validation_context": {"custom_validator_config": {
            "typed_config": {"trust_domains": [bundle("prod.example.org", &ours), bundle("other.example.org", &theirs)]}}}}});
        let served = read(&[validator, trusted("kubernetes://shop-cacert", &shop()), trusted("old", &shop())]);
        let domain = |name: &str| TrustDomain::parse(name).unwrap();
        assert!(same(served.roots_of(&domain("prod.example.org")), &ours));
        assert!(same(served.roots_of(&domain("other.example.org")), &theirs));
        assert!(served.roots_of(&domain("third.example.org")).is_empty(), "not even the roots without a domain");
        let plain = read(&[trusted("ROOTCA", &ours), trusted("kubernetes://shop-cacert", &theirs)]);
        assert!(same(plain.roots_of(&domain("third.example.org")), &ours), "without the validator they are for all");
    }
}
