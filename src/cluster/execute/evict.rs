//! Evicts one life of a pod: eviction API only, with its UID as precondition.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::json;

use super::{
    NotWritten, Stepped,
    answer::{WriteRefusal, Written},
};
use crate::{
    cluster::{ClusterClient, ClusterError, resolve::found},
    mesh::controller_in_words,
    remediation::PodInstance,
};

/// How a pod stands to what was approved.
enum StillThere {
    /// It is the approved one.
    Same,
    /// That life is over, and how that was seen.
    Over(String),
    /// It is alive, and somebody else's.
    Moved(String),
}

/// How the API server answered one eviction.
enum EvictionAnswer {
    Accepted,
    /// The pod was not there, or not this life of it; in the server's words.
    NotThis(String),
}

impl ClusterClient {
    /// Evicts. Repeatable: from the second attempt on, a life that is gone is done, since the attempt before may have
    /// ended it without our knowing. At the first one somebody else did, so what was approved is no more (invariant 4).
    /// Only a look at the pod says that, never an error code alone.
    ///
    /// A refusal is certain to have written nothing where the pod was seen alive at this attempt, or this is the first.
    pub(in crate::cluster) async fn evict(&self, planned: &PodInstance, attempt: u32) -> Result<Stepped, NotWritten> {
        let unseen = |error| NotWritten { error, untouched: attempt == 1, after: None };
        match self.life_of(planned).await.map_err(unseen)? {
            StillThere::Over(what) => return Ok(over(&what, attempt)),
            StillThere::Moved(what) => return Ok(Stepped::Moved(what)),
            StillThere::Same => {}
        }
        // The rehearsal finds a missing right or a spent budget without touching anything.
        for rehearsal in [true, false] {
            match self.post_eviction(planned, rehearsal).await {
                Ok(EvictionAnswer::Accepted) => {}
                Ok(EvictionAnswer::NotThis(why)) => return self.look_again(planned, why, attempt).await,
                Err(refused) => return Err(NotWritten { untouched: refused.untouched || rehearsal, ..refused }),
            }
        }
        Ok(Stepped::Done)
    }

    async fn life_of(&self, planned: &PodInstance) -> Result<StillThere, ClusterError> {
        let (namespace, name) = (planned.pod.namespace.as_str(), planned.pod.name.as_str());
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let what = format!("pod {}", planned.pod);
        let call = async {
            api.get_opt(name).await.map_err(|error| ClusterError::of(&error, "get", "pods", namespace, &what))
        };
        let Some(now) = self.bounded(&what, call).await?.as_ref().and_then(found) else {
            return Ok(StillThere::Over(format!("{} is gone", planned.pod)));
        };
        if now.uid != planned.uid {
            return Ok(StillThere::Over(format!("{} is another life of that name by now", planned.pod)));
        }
        if now.going {
            return Ok(StillThere::Over(format!("{} is being ended", planned.pod)));
        }
        if now.controller == planned.controller {
            return Ok(StillThere::Same);
        }
        let (now, before) =
            (controller_in_words(now.controller.as_ref()), controller_in_words(planned.controller.as_ref()));
        Ok(StillThere::Moved(format!("{} belongs to {now} now, not to {before}", planned.pod)))
    }

    /// 404 and 409 are what a lost precondition looks like, and also a conflict that has nothing to do with it.
    async fn look_again(&self, planned: &PodInstance, why: String, attempt: u32) -> Result<Stepped, NotWritten> {
        let unseen = |error| NotWritten { error, untouched: attempt == 1, after: None };
        match self.life_of(planned).await.map_err(unseen)? {
            StillThere::Over(what) => Ok(over(&what, attempt)),
            StillThere::Moved(what) => Ok(Stepped::Moved(what)),
            StillThere::Same => {
                let what = format!("eviction of {}", planned.pod);
                Err(NotWritten::untouched(ClusterError::Failed { what, why: why.into() }))
            }
        }
    }

    async fn post_eviction(&self, planned: &PodInstance, rehearsal: bool) -> Result<EvictionAnswer, NotWritten> {
        let (namespace, name) = (planned.pod.namespace.as_str(), planned.pod.name.as_str());
        let what = format!("eviction of {}", planned.pod);
        // The crate's own evict writes `delete_options` in snake case, which a real API server ignores: the UID
        // precondition would be lost without a word.
        let body = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": planned.uid.as_str()}},
        });
        let query = if rehearsal { "?dryRun=All" } else { "" };
        let request = hyper::Request::post(format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction{query}"))
            .header(hyper::header::CONTENT_TYPE, "application/json")
            .body(body.to_string().into_bytes())
            .map_err(|error| {
                NotWritten::untouched(ClusterError::Failed { what: what.clone(), why: error.to_string().into() })
            })?;
        match self.bounded(&what, self.write(request, &what)).await? {
            Written::Done => Ok(EvictionAnswer::Accepted),
            Written::Not(refusal) => refused(refusal, rehearsal, namespace, &what),
        }
    }
}

/// What a refusal of an eviction means.
fn refused(refusal: WriteRefusal, rehearsal: bool, namespace: &str, what: &str) -> Result<EvictionAnswer, NotWritten> {
    match refusal.status.code {
        // A budget says itself when it lets go, with the next change of a pod: the time that is told is a guess.
        429 if speaks_of_budget(&refusal.status) => Err(NotWritten::untouched(blocked(&refusal.status))),
        404 | 409 => Ok(EvictionAnswer::NotThis(refusal.status.message)),
        // A cluster whose admission webhooks cannot be rehearsed says so with 400 (Kubernetes, "dry-run").
        400 if rehearsal => Ok(EvictionAnswer::Accepted),
        _ => Err(refusal.of_write("pods/eviction", namespace, what)),
    }
}

/// What a life that is over means at this attempt.
fn over(what: &str, attempt: u32) -> Stepped {
    if attempt > 1 { Stepped::Done } else { Stepped::Moved(format!("{what}, and not by the bot")) }
}

/// What the causes of a refused eviction begin with.
const BUDGET_SAID: &str = "The disruption budget ";

/// Whether a 429 is a budget's and not that of an API server which has too much to do.
fn speaks_of_budget(status: &kube::core::Status) -> bool {
    let said = with_causes(status);
    said.contains("disruption budget") || said.contains(BUDGET_SAID)
}

fn blocked(status: &kube::core::Status) -> ClusterError {
    let said = with_causes(status);
    let named = said.split_once(BUDGET_SAID).and_then(|(_, rest)| rest.split_whitespace().next());
    let budget = named.unwrap_or("of this pod").to_owned();
    ClusterError::BudgetSpent { budget, said: said.into() }
}

/// A refusal in the server's words. Which budget it is, and what it lacks, stands only in the causes.
fn with_causes(status: &kube::core::Status) -> String {
    let causes = status.details.iter().flat_map(|details| &details.causes).map(|cause| cause.message.as_str());
    [status.message.as_str()].into_iter().chain(causes).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}
