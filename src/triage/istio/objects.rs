//! Reads what `kubectl get -o json` or `-o yaml` printed into typed objects. This is the border: behind it nothing is parsed.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    documents::{each_object, syntax},
    mesh_config::{ConfigMap, MESH_CONFIG_MAP, MeshConfig},
    names::{Metadata, ObjectName, is_default},
    policy_objects::{DestinationRule, PeerAuthentication},
    workload_objects::{EndpointSlice, Namespace, Pod, Service},
};

/// Everything that decides on mTLS between the workloads of one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Objects {
    pub mesh: MeshConfig,
    #[serde(skip_serializing_if = "is_default")]
    pub namespaces: BTreeMap<String, Namespace>,
    #[serde(skip_serializing_if = "is_default")]
    pub pods: BTreeMap<ObjectName, Pod>,
    #[serde(skip_serializing_if = "is_default")]
    pub services: BTreeMap<ObjectName, Service>,
    #[serde(skip_serializing_if = "is_default")]
    pub endpoint_slices: BTreeMap<ObjectName, EndpointSlice>,
    #[serde(skip_serializing_if = "is_default")]
    pub peer_authentications: BTreeMap<ObjectName, PeerAuthentication>,
    #[serde(skip_serializing_if = "is_default")]
    pub destination_rules: BTreeMap<ObjectName, DestinationRule>,
    /// Objects of Istio that may have a say and are not computed with.
    #[serde(skip_serializing_if = "is_default")]
    pub beyond: Vec<BeyondObject>,
}

/// An object that this room does not compute with, and names where it touches a call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct BeyondObject {
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub metadata: Metadata,
    /// Only what says whom it touches: an EnvoyFilter may hold anything.
    #[serde(default, deserialize_with = "what_it_touches")]
    pub spec: serde_json::Value,
}

/// The fields by which an object of Istio says whom it is for.
const TOUCHES: [&str; 3] = ["hosts", "gateways", "workloadSelector"];

fn what_it_touches<'de, D: Deserializer<'de>>(from: D) -> Result<serde_json::Value, D::Error> {
    let mut spec = serde_json::Value::deserialize(from)?;
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|name, _| TOUCHES.contains(&name.as_str()));
    }
    Ok(spec)
}

/// Why a document was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    #[error("this is neither JSON nor YAML of Kubernetes objects: {why}")]
    Syntax { why: String },
    #[error("{kind} {name} cannot be read: {why}")]
    Object { kind: String, name: ObjectName, why: String },
    #[error("the mesh configuration in ConfigMap {name} cannot be read: {why}")]
    MeshConfig { name: ObjectName, why: String },
    #[error("no object is in it: give a List as kubectl prints it")]
    Empty,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: HeaderMetadata,
}

#[derive(Deserialize, Default)]
struct HeaderMetadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
}

impl Objects {
    /// Reads one document: a List or a single object in JSON, or any number of either in YAML.
    pub fn read(text: &str) -> Result<Self, ObjectsError> {
        let mut objects = Self::default();
        objects.apply(text)?;
        Ok(objects)
    }

    /// Puts the objects of a document beside those that are there, as `kubectl apply` would: one of the same kind and name is
    /// replaced and keeps its age. Returns how many there were.
    pub fn apply(&mut self, text: &str) -> Result<usize, ObjectsError> {
        let mut count = 0;
        each_object(text, &mut |object| {
            count += 1;
            self.put(object)
        })?;
        if count == 0 { Err(ObjectsError::Empty) } else { Ok(count) }
    }

    /// Takes the objects away that a document names. Returns how many of them were there.
    pub fn delete(&mut self, text: &str) -> Result<usize, ObjectsError> {
        let mut count = 0;
        each_object(text, &mut |object| {
            let header = header(object)?;
            count += usize::from(self.remove(&header));
            Ok(())
        })?;
        Ok(count)
    }

    /// Takes in one object of a list: there the API server leaves out what the list says, its kind and group.
    pub fn take(&mut self, group: &str, kind: &str, object: &str) -> Result<(), ObjectsError> {
        let api_version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
        self.put_under(&Header { api_version, kind: kind.to_owned(), ..header(object)? }, object)
    }

    /// Puts the objects of another set beside those that are there. The settings of the mesh stay as they are here.
    pub fn join(&mut self, other: Self) {
        self.namespaces.extend(other.namespaces);
        self.pods.extend(other.pods);
        self.services.extend(other.services);
        self.endpoint_slices.extend(other.endpoint_slices);
        self.peer_authentications.extend(other.peer_authentications);
        self.destination_rules.extend(other.destination_rules);
        self.beyond.extend(other.beyond);
    }

    fn put(&mut self, object: &str) -> Result<(), ObjectsError> {
        self.put_under(&header(object)?, object)
    }

    fn put_under(&mut self, header: &Header, object: &str) -> Result<(), ObjectsError> {
        let group = header.group();
        let name = header.object_name();
        match (group, header.kind.as_str()) {
            ("", "Namespace") => {
                let read: Namespace = header.parse(object)?;
                self.namespaces.insert(read.metadata.name.clone(), read);
            }
            ("", "Pod") => keep(&mut self.pods, name, header.parse(object)?, |one: &mut Pod| &mut one.metadata),
            ("", "Service") => keep(&mut self.services, name, header.parse(object)?, |one| &mut one.metadata),
            ("discovery.k8s.io", "EndpointSlice") => {
                keep(&mut self.endpoint_slices, name, header.parse(object)?, |one| &mut one.metadata);
            }
            ("security.istio.io", "PeerAuthentication") => {
                keep(&mut self.peer_authentications, name, header.parse(object)?, |one| &mut one.metadata);
            }
            ("networking.istio.io", "DestinationRule") => {
                keep(&mut self.destination_rules, name, header.parse(object)?, |one| &mut one.metadata);
            }
            ("", "ConfigMap") if header.metadata.name == MESH_CONFIG_MAP => self.read_mesh(header, object)?,
            (
                "networking.istio.io",
                "Sidecar" | "ServiceEntry" | "VirtualService" | "EnvoyFilter" | "WorkloadEntry",
            ) => {
                let mut read: BeyondObject = header.parse(object)?;
                read.kind.clone_from(&header.kind);
                read.metadata.namespace = name.namespace;
                self.beyond.retain(|one| {
                    !(one.kind == read.kind && one.metadata.object_name() == read.metadata.object_name())
                });
                self.beyond.push(read);
            }
            _ => {}
        }
        Ok(())
    }

    fn read_mesh(&mut self, header: &Header, object: &str) -> Result<(), ObjectsError> {
        let map: ConfigMap = header.parse(object)?;
        let Some(text) = map.data.get("mesh") else { return Ok(()) };
        let failed = |why: String| ObjectsError::MeshConfig { name: header.object_name(), why };
        let mesh: Option<MeshConfig> = serde_saphyr::from_str(text).map_err(|error| failed(error.to_string()))?;
        let mesh = mesh.unwrap_or_default();
        // Only istiod's own namespace counts: an application may have a ConfigMap of that name.
        let namespace = &map.metadata.namespace;
        if *namespace == mesh.root_namespace || *namespace == MeshConfig::default().root_namespace {
            self.mesh = mesh;
        }
        Ok(())
    }

    fn remove(&mut self, header: &Header) -> bool {
        let name = header.object_name();
        match header.kind.as_str() {
            "Namespace" => self.namespaces.remove(&header.metadata.name).is_some(),
            "Pod" => self.pods.remove(&name).is_some(),
            "Service" if header.group().is_empty() => self.services.remove(&name).is_some(),
            "EndpointSlice" => self.endpoint_slices.remove(&name).is_some(),
            "PeerAuthentication" => self.peer_authentications.remove(&name).is_some(),
            "DestinationRule" => self.destination_rules.remove(&name).is_some(),
            kind => {
                let before = self.beyond.len();
                self.beyond.retain(|one| !(one.kind == kind && one.metadata.object_name() == name));
                before != self.beyond.len()
            }
        }
    }
}

fn keep<T>(all: &mut BTreeMap<ObjectName, T>, name: ObjectName, mut new: T, metadata: fn(&mut T) -> &mut Metadata) {
    metadata(&mut new).namespace.clone_from(&name.namespace);
    if metadata(&mut new).creation_timestamp.is_none()
        && let Some(old) = all.get_mut(&name)
    {
        metadata(&mut new).creation_timestamp = metadata(old).creation_timestamp;
    }
    all.insert(name, new);
}

impl Header {
    fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    fn object_name(&self) -> ObjectName {
        let namespace = if self.metadata.namespace.is_empty() { "default" } else { &self.metadata.namespace };
        ObjectName { namespace: namespace.to_owned(), name: self.metadata.name.clone() }
    }

    fn parse<'a, T: Deserialize<'a>>(&self, object: &'a str) -> Result<T, ObjectsError> {
        serde_json::from_str(object).map_err(|error| ObjectsError::Object {
            kind: self.kind.clone(),
            name: self.object_name(),
            why: error.to_string(),
        })
    }
}

fn header(object: &str) -> Result<Header, ObjectsError> {
    serde_json::from_str(object).map_err(syntax)
}
