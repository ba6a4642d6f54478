//! One HTTPS client for what goes out beside the platforms' own APIs: pagers, Slack's `response_url` and file uploads.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    HeaderMap, Request, StatusCode, Uri,
    body::{Bytes, Incoming},
    header,
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, builderstates::WantsSchemes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use jiff::SignedDuration;

use crate::bounds::OUTGOING_BUFFER;

/// One call takes no longer than this: an effect may take three of them within the engine's 30 s.
pub(in crate::chat) const CALL_LIMIT: Duration = Duration::from_secs(8);
/// How much of an answer is read: these services answer with a line.
const ANSWER_MOST: usize = 64 * 1024;
/// How much of an answer that nobody reads is let through, so that its connection can serve the next call.
const DRAINED_MOST: usize = 16 * 1024;
/// And for how long: the caller must not wait for bytes that are thrown away.
const DRAINED_FOR: Duration = Duration::from_secs(1);
/// How long a connection that nobody uses is kept: one that died silently costs a call no later than that.
const IDLE_MOST: Duration = Duration::from_secs(20);
/// The longest `Retry-After` that is believed: a wrong one must not silence a pager for a day.
const RETRY_AFTER_MOST: i64 = 15 * 60;

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutgoingError {
    /// The address is not one that we call; kept is only its scheme, since addresses may be secrets.
    #[error("the address ({0}, not shown) is not https, and not on this machine: it is not called")]
    Address(String),
    /// The certificates of this machine could not be read.
    #[error("the root certificates of this machine could not be read: {0}; install ca-certificates")]
    Roots(String),
    /// No connection: nothing was sent.
    #[error("{host} could not be reached: {reason}")]
    Unreachable { host: String, reason: String },
    /// No answer to what may have arrived.
    #[error("{host} gave no answer: {reason}")]
    Unanswered { host: String, reason: String },
    /// An answer that is no success.
    #[error("{host} answered {status}")]
    Status {
        host: String,
        status: StatusCode,
        /// How long it asked us to wait.
        after: Option<SignedDuration>,
    },
}

impl OutgoingError {
    /// Whether the other side certainly did not take what was sent: it was not reached, or it said no. A server that fails
    /// (5xx) may have taken it first.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Address(_) | Self::Roots(_) | Self::Unreachable { .. } => true,
            Self::Unanswered { .. } => false,
            Self::Status { status, .. } => !status.is_server_error(),
        }
    }
}

/// The connector that all calls share.
pub type Connector = HttpsConnector<HttpConnector>;

/// TLS with this machine's root certificates and ring, or plain HTTP; who may be called in plain is decided for each
/// address.
pub fn connector() -> Result<Connector, OutgoingError> {
    let provider = rustls::crypto::ring::default_provider();
    let builder = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)
        .map_err(|error| OutgoingError::Roots(error.to_string()))?;
    Ok(over_http_1(builder))
}

/// HTTP/1 alone. A call that is given up takes its connection with it, so the next one opens another. Calls over HTTP/2
/// would share one connection, and after it died silently go on to do so for minutes.
fn over_http_1(builder: HttpsConnectorBuilder<WantsSchemes>) -> Connector {
    builder.https_or_http().enable_http1().build()
}

/// What sends over a connector, within the bounds of all that goes out.
pub(in crate::chat) fn sender(connector: Connector) -> Client<Connector, Full<Bytes>> {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.http1_max_buf_size(OUTGOING_BUFFER).pool_idle_timeout(IDLE_MOST).pool_timer(TokioTimer::new());
    builder.build(connector)
}

/// An address that may be called: `https`, or anything on loopback (tests, local proxies).
pub fn checked(address: &str) -> Result<Uri, OutgoingError> {
    let scheme =
        ["http", "ftp", "file", "ws", "wss"].into_iter().find(|scheme| address.split(':').next() == Some(scheme));
    let refused = || OutgoingError::Address(scheme.unwrap_or("of no such scheme").to_owned());
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
        Self(sender(connector))
    }

    /// Posts a body, with `authorization` where the other side wants one. A 2xx is a success whatever follows it: the body
    /// of the answer is thrown away.
    pub async fn post(
        &self,
        address: &str,
        content_type: &str,
        authorization: Option<&str>,
        body: Vec<u8>,
    ) -> Result<(), OutgoingError> {
        let sent = self.send(address, content_type, authorization, body);
        let (_, answer) = within_the_limit(address, sent).await?;
        drain(answer).await;
        Ok(())
    }

    /// The same, with the headers and the body of the answer: some services say there what a token may do.
    pub async fn post_and_see(
        &self,
        address: &str,
        content_type: &str,
        authorization: Option<&str>,
        body: Vec<u8>,
    ) -> Result<(HeaderMap, Bytes), OutgoingError> {
        let call = async {
            let (headers, answer) = self.send(address, content_type, authorization, body).await?;
            let read = Limited::new(answer, ANSWER_MOST).collect().await;
            let unanswered = |reason| OutgoingError::Unanswered { host: host_of(address), reason };
            Ok((headers, read.map_err(|error| unanswered(error.to_string()))?.to_bytes()))
        };
        within_the_limit(address, call).await
    }

    /// Sends, and gives the head of a 2xx with the body that follows it.
    async fn send(
        &self,
        address: &str,
        content_type: &str,
        authorization: Option<&str>,
        body: Vec<u8>,
    ) -> Result<(HeaderMap, Incoming), OutgoingError> {
        let uri = checked(address)?;
        let host = host_of(address);
        let mut request = Request::post(uri).header(header::CONTENT_TYPE, content_type);
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        let unsent = |reason: String| OutgoingError::Unreachable { host: host.clone(), reason };
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| unsent(error.to_string()))?;
        let response = self.0.request(request).await.map_err(|error| {
            let reason = cause(&error);
            if error.is_connect() { unsent(reason) } else { OutgoingError::Unanswered { host: host.clone(), reason } }
        })?;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            let after = retry_after(&head.headers);
            return Err(OutgoingError::Status { host, status: head.status, after });
        }
        Ok((head.headers, body))
    }
}

async fn within_the_limit<T>(
    address: &str,
    call: impl Future<Output = Result<T, OutgoingError>>,
) -> Result<T, OutgoingError> {
    let late = |_| {
        let reason = format!("nothing came within {} s", CALL_LIMIT.as_secs());
        Err(OutgoingError::Unanswered { host: host_of(address), reason })
    };
    tokio::time::timeout(CALL_LIMIT, call).await.unwrap_or_else(late)
}

/// Lets what is left of an answer through, to a bound, and drops it piece by piece. A longer one loses its connection.
async fn drain(answer: Incoming) {
    let mut answer = Limited::new(answer, DRAINED_MOST);
    let all = async { while let Some(Ok(_)) = answer.frame().await {} };
    // Whatever became of it, the call is over.
    drop(tokio::time::timeout(DRAINED_FOR, all).await);
}

fn host_of(address: &str) -> String {
    let uri: Option<Uri> = address.parse().ok();
    uri.as_ref().and_then(Uri::host).unwrap_or_default().to_owned()
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
    use std::{
        io::{BufRead, BufReader, Read, Write},
        net::{TcpListener, TcpStream},
        sync::Arc,
    };

    use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
    use tokio::sync::mpsc;

    use super::*;

    /// What speaks TLS on this machine, prefers HTTP/2 as most do, and what trusts it.
    fn tls() -> (Arc<ServerConfig>, Connector) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let key = made.signing_key.serialize_der().try_into().unwrap();
        let mut server = server.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        (Arc::new(server), over_http_1(HttpsConnectorBuilder::new().with_tls_config(client)))
    }

    /// One connection: `answered` requests are answered, and after them nothing is, though it stands.
    fn dies_silently_after(
        answered: usize,
        config: Arc<ServerConfig>,
        tcp: TcpStream,
        heard: &mpsc::UnboundedSender<()>,
    ) {
        let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(config).unwrap(), tcp));
        for asked in 0.. {
            let mut line = String::new();
            // The length of every body is 2.
            while line != "\r\n" {
                line.clear();
                if stream.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
            }
            if stream.read_exact(&mut [0; 2]).is_err() {
                return;
            }
            let _ = heard.send(());
            if asked < answered {
                stream.get_mut().write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_page_after_a_connection_died_silently_goes_over_another_one() {
        let (server, connector) = tls();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        let (heard, mut requests) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for tcp in listener.incoming() {
                let (server, heard) = (server.clone(), heard.clone());
                std::thread::spawn(move || dies_silently_after(1, server, tcp.unwrap(), &heard));
            }
        });
        let outgoing = Outgoing::new(connector);
        let page = || outgoing.post(&url, "application/json", None, b"{}".to_vec());
        page().await.unwrap();
        requests.recv().await.unwrap();
        // As the limit of a call does it, and without the wait for it.
        tokio::select! {
            answer = page() => panic!("nobody answers there: {answer:?}"),
            asked = requests.recv() => asked.unwrap(),
        }
        page().await.unwrap();
    }

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
