//! How the API server answered a write, and whether it is certain that nothing was written.

use http_body_util::{BodyExt, Limited};
use hyper::{HeaderMap, Request, header};
use hyper_util::client::legacy;
use jiff::SignedDuration;
use kube::{client::Body, core::Status};

use crate::cluster::{ClusterClient, ClusterError, client::told};

/// How much of an answer is read: a `Status` is a few hundred bytes, a pod less than this.
const ANSWER_MOST: usize = 256 * 1024;
/// The longest `Retry-After` that is believed: the API server asks for a second or ten, and a fix that was approved is
/// wanted now.
const RETRY_AFTER_MOST: i64 = 60;

/// A write that did not come about, as far as is known.
#[derive(Debug)]
pub(in crate::cluster) struct NotWritten {
    /// What went wrong.
    pub(in crate::cluster) error: ClusterError,
    /// Whether it is certain that nothing was written. A server error or a broken connection is never sure.
    pub(in crate::cluster) untouched: bool,
    /// How long the API server asked us to wait.
    pub(in crate::cluster) after: Option<SignedDuration>,
}

impl From<ClusterError> for NotWritten {
    fn from(error: ClusterError) -> Self {
        Self { error, untouched: false, after: None }
    }
}

impl NotWritten {
    /// Nothing was written, for certain.
    pub(in crate::cluster) fn untouched(error: ClusterError) -> Self {
        Self { error, untouched: true, after: None }
    }
}

/// How the API server answered one write.
#[derive(Debug)]
pub(in crate::cluster) enum Written {
    /// It is done.
    Done,
    /// It is refused.
    Not(WriteRefusal),
}

/// A refusal of the API server in its own words, and how long it asked us to wait.
#[derive(Debug)]
pub(in crate::cluster) struct WriteRefusal {
    pub(super) status: Box<Status>,
    pub(super) after: Option<SignedDuration>,
}

impl WriteRefusal {
    /// What it means for a write on a resource.
    pub(super) fn of_write(self, resource: &'static str, namespace: &str, what: &str) -> NotWritten {
        let Status { code, message: said, .. } = *self.status;
        let what = what.to_owned();
        let error = match code {
            401 => ClusterError::Unauthenticated { what },
            // Admission webhooks and policies refuse with 403 as well; no grant helps against them.
            403 if !said.contains("denied") => {
                ClusterError::Forbidden { verb: "create", resource, namespace: namespace.to_owned() }
            }
            400 | 403 | 405 | 413 | 415 | 422 => ClusterError::Refused { what, said: said.into() },
            429 => ClusterError::Busy { what },
            _ => ClusterError::Failed { what, why: format!("the API server answered {code}: {said}").into() },
        };
        NotWritten { error, untouched: was_not_begun(code), after: self.after }
    }
}

/// Whether an API server that answers with this code has refused the request before it wrote anything. After a 5xx it may
/// have written and then failed (Kubernetes, "API conventions: HTTP status codes").
fn was_not_begun(code: u16) -> bool {
    matches!(code, 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 422 | 429)
}

impl ClusterClient {
    /// Sends one write. The client's own call drops the headers, and `Retry-After` with them.
    pub(in crate::cluster) async fn write(&self, request: Request<Vec<u8>>, what: &str) -> Result<Written, NotWritten> {
        let failed = |why: String| ClusterError::Failed { what: what.to_owned(), why: why.into() };
        let answer = self.client.send(request.map(Body::from)).await.map_err(|error| NotWritten {
            untouched: never_went_out(&error),
            error: failed(with_causes(&error)),
            after: None,
        })?;
        let (head, body) = answer.into_parts();
        let read = Limited::new(body, ANSWER_MOST).collect().await;
        if head.status.is_success() {
            // Where the answer broke off it is done, most likely: a look at the object decides.
            return read.map(|_| Written::Done).map_err(|error| failed(error.to_string()).into());
        }
        let text = read.map(|read| String::from_utf8_lossy(&read.to_bytes()).trim().to_owned()).unwrap_or_default();
        let mut status: Status = serde_json::from_str(&text).unwrap_or_else(|_| Status::failure(&text, ""));
        // The line of the answer counts, whatever a proxy put into its body.
        status.code = head.status.as_u16();
        status.message = told(&status.message).to_string();
        Ok(Written::Not(WriteRefusal { status: status.boxed(), after: retry_after(&head.headers) }))
    }
}

fn retry_after(headers: &HeaderMap) -> Option<SignedDuration> {
    let seconds: i64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(SignedDuration::from_secs(seconds.clamp(1, RETRY_AFTER_MOST)))
}

fn below<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// Whether there was no connection on which the request could have gone out.
fn never_went_out(error: &kube::Error) -> bool {
    below(error).any(|cause| cause.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect))
}

/// An error with what lies below it, each said once.
fn with_causes(error: &kube::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    for text in below(error).map(ToString::to_string) {
        if !said.last().is_some_and(|before| before.contains(&text)) {
            said.push(text);
        }
    }
    said.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_refused_before_it_begins_is_certain() {
        let untouched = |code| {
            let refusal = WriteRefusal { status: Status::failure("no", "").with_code(code).boxed(), after: None };
            refusal.of_write("pods", "web", "a write on web/a").untouched
        };
        for code in [400, 401, 403, 404, 409, 422, 429] {
            assert!(untouched(code), "{code}");
        }
        for code in [302, 408, 499, 500, 502, 503, 504] {
            assert!(!untouched(code), "{code}");
        }
    }

    #[test]
    fn a_time_to_come_again_is_believed_within_a_minute() {
        let after = |text: &str| {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        assert_eq!((after("7"), after("0"), after("86400")), (Some(7), Some(1), Some(60)));
        assert_eq!(after("Wed, 21 Oct 2026 07:28:00 GMT"), None, "the API server gives seconds");
    }
}
