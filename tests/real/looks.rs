//! The bot looks at a service once, as somebody at a terminal would.

use std::{collections::BTreeMap, process::Command};

use mtls_medic::triage::{
    Evidence, Verdict,
    envoy::{TlsReason, count_signs},
};
use serde_json::json;

use crate::bed::{Shop, run};

/// What it saw and says.
pub struct Look {
    pub verdict: Verdict,
    pub evidence: Evidence,
    /// The evidence as `--save` wrote it.
    pub saved: Vec<u8>,
}

/// Runs `mtls-medic triage`.
pub async fn look(shop: &Shop, target: &str) -> Look {
    let folder = tempfile::tempdir().unwrap();
    let (config, evidence) = (folder.path().join("config.yaml"), folder.path().join("evidence.json"));
    // JSON is YAML too.
    std::fs::write(&config, json!({ "mesh": Shop::mesh() }).to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtls-medic"));
    command.args(["triage", "-o", "json", target, "-n", &shop.namespace]);
    command.arg("--config").arg(&config).arg("--save").arg(&evidence).arg("--kubeconfig").arg(shop.kubeconfig());
    let done = run(command).await;
    let verdict = serde_json::from_slice(&done.stdout);
    let verdict = verdict.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&done.stderr)));
    let saved = std::fs::read(&evidence).unwrap();
    Look { verdict, evidence: serde_json::from_slice(&saved).unwrap(), saved }
}

impl Look {
    /// What the proxies' logs say, and in how many lines.
    pub fn signs(&self) -> BTreeMap<TlsReason, u64> {
        let mut signs = BTreeMap::new();
        for log in self.evidence.pods.iter().filter_map(|pod| pod.proxy_log.value()) {
            for sign in count_signs(log.lines.iter().map(String::as_str)) {
                *signs.entry(sign.reason).or_default() += sign.count;
            }
        }
        signs
    }
}
