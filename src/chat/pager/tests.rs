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
    escalation::{LevelNumber, Rung},
    incident::{Destination, Face, Incident, IncidentId, PageEnd, RunNumber, Triage, WebAddress},
};

#[derive(Default)]
struct ReceivedPages {
    answers: Mutex<Vec<StatusCode>>,
    calls: Mutex<Vec<(Option<String>, Value)>>,
}

async fn take(State(seen): State<Arc<ReceivedPages>>, headers: HeaderMap, body: String) -> impl IntoResponse {
    let token = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    seen.calls.lock().unwrap().push((token, serde_json::from_str(&body).unwrap()));
    (seen.answers.lock().unwrap().pop().unwrap_or(StatusCode::ACCEPTED), [("retry-after", "30")])
}

/// The pagers "night" (generic) and "duty" (PagerDuty), both answered by `seen`.
async fn pagers() -> (Pagers, Arc<ReceivedPages>) {
    let seen = Arc::new(ReceivedPages::default());
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
        wanted: jiff::Timestamp::UNIX_EPOCH,
        root: None,
        writes_enabled: true,
        progress: Progress::default(),
    }
}

/// An incident whose alert brings a runbook and a graph, and whose card has a link.
fn linked(mut incident: Incident) -> Incident {
    let address = |text| WebAddress::parse(text);
    for alert in incident.alerts.values_mut() {
        alert.sighting.runbook_url = address("https://runbooks.example/handshakes");
        alert.sighting.generator_url = address("http://prometheus.example/graph?g0.expr=up");
    }
    incident.calls.card = address("https://example.slack.com/archives/C0NIGHT/p1772334000000100");
    incident
}

fn call<'a>(incident: &'a Incident, key: &'a str, act: CallAct) -> PagerMessage<'a> {
    PagerMessage { key, level: LevelNumber(1), act, incident, runbook: Some("https://runbooks.example/mtls") }
}

fn pretty(body: &Value) -> String {
    serde_json::to_string_pretty(body).unwrap()
}

#[test]
fn the_bodies_of_both_pagers() {
    let incident = linked(night::diagnosed());
    let key = "mtls-medic/prod/INC-7/pager:3:L1";
    insta::assert_snapshot!("generic", pretty(&generic(&call(&incident, key, CallAct::Trigger("opened")))));
    let duty = PagerMessage { level: LevelNumber(2), ..call(&incident, key, CallAct::Trigger("unanswered")) };
    insta::assert_snapshot!("pagerduty", pretty(&pagerduty("R0UTING", &duty)));
}

#[test]
fn a_page_that_is_completed_carries_its_key_and_the_cause_and_rings_nobody() {
    let incident = linked(night::diagnosed());
    let update = call(&incident, "page-1", CallAct::Update);
    let body = generic(&update);
    assert_eq!((&body["action"], &body["key"], &body["reason"]), (&"update".into(), &"page-1".into(), &Value::Null));
    assert_eq!(
        body["summary"],
        "INC-7 L1: MTLSHandshakeFailureRateHigh on web svc/frontend in prod, expired certificate"
    );
    let body = pagerduty("R0UTING", &update);
    assert_eq!((&body["event_action"], &body["dedup_key"]), (&"trigger".into(), &"page-1".into()));
    assert_eq!(body["payload"]["custom_details"]["cause"], "expired certificate");
}

#[test]
fn whoever_is_woken_before_the_cause_is_known_is_told_how_far_it_is() {
    let says = |incident: &Incident| generic(&call(incident, "k", CallAct::Trigger("opened")))["summary"].clone();
    let mut incident = night::opened();
    let alert = "INC-7 L1: MTLSHandshakeFailureRateHigh on";
    assert_eq!(says(&incident), format!("{alert} web svc/frontend in prod, the diagnosis is still running"));
    incident.triage = Triage::Failed { run: RunNumber(1), reason: "the API server did not answer".to_owned() };
    let failed = "the diagnosis could not run: the API server did not answer";
    assert_eq!(says(&incident), format!("{alert} web svc/frontend in prod, {failed}"));
    incident.triage = Triage::NotRun;
    incident.target = None;
    assert_eq!(says(&incident), format!("{alert} a target not yet known in prod, not diagnosed"));
}

/// As a clock of a machine gives them, and not as a test's does.
#[test]
fn the_moments_of_a_page_are_whole_seconds() {
    let mut incident = night::diagnosed();
    let late = SignedDuration::from_nanos(409_490_196);
    incident.opened_at += late;
    let until = night::at(15) + late;
    incident.ladder =
        crate::escalation::Ladder::Running { rung: Rung::Waiting { level: LevelNumber(1), until }, holder: None };
    let body = generic(&call(&incident, "k", CallAct::Trigger("opened")));
    assert_eq!(
        (&body["opened_at"], &body["answer_by"]),
        (&"2026-03-01T03:00:00Z".into(), &"2026-03-01T03:15:00Z".into())
    );
    let verdict = serde_json::to_value(crate::triage::Verdict { at: until, ..incident.verdict.clone().unwrap() });
    assert_eq!(verdict.unwrap()["at"], "2026-03-01T03:15:00Z");
}

#[test]
fn what_to_do_names_a_way_that_there_is() {
    let says = |incident: &Incident| generic(&call(incident, "k", CallAct::Trigger("opened")))["what_to_do"].clone();
    let mut incident = night::opened();
    let in_slack = "Acknowledge in Slack: /mtls ack INC-7, or press Acknowledge on the card of INC-7";
    assert_eq!(says(&incident), in_slack);
    let on = |face| Destination { face, channel: "1".to_owned() };
    incident.channels = vec![on(Face::Discord)];
    assert_eq!(says(&incident), in_slack.replace("Slack", "Discord"));
    incident.channels.push(on(Face::Slack));
    assert_eq!(says(&incident), in_slack.replace("Slack", "Slack or Discord"));
    incident.channels = vec![on(Face::Page)];
    assert_eq!(says(&incident), "Acknowledge on the card of INC-7");
    incident.channels.clear();
    assert_eq!(
        says(&incident),
        "No chat is configured, so INC-7 cannot be acknowledged: the calls end when its alert does. Look: mtls-medic \
         triage -n web svc/frontend. Mend it after the runbook, or silence the alert."
    );
    let diagnosed = Incident { channels: Vec::new(), ..night::diagnosed() };
    assert_eq!(
        says(&linked(diagnosed.clone())),
        "No chat is configured, so INC-7 cannot be acknowledged: the calls end when its alert does. Look: mtls-medic \
         triage -n web svc/frontend. What fits: restart-pod. Mend it after the runbook, or silence the alert."
    );
    let body = generic(&call(&diagnosed, "k", CallAct::Trigger("opened")));
    assert_eq!(body["answer_by"], Value::Null, "nobody can answer");
    assert_eq!(body["next"], "while its alert fires, L2 Platform Security is called at 2026-03-01 03:15:00 UTC");
}

#[test]
fn a_page_about_the_bot_itself_names_nothing_that_cannot_be_acknowledged() {
    let of_the_bot = Incident { id: IncidentId::UNNUMBERED, target: None, ..night::opened() };
    let body = generic(&call(&of_the_bot, "k", CallAct::Trigger("evidence")));
    let said = ["summary", "what_to_do", "next"].map(|field| body[field].as_str().unwrap_or("-").to_owned());
    insta::assert_snapshot!(said.join("\n"), @"
    L1: mtls-medic of prod cannot store anything: no alert is taken in
    Look at the bot's log and at the volume of its journal. Until it can be written, the bot takes in no alert and calls nobody else: watch Alertmanager by hand. There is nothing to acknowledge.
    -
    ");
}

#[test]
fn an_alert_without_a_runbook_of_its_own_gets_the_configured_one() {
    let body = generic(&call(&night::opened(), "k", CallAct::Trigger("opened")));
    assert_eq!(body["runbook"], "https://runbooks.example/mtls");
    assert_eq!((&body["card"], &body["graph"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn nothing_turns_hides_or_steers_in_what_a_pager_reads_out() {
    let (pagers, seen) = pagers().await;
    let text = "fro\u{202e}nt\u{200b}end\u{1b}[31m\u{feff} fails\r";
    for pager in ["night", "duty"] {
        pagers.perform(task(pager, night::saying(text))).await.unwrap();
    }
    let calls = seen.calls.lock().unwrap();
    assert!(calls.len() == 2 && calls.iter().all(|(_, body)| crate::legible::hostile::all_legible(body)), "{calls:?}");
    assert!(calls[0].1.to_string().contains("frontend"), "{calls:?}");
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
    assert!(matches!(done.outcome, Outcome::PagerCalled { level: LevelNumber(1), page: Some(_), .. }));
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
        let PerformError::Waiting { reason, after } = pagers.perform(task("night", night::opened())).await.unwrap_err()
        else {
            panic!("a page is never lost, and this one did not arrive")
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

/// A pager that reads the request of each connection and then does as it is told.
async fn raw_pager(answer: &'static [u8], goes_on: bool) -> Pagers {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/page", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 16 * 1024];
                drop(connection.read(&mut request).await);
                drop(connection.write_all(answer).await);
                while goes_on && connection.write_all(&[b'x'; 16 * 1024]).await.is_ok() {}
            });
        }
    });
    let by_name = [(PagerName("night".to_owned()), Pager::Generic { url: url.into(), token: None })];
    Pagers::new(Outgoing::new(connector().unwrap()), by_name.into())
}

#[tokio::test]
async fn a_page_that_was_taken_counts_as_taken_however_long_the_answer_goes_on() {
    for answer in [
        b"HTTP/1.1 202 Accepted\r\ncontent-length: 9000000000\r\n\r\n".as_slice(),
        b"HTTP/1.1 200 OK\r\n\r\n".as_slice(),
    ] {
        let pagers = raw_pager(answer, true).await;
        let began = std::time::Instant::now();
        let done = pagers.perform(task("night", night::opened())).await.unwrap();
        assert!(matches!(done.outcome, Outcome::PagerCalled { .. }));
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "the end of it is not waited for");
    }
}

#[tokio::test]
async fn an_answer_of_which_the_head_never_ends_is_given_up_and_the_page_may_ring() {
    let pagers = raw_pager(b"HTTP/1.1 202 Accepted\r\nx: ", true).await;
    let error = pagers.perform(task("night", night::opened())).await.unwrap_err();
    assert!(matches!(error, PerformError::Again { .. }), "{error:?}");
}

#[tokio::test]
async fn what_is_not_known_to_have_been_refused_may_ring() {
    let fails =
        async |answer| raw_pager(answer, false).await.perform(task("night", night::opened())).await.unwrap_err();
    for may_ring in [b"".as_slice(), b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"] {
        let error = fails(may_ring).await;
        assert!(matches!(error, PerformError::Again { .. }), "{error:?}");
    }
    for refused in [b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".as_slice()] {
        let error = fails(refused).await;
        assert!(matches!(error, PerformError::Waiting { after: Some(_), .. }), "{error:?}");
    }
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let by_name =
        [(PagerName("night".to_owned()), Pager::Generic { url: format!("http://{nobody}/").into(), token: None })];
    let pagers = Pagers::new(Outgoing::new(connector().unwrap()), by_name.into());
    let error = pagers.perform(task("night", night::opened())).await.unwrap_err();
    assert!(matches!(error, PerformError::Waiting { after: Some(_), .. }), "nobody listens there: {error:?}");
}
