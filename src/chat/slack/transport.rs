//! How calls of Slack's Web API travel. slack-morphism's own client reads an answer to its end, however long it is; this
//! one bounds it while it arrives, for every call alike.

use std::{future::ready, sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
};
use hyper_util::client::legacy;
use serde::{Deserialize, Serialize};
use slack_morphism::{
    ClientResult, SlackApiToken, SlackClientApiCallContext, SlackClientHttpConnector, SlackClientId, SlackClientSecret,
    SlackEnvelopeMessage,
    errors::{
        SlackClientApiError, SlackClientError, SlackClientHttpError, SlackClientSystemError, SlackRateLimitError,
        map_serde_error,
    },
    multipart_form::FileMultipartData,
};
use tokio::sync::Semaphore;
use url::Url;

use crate::{
    bounds::{SLACK_ANSWER, SLACK_ANSWER_WEIGHT, SLACK_ANSWERS_AT_ONCE, weigh},
    chat::outgoing::{Connector, sender},
};

/// An answer is longer, or would become more, than is read of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is too long")]
pub(super) struct AnswerTooLong;

/// The way to one base address.
#[derive(Clone)]
pub(super) struct Transport {
    client: legacy::Client<Connector, Full<Bytes>>,
    base: String,
    /// So many answers are read at once.
    places: Arc<Semaphore>,
}

impl Transport {
    pub(super) fn new(connector: Connector, base: &str) -> Self {
        Self {
            client: sender(connector),
            base: base.to_owned(),
            places: Arc::new(Semaphore::new(SLACK_ANSWERS_AT_ONCE)),
        }
    }

    async fn call<T: for<'de> Deserialize<'de>>(
        &self,
        request: hyper::http::request::Builder,
        token: Option<&SlackApiToken>,
        body: Vec<u8>,
    ) -> ClientResult<T> {
        let request = match token {
            Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {}", token.token_value.0)),
            None => request,
        };
        let request = request.body(Full::new(Bytes::from(body))).map_err(system)?;
        let response = self.client.request(request).await.map_err(system)?;
        let _place = self.places.acquire().await.map_err(system)?;
        let (head, body) = bounded(response).await?;
        read(&head, &body)
    }
}

/// An answer that has come whole.
async fn bounded(response: Response<Incoming>) -> ClientResult<(hyper::http::response::Parts, Bytes)> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, SLACK_ANSWER).collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            system(AnswerTooLong)
        } else {
            SlackClientError::from(error)
        }
    })?;
    let body = body.to_bytes();
    if weigh(&body) > SLACK_ANSWER_WEIGHT { Err(system(AnswerTooLong)) } else { Ok((head, body)) }
}

/// What an answer says. Its text is kept in no error: it may hold what people wrote in the channel.
fn read<T: for<'de> Deserialize<'de>>(head: &hyper::http::response::Parts, body: &[u8]) -> ClientResult<T> {
    match head.status {
        StatusCode::OK => {
            let envelope: SlackEnvelopeMessage =
                serde_json::from_slice(body).map_err(|error| map_serde_error(error, None))?;
            match envelope.error {
                None => serde_json::from_slice(body).map_err(|error| map_serde_error(error, None)),
                Some(code) => Err(SlackClientError::ApiError(SlackClientApiError::new(code))),
            }
        }
        StatusCode::TOO_MANY_REQUESTS => {
            let after = head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            let after = after.map(Duration::from_secs);
            Err(SlackClientError::RateLimitError(SlackRateLimitError::new().opt_retry_after(after)))
        }
        status => Err(SlackClientError::HttpError(SlackClientHttpError::new(status))),
    }
}

fn system(error: impl std::error::Error + Send + Sync + 'static) -> SlackClientError {
    SlackClientError::SystemError(SlackClientSystemError::new().with_cause(Box::new(error)))
}

/// We make no such call.
fn not_used<'a, T: Send + 'a>() -> BoxFuture<'a, ClientResult<T>> {
    let error = SlackClientSystemError::new().with_message("calls of this kind are not made".to_owned());
    ready(Err(SlackClientError::SystemError(error))).boxed()
}

impl SlackClientHttpConnector for Transport {
    fn create_method_uri_path(&self, method: &str) -> ClientResult<Url> {
        Ok(format!("{}/{method}", self.base).parse()?)
    }

    fn http_get_uri<'a, RS>(
        &'a self,
        full_uri: Url,
        context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> Deserialize<'de> + Send + 'a,
    {
        async move { self.call(Request::get(full_uri.as_str()), context.token, Vec::new()).await }.boxed()
    }

    fn http_post_uri<'a, RQ, RS>(
        &'a self,
        full_uri: Url,
        request_body: &'a RQ,
        context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RQ: Serialize + Send + Sync,
        RS: for<'de> Deserialize<'de> + Send + 'a,
    {
        async move {
            let body = serde_json::to_vec(request_body).map_err(|error| map_serde_error(error, None))?;
            let request =
                Request::post(full_uri.as_str()).header(header::CONTENT_TYPE, "application/json; charset=utf-8");
            self.call(request, context.token, body).await
        }
        .boxed()
    }

    fn http_get_with_client_secret<'a, RS>(
        &'a self,
        _: Url,
        _: &'a SlackClientId,
        _: &'a SlackClientSecret,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> Deserialize<'de> + Send + 'a,
    {
        not_used()
    }

    fn http_post_uri_multipart_form<'a, 'p, RS, PT, TS>(
        &'a self,
        _: Url,
        _: Option<FileMultipartData<'p>>,
        _: &'p PT,
        _: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> Deserialize<'de> + Send + 'a,
        PT: IntoIterator<Item = (&'p str, Option<TS>)> + Clone,
        TS: AsRef<str> + 'p + Send,
    {
        not_used()
    }

    fn http_post_uri_binary<'a, 'p, RS>(
        &'a self,
        _: Url,
        _: String,
        _: &'a [u8],
        _: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> Deserialize<'de> + Send + 'a,
    {
        not_used()
    }
}
