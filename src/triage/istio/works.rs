//! Whether a call can work, from both sides: what the client's proxy sends against what the server's accepts.
//!
//! Tried with real sidecars (pilot-agent, Envoy 1.40): tests/data/istio-pairs/live-trial.txt and envoy-words.txt.

use super::{
    answers::Question,
    client_tls::{Because, Call, ClientTls, ClusterType, EndpointBecause, EndpointCall, Missing},
    cluster::{Computed, Destination},
    endpoints::Endpoint,
    identities::identity_of,
    policy_objects::Mode,
    port_protocol::is_http,
    server_mode::ServerMode,
    touched::Beyond,
    workload_objects::Pod,
};

/// What becomes of the calls to one endpoint. In the order of concern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Mtls,
    /// It works without mTLS.
    Plaintext,
    /// The client makes TLS of its own: it works only where the application itself serves TLS, which no object says.
    OwnTls,
    Fails(WhyNot),
}

/// Why calls to an endpoint fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyNot {
    PlaintextIntoStrict,
    OwnTlsIntoStrict,
    /// A proxy that also takes plain text takes no foreign TLS on an HTTP port.
    OwnTlsIntoHttp,
    MutualIntoDisabled,
    MutualIntoNoSidecar,
    /// The server's certificate names another identity than the rule demands.
    WrongIdentity {
        held: String,
    },
}

/// One endpoint, how it is called, and what becomes of it.
#[derive(Debug, Clone)]
pub struct JudgedEndpoint<'o> {
    pub call: EndpointCall<'o>,
    pub outcome: Outcome,
    /// Of the pod's port; `None` where no pod stands behind the address or the pod has no sidecar.
    pub mode: Option<Mode>,
}

/// A call from both sides.
#[derive(Debug, Clone)]
pub struct Judged<'i, 'o> {
    pub(super) computed: &'i Computed<'o>,
    pub call: Call<'i, 'o>,
    pub endpoints: Vec<JudgedEndpoint<'o>>,
    /// What may change it and is not computed with.
    pub beyond: Vec<Beyond>,
}

/// What the whole call comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    Mtls,
    /// At least one endpoint is called in plain text, and none fails.
    WithoutMtls,
    /// Objects alone do not tell.
    Unclear,
    Fails,
}

impl<'o> Computed<'o> {
    /// Judges the calls of a client to a destination.
    pub fn judge(&self, client: &Pod, to: Destination<'_>) -> Judged<'_, 'o> {
        let call = if client.has_sidecar() { self.call(client, to) } else { self.call_without_proxy(to) };
        let endpoints = call
            .endpoints
            .iter()
            .map(|one| {
                let server = one.endpoint.pod.filter(|pod| pod.has_sidecar());
                let mode = server.map(|_| one.endpoint.mode);
                JudgedEndpoint { call: *one, outcome: self.outcome(one, &call, mode, to), mode }
            })
            .collect();
        Judged { computed: self, call, endpoints, beyond: self.beyond(client, to.service) }
    }

    fn call_without_proxy(&self, to: Destination<'_>) -> Call<'_, 'o> {
        let port = to.service.port(to.port);
        let plain = |endpoint: &Endpoint<'o>| EndpointCall {
            endpoint: *endpoint,
            tls: ClientTls::Plaintext,
            because: EndpointBecause::Cluster,
        };
        let all = self.endpoints_of(to.service).iter().filter(|one| !one.terminating);
        let of_port = all.filter(|one| port.is_some_and(|port| port.name == one.port_name));
        Call {
            client_tls: if port.is_some() { ClientTls::Plaintext } else { ClientTls::NoCluster },
            because: if port.is_some() { Because::NoSidecar } else { Because::Missing(Missing::Port) },
            expected_sans: Vec::new(),
            auto_san_validation: false,
            sni: None,
            cluster_type: None,
            rule: None,
            endpoints: of_port.map(plain).collect(),
        }
    }

    fn outcome(
        &self,
        one: &EndpointCall<'_>,
        call: &Call<'_, '_>,
        server: Option<Mode>,
        to: Destination<'_>,
    ) -> Outcome {
        let Some(server) = server else {
            return match one.tls {
                ClientTls::Plaintext => Outcome::Plaintext,
                ClientTls::Simple | ClientTls::Mutual => Outcome::OwnTls,
                ClientTls::IstioMutual | ClientTls::Auto | ClientTls::NoCluster => {
                    Outcome::Fails(WhyNot::MutualIntoNoSidecar)
                }
            };
        };
        match (one.tls, server) {
            (ClientTls::Plaintext, Mode::Strict) => Outcome::Fails(WhyNot::PlaintextIntoStrict),
            (ClientTls::Plaintext, _) => Outcome::Plaintext,
            (ClientTls::Simple | ClientTls::Mutual, Mode::Strict) => Outcome::Fails(WhyNot::OwnTlsIntoStrict),
            (ClientTls::Simple | ClientTls::Mutual, Mode::Permissive)
                if to.service.port(to.port).is_some_and(is_http) =>
            {
                Outcome::Fails(WhyNot::OwnTlsIntoHttp)
            }
            (ClientTls::Simple | ClientTls::Mutual, _) => Outcome::OwnTls,
            (ClientTls::IstioMutual | ClientTls::Auto | ClientTls::NoCluster, Mode::Disable) => {
                Outcome::Fails(WhyNot::MutualIntoDisabled)
            }
            (ClientTls::IstioMutual | ClientTls::Auto | ClientTls::NoCluster, _) => self.identity_outcome(one, call),
        }
    }

    fn identity_outcome(&self, one: &EndpointCall<'_>, call: &Call<'_, '_>) -> Outcome {
        let Some(pod) = one.endpoint.pod else { return Outcome::Mtls };
        let held = identity_of(&self.objects.mesh, pod);
        if call.expected_sans.is_empty() || call.expected_sans.contains(&held) {
            Outcome::Mtls
        } else {
            Outcome::Fails(WhyNot::WrongIdentity { held })
        }
    }
}

impl Judged<'_, '_> {
    /// The mode of an endpoint's port with the policy that decided; `None` where no sidecar stands behind it.
    pub fn server(&self, one: &JudgedEndpoint<'_>) -> Option<ServerMode> {
        let pod = one.call.endpoint.pod.filter(|pod| pod.has_sidecar())?;
        Some(self.computed.server_mode(pod, one.call.endpoint.port))
    }

    /// The modes of all endpoints that have a sidecar.
    pub fn servers(&self) -> impl Iterator<Item = Question> {
        let with_sidecar =
            self.endpoints.iter().map(|one| one.call.endpoint).filter_map(|one| Some((one.pod?, one.port)));
        with_sidecar.filter(|(pod, _)| pod.has_sidecar()).map(|(pod, port)| self.computed.question(pod, port))
    }

    /// The worst that becomes of any endpoint.
    pub fn conclusion(&self) -> Conclusion {
        if self.ambient().is_some() {
            return Conclusion::Unclear;
        }
        if self.call.client_tls == ClientTls::NoCluster {
            return Conclusion::Fails;
        }
        let of = |one: &JudgedEndpoint<'_>| match one.outcome {
            Outcome::Mtls => Conclusion::Mtls,
            Outcome::Plaintext => Conclusion::WithoutMtls,
            Outcome::OwnTls => Conclusion::Unclear,
            Outcome::Fails(_) => Conclusion::Fails,
        };
        // Without any endpoint nothing is called, and nothing can be said of it.
        self.endpoints.iter().map(of).max().unwrap_or(Conclusion::Unclear)
    }

    /// A pod whose mTLS ztunnel makes: what its proxy or its lack of one says is not what happens.
    pub(super) fn ambient(&self) -> Option<&Beyond> {
        self.beyond.iter().find(|one| matches!(one, Beyond::Ambient(_)))
    }

    /// Whether the application chooses which pod is called, so that each must be right by itself.
    pub fn by_application(&self) -> bool {
        self.call.cluster_type == Some(ClusterType::OriginalDst)
    }

    /// The first endpoint that fails, and how many fail.
    pub fn first_failure(&self) -> Option<(&JudgedEndpoint<'_>, usize)> {
        let mut failing = self.endpoints.iter().filter(|one| matches!(one.outcome, Outcome::Fails(_)));
        let first = failing.next()?;
        Some((first, 1 + failing.count()))
    }
}
