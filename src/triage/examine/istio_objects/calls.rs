//! Step 3.2: what each client in question does, whether that can work, and what was seen of it.

use std::collections::BTreeSet;

use super::{
    callers::{RefusedCaller, Who},
    questions::{failing_clusters, services_of},
    seen::{Callee, Seen, seen_by},
};
use crate::{
    mesh::PodRef,
    triage::{
        ClientEvidence, Evidence, IstioEvidence, NotListed, ObjectKind,
        istio::{Cause, Computed, Conclusion, Destination, Judged, ObjectName, Outcome, Pod, WhyNot},
        outbound_cluster::OutboundCluster,
    },
};

/// Who calls whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::triage) enum Calls {
    /// Somebody calls the target.
    TheTarget,
    /// The target calls.
    AsClient,
}

/// A call in question, by the objects and by what was seen.
#[derive(Debug, Clone)]
pub(in crate::triage) struct ExaminedCall {
    pub(in crate::triage) calls: Calls,
    /// Pods that no rule tells apart.
    pub(in crate::triage) clients: Vec<PodRef>,
    /// As `frontend.web:8443`.
    pub(in crate::triage) to: String,
    /// The pods behind it that the call cannot reach.
    pub(in crate::triage) servers: Vec<PodRef>,
    pub(in crate::triage) comes_to: Conclusion,
    pub(in crate::triage) why: Option<WhyNot>,
    /// Both sides in one sentence.
    pub(in crate::triage) sentence: String,
    pub(in crate::triage) cause: Option<Cause>,
    /// What may change it and is not computed with.
    pub(in crate::triage) cautions: Vec<String>,
    pub(in crate::triage) seen: Seen,
}

/// What could not be judged, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::triage) struct NotJudged {
    pub(in crate::triage) to: String,
    pub(in crate::triage) why: String,
    /// Whether there may be something that was not seen; else it was seen not to be there.
    pub(in crate::triage) unseen: bool,
}

impl NotJudged {
    fn unread(to: String, gap: &NotListed) -> Self {
        Self { to, why: unread(gap), unseen: !gap.is_not_served() }
    }
}

/// How many calls are told.
const CALLS_MOST: usize = 20;

/// The calls in question.
#[derive(Debug, Default)]
pub(in crate::triage) struct CallsInQuestion {
    pub(in crate::triage) calls: Vec<ExaminedCall>,
    pub(in crate::triage) not_judged: Vec<NotJudged>,
}

pub(super) struct Asking<'a> {
    pub(super) evidence: &'a Evidence,
    pub(super) istio: &'a IstioEvidence,
    pub(super) computed: &'a Computed<'a>,
    pub(super) refused: &'a [RefusedCaller],
}

impl Asking<'_> {
    pub(super) fn all(&self) -> CallsInQuestion {
        let mut found = CallsInQuestion::default();
        let policies = [ObjectKind::PeerAuthentication, ObjectKind::DestinationRule];
        if let Some(gap) = policies.into_iter().find_map(|kind| self.istio.not_listed(kind, None)) {
            found.not_judged.push(NotJudged::unread("any call".to_owned(), gap));
            return found;
        }
        self.to_the_target(&mut found);
        self.as_client(&mut found);
        // What fails first, and of that what was seen to.
        found.calls.sort_by_key(|call| std::cmp::Reverse((call.comes_to, rank(&call.seen))));
        found.calls.truncate(CALLS_MOST);
        found
    }

    fn to_the_target(&self, found: &mut CallsInQuestion) {
        let target = &self.evidence.target;
        if let Some(gap) = self.unread_around(target.namespace.as_str()) {
            found.not_judged.push(NotJudged::unread(format!("calls of {}", target.name), gap));
            return;
        }
        let own: BTreeSet<ObjectName> = self.evidence.pods.iter().map(|pod| name_of(&pod.pod)).collect();
        let calling = self.calling_namespaces();
        for name in services_of(target, &self.evidence.pods, self.computed) {
            let Some(service) = self.istio.objects.services.get(&name) else { continue };
            for group in self.computed.client_groups() {
                let mut pods = group.pods.clone();
                pods.retain(|pod| calling.contains(&pod.metadata.namespace));
                let others: Vec<&Pod> =
                    pods.iter().filter(|pod| !own.contains(&pod.metadata.object_name())).copied().collect();
                let pods = if others.is_empty() { pods } else { others };
                let Some(client) = pods.first() else { continue };
                for to in self.computed.destinations_of(client, service) {
                    let judged = self.computed.judge(client, to);
                    let clients = self.clients_of(&pods);
                    found.calls.push(self.examined(Calls::TheTarget, &pods, to, &judged, &clients));
                }
            }
        }
    }

    /// The namespaces whose workloads' rules are in question: the target's own, those with a rule of their own, and those of
    /// callers that were refused.
    fn calling_namespaces(&self) -> BTreeSet<String> {
        let target = self.evidence.target.namespace.as_str();
        let callers = self.refused.iter().filter_map(|caller| match &caller.who {
            Who::InMesh(pod) => Some(pod.namespace.clone()),
            _ => None,
        });
        let mut all = self.istio.objects.namespaces_with_rules_for(target);
        all.insert(target.to_owned());
        all.extend(callers);
        all
    }

    fn as_client(&self, found: &mut CallsInQuestion) {
        let pods: Vec<&Pod> = self.target_pods();
        for group in self.computed.alike(&pods).into_iter().filter(|group| group.any().is_some_and(Pod::has_sidecar)) {
            let of_group = |pod: &&crate::triage::PodEvidence| {
                group.pods.iter().any(|one| one.metadata.object_name() == name_of(&pod.pod))
            };
            let evidence: Vec<_> = self.evidence.pods.iter().filter(of_group).collect();
            let failing: BTreeSet<String> = evidence.iter().flat_map(|pod| failing_clusters(pod)).collect();
            let clients: Vec<ClientEvidence> = evidence.into_iter().map(ClientEvidence::from).collect();
            for cluster in failing.iter().filter_map(|name| OutboundCluster::parse(name)) {
                let namespace = cluster.service.namespace.as_str();
                let (name, port) = (&cluster.service, cluster.port);
                let text = to_text(name, port, cluster.subset);
                if let Some(gap) = self.unread_around(namespace) {
                    found.not_judged.push(NotJudged::unread(text, gap));
                } else if let (Some(service), Some(client)) = (self.istio.objects.services.get(name), group.any()) {
                    let to = Destination { service, port, subset: cluster.subset };
                    let judged = self.computed.judge(client, to);
                    found.calls.push(self.examined(Calls::AsClient, &group.pods, to, &judged, &clients));
                } else {
                    let why = format!("Service {name} is not there");
                    found.not_judged.push(NotJudged { to: text, why, unseen: false });
                }
            }
        }
    }

    fn target_pods(&self) -> Vec<&Pod> {
        let pods = self.evidence.pods.iter();
        pods.filter_map(|pod| self.istio.objects.pods.get(&name_of(&pod.pod))).collect()
    }

    /// What the proxies of these pods say: those of the target were looked at anyway, others where their calls cannot work.
    fn clients_of(&self, pods: &[&Pod]) -> Vec<ClientEvidence> {
        let is_one = |pod: &PodRef| pods.iter().any(|one| one.metadata.object_name() == name_of(pod));
        let asked = self.istio.clients.iter().filter(|client| is_one(&client.pod)).cloned();
        asked.chain(self.evidence.pods.iter().filter(|pod| is_one(&pod.pod)).map(ClientEvidence::from)).collect()
    }

    /// Objects around a Service that could not be read: without them nothing is known of its endpoints.
    fn unread_around(&self, namespace: &str) -> Option<&NotListed> {
        let kinds = [ObjectKind::Service, ObjectKind::EndpointSlice, ObjectKind::Pod];
        kinds.into_iter().find_map(|kind| self.istio.not_listed(kind, Some(namespace)))
    }

    fn examined(
        &self,
        calls: Calls,
        pods: &[&Pod],
        to: Destination<'_>,
        judged: &Judged<'_, '_>,
        clients: &[ClientEvidence],
    ) -> ExaminedCall {
        let why = judged.first_failure().and_then(|(first, _)| match &first.outcome {
            Outcome::Fails(why) => Some(why.clone()),
            _ => None,
        });
        let service = to.service.metadata.object_name();
        let callee = Callee { service: &service, port: to.port, subset: to.subset };
        let mut seen = seen_by(clients, &callee, why.as_ref());
        if calls == Calls::TheTarget && matches!(why, Some(WhyNot::PlaintextIntoStrict | WhyNot::OwnTlsIntoStrict)) {
            seen = self.refused_by_us(pods).unwrap_or(seen);
        }
        let failing = judged.endpoints.iter().filter(|one| matches!(one.outcome, Outcome::Fails(_)));
        let servers = failing.filter_map(|one| pod_ref(&one.call.endpoint.pod?.metadata.object_name())).collect();
        ExaminedCall {
            calls,
            clients: pods.iter().filter_map(|pod| pod_ref(&pod.metadata.object_name())).collect(),
            to: to_text(&service, to.port, to.subset),
            servers,
            comes_to: judged.conclusion(),
            why,
            sentence: judged.sentence(),
            cause: judged.cause(),
            cautions: judged.beyond.iter().map(ToString::to_string).chain(self.unseen()).collect(),
            seen,
        }
    }

    /// Whether the target's own log shows that one of these pods was refused.
    fn refused_by_us(&self, pods: &[&Pod]) -> Option<Seen> {
        let is_one = |caller: &&RefusedCaller| match &caller.who {
            Who::InMesh(name) => pods.iter().any(|pod| pod.metadata.object_name() == *name),
            _ => false,
        };
        let caller = self.refused.iter().find(is_one)?;
        Some(Seen::Fails { how: format!("the target's proxy turned it away of late: {caller}") })
    }

    /// What could have a say and was not read.
    fn unseen(&self) -> Vec<String> {
        let kinds = [
            ObjectKind::MeshConfig,
            ObjectKind::Sidecar,
            ObjectKind::ServiceEntry,
            ObjectKind::VirtualService,
            ObjectKind::EnvoyFilter,
        ];
        let gaps = kinds.into_iter().filter_map(|kind| self.istio.not_listed(kind, None));
        gaps.filter(|gap| !gap.is_not_served())
            .map(|gap| match gap.kind {
                ObjectKind::MeshConfig => {
                    format!(
                        "the mesh's settings were not read ({}), and Istio's defaults assumed",
                        gap.reason.sentence()
                    )
                }
                _ => unread(gap),
            })
            .collect()
    }
}

fn rank(seen: &Seen) -> u8 {
    match seen {
        Seen::Fails { .. } => 2,
        Seen::FailsOtherwise { .. } | Seen::Unclear => 1,
        Seen::Works { .. } => 0,
    }
}

fn unread(gap: &NotListed) -> String {
    format!("{gap} were not read ({})", gap.reason.sentence())
}

fn to_text(service: &ObjectName, port: u16, subset: Option<&str>) -> String {
    let subset = subset.map(|subset| format!("/{subset}")).unwrap_or_default();
    format!("{}.{}:{port}{subset}", service.name, service.namespace)
}

pub(super) fn name_of(pod: &PodRef) -> ObjectName {
    ObjectName { namespace: pod.namespace.to_string(), name: pod.name.to_string() }
}

pub(super) fn pod_ref(name: &ObjectName) -> Option<PodRef> {
    Some(PodRef { namespace: name.namespace.parse().ok()?, name: name.name.parse().ok()? })
}
