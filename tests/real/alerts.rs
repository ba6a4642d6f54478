//! Prometheus and Alertmanager as `deploy/` sets them up, over one shop: the shipped scrape configuration, the shipped rules
//! and the shipped receiver. Only times are shorter, so that a night lasts minutes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::ListParams,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    bed::part,
    serving::{Outside, TOKEN, free_port},
    shops::Shop,
};

/// Both programs; they end with it.
pub struct Alerts {
    programs: Vec<Child>,
    discovery: Option<JoinHandle<()>>,
    folder: tempfile::TempDir,
}

fn shipped(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)).unwrap()
}

/// Replaces words that have to be there: what is shipped may change, and the test must not go on without.
fn with(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from:?} is no longer in what is shipped:\n{text}");
        text.replace(from, to)
    })
}

impl Alerts {
    /// They watch the shop and tell the bot.
    pub fn over(shop: &Shop, bot: &Outside) -> Self {
        let mut alerts = Self { programs: Vec::new(), discovery: None, folder: tempfile::tempdir().unwrap() };
        let (prometheus, alertmanager) = (free_port(), free_port());
        alerts.write("rules.yaml", &with(&shipped("chart/files/rules.yaml"), &[("[5m]", "[30s]")]));
        alerts.write("prometheus.yaml", &scraping(alertmanager));
        alerts.discovery = Some(tokio::spawn(discover(shop.pods(), shop.bed.network(), alerts.path("targets.json"))));
        alerts.write("alertmanager.yaml", &receiver(&bot.webhook()));
        let data = alerts.path("data");
        alerts.start(
            "alertmanager",
            &[
                format!("--config.file={}", alerts.path("alertmanager.yaml").display()),
                format!("--storage.path={}", data.join("alertmanager").display()),
                format!("--web.listen-address=127.0.0.1:{alertmanager}"),
                "--cluster.listen-address=".to_owned(),
            ],
        );
        alerts.start(
            "prometheus",
            &[
                format!("--config.file={}", alerts.path("prometheus.yaml").display()),
                format!("--storage.tsdb.path={}", data.join("prometheus").display()),
                format!("--web.listen-address=127.0.0.1:{prometheus}"),
            ],
        );
        alerts
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn start(&mut self, program: &str, arguments: &[String]) {
        let log = fs::File::create(self.path(&format!("{program}.log"))).unwrap();
        let mut command = Command::new(part(program));
        command.args(arguments).stdout(Stdio::null()).stderr(log);
        self.programs.push(command.spawn().unwrap());
    }
}

fn scraping(alertmanager: u16) -> String {
    // Debian's Prometheus cannot ask Kubernetes itself: `discover` does, and gives the same labels.
    let scrape = with(
        &shipped("prometheus-scrape.yaml"),
        &[("kubernetes_sd_configs: [{role: pod}]", "file_sd_configs: [{files: [targets.json]}]")],
    );
    format!(
        "global: {{scrape_interval: 2s, evaluation_interval: 2s, external_labels: {{cluster: bed}}}}\n\
         rule_files: [rules.yaml]\n\
         alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}\n{scrape}"
    )
}

/// Writes what Prometheus would have found, whenever a pod of the shop changes.
async fn discover(pods: Api<Pod>, network: String, into: PathBuf) {
    let mut changes = Box::pin(watcher(pods.clone(), watcher::Config::default()).default_backoff());
    while changes.next().await.is_some() {
        let Ok(all) = pods.list(&ListParams::default()).await else { continue };
        let targets: Vec<Value> = all.items.iter().filter_map(|pod| target(pod, &network)).collect();
        let next = into.with_extension("next");
        fs::write(&next, Value::from(targets).to_string()).unwrap();
        fs::rename(&next, &into).unwrap();
    }
}

fn target(pod: &Pod, network: &str) -> Option<Value> {
    // A node of the test bed shows a twin of the address that its pod listens at.
    let twin = pod.status.as_ref()?.pod_ip.as_ref()?;
    let address = format!("{network}.{}", twin.splitn(3, '.').nth(2)?);
    let port = pod.spec.as_ref()?.containers.iter().flat_map(|one| one.ports.iter().flatten()).next()?;
    let mut labels = json!({
        "__meta_kubernetes_namespace": pod.metadata.namespace,
        "__meta_kubernetes_pod_name": pod.metadata.name,
        "__meta_kubernetes_pod_container_port_name": port.name,
    });
    for (name, value) in pod.metadata.labels.iter().flatten() {
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        labels[format!("__meta_kubernetes_pod_label_{name}")] = value.as_str().into();
    }
    Some(json!({ "targets": [format!("{address}:{}", port.container_port)], "labels": labels }))
}

fn receiver(webhook: &str) -> String {
    with(
        &shipped("alertmanager-receiver.yaml"),
        &[
            ("route:\n", "route:\n  receiver: nobody\n"),
            ("receivers:\n", "receivers:\n  - name: nobody\n"),
            ("group_wait: 10s", "group_wait: 1s"),
            ("group_interval: 30s", "group_interval: 2s"),
            ("http://mtls-medic.mtls-medic.svc:8080/webhooks/alertmanager", webhook),
            ("credentials_file: /etc/alertmanager/secrets/mtls-medic-token", &format!("credentials: {TOKEN}")),
        ],
    )
}

impl Drop for Alerts {
    fn drop(&mut self) {
        self.discovery.iter().for_each(JoinHandle::abort);
        for program in &mut self.programs {
            drop(program.kill());
            drop(program.wait());
        }
        if std::thread::panicking() {
            for program in ["prometheus", "alertmanager"] {
                let log = fs::read_to_string(self.path(&format!("{program}.log"))).unwrap_or_default();
                #[expect(clippy::print_stdout, reason = "shown with the failure")]
                {
                    println!("what {program} logged:\n{log}");
                }
            }
        }
    }
}
