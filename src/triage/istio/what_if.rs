//! What would change for the calls between workloads if other objects were there.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    client_tls::ClientTls,
    cluster::{Computed, Destination},
    everything::selected_labels,
    names::ObjectName,
    objects::Objects,
    policy_objects::Mode,
    workload_objects::Pod,
    works::{Conclusion, Judged, Outcome},
};

/// How a call would be after the change, for all clients that are alike.
#[derive(Debug, Serialize)]
pub struct Change {
    pub clients: Vec<ObjectName>,
    /// The clients have no sidecar: that they call this is not known, only what becomes of it if they do.
    pub without_sidecar: bool,
    pub host: String,
    pub service_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subset: Option<String>,
    /// Whether calls that went through would fail.
    pub breaks: bool,
    /// Absent where there was no such destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Said>,
    /// Absent where there would be no such Service or client any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Said>,
}

/// A pod's port that would accept something else.
#[derive(Debug, Serialize)]
pub struct ModeChange {
    pub server_pod: ObjectName,
    pub port: u16,
    pub before: Mode,
    pub after: Mode,
}

/// What a call comes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Said {
    pub conclusion: Conclusion,
    pub why: String,
    pub client_tls: ClientTls,
}

/// The comparison of two sets of objects.
#[derive(Debug, Serialize)]
pub struct WhatIf {
    /// Those that break first.
    pub changes: Vec<Change>,
    /// The ports whose mode would be another.
    pub modes: Vec<ModeChange>,
    /// How many calls stay as they are; clients that are alike count one by one.
    pub unchanged: usize,
}

impl WhatIf {
    /// Whether anything that works would fail.
    pub fn breaks(&self) -> bool {
        self.changes.iter().any(|change| change.breaks)
    }
}

type Key = (ObjectName, u16, Option<String>);

/// Compares each call of each client before and after.
pub fn what_if(before: &Objects, after: &Objects) -> WhatIf {
    let (was, would_be) = (Computed::new(before), Computed::new(after));
    let selected = selected_labels([before, after]);
    let mut groups = would_be.grouped(&selected, Pod::has_sidecar);
    groups.extend(would_be.grouped(&BTreeMap::new(), |pod| !pod.has_sidecar() && would_be.is_in_mesh(pod)));
    let mut found = WhatIf { changes: Vec::new(), modes: mode_changes(&was, &would_be), unchanged: 0 };
    let mut alike: BTreeMap<_, Vec<ObjectName>> = BTreeMap::new();
    for group in &groups {
        let Some(new_client) = group.any() else { continue };
        let old_client = before.pods.get(&new_client.metadata.object_name());
        let known: BTreeSet<Key> = old_client.map(|pod| was.destinations(pod)).iter().flatten().map(key).collect();
        let mut keys: BTreeSet<Key> = would_be.destinations(new_client).iter().map(key).collect();
        keys.extend(known.iter().cloned());
        for key in keys {
            // A subset that comes with the change did not fail before: nobody could mean it.
            let old = old_client.filter(|_| known.contains(&key)).and_then(|pod| judged(&was, pod, &key));
            let new = judged(&would_be, new_client, &key);
            if old.as_ref().map(shown) == new.as_ref().map(shown) {
                found.unchanged += group.pods.len();
                continue;
            }
            let kind = (!breaks(old.as_ref(), new.as_ref()), !new_client.has_sidecar());
            let clients = alike.entry((kind, key, old.as_ref().map(said), new.as_ref().map(said))).or_default();
            clients.extend(group.pods.iter().map(|pod| pod.metadata.object_name()));
        }
    }
    for (((stays, without_sidecar), (service, service_port, subset), before, after), mut clients) in alike {
        clients.sort();
        let host = format!("{}.{}.svc.cluster.local", service.name, service.namespace);
        let breaks = !stays;
        found.changes.push(Change { clients, without_sidecar, host, service_port, subset, breaks, before, after });
    }
    found
}

/// Whether calls that went through would fail.
fn breaks(old: Option<&Judged<'_, '_>>, new: Option<&Judged<'_, '_>>) -> bool {
    let failing = |judged: &Judged<'_, '_>| match judged.conclusion() {
        Conclusion::Fails => judged.first_failure().map_or(usize::MAX, |(_, count)| count),
        _ => 0,
    };
    match (old, new) {
        // What failed whole cannot break.
        (Some(old), Some(new)) => failing(new) > failing(old) && failing(old) < old.endpoints.len(),
        // The Service itself would be gone.
        (Some(old), None) => old.conclusion() != Conclusion::Fails,
        (None, _) => false,
    }
}

fn mode_changes(was: &Computed<'_>, would_be: &Computed<'_>) -> Vec<ModeChange> {
    let before: BTreeMap<_, _> =
        was.all_questions().map(|one| ((one.server_pod, one.port), one.effective_mode)).collect();
    let changed = would_be.all_questions().filter(|one| one.listener_mode.is_some()).filter_map(|one| {
        let (after, port) = (one.effective_mode, one.port);
        let before = *before.get(&(one.server_pod.clone(), port))?;
        (before != after).then_some(ModeChange { server_pod: one.server_pod, port, before, after })
    });
    changed.collect()
}

fn key(to: &Destination<'_>) -> Key {
    (to.service.metadata.object_name(), to.port, to.subset.map(str::to_owned))
}

fn judged<'i, 'o>(computed: &'i Computed<'o>, client: &Pod, (name, port, subset): &Key) -> Option<Judged<'i, 'o>> {
    let service = computed.objects.services.get(name)?;
    Some(computed.judge(client, Destination { service, port: *port, subset: subset.as_deref() }))
}

fn said(judged: &Judged<'_, '_>) -> Said {
    Said { conclusion: judged.conclusion(), why: judged.sentence(), client_tls: judged.call.client_tls }
}

/// What of a call shows outside: who decided it, and what the server would accept besides, does not.
type Shown = (Conclusion, ClientTls, Vec<String>, Vec<(String, ClientTls, bool)>);

fn shown(judged: &Judged<'_, '_>) -> Shown {
    let endpoints = judged
        .endpoints
        .iter()
        .map(|one| (one.call.endpoint.socket_address(), one.call.tls, matches!(one.outcome, Outcome::Fails(_))));
    (judged.conclusion(), judged.call.client_tls, judged.call.expected_sans.clone(), endpoints.collect())
}
