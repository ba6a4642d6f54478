//! Objects that are not computed with are named where they touch a call, and nowhere else.

use super::world::world;
use crate::triage::istio::{Computed, Conclusion, Destination, ObjectName};

fn beyond(with: &str) -> String {
    let objects = world(with);
    let name = |namespace: &str, name: &str| ObjectName { namespace: namespace.to_owned(), name: name.to_owned() };
    let service = &objects.services[&name("shop", "reviews")];
    let found = Computed::new(&objects).beyond(&objects.pods[&name("web", "client")], service);
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn object(kind: &str, namespace: &str, spec: &str) -> String {
    let metadata = format!("metadata: {{namespace: {namespace}, name: x}}");
    format!("---\napiVersion: networking.istio.io/v1\nkind: {kind}\n{metadata}\nspec: {spec}\n")
}

#[test]
fn what_has_a_say_on_a_call_is_named() {
    let all = object("Sidecar", "web", "{egress: [{hosts: ['./*']}]}")
        + &object("VirtualService", "shop", "{hosts: [reviews]}")
        + &object("ServiceEntry", "other", "{hosts: ['*.shop.svc.cluster.local']}")
        + &object("EnvoyFilter", "istio-system", "{workloadSelector: {labels: {app: reviews}}}");
    insta::assert_snapshot!(beyond(&all), @r"
    EnvoyFilter istio-system/x changes the server's proxy
    ServiceEntry other/x names the same host
    Sidecar web/x limits what the client's proxy knows
    VirtualService shop/x may send the call elsewhere
    ");
}

#[test]
fn what_is_for_other_workloads_hosts_or_gateways_is_not() {
    let none = object("Sidecar", "other", "{}")
        + &object("Sidecar", "web", "{workloadSelector: {labels: {app: batch}}}")
        + &object("VirtualService", "shop", "{hosts: [reviews], gateways: [edge]}")
        + &object("ServiceEntry", "other", "{hosts: [ratings.shop.svc.cluster.local]}");
    assert_eq!(beyond(&none), "");
}

#[test]
fn a_pod_in_ambient_mode_is_named_and_not_called_plain() {
    let ambient = "apiVersion: v1\nkind: Pod\nmetadata: {namespace: shop, name: r1, annotations: \
                   {ambient.istio.io/redirection: enabled}}\nspec: {containers: [{name: app}]}\nstatus: {podIP: 10.0.0.3}\n";
    insta::assert_snapshot!(beyond(ambient), @"pod shop/r1 is in ambient mode, where ztunnel makes the mTLS");
    let objects = world(ambient);
    let [client, service] = [("web", "client"), ("shop", "reviews")]
        .map(|(namespace, name)| ObjectName { namespace: namespace.to_owned(), name: name.to_owned() });
    let to = Destination { service: &objects.services[&service], port: 80, subset: None };
    let computed = Computed::new(&objects);
    let judged = computed.judge(&objects.pods[&client], to);
    assert_eq!(judged.conclusion(), Conclusion::Unclear);
    insta::assert_snapshot!(judged.sentence(), @"pod shop/r1 is in ambient mode, where ztunnel makes the mTLS, which is not computed here");
}
