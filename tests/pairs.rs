//! What people and pipelines see of `pair` and `whatif`: the words and exit codes of the real binary over saved objects.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A Service with one pod, a client with a sidecar, and one without.
const CLUSTER: &str = r"
apiVersion: v1
kind: Pod
metadata:
  {namespace: web, name: client-5d-x, labels: {security.istio.io/tlsMode: istio}, ownerReferences: [{kind: ReplicaSet, name: client-5d}]}
spec: {serviceAccountName: client, containers: [{name: app}], initContainers: [{name: istio-proxy}]}
---
apiVersion: v1
kind: Pod
metadata: {namespace: web, name: old}
spec: {containers: [{name: app}]}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: r1, labels: {version: v1, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: reviews, containers: [{name: app, ports: [{containerPort: 8080}]}, {name: istio-proxy}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: reviews}
spec: {clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: shop, name: reviews-a, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.0.0.3], targetRef: {kind: Pod, namespace: shop, name: r1}}]
";

const STRICT: &str = r"
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {namespace: shop, name: default}
spec: {mtls: {mode: STRICT}}
";

const DISABLE: &str = r"
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {namespace: shop, name: reviews}
spec: {host: reviews, trafficPolicy: {tls: {mode: DISABLE}}}
";

fn file(story: &str, name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("pairs-{story}-{name}.yaml"));
    std::fs::write(&path, text).unwrap();
    path
}

/// The exit code and both streams; words that name a file of `files` stand for it.
fn run(story: &str, files: &[(&str, &str)], command: &str) -> String {
    let paths: Vec<_> = files.iter().map(|(name, text)| (*name, file(story, name, text))).collect();
    let argument = |word: &str| {
        let named = paths.iter().find(|(name, _)| *name == word);
        named.map_or_else(|| word.into(), |(_, path)| path.clone().into_os_string())
    };
    let arguments: Vec<std::ffi::OsString> = command.split(' ').map(argument).collect();
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_mtls-medic")).args(arguments).output().unwrap();
    let mut text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    for (name, path) in &paths {
        text = text.replace(path.to_str().unwrap(), name);
    }
    format!("{text}exit {}", status.code().unwrap())
}

const ALL: [(&str, &str); 3] = [("CLUSTER", CLUSTER), ("STRICT", STRICT), ("DISABLE", DISABLE)];

#[test]
fn a_call_by_mtls_is_0_and_shows_both_sides() {
    let said = run("mtls", &ALL, "pair -n web deploy/client reviews.shop --objects CLUSTER --objects STRICT");
    insta::assert_snapshot!(said, @r"
    web/client-5d-x → reviews.shop:80: works by mTLS
      client   the client's proxy makes mTLS where the endpoint can (automatic mTLS; no rule sets tls)
      demands  spiffe://cluster.local/ns/shop/sa/reviews
      server   shop/r1 10.0.0.3:8080: STRICT by PeerAuthentication shop/default for its namespace; called with mTLS
    exit 0
    ");
}

#[test]
fn a_call_that_fails_is_1_and_says_why_and_where_to_look() {
    let said = run(
        "fails",
        &ALL,
        "pair -n web deploy/client reviews.shop:80 --objects CLUSTER --objects STRICT --objects DISABLE",
    );
    insta::assert_snapshot!(said, @r"
    web/client-5d-x → reviews.shop:80: FAILS
      why      the client's proxy sends plain text (DestinationRule shop/reviews, trafficPolicy: DISABLE), and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/default for its namespace)
      next     kubectl -n shop get destinationrule reviews -o yaml
      client   the client's proxy sends plain text (DestinationRule shop/reviews, trafficPolicy: DISABLE)
      server   shop/r1 10.0.0.3:8080: STRICT by PeerAuthentication shop/default for its namespace; called with plain text, fails
    exit 1
    ");
}

#[test]
fn a_call_that_works_without_mtls_is_4() {
    let said = run("plain", &ALL, "pair -n web pod/old reviews.shop.svc.cluster.local:80 --objects CLUSTER");
    insta::assert_snapshot!(said, @r"
    web/old → reviews.shop:80: WORKS WITHOUT mTLS
      why      the client has no sidecar, so nothing makes mTLS for it
      client   the client has no sidecar, so nothing makes mTLS for it
      server   shop/r1 10.0.0.3:8080: PERMISSIVE, since no PeerAuthentication says otherwise; called with plain text
    exit 4
    ");
}

#[test]
fn what_objects_do_not_tell_is_2() {
    let simple = DISABLE.replace("mode: DISABLE", "mode: SIMPLE");
    let none = CLUSTER.replace("{name: app, ports: [{containerPort: 8080}]}, {name: istio-proxy}", "{name: app}");
    let files = [("CLUSTER", none.as_str()), ("SIMPLE", simple.as_str())];
    let said = run("unclear", &files, "pair -n web deploy/client reviews.shop --objects CLUSTER --objects SIMPLE");
    insta::assert_snapshot!(said, @r"
    web/client-5d-x → reviews.shop:80: UNCLEAR
      why      the client's proxy makes TLS without a certificate of its own (DestinationRule shop/reviews, trafficPolicy: SIMPLE), which works only if the application itself serves TLS
      client   the client's proxy makes TLS without a certificate of its own (DestinationRule shop/reviews, trafficPolicy: SIMPLE)
      demands  the name that was called
      server   shop/r1 10.0.0.3:8080: no sidecar; called with TLS
    exit 2
    ");
}

#[test]
fn what_is_not_there_is_3_and_named() {
    let said = |command: &str| run("wrong", &[("CLUSTER", CLUSTER), ("EMPTY", ""), ("STRICT", STRICT)], command);
    insta::assert_snapshot!(said("pair -n web deploy/nobody reviews.shop --objects CLUSTER"), @r"
    mtls-medic: no pod of deploy/nobody is among the objects in namespace web
    exit 3
    ");
    insta::assert_snapshot!(said("pair -n web pod/old reviews --objects CLUSTER"), @r"
    mtls-medic: no Service web/reviews is among the objects
    exit 3
    ");
    insta::assert_snapshot!(said("pair -n web pod/old reviews:http --objects CLUSTER"), @r#"
    mtls-medic: "reviews:http" is no destination: write SERVICE[.NAMESPACE][:PORT][/SUBSET]
    exit 3
    "#);
    insta::assert_snapshot!(said("pair -n web cronjob/old reviews --objects CLUSTER"), @r#"
    mtls-medic: "cronjob/old" names no client: write pod/NAME, deploy/NAME, statefulset/NAME, daemonset/NAME or svc/NAME
    exit 3
    "#);
    insta::assert_snapshot!(said("pair -n web pod/old --objects EMPTY"), @r"
    mtls-medic: the objects in EMPTY cannot be used: no object is in it: give a List as kubectl prints it
    exit 3
    ");
    insta::assert_snapshot!(said("whatif --delete -f STRICT --objects CLUSTER"), @r"
    mtls-medic: none of the objects in STRICT is there, so there is nothing to delete: look at their namespaces and names
    exit 3
    ");
}

#[test]
fn programs_read_a_single_answer_in_the_same_field_names() {
    let said = run("json", &ALL, "pair -n web deploy/client reviews.shop -o json --objects CLUSTER --objects STRICT");
    insta::assert_snapshot!(said, @r#"
    {
      "schema": "mtls-medic.pair/v1",
      "pairs": [
        {
          "client_pods": [
            "web/client-5d-x"
          ],
          "host": "reviews.shop.svc.cluster.local",
          "service_port": 80,
          "client_tls": "auto",
          "expected_sans": [
            "spiffe://cluster.local/ns/shop/sa/reviews"
          ],
          "cluster_type": "EDS",
          "destination_rule": null,
          "endpoints": [
            {
              "pod": "shop/r1",
              "address": "10.0.0.3:8080",
              "tls": "istio-mutual"
            }
          ],
          "conclusion": "mtls",
          "why": "it works by mTLS",
          "client_side": "the client's proxy makes mTLS where the endpoint can (automatic mTLS; no rule sets tls)",
          "servers": [
            {
              "server_pod": "shop/r1",
              "port": 8080,
              "effective_mode": "STRICT",
              "listener_mode": "STRICT",
              "policies": {
                "namespace": "shop/default"
              }
            }
          ],
          "caution": []
        }
      ]
    }
    exit 0
    "#);
}

#[test]
fn everything_is_one_object_of_questions_and_pairs() {
    let said = run("all", &ALL, "pair --all -o json --objects CLUSTER --objects STRICT");
    insta::assert_snapshot!(said, @r#"
    {"questions":[
    {"server_pod":"shop/r1","port":8080,"effective_mode":"STRICT","listener_mode":"STRICT","policies":{"namespace":"shop/default"}}
    ],"pairs":[
    {"client_pod":"shop/r1","host":"reviews.shop.svc.cluster.local","service_port":80,"client_tls":"auto","expected_sans":["spiffe://cluster.local/ns/shop/sa/reviews"],"cluster_type":"EDS","destination_rule":null,"endpoints":[{"pod":"shop/r1","address":"10.0.0.3:8080","tls":"istio-mutual"}]},
    {"client_pod":"web/client-5d-x","host":"reviews.shop.svc.cluster.local","service_port":80,"client_tls":"auto","expected_sans":["spiffe://cluster.local/ns/shop/sa/reviews"],"cluster_type":"EDS","destination_rule":null,"endpoints":[{"pod":"shop/r1","address":"10.0.0.3:8080","tls":"istio-mutual"}]}
    ]}
    exit 0
    "#);
}

#[test]
fn everything_as_text_shows_what_needs_a_look_and_counts_the_rest() {
    insta::assert_snapshot!(run("text", &ALL, "pair --all --objects CLUSTER --objects DISABLE"), @r"
    shop/r1, web/client-5d-x → reviews.shop:80: WORKS WITHOUT mTLS
      why      the client's proxy sends plain text (DestinationRule shop/reviews, trafficPolicy: DISABLE)
      next     kubectl -n shop get destinationrule reviews -o yaml
      client   the client's proxy sends plain text (DestinationRule shop/reviews, trafficPolicy: DISABLE)
      server   shop/r1 10.0.0.3:8080: PERMISSIVE, since no PeerAuthentication says otherwise; called with plain text
    0 calls work by mTLS.
    exit 4
    ");
    insta::assert_snapshot!(run("text", &ALL, "pair --all --objects CLUSTER"), @r"
    2 calls work by mTLS.
    exit 0
    ");
}

#[test]
fn strict_before_the_last_client_has_a_sidecar_breaks_and_is_1() {
    insta::assert_snapshot!(run("strict", &ALL, "whatif -f STRICT --objects CLUSTER"), @r"
    1 break, 0 change otherwise, 2 stay as they are
    BREAKS  web/old → reviews.shop:80 (no sidecar: only if it calls)
      before   it works without mTLS: the client has no sidecar, so nothing makes mTLS for it
      after    the client has no sidecar, so nothing makes mTLS for it, and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/default for its namespace)
    mode    PERMISSIVE → STRICT: shop/r1:8080
    exit 1
    ");
}

#[test]
fn deleting_the_rule_that_stood_in_the_way_breaks_nothing_and_is_0() {
    let said = run("delete", &ALL, "whatif --delete -f DISABLE --objects CLUSTER --objects STRICT --objects DISABLE");
    insta::assert_snapshot!(said, @r"
    0 break, 1 change otherwise, 1 stay as they are
    changes shop/r1, web/client-5d-x → reviews.shop:80
      before   the client's proxy sends plain text (DestinationRule shop/reviews, trafficPolicy: DISABLE), and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/default for its namespace)
      after    it works by mTLS
    exit 0
    ");
}

#[test]
fn a_pipeline_reads_what_breaks_as_json() {
    let said = run("breaks", &ALL, "whatif -f DISABLE -o json --objects CLUSTER --objects STRICT");
    insta::assert_snapshot!(said, @r#"
    {
      "changes": [
        {
          "clients": [
            "shop/r1",
            "web/client-5d-x"
          ],
          "without_sidecar": false,
          "host": "reviews.shop.svc.cluster.local",
          "service_port": 80,
          "breaks": true,
          "before": {
            "conclusion": "mtls",
            "why": "it works by mTLS",
            "client_tls": "auto"
          },
          "after": {
            "conclusion": "fails",
            "why": "the client's proxy sends plain text (DestinationRule shop/reviews, trafficPolicy: DISABLE), and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/default for its namespace)",
            "client_tls": "plaintext"
          }
        }
      ],
      "modes": [],
      "unchanged": 1
    }
    exit 1
    "#);
}

#[test]
fn deleting_a_subset_that_calls_may_use_breaks_them_and_deleting_one_that_failed_does_not() {
    let subset = DISABLE.replace("host: reviews,", "host: reviews, subsets: [{name: v1, labels: {version: v1}}],");
    let files = [("CLUSTER", CLUSTER), ("STRICT", STRICT), ("SUBSET", subset.as_str())];
    let working = run("subset", &files, "whatif --delete -f SUBSET --objects CLUSTER --objects SUBSET");
    insta::assert_snapshot!(working, @r"
    1 break, 1 change otherwise, 1 stay as they are
    BREAKS  shop/r1, web/client-5d-x → reviews.shop:80/v1
      before   it works without mTLS: the client's proxy sends plain text (DestinationRule shop/reviews, trafficPolicy: DISABLE)
      after    no rule is in force that has subsets, so calls fail with the flag NC
    changes shop/r1, web/client-5d-x → reviews.shop:80
      before   it works without mTLS: the client's proxy sends plain text (DestinationRule shop/reviews, trafficPolicy: DISABLE)
      after    it works by mTLS
    exit 1
    ");
    let failing =
        run("subset", &files, "whatif --delete -f SUBSET --objects CLUSTER --objects STRICT --objects SUBSET");
    insta::assert_snapshot!(failing, @r"
    0 break, 2 change otherwise, 1 stay as they are
    changes shop/r1, web/client-5d-x → reviews.shop:80
      before   the client's proxy sends plain text (DestinationRule shop/reviews, trafficPolicy: DISABLE), and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/default for its namespace)
      after    it works by mTLS
    changes shop/r1, web/client-5d-x → reviews.shop:80/v1
      before   the client's proxy sends plain text (DestinationRule shop/reviews, trafficPolicy: DISABLE), and pod shop/r1 accepts only mTLS on port 8080 (STRICT by PeerAuthentication shop/default for its namespace)
      after    no rule is in force that has subsets, so calls fail with the flag NC
    exit 0
    ");
}

#[test]
fn a_subset_that_comes_with_the_change_failed_for_nobody_before() {
    let subset = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {namespace: shop, name: d}\nspec: {host: \
                  reviews, subsets: [{name: v1, labels: {version: v1}}]}\n";
    let said = run("new", &[("CLUSTER", CLUSTER), ("SUBSET", subset)], "whatif -f SUBSET --objects CLUSTER");
    insta::assert_snapshot!(said, @r"
    0 break, 1 change otherwise, 3 stay as they are
    changes shop/r1, web/client-5d-x → reviews.shop:80/v1
      before   there was no such call
      after    it works by mTLS
    exit 0
    ");
}
