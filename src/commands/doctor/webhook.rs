//! The address where the webhook listens: free, or the bot's own already; and a test alert through it.

use std::{net::SocketAddr, time::Duration};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, body::Bytes, header};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jiff::Timestamp;
use serde_json::json;

use super::finding::DoctorFinding;
use crate::{
    alertmanager::{Authentication, Mapping},
    config::Config,
};

const AREA: &str = "webhook";
/// How long the bot may take for one answer; twice what it gives its own journal.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// The most of an answer that is read, in bytes: it is a line.
const ANSWER_MOST: usize = 64 * 1024;

/// What is behind the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Listening {
    /// Nothing: the bot can start there.
    Free,
    /// A bot, and what its `/readyz` says.
    Bot { ready: bool, said: String },
    /// Something else, or the address cannot be had.
    Not(String),
}

pub(super) async fn look(listen: SocketAddr) -> Listening {
    let why = match std::net::TcpListener::bind(listen) {
        Ok(_) => return Listening::Free,
        Err(error) => error.to_string(),
    };
    match ask(Request::get(at(listen, "/readyz")), Bytes::new()).await {
        Ok((status, body)) if body.starts_with("ready") || body.starts_with("not ready") => {
            Listening::Bot { ready: status == 200, said: body.trim().to_owned() }
        }
        _ => Listening::Not(why),
    }
}

pub(super) fn finding(listen: SocketAddr, listening: &Listening) -> DoctorFinding {
    match listening {
        Listening::Free => DoctorFinding::ok(AREA, format!("{listen} is free")),
        Listening::Bot { ready: true, .. } => {
            DoctorFinding::ok(AREA, format!("a bot listens at {listen} and is ready"))
        }
        Listening::Bot { said, .. } => {
            let said = format!("a bot listens at {listen} and is {said}");
            DoctorFinding::missing(AREA, said, "mend what it says; its log says more")
        }
        Listening::Not(why) => {
            let said = format!("{listen} cannot be listened at: {why}");
            DoctorFinding::missing(AREA, said, "stop what is there, or set listen to another address")
        }
    }
}

/// Sends one alert that has ended already and that nobody saw firing: it goes the whole way (address, credentials, body,
/// journal), opens no incident and calls nobody.
pub(super) async fn test_alert(
    config: &Config,
    authentication: &Authentication,
    mapping: &Mapping,
    listening: &Listening,
    now: Timestamp,
) -> DoctorFinding {
    if !matches!(listening, Listening::Bot { .. }) {
        let said = "the test alert was not sent: no bot listens here";
        return DoctorFinding::not_checked(AREA, said, "start serve, or run it in the bot's own pod");
    }
    let mut request =
        Request::post(at(config.listen, "/webhooks/alertmanager")).header(header::CONTENT_TYPE, "application/json");
    if let Some(authorization) = authentication.authorization() {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let body = body(mapping, now).to_string();
    match ask(request, Bytes::from(body)).await {
        Ok((200, said)) => {
            DoctorFinding::ok(AREA, format!("the bot took a test alert that had ended already ({})", said.trim()))
        }
        Ok((401, _)) => DoctorFinding::missing(
            AREA,
            "the bot refuses its own credentials (401)",
            "restart it: it reads alertmanager.bearer_tokens and basic when it starts",
        ),
        Ok((status, said)) => {
            let said = format!("the bot answered a test alert with {status}: {}", said.trim());
            DoctorFinding::missing(AREA, said, "its log says why")
        }
        Err(why) => DoctorFinding::not_checked(AREA, format!("the test alert was not answered: {why}"), "try again"),
    }
}

fn body(mapping: &Mapping, now: Timestamp) -> serde_json::Value {
    let name = mapping.alerts.first().map_or("MTLSHandshakeFailureRateHigh", String::as_str);
    let labels = json!({
        "alertname": name,
        mapping.namespace_label.as_str(): "mtls-medic-doctor",
        mapping.service_label.as_str(): "test",
    });
    json!({
        "version": "4", "groupKey": "mtls-medic-doctor", "truncatedAlerts": 0, "status": "resolved",
        "receiver": "mtls-medic-doctor", "groupLabels": labels, "commonLabels": labels, "commonAnnotations": {},
        "externalURL": "",
        "alerts": [{
            "status": "resolved", "labels": labels, "annotations": {"summary": "a test alert of mtls-medic doctor"},
            "startsAt": now, "endsAt": now, "generatorURL": "", "fingerprint": "d0c70d0c70d0c700",
        }],
    })
}

/// The address as it is asked from the same machine.
fn at(listen: SocketAddr, path: &str) -> String {
    let mut address = listen;
    if listen.ip().is_unspecified() {
        let loopback = if listen.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    format!("http://{address}{path}")
}

/// In plain HTTP: it is this machine's own address.
async fn ask(request: hyper::http::request::Builder, body: Bytes) -> Result<(u16, String), String> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
    let call = async {
        let response = client.request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body =
            Limited::new(response.into_body(), ANSWER_MOST).collect().await.map_err(|error| error.to_string())?;
        Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
    };
    tokio::time::timeout(ANSWERS_WITHIN, call).await.map_err(|_| "no answer in time".to_owned())?
}
