//! `/config_dump?resource=dynamic_active_secrets`: the chain that is served and the roots that are trusted.
//!
//! `/certs` shows no issuer and only the first root, so bundles are never compared from it (domain notes, section 5).

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use crate::triage::{ServedSecrets, certificate::read_pem};

#[derive(Deserialize)]
struct Dump {
    #[serde(default)]
    configs: Vec<Config>,
}

#[derive(Deserialize)]
struct Config {
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

/// Reads the dump. Private keys are not among its fields, so they are never read (Envoy redacts them as well).
pub fn read_secrets(json: &[u8]) -> Result<ServedSecrets, serde_json::Error> {
    let dump: Dump = serde_json::from_slice(json)?;
    let mut served = ServedSecrets { chain: Vec::new(), roots: BTreeMap::new() };
    for secret in dump.configs.into_iter().map(|config| config.secret) {
        if let Some(chain) = secret.tls_certificate.and_then(|certificate| certificate.certificate_chain)
            && served.chain.is_empty()
        {
            served.chain = chain.certificates();
        }
        let Some(context) = secret.validation_context else { continue };
        if let Some(trusted) = context.trusted_ca {
            served.roots.entry(String::new()).or_default().extend(trusted.certificates());
        }
        let domains = context.custom_validator_config.and_then(|validator| validator.typed_config);
        for domain in domains.into_iter().flat_map(|config| config.trust_domains) {
            let certificates = domain.trust_bundle.map(|bundle| bundle.certificates()).unwrap_or_default();
            served.roots.entry(domain.name).or_default().extend(certificates);
        }
    }
    Ok(served)
}
