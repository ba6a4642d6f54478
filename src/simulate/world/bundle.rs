//! Who trusts which of SPIRE's authorities: the bundle at each of its hops.

use jiff::{SignedDuration, Timestamp};

use super::{
    Fault, WorldState,
    authority::{Authority, AuthorityError, IssuedSvid},
    objects,
    pod::Pod,
    rotation,
    topology::Workload,
};
use crate::simulate::store::{Kind, Store};

/// How long after a world began its authority rotates, where it does: each SVID has been renewed by the new one since then.
const ROTATES_AFTER: SignedDuration = SignedDuration::from_mins(40);

/// SPIRE's authority since its rotation.
pub(super) struct Rotation {
    at: Timestamp,
    authority: Authority,
}

fn old_bundle_kept(namespace: String, workload: String) -> Fault {
    Fault::OldBundleKept { namespace, workload }
}

impl WorldState {
    /// Rotates the authority of a world that began at `began`, where its scenario says so.
    pub(super) fn plan_rotation(&mut self, began: Timestamp) -> Result<(), AuthorityError> {
        self.rotate_authority(began + ROTATES_AFTER)
    }

    /// The same where a bundle is to be kept from now on.
    pub(super) fn rotate_authority(&mut self, at: Timestamp) -> Result<(), AuthorityError> {
        let kept = self.faults.keys().any(|fault| matches!(fault, Fault::OldBundleKept { .. }));
        if kept && self.rotation.is_none() {
            self.rotation = Some(Rotation { at, authority: Authority::next_of_spire(at)? });
        }
        Ok(())
    }

    /// The authority that signs at a moment.
    pub(super) fn signer(&self, at: Timestamp) -> &Authority {
        self.rotation.as_ref().filter(|rotation| at >= rotation.at).map_or(&self.spire, |rotation| &rotation.authority)
    }

    /// The bundle as the SPIRE server has it.
    pub(super) fn spire_bundle(&self) -> String {
        let next = self.rotation.as_ref().filter(|rotation| self.settled >= rotation.at);
        format!("{}{}", self.spire.bundle_pem(), next.map_or("", |rotation| rotation.authority.bundle_pem()))
    }

    /// The bundle as a pod has it, in its file and its proxy.
    pub(super) fn bundle_of(&self, pod: &Pod) -> String {
        if self.keeps_old_bundle(pod) { self.spire.bundle_pem().to_owned() } else { self.spire_bundle() }
    }

    fn keeps_old_bundle(&self, pod: &Pod) -> bool {
        pod.is_first
            && rotation::since(self, old_bundle_kept, pod.workload).is_some_and(|since| pod.started_at <= since)
    }

    /// Whether the proxy of a pod knows the authority that signed a certificate.
    pub(super) fn trusts(&self, holder: &Pod, own: &IssuedSvid, presented: &IssuedSvid) -> bool {
        own.from_istiod == presented.from_istiod && !(presented.since_rotation && self.keeps_old_bundle(holder))
    }
}

/// Whether the first pods of a workload are yet to come.
pub(super) fn is_first(inner: &WorldState, workload: &Workload) -> bool {
    !inner.pods.values().any(|pod| pod.workload == workload)
}

/// The ConfigMap follows the server, as SPIRE's notifier sees to it, unless that is what is broken.
pub(super) fn publish(inner: &WorldState, store: &Store) {
    let stuck = inner.faults.keys().any(|fault| matches!(fault, Fault::OldBundleKept { .. }));
    if inner.rotation.is_none() || stuck {
        return;
    }
    let (namespace, name, bundle) = (Some("spire-system"), "spire-bundle", inner.spire_bundle());
    let held = store.get(Kind::ConfigMap, namespace, name);
    if held.as_ref().and_then(|map| map.pointer("/data/bundle.crt")?.as_str()) != Some(bundle.as_str()) {
        store.apply(Kind::ConfigMap, objects::spire_bundle(&bundle));
    }
}
