//! SPIRE as it is: SVIDs in files, their renewal, a change of its authority, and what is seen when an agent or the server
//! is not there. `SAVE_EVIDENCE=FOLDER` keeps what was seen.

use std::collections::BTreeSet;

use mtls_medic::triage::{
    CallAtOnce, CheckId, CheckResult, FixName, Gathered, Healthcheck, PodEvidence, Scenario, Verdict,
};
use serde_json::Value;

use crate::{
    bed::Bed,
    looks::{Look, certificates, look, look_until, signed_by},
    shops::Shop,
};

/// Waits until the files of each pod of frontend were written so often.
async fn wrote(shop: &Shop, times: usize) {
    shop.logs_of("svid-files", "frontend", "wrote a new SVID", times).await;
}

fn is_well(look: &Look) -> bool {
    look.verdict.scenario == Scenario::NoFaultFound
}

fn never(verdict: &Verdict, fix: FixName) -> bool {
    verdict.never.iter().any(|never| never.fix == fix)
}

/// The serial numbers of the SVIDs in the files of the target's pods. Each is signed by a root of the file beside it.
fn serials(look: &Look, id: &str) -> Vec<String> {
    let of_pod = |pod: &PodEvidence| {
        let (svid, roots) = (certificates(&pod.svid_file), certificates(&pod.bundle_file));
        let (name, serial) = roots.iter().find_map(|root| signed_by(&svid[0], root)).expect("a root that signed it");
        assert_eq!(name, id);
        serial
    };
    look.evidence.pods.iter().map(of_pod).collect()
}

/// What `spire-server` answers.
async fn server(bed: &Bed, arguments: &[&str]) -> Value {
    let command = ["exec", "-n", "spire", "spire-server-0", "--", "/opt/spire/bin/spire-server"];
    let said = bed.administrator("kubectl", &[&command[..], arguments, &["-output", "json"]].concat()).await;
    serde_json::from_str(&said).unwrap()
}

/// A step with one of SPIRE's authorities.
async fn authority(bed: &Bed, step: &str, id: &str) {
    server(bed, &["localauthority", "x509", step, "-authorityID", id]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_svid_of_the_file_is_read_and_verified_and_after_its_renewal_it_is_another_and_all_is_well_still() {
    let bed = Bed::to_share().await;
    let shop = Shop::opens(&bed, 60).await;
    let id = format!("spiffe://bed.test/ns/{}/sa/frontend", shop.namespace);

    wrote(&shop, 2).await;
    let first = look(&shop, "deploy/frontend").await;
    first.is_green();
    let before = serials(&first, &id);
    // Both healthchecks, by SPIRE's own commands.
    let said = |check: &Gathered<Healthcheck>| check.value().map(|check| check.output.clone()).unwrap_or_default();
    let servers: Vec<String> =
        first.evidence.servers.iter().map(|server| said(&server.healthcheck).as_str().to_owned()).collect();
    let agents: BTreeSet<String> =
        first.evidence.agents.iter().map(|agent| said(&agent.healthcheck).as_str().to_owned()).collect();
    assert_eq!(servers, ["Server is healthy."]);
    assert_eq!(agents, ["Agent is healthy.".to_owned()].into());
    for (id, rows) in [(CheckId::SpireServer, servers.len()), (CheckId::SpireAgent, first.evidence.agents.len())] {
        let passed = first.checks(id).iter().filter(|row| row.result == CheckResult::Pass).count();
        assert_eq!(passed, rows, "{id}: {:#?}", first.checks(id));
    }

    let renewed = |look: &Look| serials(look, &id).iter().all(|serial| !before.contains(serial));
    let second = look_until(&shop, "deploy/frontend", renewed).await;
    second.is_green();
    assert_eq!(serials(&second, &id).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_spires_authority_is_no_fault_but_whoever_keeps_to_the_old_one_gets_no_clean_bill() {
    let bed = Bed::to_break().await;
    let shop = Shop::opens(&bed, 900).await;
    let (stale, half) = two_of_backend_that_keep_files(&shop).await;
    let roots = |look: &Look| certificates(&look.evidence.spire_bundle).len();
    let proxies_trust = |look: &Look, many: usize| {
        let served = look.evidence.pods.iter().filter_map(|pod| pod.served.value());
        served.filter(|served| served.roots.values().all(|roots| roots.len() == many)).count() == 2
    };
    let old =
        server(&bed, &["localauthority", "x509", "show"]).await["active"]["authority_id"].as_str().unwrap().to_owned();
    let already = roots(&look(&shop, "deploy/frontend").await);

    // The next authority is announced before it signs.
    let prepared = server(&bed, &["localauthority", "x509", "prepare"]).await;
    let new = prepared["prepared_authority"]["authority_id"].as_str().unwrap().to_owned();
    let both = already + 1;
    let announced = |look: &Look| roots(look) == both && proxies_trust(look, both) && is_well(look);
    look_until(&shop, "deploy/frontend", announced).await.is_green();

    // It signs, and each workload with an SVID of the old one gets another.
    authority(&bed, "activate", &new).await;
    authority(&bed, "taint", &old).await;
    wrote(&shop, 2).await;
    let between = look(&shop, "deploy/frontend").await;
    // For a moment the agent had no SVID to give, and a line of the proxy says so.
    between.kept_as("authority-changed");
    between.is_green();
    for pod in &between.evidence.pods {
        let (svid, trusted) = (certificates(&pod.svid_file), certificates(&pod.bundle_file));
        assert_eq!(trusted.len(), both, "the file trusts both");
        let by = trusted.iter().position(|root| signed_by(&svid[0], root).is_some());
        assert_eq!(by, Some(both - 1), "the newest of them signed it");
    }

    // The old one is over, and what starts now knows only the new one.
    authority(&bed, "revoke", &old).await;
    // (SPIRE leaves the old root in its ConfigMap until it next announces one.)
    look_until(&shop, "deploy/frontend", |look| proxies_trust(look, both - 1)).await.is_green();
    let rollout = |step| ["rollout", step, "-n", &shop.namespace, "deployment/frontend"];
    bed.administrator("kubectl", &rollout("restart")).await;
    bed.administrator("kubectl", &rollout("status")).await;
    let after = look_until(&shop, "deploy/frontend", is_well).await;
    after.is_green();
    assert!(after.evidence.pods.iter().all(|pod| certificates(&pod.bundle_file).len() == both - 1));

    // The proxies of orders serve what their files held at the start; the files of backend are those of before.
    let kept = look(&shop, "deploy/orders").await;
    assert_eq!(kept.verdict.scenario, Scenario::TrustBundleMismatch, "{:#?}", kept.verdict);
    let kept = look(&shop, &stale).await;
    kept.kept_as("files-of-an-old-authority");
    assert_eq!(kept.verdict.scenario, Scenario::Inconclusive, "{:#?}", kept.verdict);
    let kept = look(&shop, &half).await;
    kept.kept_as("bundle-of-an-old-authority");
    assert_eq!(kept.verdict.scenario, Scenario::Inconclusive, "{:#?}", kept.verdict);
}

/// Two pods of backend whose files cannot be written any more: all of the one, and the bundle of the other.
async fn two_of_backend_that_keep_files(shop: &Shop) -> (String, String) {
    let pods = shop.pods_of("backend").await;
    let names: Vec<String> = pods.into_iter().filter_map(|pod| pod.metadata.name).collect();
    let bundle = "/run/spire/bundle/bundle.crt";
    let all = ["/run/spire/svid/svid.crt", "/run/spire/svid/svid.key", bundle];
    for (pod, files) in [(&names[0], &all[..]), (&names[1], &all[2..])] {
        let exec = ["exec", "-n", &shop.namespace, pod, "-c", "app", "--", "chmod", "a-w"];
        shop.bed.administrator("kubectl", &[&exec[..], files].concat()).await;
    }
    (format!("pod/{}", names[0]), format!("pod/{}", names[1]))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_its_agent_is_told_and_named_as_the_cause_once_a_renewal_is_missed() {
    let bed = Bed::to_break().await;
    let shop = Shop::opens(&bed, 60).await;
    let _broken = bed.broken("spire-agent-gone").await;

    // No SVID shows it yet, and it is no clean bill.
    let at_once = look(&shop, "deploy/frontend").await;
    assert!(!is_well(&at_once), "{:#?}", at_once.verdict);
    let rows = at_once.checks(CheckId::SpireAgent);
    let gone = rows.iter().find(|row| row.subject.to_string() == "agent of node-b").unwrap();
    assert_eq!(gone.summary, "no SPIRE agent pod runs on this node");

    let missed = look_until(&shop, "deploy/frontend", |look| look.verdict.scenario == Scenario::SpireAgent).await;
    missed.kept_as("spire-agent-gone");
    let verdict = missed.verdict;
    let nodes: Vec<&str> = verdict.on.nodes.iter().map(mtls_medic::mesh::NodeName::as_str).collect();
    assert_eq!((nodes, &verdict.fixes[..]), (vec!["node-b"], &[FixName::RestartSpireAgent][..]));
    assert!(never(&verdict, FixName::RestartPod), "{verdict:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_the_agents_say_so_and_the_second_level_is_called_at_once() {
    let bed = Bed::to_break().await;
    let shop = Shop::opens(&bed, 60).await;
    let _broken = bed.broken("spire-server").await;

    let down = look_until(&shop, "deploy/frontend", |look| look.verdict.scenario == Scenario::SpireServer).await;
    down.kept_as("spire-server-gone");
    let verdict = down.verdict;
    assert_eq!((verdict.call_at_once, &verdict.fixes[..]), (Some(CallAtOnce::L2), &[][..]));
    assert!(never(&verdict, FixName::RestartPod) && never(&verdict, FixName::RestartSpireAgent), "{verdict:#?}");
    let reasons = verdict.reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let down = "no pod of the SPIRE server runs, though it has StatefulSet/spire-server (0 replicas)";
    for words in [down, "cannot reach the SPIRE server: its log says: ", "connect: connection refused"] {
        assert!(reasons.contains(words), "{words:?} is not in {reasons}");
    }
}
