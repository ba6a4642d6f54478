//! Evicts one life of a pod: eviction API only, with its UID as precondition.

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::{Value, json};

use crate::{
    cluster::{ClusterError, Reach, resolve::found},
    remediation::PlannedPod,
};

/// What an eviction came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cluster) enum Evicted {
    /// It is evicted, or was gone already.
    Done,
    /// A disruption budget does not allow it now.
    Blocked(String),
    /// The pod is not what was approved any more.
    Moved(String),
}

impl Reach {
    /// Evicts. Repeatable: a life that is gone is done.
    pub(in crate::cluster) async fn evict(&self, planned: &PlannedPod) -> Result<Evicted, ClusterError> {
        let (namespace, name) = (planned.pod.namespace.as_str(), planned.pod.name.as_str());
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let what = format!("eviction of {}", planned.pod);
        let call = async {
            api.get_opt(name).await.map_err(|error| ClusterError::of(&error, "get", "pods", namespace, &what))
        };
        let Some(now) = self.bounded(&what, call).await?.as_ref().and_then(found) else { return Ok(Evicted::Done) };
        if now.uid != planned.uid || now.going {
            // That life is over: what we wanted has happened, by us or by somebody else.
            return Ok(Evicted::Done);
        }
        let controller = now.controller.map(|(kind, name)| format!("{kind}/{name}")).unwrap_or_default();
        if controller != planned.controller {
            return Ok(Evicted::Moved(format!(
                "{} belongs to {controller} now, not to {}",
                planned.pod, planned.controller
            )));
        }
        self.bounded(&what, self.post_eviction(planned, &what)).await
    }

    async fn post_eviction(&self, planned: &PlannedPod, what: &str) -> Result<Evicted, ClusterError> {
        let (namespace, name) = (planned.pod.namespace.as_str(), planned.pod.name.as_str());
        // The crate's own evict writes `delete_options` in snake case, which a real API server ignores: the UID
        // precondition would be lost without a word.
        let body = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": name, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": planned.uid.as_str()}},
        });
        let failed = |why: String| ClusterError::Failed { what: what.to_owned(), why };
        let request = hyper::Request::post(format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction"))
            .header(hyper::header::CONTENT_TYPE, "application/json")
            .body(body.to_string().into_bytes())
            .map_err(|error| failed(error.to_string()))?;
        match self.client.request::<Value>(request).await {
            Ok(_) => Ok(Evicted::Done),
            Err(kube::Error::Api(status)) if status.code == 429 => Ok(Evicted::Blocked(status.message.clone())),
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(Evicted::Done),
            Err(error) => Err(ClusterError::of(&error, "create", "pods/eviction", namespace, what)),
        }
    }
}
