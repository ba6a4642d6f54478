//! Istio's own answers against ours, field by field.

use std::{
    io::{Read, Write},
    path::PathBuf,
};

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::triage::istio::{Computed, Destination, ObjectName, Objects, Pair, PairAnswer};

/// Files of more sets, separated by colons; `tests/real/long/istio-pairs` makes them.
const MORE_SETS: &str = "ISTIO_PAIRS";

#[derive(Deserialize)]
struct Case<'a> {
    seed: u64,
    #[serde(borrow)]
    objects: &'a RawValue,
    questions: Vec<Value>,
    pairs: Vec<Value>,
}

/// 500 random sets, and sets made by hand for what those do not hold: exported Services, endpoints that go away, ….
const KEPT: [&str; 2] = ["cases-1-500.jsonl.gz", "cases-by-hand.jsonl.gz"];

fn files() -> Vec<PathBuf> {
    if let Ok(named) = std::env::var(MORE_SETS) {
        return named.split(':').map(PathBuf::from).collect();
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/istio-pairs");
    KEPT.iter().map(|name| folder.join(name)).collect()
}

fn name(of: &Value) -> ObjectName {
    let (namespace, name) = of.as_str().unwrap().split_once('/').unwrap();
    ObjectName { namespace: namespace.to_owned(), name: name.to_owned() }
}

fn service(host: &Value) -> ObjectName {
    let (name, namespace) = host.as_str().unwrap().strip_suffix(".svc.cluster.local").unwrap().split_once('.').unwrap();
    ObjectName { namespace: namespace.to_owned(), name: name.to_owned() }
}

fn number(of: &Value) -> u16 {
    of.as_u64().unwrap().try_into().unwrap()
}

/// Every answer that differs, as text.
fn differences(case: &Case<'_>) -> Vec<String> {
    let objects = Objects::read(&format!(r#"{{"objects":{}}}"#, case.objects)).unwrap();
    let computed = Computed::new(&objects);
    let mut found = Vec::new();
    let mut compare = |istio: &Value, ours: Value| {
        if *istio != ours {
            found.push(format!("set {}\n istio {istio}\n  ours {ours}", case.seed));
        }
    };
    for question in &case.questions {
        let pod = &objects.pods[&name(&question["server_pod"])];
        compare(question, serde_json::to_value(computed.question(pod, number(&question["port"]))).unwrap());
    }
    for pair in &case.pairs {
        let client = name(&pair["client_pod"]);
        let to = Destination {
            service: &objects.services[&service(&pair["host"])],
            port: number(&pair["service_port"]),
            subset: pair.get("subset").and_then(Value::as_str),
        };
        let call = computed.call(&objects.pods[&client], to);
        let ours = Pair { client_pod: &client, answer: PairAnswer::new(to, &call) };
        compare(pair, serde_json::to_value(ours).unwrap());
    }
    found
}

#[test]
fn every_answer_of_istio_s_own_code_is_ours_in_every_field() {
    let (mut sets, mut answers, mut different) = (0, 0, Vec::new());
    for file in files() {
        let mut text = String::new();
        GzDecoder::new(std::fs::File::open(&file).unwrap()).read_to_string(&mut text).unwrap();
        for line in text.lines() {
            let case: Case<'_> = serde_json::from_str(line).unwrap();
            sets += 1;
            answers += case.questions.len() + case.pairs.len();
            different.extend(differences(&case));
        }
    }
    drop(writeln!(std::io::stdout(), "{sets} sets, {answers} answers, {} differ", different.len()));
    assert!(sets >= 500 && answers >= 20 * sets, "{sets} sets with {answers} answers: the sets are not all there");
    assert!(
        different.is_empty(),
        "{} differ, first:\n{}",
        different.len(),
        different[..different.len().min(5)].join("\n")
    );
}
