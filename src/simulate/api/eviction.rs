//! Evictions: a deletion that asks the disruption budgets first.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Response, StatusCode},
};
use serde_json::{Value, json};

use super::{
    Api,
    disruption::{budgets_of, count, is_ready},
    path::Target,
    protobuf,
    query::Query,
    status::{Failure, answer, success},
    write::{Preconditions, options_dry_run, read},
};
use crate::simulate::store::{Kind, Transaction, field};

/// POST `pods/NAME/eviction`. Budgets are counted from the pods at this very moment, not from their status.
pub(super) fn evict(
    api: &Api,
    target: &Target,
    query: &Query,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response<Body>, Failure> {
    let (Kind::Pod, Some(name)) = (target.kind, target.name.as_deref()) else { return Err(Failure::not_allowed()) };
    let eviction = read(headers, body, protobuf::eviction)?;
    let named = field(&eviction, "name");
    if !named.is_empty() && named != name {
        return Err(Failure::bad_request(format!("name in URL does not match name in Eviction object: {named:?}")));
    }
    // As a real server, which drops fields that it does not know: kube 5 writes `delete_options`, and who relies on
    // that evicts without preconditions.
    let options = eviction.get("deleteOptions").unwrap_or(&Value::Null);
    let dry = query.dry_run()? || options_dry_run(options);
    let preconditions = Preconditions::of_options(options);
    api.store.transaction(|objects| {
        let namespace = target.namespace.as_deref();
        let pod = objects.get(Kind::Pod, namespace, name).ok_or_else(|| Failure::not_found(target))?;
        preconditions.hold(target, &pod)?;
        ask_budgets(objects, &pod)?;
        if !dry {
            objects.remove(Kind::Pod, namespace, name);
        }
        Ok(())
    })?;
    Ok(answer(StatusCode::CREATED, &success(&json!({}))))
}

/// Refuses when a budget would be violated.
fn ask_budgets(objects: &Transaction<'_>, pod: &Value) -> Result<(), Failure> {
    let phase = pod.pointer("/status/phase").and_then(Value::as_str);
    // These do not count as available, so taking them away disrupts nothing.
    if matches!(phase, Some("Succeeded" | "Failed" | "Pending")) {
        return Ok(());
    }
    let budgets = budgets_of(objects, pod);
    let budget = match budgets.as_slice() {
        [] => return Ok(()),
        [budget] => budget,
        _ => {
            let why =
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Failure::injected(500, why));
        }
    };
    let counted = count(objects, budget);
    let policy = budget.pointer("/spec/unhealthyPodEvictionPolicy").and_then(Value::as_str);
    let enough_without = counted.healthy >= counted.desired && counted.desired > 0;
    if !is_ready(pod) && (policy == Some("AlwaysAllow") || enough_without) {
        return Ok(());
    }
    if counted.allowed() > 0 {
        return Ok(());
    }
    let name = field(budget, "name");
    Err(Failure::budget(&format!(
        "The disruption budget {name} needs {} healthy pods and has {} currently",
        counted.desired, counted.healthy
    )))
}
