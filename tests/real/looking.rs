//! What `mtls-medic triage` says of a service on the bed, by the binary itself.

use std::{
    path::Path,
    process::{Command, Output},
};

use mtls_medic::triage::{Evidence, Gathered, PemFile};
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::bed::{self, Shop};

/// What one triage came to.
pub struct Look {
    pub code: i32,
    pub verdict: Value,
    pub evidence: Evidence,
    /// The evidence as it was saved.
    pub saved: String,
}

/// Triage of a target with the rights of a kubeconfig.
pub async fn look_as(kubeconfig: &Path, namespace: &str, target: &str) -> Look {
    let folder = tempfile::tempdir().unwrap();
    let (config, saved) = (folder.path().join("config.yaml"), folder.path().join("saved.json"));
    // JSON is YAML too.
    std::fs::write(&config, json!({ "mesh": Shop::mesh() }).to_string()).unwrap();
    let mut triage = Command::new(env!("CARGO_BIN_EXE_mtls-medic"));
    triage.args(["triage", "-n", namespace, target, "-o", "json", "--kubeconfig"]).arg(kubeconfig);
    triage.arg("--config").arg(&config).arg("--save").arg(&saved);
    let Output { status, stdout, stderr } = bed::run(triage).await;
    assert!(matches!(status.code(), Some(0..=2)), "{}", String::from_utf8_lossy(&stderr));
    let saved = std::fs::read_to_string(&saved).unwrap();
    // To keep an evidence that was seen as a fixture: name a folder.
    if let Ok(folder) = std::env::var("KEEP_EVIDENCE") {
        let name = format!("{}-{}.json", target.replace('/', "-"), jiff::Timestamp::now().as_millisecond());
        std::fs::write(Path::new(&folder).join(name), &saved).unwrap();
    }
    Look {
        code: status.code().unwrap(),
        verdict: serde_json::from_slice(&stdout).unwrap(),
        evidence: serde_json::from_str(&saved).unwrap(),
        saved,
    }
}

/// The same as an administrator.
pub async fn look(shop: &Shop, target: &str) -> Look {
    look_as(shop.kubeconfig(), &shop.namespace, target).await
}

/// Looks again until it is as wanted.
pub async fn until(shop: &Shop, target: &str, wanted: impl Fn(&Look) -> bool) -> Look {
    let mut last = None;
    let looking = async {
        loop {
            let seen = look(shop, target).await;
            if wanted(&seen) {
                return seen;
            }
            last = Some(seen.verdict);
        }
    };
    let ended = tokio::time::timeout(bed::PATIENCE, looking).await;
    ended.unwrap_or_else(|_| panic!("it never came to what was wanted; the last was {last:#?}"))
}

impl Look {
    pub fn scenario(&self) -> &str {
        self.verdict["scenario"].as_str().unwrap()
    }

    /// The rows of a check.
    pub fn checks(&self, id: &str) -> Vec<&Value> {
        self.verdict["checks"].as_array().unwrap().iter().filter(|check| check["id"] == id).collect()
    }

    /// Whether every row of a check is there and passed.
    pub fn passed(&self, id: &str) -> bool {
        let rows = self.checks(id);
        !rows.is_empty() && rows.iter().all(|row| row["result"] == "pass")
    }

    /// The list of texts under a name.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let list = self.verdict[name].as_array().unwrap().iter();
        list.map(|text| text.as_str().map_or_else(|| text.to_string(), str::to_owned)).collect()
    }

    /// Nothing is wrong, and everything that says so was seen.
    pub fn is_green(&self) {
        let failed: Vec<&Value> =
            self.verdict["checks"].as_array().unwrap().iter().filter(|row| row["result"] == "fail").collect();
        assert!(self.scenario() == "no-fault-found" && failed.is_empty() && self.code == 0, "{:#}", self.verdict);
        self.certificates_are_in_order();
    }

    /// Every SVID was seen and is fine, and its files are those of today.
    pub fn certificates_are_in_order(&self) {
        for id in ["1.1-svid-dates", "1.2-chain", "1.3-spiffe-id", "1.4-issuer", "1.5-served-is-on-disk"] {
            assert!(self.passed(id), "{id}: {:#}", self.verdict);
        }
    }
}

/// The certificates of a file that was read.
pub fn certificates(file: &Gathered<PemFile>) -> Vec<Vec<u8>> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let file = file.value().unwrap_or_else(|| panic!("{file:?}"));
    file.certificates.iter().map(|der| STANDARD.decode(der).unwrap()).collect()
}

/// The SPIFFE ID and serial number of a leaf, if that root signed it.
pub fn signed_by(leaf: &[u8], root: &[u8]) -> Option<(String, String)> {
    let (_, leaf) = X509Certificate::from_der(leaf).unwrap();
    let (_, root) = X509Certificate::from_der(root).unwrap();
    leaf.verify_signature(Some(root.public_key())).ok()?;
    let names = leaf.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
    let id = names.iter().find_map(|name| if let GeneralName::URI(id) = name { Some((*id).to_owned()) } else { None });
    Some((id.unwrap(), leaf.raw_serial_as_string()))
}
