//! A small cluster for the stories: a Service with two pods, a client with a sidecar and one without.

use crate::triage::istio::Objects;

const WORLD: &str = r"
apiVersion: v1
kind: ConfigMap
metadata: {namespace: istio-system, name: istio}
data: {mesh: 'trustDomain: bed.test'}
---
apiVersion: v1
kind: Pod
metadata: {namespace: web, name: client, labels: {app: client, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: client, containers: [{name: app}], initContainers: [{name: istio-proxy}]}
status: {phase: Running, podIP: 10.0.0.1}
---
apiVersion: v1
kind: Pod
metadata: {namespace: web, name: old}
spec: {serviceAccountName: default, containers: [{name: app}]}
status: {phase: Running, podIP: 10.0.0.2}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: r1, labels: {app: reviews, version: v1, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: reviews, containers: [{name: app, ports: [{containerPort: 8080}]}, {name: istio-proxy}]}
status: {phase: Running, podIP: 10.0.0.3}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: reviews}
spec: {clusterIP: 10.96.0.1, type: ClusterIP, ports: [{name: http, port: 80, protocol: TCP}, {name: tcp, port: 81, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {namespace: shop, name: reviews-a, labels: {kubernetes.io/service-name: reviews}}
ports: [{name: http, port: 8080}, {name: tcp, port: 8081}]
endpoints:
- {addresses: [10.0.0.3], conditions: {ready: true}, targetRef: {kind: Pod, namespace: shop, name: r1}}
";

/// The cluster with these objects beside it.
pub(super) fn world(with: &str) -> Objects {
    let mut objects = Objects::read(WORLD).unwrap();
    if !with.is_empty() {
        objects.apply(with).unwrap();
    }
    objects
}

/// A PeerAuthentication in namespace `shop`.
pub(super) fn policy(name: &str, spec: &str) -> String {
    let metadata = format!("metadata: {{namespace: shop, name: {name}}}");
    format!("---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n{metadata}\nspec: {spec}\n")
}

/// A DestinationRule for the Service, in its namespace.
pub(super) fn rule(traffic_policy: &str) -> String {
    let metadata = "metadata: {namespace: shop, name: d}";
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n{metadata}\nspec: {{host: reviews, trafficPolicy: \
         {traffic_policy}}}\n"
    )
}
