//! Discord's signature of HTTP interactions: Ed25519 over timestamp and raw body, at most five minutes old.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serenity::interactions_endpoint::Verifier;

/// Older or newer than this is refused, so that a request that somebody recorded is not replayed.
pub const SIGNATURE_LASTS: SignedDuration = SignedDuration::from_mins(5);
/// Hexadecimal digits of a signature.
const SIGNATURE_DIGITS: usize = 128;

/// Why a request is not believed to be Discord's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    #[error("X-Signature-Ed25519 or X-Signature-Timestamp is missing or malformed")]
    Headers,
    #[error("the request is signed for another time than now: check this machine's clock")]
    Time,
    #[error("the signature does not fit the body: check the application's public key")]
    Wrong,
}

/// The key that the Developer Portal shows for an application ("Public Key").
#[derive(Clone)]
pub struct PublicKey(Verifier);

/// Why a public key is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key of Discord has 64 hexadecimal digits: copy it from the Developer Portal (General Information)")]
pub struct NoPublicKey;

impl PublicKey {
    /// Reads it as the Developer Portal shows it.
    pub fn parse(hexadecimal: &str) -> Result<Self, NoPublicKey> {
        let mut bytes = [0_u8; 32];
        hex::decode_to_slice(hexadecimal.trim(), &mut bytes).map_err(|_| NoPublicKey)?;
        Verifier::try_new(bytes).map(Self).map_err(|_| NoPublicKey)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}

/// What a request's headers say of its signature. It costs nothing to claim: only the body shows whether it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedClaim {
    signed_at: String,
    signature: String,
}

impl SignedClaim {
    /// Reads the headers `X-Signature-Timestamp` and `X-Signature-Ed25519`, before anything of the body is read.
    pub fn of(timestamp: Option<&str>, signature: Option<&str>, now: Timestamp) -> Result<Self, NotSigned> {
        let (Some(timestamp), Some(signature)) = (timestamp, signature) else { return Err(NotSigned::Headers) };
        let signed_at = timestamp.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        let signed_at = signed_at.ok_or(NotSigned::Headers)?;
        if signature.len() != SIGNATURE_DIGITS || !signature.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NotSigned::Headers);
        }
        if now.duration_since(signed_at).abs() > SIGNATURE_LASTS {
            return Err(NotSigned::Time);
        }
        Ok(Self { signed_at: timestamp.to_owned(), signature: signature.to_owned() })
    }

    /// Verifies it over the raw body.
    pub fn verify(&self, key: &PublicKey, body: &[u8]) -> Result<(), NotSigned> {
        key.0.verify(&self.signature, &self.signed_at, body).map_err(|()| NotSigned::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    const SIGNED_AT: i64 = 1_700_000_000;
    const BODY: &[u8] = br#"{"type":1}"#;

    /// Signs as Discord does, with another implementation than the one that verifies.
    fn signer() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
    }

    fn key() -> PublicKey {
        PublicKey::parse(&hex::encode(signer().public_key().as_ref())).unwrap()
    }

    fn signed(timestamp: &str, body: &[u8]) -> String {
        hex::encode(signer().sign(&[timestamp.as_bytes(), body].concat()).as_ref())
    }

    fn check(timestamp: &str, signature: &str, body: &[u8], seconds_later: i64) -> Result<(), NotSigned> {
        let now = Timestamp::from_second(SIGNED_AT + seconds_later).unwrap();
        SignedClaim::of(Some(timestamp), Some(signature), now)?.verify(&key(), body)
    }

    #[test]
    fn only_what_discord_signed_just_now_is_believed() {
        let (at, later) = (SIGNED_AT.to_string(), (SIGNED_AT + 1).to_string());
        let signature = signed(&at, BODY);
        assert_eq!(check(&at, &signature, BODY, 300), Ok(()));
        assert_eq!(check(&at, &signature, BODY, 301), Err(NotSigned::Time), "recorded and replayed");
        assert_eq!(check(&at, &signature, BODY, -301), Err(NotSigned::Time));
        assert_eq!(check(&at, &signature, br#"{"type":2}"#, 0), Err(NotSigned::Wrong));
        assert_eq!(check(&later, &signature, BODY, 0), Err(NotSigned::Wrong), "the timestamp is signed as well");
        assert_eq!(check(&at, &"0".repeat(128), BODY, 0), Err(NotSigned::Wrong));
        for malformed in ["", "zz", &"g".repeat(128), &"é".repeat(64), &signature[2..], &format!("{signature}00")] {
            assert_eq!(check(&at, malformed, BODY, 0), Err(NotSigned::Headers), "{malformed}");
        }
        assert_eq!(check("soon", &signature, BODY, 0), Err(NotSigned::Headers));
        assert_eq!(SignedClaim::of(None, None, Timestamp::UNIX_EPOCH), Err(NotSigned::Headers));
    }

    #[test]
    fn a_key_that_is_none_is_refused_when_it_is_read() {
        let key = hex::encode(signer().public_key().as_ref());
        assert!(PublicKey::parse(&format!(" {key}\n")).is_ok());
        for wrong in ["", "abc", &key[1..], &key.replace(|_| true, "z")] {
            assert_eq!(PublicKey::parse(wrong).unwrap_err(), NoPublicKey, "{wrong}");
        }
    }
}
