//! `pods/log`: what a container wrote.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{Response, StatusCode, header},
    response::IntoResponse,
};
use futures::stream;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{
    Api,
    containers::{Container, choose},
    path::Target,
    query::Query,
    status::Failure,
};
use crate::simulate::{Kubelet, LogLine, Unreachable, store::Store};

/// How often a followed log is looked at, in real time.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// What of a log is wanted.
struct LogQuery {
    since: Option<Timestamp>,
    tail: Option<usize>,
    bytes: Option<usize>,
    timestamps: bool,
    previous: bool,
}

impl LogQuery {
    fn of(query: &Query, now: Timestamp) -> Result<Self, Failure> {
        let size = |name: &str| {
            let number = query.number(name)?;
            Ok::<_, Failure>(number.map(|number| usize::try_from(number).unwrap_or(usize::MAX)))
        };
        let ago = query.number("sinceSeconds")?.map(|seconds| {
            let ago = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            now.checked_sub(ago).unwrap_or(Timestamp::MIN)
        });
        let at = query
            .get("sinceTime")
            .map(|text| text.parse().map_err(|_| Failure::bad_request(format!("sinceTime: Invalid value: {text:?}"))));
        if ago.is_some() && at.is_some() {
            return Err(Failure::bad_request("at most one of `sinceTime` or `sinceSeconds` may be specified"));
        }
        Ok(Self {
            since: ago.map(Ok).or(at).transpose()?,
            tail: size("tailLines")?,
            bytes: size("limitBytes")?,
            timestamps: query.flag("timestamps"),
            previous: query.flag("previous"),
        })
    }

    /// The lines wanted, oldest first.
    fn select(&self, lines: Vec<LogLine>) -> Vec<LogLine> {
        let mut lines: Vec<_> =
            lines.into_iter().filter(|line| self.since.is_none_or(|since| line.at >= since)).collect();
        let surplus = self.tail.map_or(0, |tail| lines.len().saturating_sub(tail));
        lines.drain(..surplus);
        lines
    }

    fn render(&self, lines: &[LogLine]) -> String {
        lines.iter().fold(String::new(), |mut text, line| {
            if self.timestamps {
                text.push_str(&line.at.strftime("%Y-%m-%dT%H:%M:%S.%9fZ ").to_string());
            }
            text.push_str(&line.text);
            text.push('\n');
            text
        })
    }
}

/// The log as plain text; with `follow`, also what is written later.
pub(super) fn log(api: &Api, target: &Target, query: &Query) -> Result<Response<Body>, Failure> {
    let container = choose(api, target, query)?;
    let wanted = LogQuery::of(query, api.store.now())?;
    let read = api.kubelet.logs(&container.pod, &container.name, wanted.previous);
    let all = read.map_err(|error| unreadable(&error, &container, wanted.previous))?;
    let seen = LogPosition::of(&all);
    let mut text = wanted.render(&wanted.select(all)).into_bytes();
    text.truncate(wanted.bytes.unwrap_or(usize::MAX));
    let body = if query.flag("follow") && !wanted.previous {
        let follower = Follower {
            store: Arc::clone(&api.store),
            kubelet: Arc::clone(&api.kubelet),
            shutdown: api.shutdown.clone(),
            left: wanted.bytes.map(|most| most.saturating_sub(text.len())),
            container,
            wanted,
            seen,
        };
        let first = VecDeque::from([Bytes::from(text)]);
        Body::from_stream(stream::unfold((follower, first), |(mut follower, mut first)| async move {
            let chunk = match first.pop_front() {
                Some(chunk) => chunk,
                None => follower.next().await?,
            };
            Some((Ok::<_, Infallible>(chunk), (follower, first)))
        }))
    } else {
        Body::from(text)
    };
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "text/plain")], body).into_response())
}

fn unreadable(error: &Unreachable, container: &Container, previous: bool) -> Failure {
    let (name, pod) = (&container.name, &container.pod.name);
    match error {
        _ if previous => {
            Failure::bad_request(format!("previous terminated container {name:?} in pod \"{pod}\" not found"))
        }
        Unreachable::NotRunning(_) => {
            Failure::bad_request(format!("container {name:?} in pod \"{pod}\" is waiting to start: ContainerCreating"))
        }
        other => Failure::internal(other),
    }
}

/// How far a log was read: the time of the last line, and how many lines of that time there were. Lines have no numbers,
/// and old ones may be thrown away between two looks.
#[derive(Debug, Clone, Copy)]
struct LogPosition {
    last: Option<Timestamp>,
    lines: usize,
}

impl LogPosition {
    fn of(lines: &[LogLine]) -> Self {
        let last = lines.last().map(|line| line.at);
        Self { last, lines: lines.iter().rev().take_while(|line| Some(line.at) == last).count() }
    }

    /// The lines that were not there yet.
    fn newer(self, lines: Vec<LogLine>) -> Vec<LogLine> {
        let Some(last) = self.last else { return lines };
        let mut skip = self.lines;
        let is_new = |line: &LogLine| {
            let old = line.at < last || (line.at == last && skip > 0);
            if line.at == last {
                skip = skip.saturating_sub(1);
            }
            !old
        };
        lines.into_iter().filter(is_new).collect()
    }
}

struct Follower {
    store: Arc<Store>,
    kubelet: Arc<dyn Kubelet>,
    shutdown: CancellationToken,
    left: Option<usize>,
    container: Container,
    wanted: LogQuery,
    seen: LogPosition,
}

impl Follower {
    /// The next lines; `None` when the container or the pod is gone, or enough was sent.
    async fn next(&mut self) -> Option<Bytes> {
        while self.left != Some(0) {
            tokio::select! {
                () = self.shutdown.cancelled() => return None,
                () = tokio::time::sleep(FOLLOW_EVERY) => {}
            }
            if !self.same_life() {
                return None;
            }
            let lines = self.kubelet.logs(&self.container.pod, &self.container.name, false).ok()?;
            let seen = LogPosition::of(&lines);
            let newer = std::mem::replace(&mut self.seen, seen).newer(lines);
            if !newer.is_empty() {
                let mut text = self.wanted.render(&newer).into_bytes();
                text.truncate(self.left.unwrap_or(usize::MAX));
                self.left = self.left.map(|left| left.saturating_sub(text.len()));
                return Some(text.into());
            }
        }
        None
    }

    /// Whether the pod is still the one whose log was opened.
    fn same_life(&self) -> bool {
        let (namespace, name) = (self.container.pod.namespace.as_str(), self.container.pod.name.as_str());
        let pod = self.store.get(crate::simulate::store::Kind::Pod, Some(namespace), name);
        pod.is_some_and(|pod| pod.pointer("/metadata/uid") == self.container.object.pointer("/metadata/uid"))
    }
}
