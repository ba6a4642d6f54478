//! One HTTPS client for what goes out beside the platforms' own APIs: pagers, Slack's `response_url` and file uploads.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::{HeaderMap, Request, StatusCode, Uri, body::Bytes, header};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jiff::SignedDuration;

/// One call takes no longer than this: an effect may take three of them within the engine's 30 s.
pub(in crate::chat) const CALL_LIMIT: Duration = Duration::from_secs(8);
/// How much of an answer is read: these services answer with a line.
const ANSWER_MOST: usize = 64 * 1024;
/// The longest `Retry-After` that is believed: a wrong one must not silence a pager for a day.
const RETRY_AFTER_MOST: i64 = 15 * 60;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingError {
    /// The address is not one that we call.
    #[error("the address {0} is not https, and not on this machine: it is not called")]
    Address(String),
    /// The certificates of this machine could not be read.
    #[error("the root certificates of this machine could not be read: {0}; install ca-certificates")]
    Roots(String),
    /// No answer.
    #[error("{host} could not be reached: {reason}")]
    Unreachable {
        /// Who.
        host: String,
        /// Why.
        reason: String,
    },
    /// An answer that is no success.
    #[error("{host} answered {status}")]
    Status {
        /// Who.
        host: String,
        /// What.
        status: StatusCode,
        /// How long it asked us to wait.
        after: Option<SignedDuration>,
    },
}

/// The connector that all calls share.
pub type Connector = HttpsConnector<HttpConnector>;

/// TLS with this machine's root certificates and ring, or plain HTTP; who may be called in plain is decided for each
/// address.
pub fn connector() -> Result<Connector, OutgoingError> {
    let provider = rustls::crypto::ring::default_provider();
    let builder = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)
        .map_err(|error| OutgoingError::Roots(error.to_string()))?;
    Ok(builder.https_or_http().enable_all_versions().build())
}

/// An address that may be called: `https`, or anything on loopback (tests, local proxies).
pub fn checked(address: &str) -> Result<Uri, OutgoingError> {
    let refused = || OutgoingError::Address(address.chars().take(80).collect());
    let uri: Uri = address.parse().map_err(|_| refused())?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if local => Ok(uri),
        _ => Err(refused()),
    }
}

/// The client.
#[derive(Debug, Clone)]
pub struct Outgoing(Client<Connector, Full<Bytes>>);

impl Outgoing {
    /// A client over a connector.
    pub fn new(connector: Connector) -> Self {
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }

    /// Posts a body, with `authorization` where the other side wants one.
    pub async fn post(
        &self,
        address: &str,
        content_type: &str,
        authorization: Option<&str>,
        body: Vec<u8>,
    ) -> Result<Bytes, OutgoingError> {
        self.post_and_see(address, content_type, authorization, body).await.map(|(_, body)| body)
    }

    /// The same, with the headers of the answer: some services say there what a token may do.
    pub async fn post_and_see(
        &self,
        address: &str,
        content_type: &str,
        authorization: Option<&str>,
        body: Vec<u8>,
    ) -> Result<(HeaderMap, Bytes), OutgoingError> {
        let uri = checked(address)?;
        let host = uri.host().unwrap_or_default().to_owned();
        let unreachable = |reason: String| OutgoingError::Unreachable { host: host.clone(), reason };
        let mut request = Request::post(uri).header(header::CONTENT_TYPE, content_type);
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| unreachable(error.to_string()))?;
        let call = async {
            let response = self.0.request(request).await.map_err(|error| unreachable(cause(&error)))?;
            let (head, body) = response.into_parts();
            if !head.status.is_success() {
                let after = retry_after(&head.headers);
                return Err(OutgoingError::Status { host: host.clone(), status: head.status, after });
            }
            let body = Limited::new(body, ANSWER_MOST).collect().await;
            let body = body.map_err(|error| unreachable(error.to_string()))?.to_bytes();
            Ok((head.headers, body))
        };
        let limit = tokio::time::timeout(CALL_LIMIT, call).await;
        limit.unwrap_or_else(|_| Err(unreachable(format!("no answer within {} s", CALL_LIMIT.as_secs()))))
    }
}

fn retry_after(headers: &HeaderMap) -> Option<SignedDuration> {
    let seconds: i64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(SignedDuration::from_secs(seconds.clamp(0, RETRY_AFTER_MOST)))
}

/// An error with what lies below it: "client error (Connect)" alone helps nobody.
fn cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(inner) = below {
        text = format!("{text}: {inner}");
        below = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_this_machine_are_called() {
        for good in ["https://hooks.slack.com/x", "http://127.0.0.1:1/x", "http://[::1]:1/x", "http://localhost/x"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in ["http://example.org", "ftp://127.0.0.1", "file:///etc/passwd", "127.0.0.1", "http://localhost.evil"]
        {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }
}
