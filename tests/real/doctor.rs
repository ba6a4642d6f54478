//! `mtls-medic doctor` with the rights of the bot's own account on a real API server: it names exactly what is missing, and
//! what it says to apply is enough.

use std::process::Command;

use serde_json::json;

use crate::{
    bed::{Bed, run},
    installed::Installed,
    serving::free_port,
    shops::Shop,
};

/// The exit code, and what was printed.
async fn doctor(bot: &Installed) -> (i32, String) {
    let token = bot.file("token", "alertmanager");
    let config = json!({
        "listen": format!("127.0.0.1:{}", free_port()),
        "journal": token.with_file_name("journal.sqlite"),
        "cluster": "bed",
        "mesh": Shop::mesh(),
        "alertmanager": { "bearer_tokens": [{ "file": token }] },
        "kubernetes": { "kubeconfig": bot.kubeconfig() },
        "people": {
            "levels": [{ "team": "Platform On-Call", "window": "15m", "mention": { "users": ["U0LEVEL1"] } }],
            "commanders": { "users": ["U0ONCALL", "U0SEC"] },
            "approvers": { "users": ["U0SEC"] },
        },
        "writes": true,
    });
    // JSON is YAML too.
    let config = bot.file("config.yaml", &config.to_string());
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_mtls-medic"));
    doctor.args(["doctor", "--config"]).arg(config).env_remove("KUBECONFIG");
    let done = run(doctor).await;
    let text = [done.stdout, done.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (done.status.code().unwrap(), text)
}

/// Its lines about rights.
fn of_kubernetes(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.contains(" kubernetes ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_names_the_missing_verb_resource_and_namespace_and_what_it_says_to_apply_is_enough() {
    let bed = Bed::to_share().await;
    let bot = Installed::with_all_rights(&bed).await;
    let (_, well) = doctor(&bot).await;
    assert!(of_kubernetes(&well).iter().all(|line| line.starts_with("ok ")), "{well}");
    assert!(well.contains(&format!("asked as {}", bot.user())), "{well}");

    // One binding is gone, and one rule of a role.
    let (exec, spire) = (format!("{}-exec", bot.name), format!("{}-spire", bot.name));
    bed.administrator("kubectl", &["delete", "clusterrolebinding", &exec]).await;
    let rule = r#"[{"op": "remove", "path": "/rules/1"}]"#;
    bed.administrator("kubectl", &["patch", "role", "-n", "spire", &spire, "--type=json", "-p", rule]).await;
    let (code, said) = doctor(&bot).await;
    assert_eq!(code, 1, "{said}");
    let missing: Vec<&str> = of_kubernetes(&said).into_iter().filter(|line| line.starts_with("MISSING")).collect();
    insta::assert_snapshot!(missing.join("\n"), @"
    MISSING kubernetes    not allowed to list deployments.apps in namespace spire: nothing is known of SPIRE, and no verdict is certain: grant it as below, or do without it on purpose (kubernetes.without: spire)
    MISSING kubernetes    not allowed to list statefulsets.apps in namespace spire: nothing is known of SPIRE, and no verdict is certain: grant it as below, or do without it on purpose (kubernetes.without: spire)
    MISSING kubernetes    not allowed to get pods/exec in all namespaces: certificate files stay unread, healthchecks are not run and the SPIRE server is not asked for its bundle; Envoy and HTTP probes must do: grant it as below, or do without it on purpose (kubernetes.without: exec)
    MISSING kubernetes    not allowed to create pods/exec in all namespaces: certificate files stay unread, healthchecks are not run and the SPIRE server is not asked for its bundle; Envoy and HTTP probes must do: grant it as below, or do without it on purpose (kubernetes.without: exec)
    ");
    let yaml = said.split_once("administrator:\n").unwrap().1;
    insta::assert_snapshot!(yaml.trim().replace(&bot.name, "BOT"), @r#"
    apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRole
    metadata: {name: mtls-medic-missing}
    rules:
      - {apiGroups: [""], resources: [pods/exec], verbs: [create, get]}
    ---
    apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRoleBinding
    metadata: {name: mtls-medic-missing}
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: mtls-medic-missing}
    subjects:
      - {kind: ServiceAccount, name: BOT, namespace: BOT}
    ---
    apiVersion: rbac.authorization.k8s.io/v1
    kind: Role
    metadata: {name: mtls-medic-missing, namespace: spire}
    rules:
      - {apiGroups: ["apps"], resources: [deployments], verbs: [list]}
      - {apiGroups: ["apps"], resources: [statefulsets], verbs: [list]}
    ---
    apiVersion: rbac.authorization.k8s.io/v1
    kind: RoleBinding
    metadata: {name: mtls-medic-missing, namespace: spire}
    roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: mtls-medic-missing}
    subjects:
      - {kind: ServiceAccount, name: BOT, namespace: BOT}
    "#);

    let grant = bot.file("grant.yaml", yaml);
    let grant = grant.to_str().unwrap();
    let _granted = bed.made(&["apply", "-f", grant], &["delete", "-f", grant]).await;
    let (_, mended) = doctor(&bot).await;
    assert_eq!(of_kubernetes(&mended), of_kubernetes(&well));
}
