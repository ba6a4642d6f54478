//! The real documents that are altered.

use std::{fs, io::Read, path::Path};

use serde_json::Value;

/// Every file below a folder of the repository whose name ends in one of some ways.
pub fn files(folder: &str, ends: &[&str]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if ends.iter().any(|end| path.to_string_lossy().ends_with(end)) {
                found.push(path);
            }
        }
    }
    // The order of a folder is the file system's; a seed has to mean the same everywhere.
    found.sort();
    found.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

/// The certificates of saved evidence, as DER.
pub fn certificates() -> Vec<Vec<u8>> {
    let mut found: Vec<String> = Vec::new();
    for document in files("tests/data/evidence", &[".json"]) {
        collect_certificates(&serde_json::from_slice(&document).unwrap(), &mut found);
    }
    found.sort();
    found.dedup();
    mtls_medic::triage::certificate::ders(&found)
}

fn collect_certificates(value: &Value, found: &mut Vec<String>) {
    match value {
        // The base64 of a DER sequence of more than 127 bytes.
        Value::String(text) if text.starts_with("MII") => found.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|one| collect_certificates(one, found)),
        Value::Object(all) => all.values().for_each(|one| collect_certificates(one, found)),
        _ => (),
    }
}

/// Sets of Kubernetes and Istio objects, as Lists.
pub fn object_sets() -> Vec<Vec<u8>> {
    let mut text = String::new();
    let sets = files("tests/data/istio-pairs", &["by-hand.jsonl.gz"]).remove(0);
    flate2::read::GzDecoder::new(&*sets).read_to_string(&mut text).unwrap();
    let list = |line: &str| {
        let set: Value = serde_json::from_str(line).unwrap();
        let list = serde_json::json!({ "apiVersion": "v1", "kind": "List", "items": set["objects"] });
        serde_json::to_vec(&list).unwrap()
    };
    text.lines().map(list).collect()
}
