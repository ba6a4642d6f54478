//! What a URL asks for.

use axum::http::Method;

use super::query::Query;
use crate::simulate::store::{Kind, api_version};

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// `/version`
    Version,
    /// `/healthz`, `/livez`, `/readyz`
    Health,
    /// `/api`
    Core,
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group(String),
    /// `/api/v1` and `/apis/GROUP/VERSION`
    Resources(String, String),
    /// `/openapi/v3`
    OpenApiIndex,
    /// `/openapi/v3/api/v1` and `/openapi/v3/apis/GROUP/VERSION`
    OpenApi(String, String),
    /// A question whether the caller may do something.
    AccessReview,
    /// Objects, or one of them.
    Objects(Target),
}

/// Objects, one object, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) version: String,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
}

impl Target {
    /// `pods` or `pods/exec`.
    pub(super) fn resource(&self) -> String {
        let plural = self.kind.facts().plural;
        self.subresource.as_ref().map_or_else(|| plural.to_owned(), |part| format!("{plural}/{part}"))
    }

    /// The `apiVersion` that was asked for.
    pub(super) fn api_version(&self) -> String {
        api_version(self.kind.facts().group, &self.version)
    }

    /// The verb of the authorizer.
    pub(super) fn verb(&self, method: &Method, query: &Query) -> &'static str {
        match (method.as_str(), &self.name) {
            ("GET" | "HEAD", Some(_)) => "get",
            ("GET" | "HEAD", None) if query.flag("watch") => "watch",
            ("GET" | "HEAD", None) => "list",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", Some(_)) => "delete",
            ("DELETE", None) => "deletecollection",
            _ => "unknown",
        }
    }
}

impl Route {
    /// Reads a path; `None` is a plain 404.
    pub(super) fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match parts.as_slice() {
            ["version"] => Some(Self::Version),
            ["healthz" | "livez" | "readyz"] => Some(Self::Health),
            ["api"] => Some(Self::Core),
            ["apis"] => Some(Self::Groups),
            ["openapi", "v3"] => Some(Self::OpenApiIndex),
            ["openapi", "v3", "api", version] => Some(Self::OpenApi(String::new(), (*version).to_owned())),
            ["openapi", "v3", "apis", group, version] => {
                Some(Self::OpenApi((*group).to_owned(), (*version).to_owned()))
            }
            ["api", "v1"] => Some(Self::Resources(String::new(), "v1".to_owned())),
            ["apis", group] => Some(Self::Group((*group).to_owned())),
            ["apis", group, version] => Some(Self::Resources((*group).to_owned(), (*version).to_owned())),
            ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"] => Some(Self::AccessReview),
            ["api", version, rest @ ..] => objects("", version, rest),
            ["apis", group, version, rest @ ..] => objects(group, version, rest),
            _ => None,
        }
    }
}

fn objects(group: &str, version: &str, rest: &[&str]) -> Option<Route> {
    let (namespace, rest) = match rest {
        // `namespaces/NAME/PLURAL`, unless it is a part of the namespace itself (`namespaces/NAME/status`).
        ["namespaces", namespace, plural, ..] if Kind::of_url(group, version, plural).is_some() => {
            (Some(*namespace), rest.get(2..)?)
        }
        _ => (None, rest),
    };
    let (plural, name, subresource) = match rest {
        [plural] => (plural, None, None),
        [plural, name] => (plural, Some(*name), None),
        [plural, name, part] => (plural, Some(*name), Some(*part)),
        _ => return None,
    };
    let kind = Kind::of_url(group, version, plural)?;
    let misplaced = if kind.facts().namespaced { name.is_some() && namespace.is_none() } else { namespace.is_some() };
    if misplaced {
        return None;
    }
    Some(Route::Objects(Target {
        kind,
        version: version.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        subresource: subresource.map(str::to_owned),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Target {
        match Route::of(path) {
            Some(Route::Objects(target)) => target,
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn paths_are_read_as_a_real_server_reads_them() {
        let exec = target("/api/v1/namespaces/web/pods/a/exec");
        assert_eq!((exec.kind, exec.namespace.as_deref(), exec.name.as_deref()), (Kind::Pod, Some("web"), Some("a")));
        assert_eq!(exec.resource(), "pods/exec");
        let namespace = target("/api/v1/namespaces/web");
        assert_eq!((namespace.kind, namespace.namespace, namespace.name), (Kind::Namespace, None, Some("web".into())));
        assert_eq!(target("/apis/security.istio.io/v1beta1/peerauthentications").version, "v1beta1");
        assert_eq!(target("/api/v1/pods").namespace, None);
        for unknown in ["/", "/api/v2/pods", "/api/v1/secrets", "/api/v1/pods/a", "/apis/apps/v1/namespaces/web/pods"] {
            assert_eq!(Route::of(unknown), None, "{unknown}");
        }
    }
}
