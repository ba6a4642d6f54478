//! mTLS between two workloads, computed from Kubernetes' and Istio's objects alone, exactly as Istio computes it: what each
//! server accepts, what each client's proxy does, which object decided, and whether the two go together.
//!
//! One rule of Istio a file, with the function of Istio 1.31 that it follows. Not computed with, and named where they touch a
//! call: Sidecar, ServiceEntry, VirtualService, EnvoyFilter, gateways, ambient mode, several clusters.

mod answers;
mod cause;
mod client_tls;
mod cluster;
mod documents;
mod endpoints;
mod everything;
mod identities;
mod mesh_config;
mod names;
mod objects;
mod policy_objects;
mod port_protocol;
mod reduced;
mod rule_in_force;
mod rule_index;
mod rule_merge;
mod sentences;
mod server_mode;
mod service_mode;
mod targets;
#[cfg(test)]
mod tests;
mod touched;
mod traffic_policy;
mod visibility;
mod what_if;
mod workload_objects;
mod works;

pub use answers::{EndpointAnswer, Pair, PairAnswer, Question};
pub use cause::Cause;
pub use client_tls::{Because, Call, ClientTls, ClusterType, EndpointBecause, EndpointCall, Missing};
pub use cluster::{Computed, Destination};
pub use endpoints::Endpoint;
pub use everything::{AnsweredBy, ClientGroup};
pub use mesh_config::MeshConfig;
pub use names::{Labels, ObjectName};
pub use objects::{BeyondObject, Objects, ObjectsError};
pub use policy_objects::{Mode, TlsMode};
pub use rule_merge::MergedRule;
pub use server_mode::{Decision, Level, ServerMode};
pub use service_mode::AutoOff;
pub use targets::{Target, WrongTarget, clients_named};
pub use touched::Beyond;
pub use traffic_policy::RulePlace;
pub use what_if::{Change, ModeChange, Said, WhatIf, what_if};
pub use workload_objects::{Pod, Service};
pub use works::{Conclusion, Judged, JudgedEndpoint, Outcome, WhyNot};
