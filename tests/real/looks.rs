//! The bot looks at a service once, as somebody at a terminal would.

use std::{collections::BTreeMap, path::Path, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use mtls_medic::triage::{
    Check, CheckId, CheckResult, Evidence, Gathered, PemFile, Scenario, Verdict,
    envoy::{TlsReason, count_signs},
};
use serde_json::json;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::{
    bed::run,
    shops::{PATIENCE, Shop},
};

/// What it saw and says.
pub struct Look {
    pub verdict: Verdict,
    pub evidence: Evidence,
    /// The evidence as `--save` wrote it.
    pub saved: Vec<u8>,
}

/// Runs `mtls-medic triage`.
pub async fn look(shop: &Shop, target: &str) -> Look {
    look_as(&shop.bed.kubeconfig(), shop, target).await
}

/// Looks again until it is as wanted.
pub async fn look_until(shop: &Shop, target: &str, wanted: impl Fn(&Look) -> bool) -> Look {
    let mut last = Vec::new();
    let looking = async {
        loop {
            let seen = look(shop, target).await;
            if wanted(&seen) {
                return seen;
            }
            last.clone_from(&seen.verdict.reasons);
        }
    };
    let ended = tokio::time::timeout(PATIENCE, looking).await;
    ended.unwrap_or_else(|_| panic!("it never came to what was wanted; the last was {last:#?}"))
}

/// The same as `look`, with the rights of another kubeconfig.
pub async fn look_as(kubeconfig: &Path, shop: &Shop, target: &str) -> Look {
    let folder = tempfile::tempdir().unwrap();
    let (config, evidence) = (folder.path().join("config.yaml"), folder.path().join("evidence.json"));
    // JSON is YAML too.
    std::fs::write(&config, json!({ "mesh": Shop::mesh() }).to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mtls-medic"));
    command.args(["triage", "-o", "json", target, "-n", &shop.namespace]);
    command.arg("--config").arg(&config).arg("--save").arg(&evidence).arg("--kubeconfig").arg(kubeconfig);
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
            for sign in count_signs(log.lines.iter().map(mtls_medic::triage::Redacted::as_str)) {
                *signs.entry(sign.reason).or_default() += sign.count;
            }
        }
        signs
    }

    /// Keeps the evidence as a fixture of that name, where `SAVE_EVIDENCE` names a folder.
    pub fn kept_as(&self, name: &str) {
        if let Some(folder) = std::env::var_os("SAVE_EVIDENCE") {
            std::fs::write(Path::new(&folder).join(format!("real-{name}.json")), &self.saved).unwrap();
        }
    }

    /// The rows of a check.
    pub fn checks(&self, id: CheckId) -> Vec<&Check> {
        self.verdict.checks.iter().filter(|check| check.id == id).collect()
    }

    /// Nothing is wrong, and everything that says so was seen.
    pub fn is_green(&self) {
        let failed = self.verdict.checks.iter().find(|check| check.result == CheckResult::Fail);
        assert_eq!((self.verdict.scenario, failed), (Scenario::NoFaultFound, None), "{:#?}", self.verdict.reasons);
        self.certificates_are_in_order();
    }

    /// Every SVID was seen and is fine, and its files are those of today.
    pub fn certificates_are_in_order(&self) {
        for id in [CheckId::SvidDates, CheckId::Chain, CheckId::SpiffeId, CheckId::Issuer, CheckId::ServedIsOnDisk] {
            let rows = self.checks(id);
            let passed = !rows.is_empty() && rows.iter().all(|row| row.result == CheckResult::Pass);
            assert!(passed, "{id}: {rows:#?}");
        }
        assert!(self.checks(CheckId::FileChain).is_empty());
    }
}

/// The certificates of a file that was read.
pub fn certificates(file: &Gathered<PemFile>) -> Vec<Vec<u8>> {
    let file = file.value().unwrap_or_else(|| panic!("{file:?}"));
    file.certificates.iter().map(|der| STANDARD.decode(der).unwrap()).collect()
}

/// The SPIFFE ID and serial number of a leaf, if that root signed it.
pub fn signed_by(leaf: &[u8], root: &[u8]) -> Option<(String, String)> {
    let (_, leaf) = X509Certificate::from_der(leaf).unwrap();
    let (_, root) = X509Certificate::from_der(root).unwrap();
    leaf.verify_signature(Some(root.public_key())).ok()?;
    let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
    let id = names.iter().find_map(|name| if let GeneralName::URI(id) = name { Some((*id).to_owned()) } else { None });
    Some((id.unwrap(), leaf.raw_serial_as_string()))
}
