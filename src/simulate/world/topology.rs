//! What the world consists of: nodes, workloads, and who calls whom how often.

/// The world's trust domain.
pub const TRUST_DOMAIN: &str = "prod.example.org";

/// The nodes.
pub(super) const NODES: [&str; 3] = ["node-1", "node-2", "node-3"];

/// The port that workloads serve.
pub(super) const PORT: u16 = 8443;

/// A workload: a Deployment, its Service and its service account, all of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Workload {
    pub(super) namespace: &'static str,
    pub(super) name: &'static str,
    /// Where each replica runs.
    pub(super) nodes: &'static [&'static str],
}

impl Workload {
    pub(super) fn spiffe_id(&self) -> String {
        format!("spiffe://{TRUST_DOMAIN}/ns/{}/sa/{}", self.namespace, self.name)
    }

    pub(super) fn host(&self) -> String {
        format!("{}.{}.svc.cluster.local", self.name, self.namespace)
    }

    /// The name of Envoy's outbound cluster towards it.
    pub(super) fn cluster(&self) -> String {
        format!("outbound|{PORT}||{}", self.host())
    }
}

/// The workloads. frontend is what scenarios break: all of it runs on one node.
pub(super) const WORKLOADS: [Workload; 4] = [
    Workload { namespace: "web", name: "gateway", nodes: &["node-1", "node-2"] },
    Workload { namespace: "web", name: "frontend", nodes: &["node-2", "node-2"] },
    Workload { namespace: "payments", name: "checkout", nodes: &["node-1", "node-3"] },
    Workload { namespace: "payments", name: "ledger", nodes: &["node-3"] },
];

/// The workload of a name.
pub(super) fn workload(namespace: &str, name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.namespace == namespace && workload.name == name)
}

/// One edge of traffic: calls a second from each pod of the client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) client: (&'static str, &'static str),
    pub(super) server: (&'static str, &'static str),
    pub(super) per_second: f64,
}

/// Who calls whom. The gateway's many calls of checkout keep its failure rate under the alert's threshold when only
/// frontend is broken, as in a mesh where one client of many is.
pub(super) const EDGES: [Edge; 4] = [
    Edge { client: ("web", "gateway"), server: ("web", "frontend"), per_second: 2.0 },
    Edge { client: ("web", "gateway"), server: ("payments", "checkout"), per_second: 60.0 },
    Edge { client: ("web", "frontend"), server: ("payments", "checkout"), per_second: 1.0 },
    Edge { client: ("payments", "checkout"), server: ("payments", "ledger"), per_second: 3.0 },
];
