//! Who makes the pods of the SPIRE server: a server that is scaled to nothing has no pod that says so.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, api::ListParams};

use super::Gathering;
use crate::{
    cluster::ClusterError,
    mesh::{ControllerRef, ScaledController},
};

/// The controllers of the server's pods.
pub(super) async fn of_the_server(gathering: &Gathering) -> Vec<ScaledController> {
    let settings = &gathering.reach.settings;
    let made = Made::by(&settings.server_selector);
    let params = made.params();
    let sets: Api<StatefulSet> = Api::namespaced(gathering.reach.client.clone(), &settings.spire_namespace);
    let deployments: Api<Deployment> = Api::namespaced(gathering.reach.client.clone(), &settings.spire_namespace);
    let what = "controllers of the SPIRE server";
    // Each a call of its own: one that holds the place of a long answer waits for no other.
    let sets = gathering.reach.bounded(what, async { Ok::<_, ClusterError>(sets.list(&params).await) });
    let deployments = gathering.reach.bounded(what, async { Ok::<_, ClusterError>(deployments.list(&params).await) });
    let call = async { Ok(futures::join!(sets, deployments)) };
    // Not allowed to list them is the same as none seen: the verdict then stays as open as it was.
    let Ok((Ok(sets), Ok(deployments))) = gathering.in_time(what, call).await else { return Vec::new() };
    let sets = sets.map(|list| list.items).unwrap_or_default().into_iter();
    let sets = sets.filter(|set| made.from(&set.spec.template, &set.metadata));
    let sets = sets.filter_map(|set| scaled("StatefulSet", set.metadata.name, set.spec.replicas));
    let others = deployments.map(|list| list.items).unwrap_or_default().into_iter();
    let others = others.filter(|one| made.from(&one.spec.template, &one.metadata));
    let others = others.filter_map(|one| scaled("Deployment", one.metadata.name, one.spec.replicas));
    sets.chain(others).collect()
}

fn scaled(kind: &str, name: Option<String>, replicas: Option<i32>) -> Option<ScaledController> {
    let controller = ControllerRef::new(kind, name?)?;
    Some(ScaledController { controller, replicas: replicas.unwrap_or(1) })
}

/// How a controller is told to make the pods of a selector.
enum Made<'a> {
    /// Its pods have these labels. Its own may be others: manifests often give it none.
    Labelled(Vec<(&'a str, &'a str)>),
    /// The selector says more than equalities: only the API server reads it, and only over the controller's own labels.
    Selected(&'a str),
}

impl<'a> Made<'a> {
    fn by(selector: &'a str) -> Self {
        let equality = |part: &'a str| {
            let (key, value) = part.split_once('=')?;
            let (key, value) = (key.trim(), value.trim_start_matches('=').trim());
            (!key.contains(['!', ' ', '('])).then_some((key, value))
        };
        let parts: Option<Vec<_>> = selector.split(',').map(equality).collect();
        parts.map_or(Self::Selected(selector), Self::Labelled)
    }

    fn params(&self) -> ListParams {
        match self {
            Self::Labelled(_) => ListParams::default(),
            Self::Selected(selector) => ListParams::default().labels(selector),
        }
    }

    fn from(&self, template: &PodTemplateSpec, own: &ObjectMeta) -> bool {
        let Self::Labelled(wanted) = self else { return true };
        let has = |labels: Option<&BTreeMap<String, String>>| {
            labels
                .is_some_and(|labels| wanted.iter().all(|(key, value)| labels.get(*key).is_some_and(|is| is == value)))
        };
        has(template.metadata.as_ref().and_then(|of_pods| of_pods.labels.as_ref())) || has(own.labels.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(key: &str, value: &str) -> ObjectMeta {
        ObjectMeta { labels: Some([(key.to_owned(), value.to_owned())].into()), ..ObjectMeta::default() }
    }

    fn makes(selector: &str, pods: ObjectMeta, own: &ObjectMeta) -> bool {
        Made::by(selector).from(&PodTemplateSpec { metadata: Some(pods), spec: None }, own)
    }

    #[test]
    fn a_controller_without_labels_of_its_own_is_known_by_those_of_its_pods() {
        let (server, agent) = (labelled("app", "spire-server"), labelled("app", "spire-agent"));
        let nothing = ObjectMeta::default();
        assert!(makes("app=spire-server", server.clone(), &nothing));
        assert!(makes("app==spire-server", nothing.clone(), &server));
        assert!(!makes("app=spire-server", agent.clone(), &nothing));
        assert!(!makes("app=spire-server,tier=a", server, &nothing), "every part of it counts");
    }

    #[test]
    fn what_is_no_equality_is_left_to_the_api_server() {
        for selector in ["app in (spire-server, server)", "app!=spire-agent", "app", "app notin (a=b)"] {
            assert_eq!(Made::by(selector).params().label_selector.as_deref(), Some(selector));
        }
        assert_eq!(Made::by("app=spire-server").params().label_selector, None);
    }
}
