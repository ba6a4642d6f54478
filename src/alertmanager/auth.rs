//! Who may send alerts: a bearer token, basic auth, or every sender because a proxy in front does mTLS.

use axum::http::{HeaderMap, HeaderValue, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// One accepted way to say who one is.
#[derive(Clone)]
pub enum Credential {
    /// `Authorization: Bearer …`.
    Bearer(SecretString),
    /// `Authorization: Basic …`.
    Basic {
        /// The user's name.
        user: String,
        password: SecretString,
    },
}

/// How senders are known.
#[derive(Clone)]
pub enum Authentication {
    /// Any of these; several while one is being replaced.
    Credentials(Vec<Credential>),
    /// Somebody in front does it (mTLS at the proxy), said so explicitly in the configuration.
    AtTheProxy,
}

impl Authentication {
    /// Whether a request may come in. All credentials are compared, in constant time.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let Self::Credentials(credentials) = self else { return true };
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let given = with_scheme_in_lower_case(given);
        let wanted = |credential: &Credential| same(&given, &with_scheme_in_lower_case(&credential.header()));
        let matches = credentials.iter().fold(Choice::from(0), |found, credential| found | wanted(credential));
        matches.into()
    }

    /// A header that this configuration accepts, for the bot's own test alert; `None` where a proxy authenticates.
    pub fn authorization(&self) -> Option<HeaderValue> {
        let Self::Credentials(credentials) = self else { return None };
        let mut value = HeaderValue::from_bytes(&credentials.first()?.header()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl Credential {
    fn header(&self) -> Vec<u8> {
        match self {
            Self::Bearer(token) => format!("Bearer {}", token.expose_secret()).into_bytes(),
            Self::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
                format!("Basic {pair}").into_bytes()
            }
        }
    }
}

/// The scheme may be written in any case (RFC 9110, section 11.1), and Alertmanager sends it as it is configured.
fn with_scheme_in_lower_case(given: &[u8]) -> Vec<u8> {
    let scheme = given.iter().position(|byte| *byte == b' ').unwrap_or(given.len());
    given.iter().enumerate().map(|(at, byte)| if at < scheme { byte.to_ascii_lowercase() } else { *byte }).collect()
}

/// Compares hashes, so that not even the length is told by the time it takes.
fn same(given: &[u8], wanted: &[u8]) -> Choice {
    Sha256::digest(given).as_slice().ct_eq(Sha256::digest(wanted).as_slice())
}
