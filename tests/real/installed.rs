//! The bot as the chart installs it, by Helm, for its own account: a kubeconfig that can do what that account can, and
//! nothing else. Each test has a release and a namespace of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use k8s_openapi::api::{authentication::v1::TokenRequest, core::v1::ServiceAccount};
use kube::{Api, Client, api::PostParams, config::Kubeconfig};
use serde_json::json;

use crate::{
    bed::{Bed, client},
    shops::Shop,
};

/// A release of the chart; uninstalled when it is dropped.
pub struct Installed {
    bed: Bed,
    /// Of the release, its namespace, its account and its roles.
    pub name: String,
    folder: tempfile::TempDir,
}

/// Everything that the chart can give.
const RIGHTS: &str = "rights.exec=true,rights.mountedBundles=true,rights.restartPod=true,rights.restartSpireAgent=true";

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Installed {
    /// Everything that the bot may be given.
    pub async fn with_all_rights(bed: &Bed) -> Self {
        let name = format!("medic-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/chart");
        let (rights, mesh) = (RIGHTS, Shop::mesh());
        let mesh = format!("config.mesh={mesh}");
        let install = ["install", &name, chart, "--namespace", &name, "--create-namespace", "--set", rights];
        let arguments = [&install[..], &["--set-json", &mesh]].concat();
        // Before it is made: one that was installed in part is removed as well.
        let installed = Self { bed: bed.clone(), name: name.clone(), folder: tempfile::tempdir().unwrap() };
        bed.administrator("helm", &arguments).await;
        installed.write_kubeconfig(&installed.name).await;
        installed
    }

    /// Of the bot's account.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// What kubernetes calls the account.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{0}:{0}", self.name)
    }

    /// A client with the account's rights.
    pub async fn client(&self) -> Client {
        client(&self.kubeconfig()).await
    }

    /// A client with those of an account without any role.
    pub async fn client_of_nobody(&self) -> Client {
        self.write_kubeconfig("default").await;
        client(&self.folder.path().join("default")).await
    }

    /// With a token as a pod of that account has one.
    async fn write_kubeconfig(&self, account: &str) {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.bed.client().await, &self.name);
        let token = accounts.create_token_request(account, &PostParams::default(), &TokenRequest::default()).await;
        let token = token.unwrap().status.unwrap().token;
        let cluster = Kubeconfig::read_from(self.bed.kubeconfig()).unwrap().clusters.remove(0);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "bot",
            "contexts": [{"name": "bot", "context": {"cluster": cluster.name, "user": "bot"}}],
            "clusters": [cluster],
            "users": [{"name": "bot", "user": {"token": token}}],
        });
        fs::write(self.folder.path().join(account), config.to_string()).unwrap();
    }

    /// A file beside the kubeconfig, gone with it.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path: PathBuf = Path::new(self.folder.path()).join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let all: [(&str, &[&str]); 2] = [
            ("helm", &["uninstall", &self.name, "--namespace", &self.name]),
            ("kubectl", &["delete", "namespace", &self.name, "--wait=false"]),
        ];
        for (program, arguments) in all {
            self.bed.clean_up(program, arguments);
        }
    }
}
