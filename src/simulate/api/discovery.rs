//! The documents from which clients learn what the server has: the legacy ones, which every client still reads.

use serde_json::{Value, json};

use super::path::Target;
use crate::simulate::store::{Kind, KindDescription, api_version};

/// The version reported: a current minor, since some kubectl packages pick a bundled kubectl by it.
const MAJOR_MINOR: (&str, &str) = ("1", "36");
/// Not a resource of the store, but discovered like one.
const REVIEWS: &str = "authorization.k8s.io";

/// `/version`
pub(super) fn version() -> Value {
    let (major, minor) = MAJOR_MINOR;
    json!({
        "major": major, "minor": minor, "gitVersion": format!("v{major}.{minor}.0+simulated"), "gitCommit": "",
        "gitTreeState": "clean", "buildDate": "2026-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc",
        "platform": "linux/amd64",
    })
}

/// `/api`
pub(super) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`
pub(super) fn groups() -> Value {
    let all = group_versions();
    let groups: Vec<Value> = all.iter().map(|(name, versions)| group_document(name, versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`
pub(super) fn group(name: &str) -> Option<Value> {
    let all = group_versions();
    let (name, versions) = all.iter().find(|(group, _)| *group == name)?;
    let mut document = group_document(name, versions);
    document.as_object_mut()?.extend([("kind".to_owned(), json!("APIGroup")), ("apiVersion".to_owned(), json!("v1"))]);
    Some(document)
}

fn group_document(name: &str, versions: &[&str]) -> Value {
    let listed: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": api_version(name, version), "version": version}))
        .collect();
    json!({"name": name, "versions": listed, "preferredVersion": listed.first()})
}

/// Each group with the versions of any of its kinds, in the order in which they are named: the first is preferred.
fn group_versions() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = vec![(REVIEWS, vec!["v1"])];
    for facts in Kind::ALL.map(Kind::facts).into_iter().filter(|facts| !facts.group.is_empty()) {
        let known = groups.iter_mut().find(|(name, _)| *name == facts.group);
        match known {
            Some((_, versions)) => {
                versions
                    .extend(facts.versions.iter().filter(|one| !versions.contains(one)).copied().collect::<Vec<_>>());
            }
            None => groups.push((facts.group, facts.versions.to_vec())),
        }
    }
    groups
}

/// `/api/v1` and `/apis/GROUP/VERSION`
pub(super) fn resources(group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for (kind, facts) in Kind::ALL.map(|kind| (kind, kind.facts())) {
        if facts.group == group && facts.versions.contains(&version) {
            resources.push(resource(&facts));
            resources.extend(subresources(kind).iter().map(|part| subresource(&facts, part)));
        }
    }
    if (group, version) == (REVIEWS, "v1") {
        resources.push(json!({
            "name": "selfsubjectaccessreviews", "singularName": "selfsubjectaccessreview", "namespaced": false,
            "kind": "SelfSubjectAccessReview", "verbs": ["create"],
        }));
    }
    let known = !resources.is_empty();
    known.then(|| {
        json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version(group, version),
            "resources": resources,
        })
    })
}

fn resource(facts: &KindDescription) -> Value {
    let mut document = json!({
        "name": facts.plural, "singularName": facts.singular, "namespaced": facts.namespaced, "kind": facts.kind,
        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
    });
    if let Some(fields) = document.as_object_mut()
        && !facts.short_names.is_empty()
    {
        fields.insert("shortNames".to_owned(), json!(facts.short_names));
    }
    document
}

fn subresource(facts: &KindDescription, (part, body, verbs): &Subresource) -> Value {
    let mut document = json!({
        "name": format!("{}/{part}", facts.plural), "singularName": "", "namespaced": facts.namespaced, "kind": body,
        "verbs": verbs,
    });
    // Clients look here for whether evictions are served, and in which group: else `kubectl drain` deletes.
    if let Some(fields) = document.as_object_mut()
        && *part == "eviction"
    {
        fields.extend([("group".to_owned(), json!("policy")), ("version".to_owned(), json!("v1"))]);
    }
    document
}

/// Name, kind of the body and verbs of the parts of a kind.
type Subresource = (&'static str, &'static str, &'static [&'static str]);

fn subresources(kind: Kind) -> &'static [Subresource] {
    match kind {
        Kind::Pod => &[
            ("eviction", "Eviction", &["create"]),
            ("exec", "PodExecOptions", &["create", "get"]),
            ("log", "Pod", &["get"]),
            ("portforward", "PodPortForwardOptions", &["create", "get"]),
        ],
        _ => &[],
    }
}

/// `/openapi/v3`: every group and version.
pub(super) fn openapi_index() -> Value {
    let mut paths = serde_json::Map::new();
    for facts in Kind::ALL.map(Kind::facts) {
        for version in facts.versions {
            let path = if facts.group.is_empty() {
                format!("api/{version}")
            } else {
                format!("apis/{}/{version}", facts.group)
            };
            let url = format!("/openapi/v3/{path}?hash=simulated");
            paths.insert(path, json!({"serverRelativeURL": url}));
        }
    }
    json!({"paths": paths})
}

/// One group's OpenAPI document: no schemas, only what kubectl looks for before it writes (that PATCH of each kind takes
/// `fieldValidation`).
pub(super) fn openapi(group: &str, version: &str) -> Option<Value> {
    let mut paths = serde_json::Map::new();
    for facts in Kind::ALL.map(Kind::facts) {
        if facts.group != group || !facts.versions.contains(&version) {
            continue;
        }
        let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        let place = if facts.namespaced { "/namespaces/{namespace}" } else { "" };
        let gvk = json!({"group": group, "version": version, "kind": facts.kind});
        let parameters = ["dryRun", "fieldManager", "fieldValidation", "force"]
            .map(|name| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}}));
        paths.insert(
            format!("{root}/{version}{place}/{}/{{name}}", facts.plural),
            json!({"patch": {
                "x-kubernetes-action": "patch", "x-kubernetes-group-version-kind": gvk, "parameters": parameters,
            }}),
        );
    }
    let known = !paths.is_empty();
    known.then(|| json!({"openapi": "3.0.0", "info": {"title": "simulated", "version": version}, "paths": paths}))
}

/// An object in the version that was asked for: kinds with several versions have the same fields in all of them.
pub(super) fn in_version(target: &Target, object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), Value::String(target.api_version()));
    }
    object
}
