//! Lists of objects as the rules of `triage/istio` read them: page by page, each object reduced as soon as it is there, so that no
//! list is held whole as the API server writes it.

use kube::{api::ListParams, core::Request};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ClusterClient, ClusterError, transport::is_too_much};
use crate::triage::{
    ObjectKind,
    istio::{Objects, ObjectsError},
};

/// How many objects of one list are read. A list that is longer is not known whole, and counts as not read.
pub(super) const OBJECTS_MOST: usize = 5000;
/// How many are asked for at a time, at first: where they are long, fewer are.
const AT_A_TIME: u32 = 100;

/// Where the objects of a kind are in the API.
struct Place {
    group: &'static str,
    kind: &'static str,
    /// As RBAC and URLs name it.
    resource: &'static str,
    /// The versions that Istio and Kubernetes have served, the newest first.
    versions: &'static [&'static str],
}

const ISTIOS: &[&str] = &["v1", "v1beta1"];
const SECURITY: &str = "security.istio.io";
const NETWORKING: &str = "networking.istio.io";

fn place(of: ObjectKind) -> Place {
    let (group, resource, versions): (_, _, &'static [&'static str]) = match of {
        ObjectKind::PeerAuthentication => (SECURITY, "peerauthentications", ISTIOS),
        ObjectKind::DestinationRule => (NETWORKING, "destinationrules", ISTIOS),
        ObjectKind::Sidecar => (NETWORKING, "sidecars", ISTIOS),
        ObjectKind::ServiceEntry => (NETWORKING, "serviceentries", ISTIOS),
        ObjectKind::VirtualService => (NETWORKING, "virtualservices", ISTIOS),
        ObjectKind::EnvoyFilter => (NETWORKING, "envoyfilters", &["v1alpha3"]),
        ObjectKind::MeshConfig => ("", "configmaps", &["v1"]),
        ObjectKind::Namespace => ("", "namespaces", &["v1"]),
        ObjectKind::Service => ("", "services", &["v1"]),
        ObjectKind::EndpointSlice => ("discovery.k8s.io", "endpointslices", &["v1"]),
        ObjectKind::Pod => ("", "pods", &["v1"]),
    };
    let kind = if of == ObjectKind::MeshConfig { "ConfigMap" } else { of.name() };
    Place { group, kind, resource, versions }
}

impl Place {
    fn path(&self, version: &str, namespace: Option<&str>) -> String {
        let group = if self.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", self.group) };
        let namespace = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
        format!("{group}/{version}{namespace}/{}", self.resource)
    }
}

/// What is listed: of one namespace or of all, perhaps only some.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) kind: ObjectKind,
    pub(super) namespace: Option<&'a str>,
    /// A field selector.
    pub(super) fields: Option<&'a str>,
}

/// A page of a list, its objects as they came.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default)]
    items: Vec<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

impl ClusterClient {
    /// Lists objects, in the first version that the cluster serves.
    pub(super) async fn objects(&self, wanted: Wanted<'_>) -> Result<Objects, ClusterError> {
        let place = place(wanted.kind);
        let mut answer = Err(ClusterError::NotFound { what: format!("the kind {}", place.kind) });
        for version in place.versions {
            match self.objects_in(&place, version, wanted).await {
                Err(ClusterError::NotFound { .. }) => {}
                other => {
                    answer = other;
                    break;
                }
            }
        }
        answer
    }

    /// The settings of the mesh, from the ConfigMap `istio`.
    pub(super) async fn mesh_config(&self, namespace: &str) -> Result<Objects, ClusterError> {
        let place = place(ObjectKind::MeshConfig);
        let what = format!("ConfigMap {namespace}/istio");
        let request = Request::new(place.path("v1", Some(namespace))).get("istio", &kube::api::GetParams::default());
        let request = request.map_err(|error| failed(&what, &error))?;
        let call = async {
            let read = self.client.request::<Box<RawValue>>(request).await;
            read.map_err(|error| ClusterError::of(&error, "get", "configmaps/istio", namespace, &what))
        };
        let map = self.bounded(&what, call).await?;
        let mut objects = Objects::default();
        objects.take("", "ConfigMap", map.get()).map_err(|error| failed(&what, &error))?;
        Ok(objects)
    }

    async fn objects_in(&self, place: &Place, version: &str, wanted: Wanted<'_>) -> Result<Objects, ClusterError> {
        let of = wanted.namespace.unwrap_or("all namespaces");
        let what = format!("listing {} of {of}", place.resource);
        let list = Request::new(place.path(version, wanted.namespace));
        let mut params = ListParams::default().limit(AT_A_TIME);
        params.field_selector = wanted.fields.map(str::to_owned);
        let (mut objects, mut count) = (Objects::default(), 0_usize);
        // A page brings one object at least.
        for _ in 0..OBJECTS_MOST {
            let request = list.list(&params).map_err(|error| failed(&what, &error))?;
            let page = async { Ok::<_, ClusterError>(self.client.request::<Page>(request).await) };
            match (self.bounded(&what, page).await?, params.limit) {
                (Ok(page), _) => {
                    count = count.saturating_add(page.items.len());
                    if count > OBJECTS_MOST {
                        break;
                    }
                    for object in &page.items {
                        take(&mut objects, place, object, &what)?;
                    }
                    let Some(next) = page.metadata.next.filter(|next| !next.is_empty()) else { return Ok(objects) };
                    params = params.continue_token(&next);
                }
                (Err(error), Some(limit @ 2..)) if is_too_much(&error) => params = params.limit(limit.div_ceil(4)),
                (Err(error), _) => return Err(ClusterError::of(&error, "list", place.resource, of, &what)),
            }
        }
        Err(ClusterError::Failed { what, why: format!("there are more than {OBJECTS_MOST}").into() })
    }
}

fn take(objects: &mut Objects, place: &Place, object: &RawValue, what: &str) -> Result<(), ClusterError> {
    objects.take(place.group, place.kind, object.get()).map_err(|error: ObjectsError| failed(what, &error))
}

fn failed(what: &str, error: &dyn std::error::Error) -> ClusterError {
    ClusterError::Failed { what: what.to_owned(), why: error.to_string().into() }
}
