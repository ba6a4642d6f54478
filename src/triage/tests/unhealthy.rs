//! What must not be called healthy, though the proxies serve good SVIDs.

use super::{Authority, Night, gone, pem, seen};
use crate::triage::{Gathered, Scenario};

fn is_open(night: &Night, words: &str) {
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::Inconclusive, "{words}: {:?}", verdict.reasons);
    assert!(verdict.reasons.iter().any(|reason| reason.contains(words)), "{words}: {:?}", verdict.reasons);
}

#[test]
fn a_pod_whose_files_do_not_fit_each_other_is_not_healthy_behind_a_good_proxy() {
    let strange = Authority::of("prod.example.org").root;
    for roots in [vec![], vec![strange.as_str()]] {
        let mut night = Night::healthy();
        night.pod(0).bundle_file = seen(pem(&roots), "cat bundle.crt");
        is_open(&night, "the SVID of the file does not lead to the bundle of cat bundle.crt");
    }
    let mut both = Night::healthy();
    let own = both.spire.root.clone();
    both.pod(0).bundle_file = seen(pem(&[&strange, &own]), "cat bundle.crt");
    assert_eq!(both.verdict().scenario, Scenario::NoFaultFound, "one root is enough while authorities change");
}

#[test]
fn a_bundle_of_spire_that_does_not_vouch_for_what_is_served_is_not_healthy() {
    let mut night = Night::healthy();
    night.evidence.spire_bundle = seen(pem(&[&Authority::of("prod.example.org").root]), "ConfigMap spire/spire-bundle");
    is_open(&night, "does not lead to the bundle that SPIRE publishes (ConfigMap spire/spire-bundle)");
    night.evidence.istio_root = gone("ConfigMap web/istio-ca-root-cert");
    is_open(&night, "does not lead to the bundle that SPIRE publishes");
    // What lies in the file is SPIRE's, whether istiod's root could be read or not.
    night.evidence.istio_root = super::forbidden("get configmaps in web");
    is_open(&night, "the ConfigMap with SPIRE's bundle lacks the root");
    night.evidence.servers[0].bundles = None;
    is_open(&night, "the ConfigMap with SPIRE's bundle lacks the root");
    (night.pod(0).svid_file, night.pod(0).bundle_file) = (gone("svid.crt"), gone("bundle.crt"));
    assert_eq!(night.verdict().scenario, Scenario::NoFaultFound, "istiod may have issued it");
}

#[test]
fn a_pod_in_ambient_mode_is_not_healthy_by_its_files_alone() {
    let mut night = Night::healthy();
    let pod = night.pod(0);
    (pod.ambient, pod.sidecar, pod.served) = (true, false, gone("Envoy /config_dump"));
    is_open(&night, "web/frontend-a is in ambient mode: ztunnel does its mTLS, and was not looked at");
}

#[test]
fn a_proxy_without_any_root_is_not_healthy() {
    let mut night = Night::healthy();
    let Gathered::Seen { value, .. } = &mut night.pod(0).served else { panic!("it was seen") };
    value.roots.clear();
    is_open(&night, "the proxy of web/frontend-a shows no root");
}
