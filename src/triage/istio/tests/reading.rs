//! What files of objects look like, and what is said of those that are none.

use super::world::{policy, world};
use crate::triage::istio::{Computed, Mode, ObjectName, Objects};

fn mode_of_r1(objects: &Objects) -> Mode {
    let pod = &objects.pods[&ObjectName { namespace: "shop".to_owned(), name: "r1".to_owned() }];
    Computed::new(objects).server_mode(pod, 8080).mode
}

#[test]
fn a_list_of_kubectl_and_documents_of_yaml_read_alike() {
    let yaml = policy("server", "{mtls: {mode: STRICT}}");
    let list = r#"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"List","items":[{"apiVersion":
        "security.istio.io/v1","kind":"PeerAuthentication","metadata":{"namespace":"shop","name":"server"},
        "spec":{"mtls":{"mode":"STRICT"},"selector":null}}]}]}"#;
    assert_eq!([mode_of_r1(&world(&yaml)), mode_of_r1(&world(list))], [Mode::Strict, Mode::Strict]);
}

#[test]
fn an_object_that_is_applied_again_keeps_its_age_and_one_that_is_deleted_is_gone() {
    let made = |name: &str, at: &str, mode: &str| {
        policy(name, &format!("{{mtls: {{mode: {mode}}}}}"))
            .replace("name: ", &format!("creationTimestamp: {at}, name: "))
    };
    let old = made("old", "'2026-01-01T00:00:00Z'", "STRICT");
    let young = made("young", "'2026-02-01T00:00:00Z'", "DISABLE");
    let mut objects = world(&(old + &young));
    assert_eq!(mode_of_r1(&objects), Mode::Strict);
    objects.apply(&policy("old", "{mtls: {mode: PERMISSIVE}}")).unwrap();
    assert_eq!(mode_of_r1(&objects), Mode::Permissive, "the oldest still counts");
    assert_eq!(objects.delete(&policy("old", "{}")).unwrap(), 1);
    assert_eq!(mode_of_r1(&objects), Mode::Disable);
    assert_eq!(objects.delete(&policy("old", "{}")).unwrap(), 0);
}

#[test]
fn a_service_of_another_api_group_is_no_service() {
    let knative =
        "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {namespace: shop, name: reviews}\nspec: {}\n";
    assert_eq!(world(knative).services.values().next().unwrap().spec.ports.len(), 2);
}

#[test]
fn a_mesh_configuration_of_another_namespace_does_not_count() {
    let other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: shop, name: istio}\ndata: {mesh: 'trustDomain: evil'}\n";
    assert_eq!(world(other).mesh.trust_domain, "bed.test");
}

#[test]
fn a_mesh_may_keep_its_rules_in_another_namespace_than_istiod_s() {
    let root = "apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: istio-system, name: istio}\ndata: {mesh: 'rootNamespace: \
                shop'}\n";
    assert_eq!(world(root).mesh.root_namespace, "shop");
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    let said = |text: &str| Objects::read(text).unwrap_err().to_string();
    insta::assert_snapshot!(said("{}garbage"), @"this is neither JSON nor YAML of Kubernetes objects: trailing characters at line 1 column 3");
    insta::assert_snapshot!(said(""), @"no object is in it: give a List as kubectl prints it");
    insta::assert_snapshot!(said(&policy("server", "{mtls: {mode: STRCT}}")), @"PeerAuthentication shop/server cannot be read: unknown variant `STRCT`, expected one of `UNSET`, `DISABLE`, `PERMISSIVE`, `STRICT` at line 1 column 143");
    let mesh =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: istio-system, name: istio}\ndata: {mesh: '[1'}\n";
    assert!(
        said(mesh).starts_with("the mesh configuration in ConfigMap istio-system/istio cannot be read"),
        "{}",
        said(mesh)
    );
    let deep = "[".repeat(9) + "{}" + &"]".repeat(9);
    insta::assert_snapshot!(said(&deep), @"this is neither JSON nor YAML of Kubernetes objects: lists in lists, deeper than 4");
}

#[test]
fn a_large_cluster_in_yaml_is_read_and_a_file_that_grows_by_its_aliases_is_not() {
    let large = vec!["x"; 251_000].join(",");
    let pod = format!("kind: Pod\napiVersion: v1\nmetadata: {{namespace: web, name: p}}\nother: [{large}]\n");
    assert_eq!(Objects::read(&pod).unwrap().pods.len(), 1);

    let level = |level: usize| {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        format!("a{level}: &a{level} [{aliases}]\n")
    };
    let grows = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n") + &(1..9).map(level).collect::<String>();
    let said = Objects::read(&grows).unwrap_err().to_string();
    assert!(said.starts_with("this is neither JSON nor YAML of Kubernetes objects: "), "{said}");
}
