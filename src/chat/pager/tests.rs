//! Pagers on loopback that take calls, refuse them, or ask to wait.

use std::sync::Mutex;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::post,
};
use jiff::SignedDuration;

use super::*;
use crate::{
    chat::{card::tests as night, connector},
    engine::Progress,
    escalation::Rung,
};

#[derive(Default)]
struct Seen {
    answers: Mutex<Vec<StatusCode>>,
    calls: Mutex<Vec<(Option<String>, Value)>>,
}

async fn take(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: String) -> impl IntoResponse {
    let token = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    seen.calls.lock().unwrap().push((token, serde_json::from_str(&body).unwrap()));
    (seen.answers.lock().unwrap().pop().unwrap_or(StatusCode::ACCEPTED), [("retry-after", "30")])
}

/// The pagers "night" (generic) and "duty" (PagerDuty), both answered by `seen`.
async fn pagers() -> (Pagers, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let router = Router::new().route("/page", post(take)).with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/page", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let generic = Pager::Generic { url: url.clone().into(), token: Some("t0ken".to_owned().into()) };
    let duty = Pager::PagerDuty { url: url.into(), routing_key: "R0UTING".to_owned().into() };
    let by_name = [(PagerName("night".to_owned()), generic), (PagerName("duty".to_owned()), duty)];
    (Pagers::new(Outgoing::new(connector().unwrap()), by_name.into()), seen)
}

fn task(pager: &str, incident: Incident) -> Task {
    let work = Work::CallPager {
        pager: PagerName(pager.to_owned()),
        level: LevelNumber(1),
        reason: CallReason::Opened,
        rung: Rung::Waiting { level: LevelNumber(1), until: night::at(15) },
    };
    Task {
        key: "call-1".to_owned(),
        work,
        incident: incident.into(),
        attempt: 1,
        root: None,
        writes_enabled: true,
        progress: Progress::default(),
    }
}

#[test]
fn the_bodies_of_both_pagers() {
    let incident = night::diagnosed();
    let call = |key, level, reason| Call {
        key,
        level: LevelNumber(level),
        reason,
        incident: &incident,
        runbook: Some("https://runbooks.example/mtls"),
    };
    let body = generic(&call("mtls-medic/prod/INC-7/pager:3:0", 1, &CallReason::Opened));
    insta::assert_snapshot!("generic", serde_json::to_string_pretty(&body).unwrap());
    let body = pagerduty("R0UTING", &call("mtls-medic/prod/INC-7/pager:9:0", 2, &CallReason::Unanswered));
    insta::assert_snapshot!("pagerduty", serde_json::to_string_pretty(&body).unwrap());
}

#[tokio::test]
async fn a_level_that_is_called_again_is_rung_again_and_an_answer_ends_the_page() {
    let (pagers, seen) = pagers().await;
    let done = pagers.perform(task("duty", night::opened())).await.unwrap();
    let Outcome::PagerCalled { page: Some((pager, key)), .. } = done.outcome else { panic!("{:?}", done.outcome) };
    let again = Task { key: "call-2".to_owned(), ..task("duty", night::opened()) };
    pagers.perform(again).await.unwrap();
    for how in [PageEnd::Acknowledge, PageEnd::Resolve] {
        let work = Work::EndPage { pager: pager.clone(), level: LevelNumber(1), key: key.clone(), how };
        pagers.perform(Task { work, ..task("duty", night::opened()) }).await.unwrap();
    }
    let calls = seen.calls.lock().unwrap();
    assert_ne!(calls[0].1["dedup_key"], calls[1].1["dedup_key"]);
    assert_eq!(calls[2].1["event_action"], "acknowledge");
    assert_eq!(calls[3].1["event_action"], "resolve");
    assert_eq!(calls[2].1["dedup_key"], calls[0].1["dedup_key"]);
}

#[test]
fn a_pager_never_shows_its_keys_or_addresses() {
    let pager = Pager::PagerDuty { url: PAGERDUTY_EVENTS.into(), routing_key: "s3cret".to_owned().into() };
    assert!(!format!("{pager:?}").contains("s3cret"));
    let pager = Pager::Generic { url: "https://pager.example.com/s3cret".into(), token: None };
    assert!(!format!("{pager:?}").contains("s3cret"), "an address may be a secret too");
}

#[tokio::test]
async fn a_call_reaches_the_pager_and_the_same_call_sent_twice_is_one_alert() {
    let (pagers, seen) = pagers().await;
    let done = pagers.perform(task("night", night::opened())).await.unwrap();
    assert!(matches!(done.outcome, Outcome::PagerCalled { level: LevelNumber(1), page: Some(_) }));
    for _ in 0..2 {
        pagers.perform(task("duty", night::opened())).await.unwrap();
    }
    let calls = seen.calls.lock().unwrap();
    assert_eq!(calls[0].0.as_deref(), Some("Bearer t0ken"));
    assert_eq!(calls[1].0, None, "PagerDuty's key is in the body");
    assert_eq!(calls[1].1["dedup_key"], calls[2].1["dedup_key"]);
}

#[tokio::test]
async fn a_pager_in_trouble_is_called_again_and_never_given_up() {
    let (pagers, seen) = pagers().await;
    *seen.answers.lock().unwrap() =
        vec![StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS];
    let mut told = Vec::new();
    for _ in 0..3 {
        let PerformError::Again { reason, after } = pagers.perform(task("night", night::opened())).await.unwrap_err()
        else {
            panic!("a page is never lost")
        };
        assert_eq!(after, Some(SignedDuration::from_secs(30)));
        told.push(reason);
    }
    assert!(told[0].contains("429") && told[1].contains("check its token") && told[2].contains("routing key"));
    let unknown = pagers.perform(task("gone", night::opened())).await.unwrap_err();
    assert!(unknown.to_string().contains("there is no pager gone"));
    let shown = pagers.metrics.render();
    for counted in [
        "{pager=\"night\",act=\"call\",result=\"rate_limited\"} 1",
        "{pager=\"night\",act=\"call\",result=\"refused\"} 2",
        "{pager=\"gone\",act=\"call\",result=\"not_configured\"} 1",
    ] {
        assert!(shown.contains(&format!("mtls_medic_pager_calls_total{counted}")), "{shown}");
    }
}
