//! The answers in the field names of the test sets, which `pair --all -o json` prints.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;

use super::{
    client_tls::{Call, ClientTls, ClusterType},
    cluster::{Computed, Destination},
    names::ObjectName,
    policy_objects::Mode,
    server_mode::Level,
    workload_objects::Pod,
};

/// The mode in effect of one pod's port.
#[derive(Debug, Serialize)]
pub struct Question {
    pub server_pod: ObjectName,
    pub port: u16,
    pub effective_mode: Mode,
    /// What the proxy's listener does; absent without a sidecar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener_mode: Option<Mode>,
    pub policies: BTreeMap<Level, ObjectName>,
}

/// What one client does for one host, port and subset.
#[derive(Debug, Serialize)]
pub struct Pair<'a> {
    pub client_pod: &'a ObjectName,
    #[serde(flatten)]
    pub answer: PairAnswer<'a>,
}

/// The same for all clients that are alike.
#[derive(Debug, Serialize)]
pub struct PairAnswer<'a> {
    pub host: String,
    pub service_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subset: Option<&'a str>,
    pub client_tls: ClientTls,
    pub expected_sans: &'a [String],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub auto_san_validation: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_type: Option<ClusterType>,
    pub destination_rule: Option<ObjectName>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged_from: Vec<ObjectName>,
    pub endpoints: Vec<EndpointAnswer<'a>>,
}

/// How one endpoint of a destination is called.
#[derive(Debug, Serialize)]
pub struct EndpointAnswer<'a> {
    /// Empty where no pod stands behind the address.
    pub pod: Cow<'a, str>,
    pub address: String,
    pub tls: ClientTls,
}

impl Computed<'_> {
    /// The mode in effect of a port, with what the listener does.
    pub fn question(&self, pod: &Pod, port: u16) -> Question {
        let mode = self.server_mode(pod, port);
        Question {
            server_pod: pod.metadata.object_name(),
            port,
            effective_mode: mode.mode,
            listener_mode: pod.has_sidecar().then_some(mode.mode),
            policies: mode.policies,
        }
    }
}

impl<'a> PairAnswer<'a> {
    /// The answer that a computed call is in the field names of the test sets.
    pub fn new(to: Destination<'a>, call: &'a Call<'_, '_>) -> Self {
        let names = call.rule.map(super::rule_merge::MergedRule::names).unwrap_or_default();
        let endpoints = match call.cluster_type {
            // The application chooses the address: there is no list.
            Some(ClusterType::OriginalDst) | None => Vec::new(),
            Some(ClusterType::Eds) => call.endpoints.iter().map(EndpointAnswer::new).collect(),
        };
        Self {
            host: to.service.host(),
            service_port: to.port,
            subset: to.subset,
            client_tls: call.client_tls,
            expected_sans: &call.expected_sans,
            auto_san_validation: call.auto_san_validation,
            sni: call.sni,
            cluster_type: call.cluster_type,
            destination_rule: names.first().cloned(),
            merged_from: if names.len() > 1 { names } else { Vec::new() },
            endpoints,
        }
    }
}

impl EndpointAnswer<'_> {
    fn new(call: &super::client_tls::EndpointCall<'_>) -> Self {
        let pod = call.endpoint.pod.map_or(Cow::Borrowed(""), |pod| Cow::Owned(pod.metadata.object_name().to_string()));
        Self { pod, address: call.endpoint.socket_address(), tls: call.tls }
    }
}
