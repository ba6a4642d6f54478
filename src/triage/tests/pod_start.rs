//! Pods that do not start, and so have no certificate and no log.

use super::{Night, ago, forbidden, gone, never, seen};
use crate::triage::{
    CheckId, CheckResult, Confidence, ContainerEnd, ContainerTrouble, FixName, Missing, PodEvent, PodStart, Scenario,
    Verdict, WhyItWaits,
};

const NO_DRIVER: &str = "MountVolume.SetUp failed for volume \"spiffe-workload-api\" : kubernetes.io/csi: \
    mounter.SetUpAt failed to get CSI client: driver name csi.spiffe.io not found in the list of registered CSI drivers";
const NO_IMAGE: &str = "Back-off pulling image \"registry.example.org/app:1.4.3\"";

impl Night {
    /// The pod waits with this reason, and Kubernetes warns: reason, how often, how many minutes ago, message.
    pub(super) fn does_not_start(&mut self, at: usize, reason: &str, events: &[(&str, u32, i64, &str)]) {
        let event = |(reason, count, minutes, message): &(&str, u32, i64, &str)| PodEvent {
            reason: (*reason).into(),
            message: (*message).into(),
            count: *count,
            last: Some(ago(*minutes)),
        };
        let waiting = WhyItWaits { reason: reason.into(), message: "".into() };
        let app = ContainerTrouble { name: "app".into(), waiting: Some(waiting), ..ContainerTrouble::default() };
        let events = seen(events.iter().map(event).collect(), "status and events of the pod");
        let pod = self.pod(at);
        pod.ready = false;
        let not_running = || Missing::Other { why: "container app is not running".into() };
        let missing = |source: &str| not_running_in(source, not_running());
        (pod.svid_file, pod.bundle_file) = (missing("cat svid.crt"), missing("cat bundle.crt"));
        (pod.served, pod.stats) = (gone_from("Envoy /config_dump"), gone_from("Envoy /stats"));
        pod.start = Some(PodStart { pending: true, containers: vec![app], events });
    }

    fn waits_for(&mut self, at: usize, name: &str, reason: &str, message: &str) {
        self.does_not_start(at, reason, &[]);
        let start = self.pod(at).start.as_mut().unwrap();
        start.containers[0].name = name.into();
        start.containers[0].waiting = Some(WhyItWaits { reason: reason.into(), message: message.into() });
    }
}

fn not_running_in<T>(source: &str, reason: Missing) -> crate::triage::Gathered<T> {
    crate::triage::Gathered::Missing { reason, source: source.to_owned(), at: super::three() }
}

fn gone_from<T>(source: &str) -> crate::triage::Gathered<T> {
    not_running_in(source, Missing::Other { why: "connection refused".into() })
}

fn said(verdict: &Verdict) -> String {
    let reasons: Vec<&str> = verdict.reasons.iter().map(AsRef::as_ref).collect();
    format!("{} ({:?})\n{}", verdict.scenario, verdict.confidence, reasons.join("\n"))
}

#[test]
fn a_missing_csi_driver_is_named_with_its_node_and_what_to_look_at() {
    let mut night = Night::healthy();
    night.does_not_start(0, "ContainerCreating", &[("FailedMount", 12, 2, NO_DRIVER)]);
    let verdict = night.verdict();
    insta::assert_snapshot!(said(&verdict), @r#"
    node set-up (High)
    web/frontend-a does not start: the CSI driver csi.spiffe.io is not there on node-1; Kubernetes says FailedMount (12 time(s), the last at 2026-11-24T02:58:00Z): «MountVolume.SetUp failed for volume "spiffe-workload-api" : kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name csi.spiffe.io not found in the list of registered CSI drivers»
    see whether csi.spiffe.io is registered on the node (`kubectl get csinode node-1 -o yaml`) and its pod runs there (`kubectl get pods -A -o wide --field-selector spec.nodeName=node-1`)
    "#);
    assert!(never(&verdict, FixName::RestartPod) && never(&verdict, FixName::RestartSpireAgent));
}

#[test]
fn the_sibling_words_of_other_kubelets_and_charts_name_the_same() {
    for message in [
        NO_DRIVER,
        "MountVolume.SetUp failed for volume \"spire\" : rpc error: code = Unavailable desc = connection error: desc = \
         \"transport: Error while dialing: dial unix /var/lib/kubelet/plugins/csi.spiffe.io/csi.sock: connect: connection \
         refused\"",
        "driver name upstream.csi.spiffe.io not found in the list of registered CSI drivers",
        "MountVolume.SetUp failed for volume \"spire-agent-socket\" : hostPath type check failed: /run/spire/sockets is not \
         a directory",
    ] {
        let mut night = Night::healthy();
        // The kubelet adds, after two minutes, that the time is over: that names no reason.
        let timed_out = "Unable to attach or mount volumes: unmounted volumes=[spire-agent-socket]: timed out waiting";
        night.does_not_start(
            0,
            "ContainerCreating",
            &[("FailedMount", 9, 2, message), ("FailedMount", 4, 1, timed_out)],
        );
        assert_eq!(night.verdict().scenario, Scenario::NodeSetup, "{message}");
    }
}

#[test]
fn the_driver_of_somebody_else_is_no_fault_of_spires_node_setup() {
    let mut night = Night::healthy();
    let message = "driver name ebs.csi.aws.com not found in the list of registered CSI drivers";
    night.does_not_start(0, "ContainerCreating", &[("FailedMount", 9, 2, message)]);
    insta::assert_snapshot!(said(&night.verdict()), @"
    the application itself (Medium)
    web/frontend-a does not start: Kubernetes says FailedMount (9 time(s), the last at 2026-11-24T02:58:00Z): «driver name ebs.csi.aws.com not found in the list of registered CSI drivers» (`kubectl -n web describe pod frontend-a`)
    ");
}

#[test]
fn an_image_that_cannot_be_pulled_is_named_as_what_it_is() {
    let mut night = Night::healthy();
    night.waits_for(0, "app", "ImagePullBackOff", NO_IMAGE);
    insta::assert_snapshot!(said(&night.verdict()), @r#"
    the application itself (Medium)
    web/frontend-a does not start: its container app waits (ImagePullBackOff): «Back-off pulling image "registry.example.org/app:1.4.3"» (`kubectl -n web describe pod frontend-a`)
    "#);
}

#[test]
fn a_pod_without_a_node_is_named_by_its_schedulers_words() {
    let mut night = Night::healthy();
    night.does_not_start(0, "", &[("FailedScheduling", 3, 4, "0/3 nodes are available: 3 Insufficient cpu.")]);
    let start = night.pod(0).start.as_mut().unwrap();
    start.containers.clear();
    night.pod(0).node = None;
    assert_eq!(night.verdict().scenario, Scenario::Application);
}

#[test]
fn an_application_that_crashes_is_said_with_its_exit_and_little_confidence_since_it_may_miss_a_certificate() {
    let mut night = Night::healthy();
    night.waits_for(0, "app", "CrashLoopBackOff", "back-off 5m0s restarting failed container=app");
    let trouble = &mut night.pod(0).start.as_mut().unwrap().containers[0];
    trouble.ended = Some(ContainerEnd { exit_code: 137, reason: "OOMKilled".into(), at: Some(ago(3)) });
    trouble.restarts = 9;
    insta::assert_snapshot!(said(&night.verdict()), @"
    the application itself (Low)
    web/frontend-a does not start: its container app waits (CrashLoopBackOff, 9 restart(s), it ended at 2026-11-24T02:57:00Z with exit code 137, OOMKilled): «back-off 5m0s restarting failed container=app» (`kubectl -n web logs frontend-a -c app --previous`)
    ");
}

#[test]
fn a_proxy_that_crashes_stays_open_with_its_exit_and_is_not_called_the_application() {
    let mut night = Night::healthy();
    night.waits_for(0, "istio-proxy", "CrashLoopBackOff", "back-off 5m0s restarting failed container=istio-proxy");
    let verdict = night.verdict();
    assert_eq!(verdict.scenario, Scenario::Inconclusive);
    assert!(verdict.reasons[0].contains("its container istio-proxy waits (CrashLoopBackOff)"), "{:?}", verdict.reasons);
}

#[test]
fn what_was_warned_of_once_or_long_ago_is_the_moment_in_which_a_pod_comes_up_and_names_no_cause() {
    for (count, minutes) in [(1, 0), (12, 40)] {
        let mut night = Night::healthy();
        night.does_not_start(0, "ContainerCreating", &[("FailedMount", count, minutes, NO_DRIVER)]);
        assert_eq!(night.verdict().scenario, Scenario::Inconclusive, "{count} {minutes}");
    }
}

#[test]
fn a_pod_that_has_started_since_is_not_judged_by_the_warnings_of_before() {
    let mut night = Night::healthy();
    night.does_not_start(0, "ContainerCreating", &[("FailedMount", 12, 1, NO_DRIVER)]);
    let start = night.pod(0).start.as_mut().unwrap();
    start.pending = false;
    start.containers.clear();
    let verdict = night.verdict();
    assert!(verdict.checks.iter().all(|row| row.id != CheckId::PodStart));
    assert_ne!(verdict.scenario, Scenario::NodeSetup);
}

#[test]
fn without_the_right_to_list_events_why_a_pod_waits_stays_open_and_the_right_is_named() {
    let mut night = Night::healthy();
    night.does_not_start(0, "ContainerCreating", &[]);
    night.pod(0).start.as_mut().unwrap().events = forbidden("list events in web");
    let verdict = night.verdict();
    let row = verdict.checks.iter().find(|row| row.id == CheckId::PodStart).unwrap();
    assert_eq!(row.result, CheckResult::Inconclusive);
    insta::assert_snapshot!(row.summary, @"it does not start, and why could not be seen: not allowed: grant list events in web");
    assert_eq!((verdict.scenario, verdict.confidence), (Scenario::Inconclusive, Confidence::Low));
}

#[test]
fn an_agent_that_is_not_there_is_said_beside_the_socket_that_it_should_have_made() {
    let mut night = Night::healthy();
    let no_socket = "hostPath type check failed: /run/spire/sockets is not a directory";
    night.does_not_start(0, "ContainerCreating", &[("FailedMount", 9, 2, no_socket)]);
    let agent = night.agent(0);
    (agent.ready, agent.healthcheck, agent.log) = (false, gone("healthcheck"), gone("log"));
    insta::assert_snapshot!(said(&night.verdict()), @"
    node set-up (High)
    web/frontend-a does not start: the directory of the SPIRE agent's socket is not there on node-1; Kubernetes says FailedMount (9 time(s), the last at 2026-11-24T02:58:00Z): «hostPath type check failed: /run/spire/sockets is not a directory»
    see whether the SPIRE agent runs on the node, and where it puts its socket (`kubectl get pods -A -o wide --field-selector spec.nodeName=node-1`)
    the SPIRE agent of node-1 is broken: its pod is not Ready (0 restart(s))
    ");
}
