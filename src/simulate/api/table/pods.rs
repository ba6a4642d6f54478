//! The columns of pods: readiness, the one word for their state, restarts.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;

/// READY, STATUS and RESTARTS of a pod.
pub(super) fn state(pod: &Value, now: Timestamp) -> [Value; 3] {
    let statuses = statuses(pod);
    let ready = statuses.iter().filter(|one| one.get("ready") == Some(&Value::Bool(true))).count();
    let total = count(pod, "/spec/containers") + sidecars(pod).len();
    [json!(format!("{ready}/{total}")), json!(reason(pod, &statuses)), json!(restarts(&statuses, now))]
}

fn count(pod: &Value, path: &str) -> usize {
    pod.pointer(path).and_then(Value::as_array).map_or(0, Vec::len)
}

/// Init containers that go on running (native sidecars) count as containers.
fn sidecars(pod: &Value) -> Vec<&str> {
    let containers = pod.pointer("/spec/initContainers").and_then(Value::as_array).into_iter().flatten();
    containers
        .filter(|one| one.get("restartPolicy").and_then(Value::as_str) == Some("Always"))
        .filter_map(|one| one.get("name")?.as_str())
        .collect()
}

fn statuses(pod: &Value) -> Vec<&Value> {
    let sidecars = sidecars(pod);
    let of = |path: &str| pod.pointer(path).and_then(Value::as_array).into_iter().flatten();
    let init = of("/status/initContainerStatuses")
        .filter(|one| one.get("name").and_then(Value::as_str).is_some_and(|name| sidecars.contains(&name)));
    init.chain(of("/status/containerStatuses")).collect()
}

fn reason(pod: &Value, statuses: &[&Value]) -> String {
    if pod.pointer("/metadata/deletionTimestamp").is_some_and(Value::is_string) {
        return "Terminating".to_owned();
    }
    let text = |path: &str| pod.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let mut shown = text("/status/reason").or_else(|| text("/status/phase")).unwrap_or_else(|| "Unknown".to_owned());
    for status in statuses {
        for state in ["waiting", "terminated"] {
            if let Some(reason) = status.pointer(&format!("/state/{state}/reason")).and_then(Value::as_str) {
                reason.clone_into(&mut shown);
            }
        }
    }
    shown
}

fn restarts(statuses: &[&Value], now: Timestamp) -> String {
    let count: i64 = statuses.iter().filter_map(|one| one.get("restartCount")?.as_i64()).sum();
    let ends = statuses.iter().filter_map(|one| one.pointer("/lastState/terminated/finishedAt")?.as_str());
    match ends.filter_map(|text| text.parse::<Timestamp>().ok()).max() {
        Some(last) if count > 0 => format!("{count} ({} ago)", age::human(now.duration_since(last))),
        _ => count.to_string(),
    }
}
