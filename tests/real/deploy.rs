//! What `deploy/` gives, on a real API server: every manifest is taken, the bot's account can do what the chart says and
//! nothing else, and with that it sees all that an administrator sees.

use std::{collections::BTreeSet, path::Path, process::Command};

use axum::http::Request;
use k8s_openapi::api::{
    authorization::v1::{ResourceRule, SelfSubjectRulesReview, SelfSubjectRulesReviewSpec},
    core::v1::Pod,
};
use kube::{Api, Client, api::PostParams};
use mtls_medic::{
    cluster::rights::{RIGHTS, RightScope},
    triage::{Check, CheckId, CheckResult},
};
use serde_json::{Value, json};

use crate::{
    bed::{Bed, Made},
    installed::Installed,
    looks::{Look, look, look_as},
    shops::{PATIENCE, Shop},
};

fn of_project(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).to_str().unwrap().to_owned()
}

/// The definitions of the Prometheus operator's kinds that the manifests use.
fn monitoring_kinds() -> Vec<String> {
    const MODULE: &str = "github.com/prometheus-operator/prometheus-operator";
    let mut fetch = Command::new("go");
    fetch.args(["mod", "download", "-json", MODULE]).current_dir(of_project("tests/real/tools/monitoring"));
    let done = fetch.env("GOFLAGS", "-mod=readonly").env("GOWORK", "off").output().unwrap();
    let module: Value = serde_json::from_slice(&done.stdout).unwrap();
    let folder = module["Dir"].as_str().unwrap_or_else(|| panic!("{module:#}"));
    let file = |kind| format!("{folder}/example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml");
    ["prometheusrules", "servicemonitors"].map(file).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_manifest_is_taken_by_the_api_server_field_by_field() {
    let bed = Bed::to_share().await;
    let kinds = tokio::task::spawn_blocking(monitoring_kinds).await.unwrap();
    let mut made = Vec::new();
    for file in &kinds {
        made.push(bed.made(&["apply", "--server-side", "-f", file], &["delete", "-f", file]).await);
        bed.administrator("kubectl", &["wait", "--for", "condition=Established", "--timeout=60s", "-f", file]).await;
    }
    // Namespaces are the reader's own: the manifests have none.
    for namespace in ["mtls-medic", "spire-system"] {
        made.push(bed.made(&["create", "namespace", namespace], &["delete", "namespace", namespace]).await);
    }
    for manifest in ["mtls-medic", "restart-pod", "all-fixes", "monitoring"] {
        let file = of_project(&format!("deploy/manifests/{manifest}.yaml"));
        let rehearse = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", &file];
        let said = bed.administrator("kubectl", &rehearse).await;
        let objects = std::fs::read_to_string(&file).unwrap().matches("\nkind: ").count();
        assert_eq!(said.lines().filter(|line| line.ends_with("(server dry run)")).count(), objects, "{said}");
    }
}

/// One thing that may be done: group, resource, the one name, verb.
type Deed = (String, String, String, String);

/// What the bot may do in a namespace, and an account without any role may not.
async fn own(bot: &Installed, namespace: &str) -> BTreeSet<Deed> {
    let everybodys = may(&bot.client_of_nobody().await, namespace).await;
    may(&bot.client().await, namespace).await.difference(&everybodys).cloned().collect()
}

async fn may(client: &Client, namespace: &str) -> BTreeSet<Deed> {
    let api: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let spec = SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) };
    let review = SelfSubjectRulesReview { spec, ..SelfSubjectRulesReview::default() };
    let rules = api.create(&PostParams::default(), &review).await.unwrap().status.unwrap();
    assert!(!rules.incomplete, "{rules:?}");
    rules.resource_rules.iter().flat_map(deeds).collect()
}

fn deeds(rule: &ResourceRule) -> Vec<Deed> {
    let names = rule.resource_names.clone().filter(|names| !names.is_empty()).unwrap_or_else(|| vec![String::new()]);
    let mut all = Vec::new();
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            for name in &names {
                all.extend(rule.verbs.iter().map(|verb| (group.clone(), resource.clone(), name.clone(), verb.clone())));
            }
        }
    }
    all
}

fn of_the_table(in_spires_namespace: bool) -> BTreeSet<Deed> {
    let rights = RIGHTS.iter().filter(|right| right.place != RightScope::Spire || in_spires_namespace);
    let deed = |right: &mtls_medic::cluster::rights::Right| {
        (right.group.into(), right.resource.into(), right.name.unwrap_or_default().into(), right.verb.into())
    };
    rights.map(deed).collect()
}

/// Why a request was refused, by a role or a policy; nothing where it was allowed, whatever else it came to.
async fn refused(client: &Client, method: &str, path: &str, body: Value) -> Option<String> {
    let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let request = Request::builder().method(method).uri(path).header("content-type", kind);
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    match client.request_text(request.body(body).unwrap()).await {
        Err(kube::Error::Api(status)) if status.code == 403 || status.message.contains("denied request") => {
            Some(status.message)
        }
        _ => None,
    }
}

/// Asks again until the API server has heard of a policy or a role.
async fn settles(client: &Client, (method, path, body): (&str, &str, Value), wanted: Option<&str>) {
    let mut said = None;
    let settling = async {
        loop {
            said = refused(client, method, path, body.clone()).await;
            if fits(said.as_deref(), wanted) {
                return;
            }
        }
    };
    let settled = tokio::time::timeout(PATIENCE, settling).await.is_ok();
    assert!(settled, "{method} {path}: wanted {wanted:?}, and it was {said:?}");
}

/// Whether it was refused with these words, or allowed where none are given.
fn fits(said: Option<&str>, wanted: Option<&str>) -> bool {
    match (said, wanted) {
        (Some(said), Some(wanted)) => said.contains(wanted),
        (said, wanted) => said.is_none() && wanted.is_none(),
    }
}

/// The path of a command in a container.
fn exec(pod: &str, more: &str, command: &[&str]) -> String {
    let words: Vec<String> =
        command.iter().map(|word| format!("command={}", word.replace('/', "%2F").replace(' ', "%20"))).collect();
    format!("{pod}/exec?stdout=true{more}&{}", words.join("&"))
}

/// A namespace with two pods that no node takes: one with a controller, one without. Gives the path and UID of both.
async fn pods_of_nobody(bed: &Bed, namespace: &str) -> (Made, [(String, String); 2]) {
    let spec = json!({"nodeSelector": {"is": "nowhere"}, "containers": [{"name": "app", "image": "none"}]});
    let objects = [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"namespace": namespace, "name": "owned"},
            "spec": {"selector": {"matchLabels": {"app": "owned"}},
                "template": {"metadata": {"labels": {"app": "owned"}}, "spec": spec}}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": "bare", "labels": {"app": "bare"}},
            "spec": spec}),
    ];
    let file = tempfile::NamedTempFile::new().unwrap();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    std::fs::write(file.path(), list.to_string()).unwrap();
    let apply = ["apply", "-f", file.path().to_str().unwrap()];
    let made = bed.made(&apply, &["delete", "namespace", namespace, "--wait=false"]).await;
    let wait = ["wait", "--for=create", "--timeout=60s", "-n", namespace, "pods"];
    bed.administrator("kubectl", &[&wait[..], &["-l", "app=owned"]].concat()).await;
    let pods: Api<Pod> = Api::namespaced(bed.client().await, namespace);
    let found = |app: &'static str| {
        let pods = pods.clone();
        async move {
            let of = kube::api::ListParams::default().labels(&format!("app={app}"));
            let metadata = pods.list(&of).await.unwrap().items.remove(0).metadata;
            (format!("/api/v1/namespaces/{namespace}/pods/{}", metadata.name.unwrap()), metadata.uid.unwrap())
        }
    };
    (made, [found("owned").await, found("bare").await])
}

/// A pod of SPIRE's server and one of its agents: path and UID.
async fn of_spire(bed: &Bed) -> [(String, String); 2] {
    let pods: Api<Pod> = Api::namespaced(bed.client().await, "spire");
    let found = async |app: &str| {
        let of = kube::api::ListParams::default().labels(&format!("app={app}"));
        let metadata = pods.list(&of).await.unwrap().items.remove(0).metadata;
        (format!("/api/v1/namespaces/spire/pods/{}", metadata.name.unwrap()), metadata.uid.unwrap())
    };
    [found("spire-server").await, found("spire-agent").await]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bots_account_can_do_what_the_chart_says_and_is_refused_everything_else() {
    let bed = Bed::to_share().await;
    let bot = Installed::with_all_rights(&bed).await;
    let client = bot.client().await;
    let watched = format!("{}-watched", bot.name);
    let (_made, [(owned, uid), (bare, bare_uid)]) = pods_of_nobody(&bed, &watched).await;
    assert_eq!(own(&bot, &watched).await, of_the_table(false), "in a namespace that it looks after");
    assert_eq!(own(&bot, "spire").await, of_the_table(true), "in SPIRE's");

    // As a rehearsal, which passes the same policies.
    let eviction = |pod: &str, options: Value| {
        let name = pod.rsplit('/').next().unwrap();
        let body = json!({"apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": name, "namespace": pod.split('/').nth(4).unwrap()}, "deleteOptions": options});
        ("POST", format!("{pod}/eviction?dryRun=All"), body)
    };
    let by_uid = |uid: &str| json!({"preconditions": {"uid": uid}});
    let (method, path, body) = eviction(&bare, by_uid(&bare_uid));
    settles(&client, (method, &path, body), Some("no pod without a controller")).await;

    let svid = "/run/spire/svid/svid.crt";
    let (get, in_it) = (|path: String| ("GET", path, Value::Null), format!("/api/v1/namespaces/{watched}"));
    let at_once = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": uid}});
    let of_platform = "/api/v1/namespaces/kube-system/pods/any";
    let [(server, server_uid), (agent, agent_uid)] = of_spire(&bed).await;
    let annotated = json!({"metadata": {"annotations": {"some": "thing"}}});
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "any"}});
    let (no_role, own_commands) = (Some("cannot"), Some("only its own commands"));
    let table = [
        ("evict a pod with a controller", eviction(&owned, by_uid(&uid)), None),
        ("evict a bare pod", eviction(&bare, by_uid(&bare_uid)), Some("no pod without a controller")),
        ("evict whatever has the name", eviction(&owned, json!({})), Some("by its UID")),
        ("evict without its time to end", eviction(&owned, at_once), Some("the time that it asks for")),
        // The bed's has no pod there, so either policy may be the first to speak.
        ("evict the platform", eviction(of_platform, by_uid("1")), Some("denied request")),
        ("evict SPIRE's server", eviction(&server, by_uid(&server_uid)), Some("nothing of SPIRE but the agents")),
        ("evict a SPIRE agent", eviction(&agent, by_uid(&agent_uid)), None),
        ("read a certificate", get(exec(&owned, "", &["cat", svid, svid])), None),
        ("ask Envoy", get(exec(&owned, "", &["pilot-agent", "request", "GET", "stats"])), None),
        ("forward a port", get(format!("{owned}/portforward?ports=15000")), None),
        ("read a private key", get(exec(&owned, "", &["cat", "/run/spire/svid/svid.key"])), own_commands),
        (
            "read a token",
            get(exec(&owned, "", &["cat", "/var/run/secrets/kubernetes.io/serviceaccount/token"])),
            own_commands,
        ),
        ("use a shell", get(exec(&owned, "", &["sh", "-c", "cat /run/spire/svid/svid.crt"])), own_commands),
        ("stop Envoy", get(exec(&owned, "", &["pilot-agent", "request", "POST", "quitquitquit"])), own_commands),
        (
            "write into a container",
            get(exec(&owned, "&stdin=true", &["cat", svid, svid])),
            Some("writes nothing into a container"),
        ),
        ("list pods", get(format!("{in_it}/pods")), None),
        ("watch pods", get(format!("{in_it}/pods?watch=true&timeoutSeconds=1")), no_role),
        ("read secrets", get(format!("{in_it}/secrets")), no_role),
        ("read nodes", get("/api/v1/nodes".to_owned()), no_role),
        ("attach to a container", get(format!("{owned}/attach?stdout=true")), no_role),
        ("delete a pod", ("DELETE", format!("{owned}?dryRun=All"), Value::Null), no_role),
        ("change a pod", ("PATCH", format!("{owned}?dryRun=All"), annotated.clone()), no_role),
        ("make a ConfigMap", ("POST", format!("{in_it}/configmaps?dryRun=All"), map.clone()), no_role),
        ("make a token", ("POST", format!("{in_it}/serviceaccounts/default/token?dryRun=All"), json!({})), no_role),
    ];
    for (what, (method, path, body), wanted) in table {
        let answer = refused(&client, method, &path, body).await;
        assert!(fits(answer.as_deref(), wanted), "to {what}: wanted {wanted:?}, and it was {answer:?}");
    }

    // Also when somebody grants it everything.
    let account = format!("--serviceaccount={0}:{0}", bot.name);
    let bind = ["create", "clusterrolebinding", &bot.name, "--clusterrole=cluster-admin", &account];
    let _bound = bed.made(&bind, &["delete", "clusterrolebinding", &bot.name]).await;
    settles(&client, ("GET", "/api/v1/nodes", Value::Null), None).await;
    let by_policy = [
        ("DELETE", format!("{bare}?dryRun=All"), Value::Null, "allows no DELETE of pods"),
        ("PATCH", format!("{bare}?dryRun=All"), annotated.clone(), "allows no UPDATE of pods"),
        ("POST", format!("{in_it}/configmaps?dryRun=All"), map, "allows no CREATE of configmaps"),
        ("GET", exec(&owned, "", &["cat", "/run/spire/svid/svid.key"]), Value::Null, "only its own commands"),
    ];
    for (method, path, body, wanted) in by_policy {
        let answer = refused(&client, method, &path, body).await;
        assert!(fits(answer.as_deref(), Some(wanted)), "{method} {path}: {answer:?}");
    }
    let others = bed.client().await;
    assert_eq!(refused(&others, "PATCH", &bare, annotated).await, None, "others are not concerned");
}

/// Which rows there are, and how they ended.
fn rows(look: &Look) -> Vec<(CheckId, String, CheckResult)> {
    let row = |row: &Check| (row.id, row.subject.to_string(), row.result);
    let mut rows: Vec<_> = look.verdict.checks.iter().map(row).collect();
    rows.sort_by(|(id, subject, _), (other, another, _)| (id, subject).cmp(&(other, another)));
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn with_its_own_rights_alone_the_bot_sees_what_an_administrator_sees_and_may_restart_a_pod() {
    let bed = Bed::to_share().await;
    let (bot, shop) = futures::join!(Installed::with_all_rights(&bed), Shop::opens(&bed, 600));
    let seen = look_as(&bot.kubeconfig(), &shop, "svc/frontend").await;
    seen.is_green();
    let everything = look(&shop, "svc/frontend").await;
    assert_eq!(rows(&seen), rows(&everything));
    let saved = String::from_utf8_lossy(&seen.saved).into_owned();
    assert!(!saved.contains("forbidden") && !saved.contains("not allowed"), "{saved}");

    let before = shop.lives("frontend").await;
    let pod = shop.pods_of("frontend").await.remove(0).metadata;
    let (name, uid) = (pod.name.unwrap(), pod.uid.unwrap());
    let path = format!("/api/v1/namespaces/{}/pods/{name}/eviction", shop.namespace);
    let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": shop.namespace},
        "deleteOptions": {"preconditions": {"uid": uid}}});
    assert_eq!(refused(&bot.client().await, "POST", &path, body).await, None);
    let this: BTreeSet<String> = [uid].into();
    shop.replaced("frontend", &this).await;
    assert_eq!(shop.lives("frontend").await.intersection(&before).count(), 1, "the other one stays");
}
