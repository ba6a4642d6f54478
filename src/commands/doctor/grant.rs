//! The roles that grant what is missing, as YAML to be applied as it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use crate::cluster::{AccessQuestion, rights::Right};

/// What kubernetes calls the account of a pod.
const ACCOUNT: &str = "system:serviceaccount:";
/// What the roles are called.
const NAME: &str = "mtls-medic-missing";

/// A resource with its group, as `deployments.apps`.
pub(super) fn resource(right: &Right) -> String {
    if right.group.is_empty() { right.resource.to_owned() } else { format!("{}.{}", right.resource, right.group) }
}

/// A namespace in words.
pub(super) fn place(namespace: Option<&str>) -> String {
    namespace.map_or_else(|| "all namespaces".to_owned(), |namespace| format!("namespace {namespace}"))
}

/// One role and its binding a namespace; `who` is the account that was asked as.
pub(super) fn yaml(missing: &[AccessQuestion], who: Option<&str>) -> String {
    let mut places: BTreeMap<Option<&str>, Vec<&Right>> = BTreeMap::new();
    for one in missing {
        places.entry(one.namespace.as_deref()).or_default().push(one.right);
    }
    let documents = places.into_iter().map(|(namespace, rights)| document(namespace, &rights, who));
    documents.collect::<Vec<_>>().join("---\n")
}

fn document(namespace: Option<&str>, rights: &[&Right], who: Option<&str>) -> String {
    let (role, binding) =
        if namespace.is_some() { ("Role", "RoleBinding") } else { ("ClusterRole", "ClusterRoleBinding") };
    let metadata = match namespace {
        Some(namespace) => format!("{{name: {NAME}, namespace: {namespace}}}"),
        None => format!("{{name: {NAME}}}"),
    };
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: {role}\nmetadata: {metadata}\nrules:\n{}---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: {binding}\nmetadata: {metadata}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {role}, name: {NAME}}}\nsubjects:\n{}",
        rules(rights),
        subject(who)
    )
}

fn rules(rights: &[&Right]) -> String {
    let mut verbs: BTreeMap<(&str, &str, Option<&str>), BTreeSet<&str>> = BTreeMap::new();
    for right in rights {
        verbs.entry((right.group, right.resource, right.name)).or_default().insert(right.verb);
    }
    let mut out = String::new();
    for ((group, resource, name), verbs) in verbs {
        let verbs = verbs.into_iter().collect::<Vec<_>>().join(", ");
        let name = name.map(|name| format!(", resourceNames: [{name}]")).unwrap_or_default();
        // Writing into a String cannot fail.
        let _ = writeln!(out, "  - {{apiGroups: [\"{group}\"], resources: [{resource}]{name}, verbs: [{verbs}]}}");
    }
    out
}

/// Who is granted it: the account that was asked as, or the chart's own where that is not known.
fn subject(who: Option<&str>) -> String {
    match who.map(|who| (who, who.strip_prefix(ACCOUNT).and_then(|account| account.split_once(':')))) {
        Some((_, Some((namespace, name)))) => {
            format!("  - {{kind: ServiceAccount, name: {name}, namespace: {namespace}}}\n")
        }
        Some((user, None)) => {
            let user = serde_json::Value::from(user);
            format!("  - {{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}\n")
        }
        None => "  # The chart's account: put another name here if the bot has one.\n  \
                 - {kind: ServiceAccount, name: mtls-medic, namespace: mtls-medic}\n"
            .to_owned(),
    }
}
