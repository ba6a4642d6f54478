//! Slack's signature of HTTP requests: HMAC-SHA256 over `v0:{timestamp}:{raw body}`, at most five minutes old.
//!
//! slack-morphism's verifier reads the computer's clock by itself, so it is done here, with the clock that we are handed.

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// Older or newer than this is refused, so that a request that somebody recorded is not replayed.
pub const SIGNATURE_LASTS: SignedDuration = SignedDuration::from_mins(5);

/// Why a request is not believed to be Slack's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// Headers are missing or make no sense.
    #[error("X-Slack-Signature or X-Slack-Request-Timestamp is missing or malformed")]
    Headers,
    /// Too old.
    #[error("the request is signed for another time than now: check this machine's clock")]
    Time,
    #[error("the signature does not fit the body: check the signing secret")]
    Wrong,
}

/// What a request's headers say of its signature. It costs nothing to claim: only the body shows whether it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedClaim {
    signed_at: String,
    signature: Vec<u8>,
}

impl SignedClaim {
    /// Reads the headers `X-Slack-Request-Timestamp` and `X-Slack-Signature`, before anything of the body is read.
    pub fn of(timestamp: Option<&str>, signature: Option<&str>, now: Timestamp) -> Result<Self, NotSigned> {
        let (Some(timestamp), Some(signature)) = (timestamp, signature) else { return Err(NotSigned::Headers) };
        let signed_at = timestamp.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        let signed_at = signed_at.ok_or(NotSigned::Headers)?;
        let signature = signature.strip_prefix("v0=").and_then(bytes).ok_or(NotSigned::Headers)?;
        if now.duration_since(signed_at).abs() > SIGNATURE_LASTS {
            return Err(NotSigned::Time);
        }
        Ok(Self { signed_at: timestamp.to_owned(), signature })
    }

    /// Verifies it over the raw body. The comparison takes the same time whatever differs.
    pub fn verify(&self, secret: &SecretString, body: &[u8]) -> Result<(), NotSigned> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).map_err(|_| NotSigned::Wrong)?;
        mac.update(format!("v0:{}:", self.signed_at).as_bytes());
        mac.update(body);
        mac.verify_slice(&self.signature).map_err(|_| NotSigned::Wrong)
    }
}

/// Hexadecimal digits as bytes.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    (0..32)
        .map(|at: usize| {
            let from = at.checked_mul(2)?;
            u8::from_str_radix(hex.get(from..from.checked_add(2)?)?, 16).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `printf 'v0:1700000000:a=b' | openssl dgst -sha256 -hmac secret`.
    const TIMESTAMP: &str = "1700000000";
    const BODY: &[u8] = b"a=b";
    const SIGNATURE: &str = "v0=2ffb3fc2d007c80947a6a7a44bdc3b55b5a7e86be2fe1c14cbc99c040c671f92";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn check(signature: &str, body: &[u8], now: Timestamp) -> Result<(), NotSigned> {
        SignedClaim::of(Some(TIMESTAMP), Some(signature), now)?.verify(&"secret".to_owned().into(), body)
    }

    #[test]
    fn only_what_slack_signed_just_now_is_believed() {
        assert_eq!(check(SIGNATURE, BODY, at(10)), Ok(()));
        assert_eq!(check(SIGNATURE, BODY, at(301)), Err(NotSigned::Time), "recorded and replayed");
        assert_eq!(check(SIGNATURE, BODY, at(-301)), Err(NotSigned::Time));
        assert_eq!(check(SIGNATURE, b"a=c", at(0)), Err(NotSigned::Wrong));
        assert_eq!(check(&SIGNATURE.replace("v0=", "v1="), BODY, at(0)), Err(NotSigned::Headers));
        assert_eq!(check("v0=zz", BODY, at(0)), Err(NotSigned::Headers));
        let zero = format!("v0={}", "0".repeat(64));
        assert_eq!(check(&zero, BODY, at(0)), Err(NotSigned::Wrong));
        assert_eq!(SignedClaim::of(None, None, at(0)), Err(NotSigned::Headers));
    }
}
