//! Every answer of the Alertmanager webhook: 2xx only after commit, 5xx when it could not be stored or did not arrive whole,
//! 4xx when it never can be (Alertmanager sends nothing again after a 4xx).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail")]

mod connections;

use std::sync::Arc;

use axum::{Router, body::Body, http::Request};
use mtls_medic::{
    alertmanager::{Authentication, Credential},
    clock::SystemClock,
    commands::bot::{Bot, Parts},
    engine::Inbox,
    escalation,
    incident::{IncidentId, IncidentStatus, Policy},
    metrics::Metrics,
};
use tower::ServiceExt;

async fn bot() -> (Router, Inbox, Metrics, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let policy = Policy::usual(escalation::EscalationPolicy::of(Vec::new()), Vec::new());
    let credentials =
        vec![Credential::Bearer("right".into()), Credential::Basic { user: "am".into(), password: "pw".into() }];
    let known = Authentication::Credentials(credentials);
    let parts = Parts::new(folder.path().join("j.sqlite"), Arc::new(SystemClock), "c", policy, known);
    let metrics = parts.metrics.clone();
    let bot = Bot::build(parts).await.unwrap();
    (bot.routes, bot.inbox, metrics, folder)
}

async fn answers(bot: &Router, authorization: &str, body: impl Into<Body>) -> u16 {
    let request =
        Request::post("/webhooks/alertmanager").header("authorization", authorization).body(body.into()).unwrap();
    bot.clone().oneshot(request).await.unwrap().status().as_u16()
}

fn example(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/alertmanager/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[tokio::test]
async fn only_who_is_known_may_send_and_every_refusal_is_counted() {
    let (bot, _, metrics, _folder) = bot().await;
    let body = || example("firing-one-service.json");
    for wrong in ["", "Bearer wrong", "Bearer ", "right", "Basic cmlnaHQ="] {
        assert_eq!(answers(&bot, wrong, body()).await, 401, "{wrong:?}");
    }
    assert_eq!(answers(&bot, "Bearer right", body()).await, 200);
    assert_eq!(answers(&bot, "bearer right", body()).await, 200, "the scheme may be written in any case");
    assert_eq!(answers(&bot, "Basic YW06cHc=", body()).await, 200);
    assert!(metrics.render().contains("webhook_requests_total{status=\"401\"} 5"), "{}", metrics.render());
}

#[tokio::test]
async fn what_can_never_be_accepted_is_refused_with_the_reason() {
    let (bot, _, _, _folder) = bot().await;
    assert_eq!(answers(&bot, "Bearer right", "not json").await, 400);
    assert_eq!(answers(&bot, "Bearer right", r#"[{"labels":{"alertname":"A"}}]"#).await, 400);
    assert_eq!(answers(&bot, "Bearer right", vec![b' '; 2 * 1024 * 1024 + 1]).await, 413);
    assert_eq!(answers(&bot, "Bearer right", r#"{"version":"4","alerts":[]}"#).await, 200, "an empty group is fine");
}

#[tokio::test]
async fn a_queue_that_is_full_is_said_and_the_sender_tries_again() {
    let (bot, _, metrics, folder) = bot().await;
    // Somebody else holds the journal, so that its one writer stands still and more come than may wait for it.
    let address = format!("sqlite://{}", folder.path().join("j.sqlite").display());
    let pool = sqlx::SqlitePool::connect(&address).await.unwrap();
    let _held = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let sent = (0..6_000).map(|_| answers(&bot, "Bearer right", r#"{"version":"4","alerts":[]}"#));
    let mut sent: futures::stream::FuturesUnordered<_> = sent.collect();
    let first = futures::StreamExt::next(&mut sent).await;
    assert_eq!(first, Some(503), "what cannot wait is told so at once");
    assert!(metrics.render().contains("webhook_refusals_total{reason=\"queue_full\"}"), "{}", metrics.render());
}

#[tokio::test]
async fn what_takes_longer_to_store_than_its_sender_waits_is_stored_all_the_same() {
    let (bot, inbox, _, folder) = bot().await;
    // Somebody else holds the journal meanwhile.
    let address = format!("sqlite://{}", folder.path().join("j.sqlite").display());
    let pool = sqlx::SqlitePool::connect(&address).await.unwrap();
    let held = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let given_up = {
        let sent = answers(&bot, "Bearer right", example("firing-one-service.json"));
        futures::future::select(Box::pin(sent), Box::pin(tokio::task::yield_now())).await
    };
    drop(given_up); // as when the sender hangs up
    held.rollback().await.unwrap();
    let mut changes = inbox.changes();
    let opened = tokio::time::timeout(std::time::Duration::from_secs(10), changes.recv()).await;
    assert!(opened.is_ok(), "the alert was lost with its sender");
    assert_eq!(inbox.newest(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_journal_that_cannot_store_is_no_2xx_and_loses_nothing_that_is_sent_again() {
    let (bot, inbox, metrics, folder) = bot().await;
    let address = format!("sqlite://{}", folder.path().join("j.sqlite").display());
    let pool = sqlx::SqlitePool::connect(&address).await.unwrap();
    let change = async |sql: &'static str| {
        sqlx::query(sql).execute(&pool).await.unwrap();
    };
    change("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'the disk is full'); END").await;
    assert_eq!(answers(&bot, "Bearer right", example("firing-one-service.json")).await, 500);
    assert!(inbox.newest(10).await.unwrap().is_empty());
    assert!(metrics.render().contains("reason=\"not_stored\"} 1"), "{}", metrics.render());
    change("DROP TRIGGER full").await;
    assert_eq!(answers(&bot, "Bearer right", example("firing-one-service.json")).await, 200);
    assert_eq!(inbox.newest(10).await.unwrap().len(), 1);
}

/// Longer than what a socket holds whose other end takes next to nothing; one for all who ask.
static LONG: [u8; 2 * 1024 * 1024] = [0; 2 * 1024 * 1024];
/// How long a probe waits (deploy/chart: `timeoutSeconds`).
const PROBE_WAITS: std::time::Duration = std::time::Duration::from_secs(5);

const WEBHOOK: &str = "POST /webhooks/alertmanager HTTP/1.1\r\nhost: x\r\nauthorization: Bearer right\r\n\
    content-length: 27\r\n\r\n{\"version\":\"4\",\"alerts\":[]}";
const PROBE: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn a_body_of_countless_parts_is_refused_before_it_is_parsed() {
    let (bot, _, _, _folder) = bot().await;
    let many = format!(r#"{{"version":"4","alerts":[{}0]}}"#, "{},".repeat(600_000));
    assert_eq!(answers(&bot, "Bearer right", many).await, 413);
}

#[tokio::test]
async fn one_group_sent_by_two_alertmanagers_two_hundred_times_is_one_incident() {
    let (bot, inbox, _, _folder) = bot().await;
    let sent = (0..200).map(|_| answers(&bot, "Bearer right", example("firing-one-service.json")));
    let codes = futures::future::join_all(sent).await;
    assert!(codes.iter().all(|code| *code == 200), "{codes:?}");
    assert_eq!(inbox.newest(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_resolved_group_that_was_cut_ends_also_what_it_does_not_list() {
    let (bot, inbox, _, _folder) = bot().await;
    answers(&bot, "Bearer right", example("firing-mesh-wide-truncated.json")).await;
    assert_eq!(inbox.live(10).await.unwrap().len(), 2);
    answers(&bot, "Bearer right", example("resolved-mesh-wide-truncated.json")).await;
    let firing = inbox.live(10).await.unwrap().iter().filter(|stored| stored.incident.is_firing()).count();
    assert_eq!(firing, 0);
}

#[tokio::test]
async fn alerts_of_other_names_are_counted_and_answered_200() {
    let (bot, inbox, metrics, _folder) = bot().await;
    let body = r#"{"version":"4","alerts":[{"status":"firing","startsAt":"2026-11-24T03:00:00Z","labels":{"alertname":"Other"}}]}"#;
    assert_eq!(answers(&bot, "Bearer right", body).await, 200);
    assert!(inbox.newest(10).await.unwrap().is_empty());
    assert!(metrics.render().contains("webhook_unknown_alerts_total 1"));
}

fn firing(service: &str, pod: &str, fingerprint: &str) -> serde_json::Value {
    serde_json::json!({
        "status": "firing",
        "labels": {
            "alertname": "MTLSHandshakeFailureRateHigh", "cluster": "prod", "namespace": "web",
            "service": service, "pod": pod,
        },
        "annotations": { "summary": "mTLS handshakes fail" },
        "startsAt": "2026-11-24T03:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": fingerprint,
    })
}

fn group(alerts: &[serde_json::Value]) -> String {
    serde_json::json!({
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "receiver": "medic",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "", "alerts": alerts,
    })
    .to_string()
}

/// Complaint: goalert 4461.
#[tokio::test]
async fn different_alerts_with_one_summary_are_not_merged() {
    let (bot, inbox, _, _folder) = bot().await;
    let both = group(&[firing("frontend", "frontend-1", "a1"), firing("backend", "backend-1", "b1")]);
    assert_eq!(answers(&bot, "Bearer right", both).await, 200);
    assert_eq!(inbox.live(10).await.unwrap().len(), 2);
}

/// Complaint: kubernaut 1067.
#[tokio::test]
async fn the_incident_stays_the_same_when_the_pod_of_the_alert_is_gone() {
    let (bot, inbox, _, _folder) = bot().await;
    for (pod, fingerprint) in [("frontend-1", "a1"), ("frontend-of-the-next-rollout", "a2")] {
        let body = group(&[firing("frontend", pod, fingerprint)]);
        assert_eq!(answers(&bot, "Bearer right", body).await, 200);
    }
    let live = inbox.live(10).await.unwrap();
    assert_eq!(live.len(), 1);
    assert_eq!(live[0].incident.alerts.len(), 2);
}

/// Complaint: an upgrade opened a second incident for each alert that was open before it.
#[tokio::test]
async fn an_alert_that_is_open_in_an_old_journal_goes_on_there_after_the_upgrade() {
    let (bot, inbox, _, folder) = bot().await;
    let odd = |service: &str, fingerprint: &str| {
        let mut alert = firing(service, "p", fingerprint);
        alert["labels"]["cluster"] = "storm".into();
        alert
    };
    let (lone, odd) = (firing("", "p1", "a1"), odd("frontend", "b1"));
    assert_eq!(answers(&bot, "Bearer right", group(&[lone.clone(), odd.clone()])).await, 200);
    // The keys as the version before wrote them.
    let address = format!("sqlite://{}", folder.path().join("j.sqlite").display());
    let pool = sqlx::SqlitePool::connect(&address).await.unwrap();
    for (id, key) in [
        (1, "prod/MTLSHandshakeFailureRateHigh/fingerprint/a1"),
        (2, "storm/MTLSHandshakeFailureRateHigh/web/frontend"),
    ] {
        let rename = "UPDATE incidents SET key = ?, state = json_set(state, '$.key', ?) WHERE id = ?";
        sqlx::query(rename).bind(key).bind(key).bind(id).execute(&pool).await.unwrap();
    }
    let more = [lone, odd.clone(), firing("", "p2", "a2")];
    assert_eq!(answers(&bot, "Bearer right", group(&more)).await, 200);
    let mut live = inbox.live(10).await.unwrap();
    live.reverse();
    let alerts: Vec<_> =
        live.iter().map(|stored| (stored.incident.id.number(), stored.incident.alerts.len())).collect();
    assert_eq!(alerts, [(1, 1), (2, 1), (3, 1)], "only what nobody knew opens, under the key of its group");
    // Its later notices find it as well, beside the incident of its group.
    let mut ended = firing("", "p1", "a1");
    ended["status"] = "resolved".into();
    let mut other = odd;
    other["fingerprint"] = "b2".into();
    assert_eq!(answers(&bot, "Bearer right", group(&[ended, other])).await, 200);
    let first = inbox.incident(IncidentId::new(1)).await.unwrap().unwrap().incident;
    assert!(matches!(first.status, IncidentStatus::Clearing { .. }));
    let second = inbox.incident(IncidentId::new(2)).await.unwrap().unwrap().incident;
    assert_eq!(second.alerts.len(), 2, "another pod of the same service joins it");
}

#[tokio::test]
async fn one_bad_alert_of_a_body_is_counted_and_the_others_open_their_incidents() {
    let (bot, inbox, metrics, _folder) = bot().await;
    let bad = serde_json::json!({"status": "firing", "labels": {"alertname": ["not", "a", "name"]}});
    let body = group(&[firing("frontend", "f", "a1"), bad, firing("backend", "b", "b1")]);
    assert_eq!(answers(&bot, "Bearer right", body).await, 200);
    assert_eq!(inbox.live(10).await.unwrap().len(), 2);
    assert!(metrics.render().contains("webhook_unreadable_alerts_total 1"), "{}", metrics.render());
}

/// Grafana-managed alerts come in Alertmanager's shape with another version.
#[tokio::test]
async fn grafanas_own_alerts_open_incidents() {
    let (bot, inbox, _, _folder) = bot().await;
    let mut body: serde_json::Value = serde_json::from_str(&group(&[firing("frontend", "f", "a1")])).unwrap();
    body["version"] = "1".into();
    body["orgId"] = 1.into();
    body["state"] = "alerting".into();
    assert_eq!(answers(&bot, "Bearer right", body.to_string()).await, 200);
    assert_eq!(inbox.live(10).await.unwrap().len(), 1);
}

fn unseeing(name: &str, rule: &str, fingerprint: &str) -> serde_json::Value {
    let mut alert = firing("frontend", "f", fingerprint);
    alert["labels"]["alertname"] = name.into();
    alert["labels"]["rulename"] = rule.into();
    alert
}

/// Grafana sends these in place of an alert whose rule has no data, or whose query fails.
#[tokio::test]
async fn that_the_rule_of_one_of_our_alerts_sees_nothing_is_one_incident_however_it_is_told() {
    let (bot, inbox, metrics, _folder) = bot().await;
    let ours = "MTLSHandshakeFailureRateHigh";
    let alerts = [
        unseeing("DatasourceNoData", ours, "n1"),
        unseeing("DatasourceError", ours, "e1"),
        unseeing("DatasourceNoData", "DiskFull", "n2"),
        firing("frontend", "f", "a1"),
    ];
    assert_eq!(answers(&bot, "Bearer right", group(&alerts)).await, 200);
    assert_eq!(answers(&bot, "Bearer right", group(&alerts)).await, 200);
    let live = inbox.live(10).await.unwrap();
    let keys: Vec<_> = live.iter().map(|stored| stored.incident.key.0.as_str()).collect();
    assert_eq!(keys, ["prod/MTLSHandshakeFailureRateHigh/web/frontend", "unseen/prod/MTLSHandshakeFailureRateHigh"]);
    assert!(metrics.render().contains("webhook_unknown_alerts_total 2"), "another rule's blindness is not ours");
}

/// Complaint: two Alertmanagers behind one balancer, whose notices were put together, ended an alert that was just beginning.
#[tokio::test]
async fn an_alert_that_one_body_calls_firing_and_resolved_stays_open_unless_what_ended_began_later() {
    let ended = |start: &str| {
        let mut alert = firing("frontend", "f", "a1");
        alert["status"] = "resolved".into();
        alert["startsAt"] = start.into();
        alert["endsAt"] = "2026-11-24T03:20:00Z".into();
        alert
    };
    let fires = firing("frontend", "f", "a1");
    for (start, is_open) in [
        ("2026-11-24T03:00:00Z", true),
        ("2026-11-24T02:59:30Z", true),
        ("9999-11-24T03:00:00Z", true),
        ("once upon a time", true),
        ("2026-11-24T03:10:00Z", false),
    ] {
        for both in [[fires.clone(), ended(start)], [ended(start), fires.clone()]] {
            let (bot, inbox, _, _folder) = bot().await;
            assert_eq!(answers(&bot, "Bearer right", group(&both)).await, 200);
            let live = inbox.live(10).await.unwrap();
            assert_eq!(
                live.iter().map(|stored| stored.incident.status == IncidentStatus::Open).collect::<Vec<_>>(),
                [is_open],
                "{start}"
            );
            // The same once more, as it is repeated.
            assert_eq!(answers(&bot, "Bearer right", group(&both)).await, 200);
            assert_eq!(inbox.live(10).await.unwrap()[0].incident.status == IncidentStatus::Open, is_open, "{start}");
        }
    }
}

#[tokio::test]
async fn what_could_not_be_read_of_a_body_is_said_and_its_alerts_open_their_incidents() {
    let (bot, inbox, _, _folder) = bot().await;
    let body = group(&[firing("frontend", "f", "a1")]).replace(r#""truncatedAlerts":0"#, r#""truncatedAlerts":1e400"#);
    let request = Request::post("/webhooks/alertmanager").header("authorization", "Bearer right");
    let answer = bot.clone().oneshot(request.body(Body::from(format!("\u{feff}{body}"))).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    let said = axum::body::to_bytes(answer.into_body(), 1000).await.unwrap();
    insta::assert_snapshot!(String::from_utf8_lossy(&said).trim(), @"1 opened, 0 changed, 0 repeated, 0 not ours, left out since it could not be read: truncatedAlerts");
    assert_eq!(inbox.live(10).await.unwrap().len(), 1);
}
