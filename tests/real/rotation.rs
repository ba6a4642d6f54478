//! SVIDs over SDS from the SPIRE agent, checked by Envoy's SPIFFE validator.

use std::collections::BTreeMap;

use mtls_medic::triage::{PodEvidence, ProxyStats, RootsOf, Scenario, envoy::CONNECTIONS_ENOUGH};

use crate::{
    bed::Bed,
    looks::{Look, look},
    shops::Shop,
};

/// The agent renews in the middle of it.
const SVID_SECONDS: u32 = 60;

/// The certificate that each life of a pod serves.
fn served(look: &Look) -> BTreeMap<String, String> {
    let leaf = |pod: &PodEvidence| {
        let served = pod.served.value().unwrap();
        assert!(
            served.roots.contains_key(&RootsOf::Domain("bed.test".to_owned())),
            "the SPIFFE validator has a bundle by name: {:?}",
            served.roots
        );
        (pod.uid.to_string(), served.chain.first().unwrap().clone())
    };
    look.evidence.pods.iter().map(leaf).collect()
}

/// The calls of each proxy, as `pick` counts them.
fn calls(look: &Look, pick: fn(&ProxyStats) -> Option<u64>) -> Vec<u64> {
    look.evidence.pods.iter().map(|pod| pick(pod.stats.value().unwrap()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_take_a_new_svid_over_sds_without_a_restart_and_calls_go_on() {
    let bed = Bed::to_share().await;
    let shop = Shop::opens(&bed, SVID_SECONDS).await;
    // Its proxies keep the SVID of the start, and would fail at backend while this goes on.
    shop.without("orders").await;
    let old = [look(&shop, "deploy/backend").await, look(&shop, "deploy/frontend").await];

    // Beside each proxy a helper asks the agent for the same SVID: with its third one, that of the first look is renewed,
    // be it the first or, on a machine that opened slowly, the second.
    for service in ["backend", "frontend"] {
        shop.logs_of("svid-files", service, "wrote a new SVID", 3).await;
    }
    let renewed = look(&shop, "deploy/frontend").await;
    // Calls, each with a handshake, of the new SVIDs; and so many that nobody thinks of those that failed at the start.
    let so_far = calls(&renewed, |stats| stats.requests_answered).into_iter().max().unwrap();
    shop.logs("frontend", "\" 200 ", usize::try_from(so_far.max(CONNECTIONS_ENOUGH) + 10).unwrap()).await;

    let new = [look(&shop, "deploy/backend").await, look(&shop, "deploy/frontend").await];
    for (old, new) in old.iter().zip(&new) {
        let (before, after, target) = (served(old), served(new), &new.verdict.target);
        assert!(before.keys().eq(after.keys()), "{target}: no pod was replaced");
        assert!(before.iter().all(|(life, leaf)| after[life] != *leaf), "{target}: each has a new SVID");
        assert_eq!(new.verdict.scenario, Scenario::NoFaultFound, "{target}: {:#?}", new.verdict.reasons);
    }
    assert_eq!(shop.restarts("backend").await + shop.restarts("frontend").await, 0);
    let failed = |look| calls(look, |stats| stats.requests_failed).into_iter().sum::<u64>();
    assert_eq!(failed(&new[1]), failed(&old[1]), "no call has failed meanwhile");
}
