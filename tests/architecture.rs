//! Enforces the arrows of ARCHITECTURE.md: which room may import which, and that pure rooms stay pure (invariant 1).
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

const PURE: [&str; 10] =
    ["legible", "mesh", "metrics", "people", "escalation", "approval", "triage", "remediation", "incident", "report"];

/// Each room and the rooms that it may import. `commands` may import all.
const ARROWS: [(&str, &[&str]); 21] = [
    ("bounds", &[]),
    ("legible", &[]),
    ("mesh", &[]),
    ("metrics", &["legible"]),
    ("people", &[]),
    ("escalation", &["people"]),
    ("approval", &["people"]),
    ("triage", &["legible", "mesh"]),
    ("remediation", &["mesh", "triage"]),
    ("incident", &["approval", "escalation", "mesh", "people", "remediation", "triage"]),
    ("report", &["incident", "legible", "triage"]),
    ("clock", &[]),
    ("private_file", &[]),
    ("journal", &["incident", "private_file", "remediation"]),
    ("engine", &["clock", "escalation", "incident", "journal", "people", "remediation"]),
    ("http", &["bounds", "engine", "metrics"]),
    ("alertmanager", &["bounds", "engine", "http", "incident", "mesh", "metrics"]),
    ("cluster", &["bounds", "clock", "engine", "incident", "journal", "mesh", "remediation", "triage"]),
    (
        "chat",
        &[
            "approval",
            "bounds",
            "clock",
            "engine",
            "escalation",
            "http",
            "incident",
            "legible",
            "mesh",
            "metrics",
            "people",
            "remediation",
            "triage",
        ],
    ),
    ("simulate", &["clock", "mesh", "private_file"]),
    (
        "config",
        &[
            "alertmanager",
            "approval",
            "chat",
            "cluster",
            "escalation",
            "incident",
            "legible",
            "mesh",
            "people",
            "triage",
        ],
    ),
];

/// What a pure room must not touch: clients, runtimes, clocks and the environment.
const IMPURE: [&str; 14] = [
    "tokio::",
    "kube::",
    "axum::",
    "sqlx::",
    "slack_morphism::",
    "serenity::",
    "hyper::",
    "hyper_util::",
    "std::fs",
    "std::net",
    "std::env",
    "SystemTime",
    "Timestamp::now",
    "Instant::now",
];

fn sources(room: &str) -> Vec<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let file = source.join(format!("{room}.rs"));
    let mut found = if file.is_file() { vec![file] } else { Vec::new() };
    let mut folders = vec![source.join(room)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" && name != "stories" && name != "snapshots" {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") && name != "tests.rs" {
                found.push(path);
            }
        }
    }
    found
}

/// The code of a file without comments and without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let before_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    before_tests.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn imported(code: &str) -> BTreeSet<&str> {
    let mut rooms = BTreeSet::new();
    for (place, _) in code.match_indices("crate::") {
        let rest = &code[place + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            // use crate::{a::…, b::{…}}: the words at depth one.
            let mut depth = 1_usize;
            let mut start = true;
            let mut from = 0;
            for (at, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
                if depth == 1 && start && c.is_alphanumeric() {
                    from = at;
                    start = false;
                } else if depth == 1 && !start && !(c.is_alphanumeric() || c == '_') && from < at {
                    rooms.insert(&group[from..at]);
                    from = usize::MAX;
                }
                if depth == 1 && c == ',' {
                    start = true;
                    from = 0;
                }
            }
        } else {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            rooms.insert(&rest[..end]);
        }
    }
    rooms
}

#[test]
fn every_room_imports_only_what_the_map_allows() {
    let rooms: BTreeSet<&str> = ARROWS.iter().map(|(room, _)| *room).chain(["commands", "telemetry"]).collect();
    let mut wrong = Vec::new();
    let mut files = 0;
    for (room, allowed) in ARROWS {
        for path in sources(room) {
            files += 1;
            let code = code(&path);
            for other in imported(&code) {
                if rooms.contains(other) && other != room && !allowed.contains(&other) {
                    wrong.push(format!("{} imports {other}", path.display()));
                }
            }
        }
    }
    assert!(files > 100, "the test looks at {files} files only: is it looking in the right place?");
    assert!(wrong.is_empty(), "arrows that point the wrong way:\n{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_touch_no_client_no_clock_and_no_environment() {
    let mut wrong = Vec::new();
    for room in PURE {
        for path in sources(room) {
            let code = code(&path);
            for needle in IMPURE.iter().filter(|needle| code.contains(**needle)) {
                wrong.push(format!("{} has {needle}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "pure rooms that are not:\n{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_imports_finds_them_in_every_form() {
    let code = "use crate::engine::Inbox;\nuse crate::{\n    journal::{Journal, Append},\n    mesh::PodRef,\n};\nlet x = crate::triage::f();";
    assert_eq!(imported(code), BTreeSet::from(["engine", "journal", "mesh", "triage"]));
}

/// Where one fix is built, and where records and settings of older versions are read that spoke of nothing else.
const OF_ONE_FIX: [&str; 15] = [
    "cluster/execute/evict.rs",
    "cluster/execute/mod.rs",
    "cluster/fix/mod.rs",
    "cluster/fix/restart_pod.rs",
    "cluster/rights.rs",
    "config/file.rs",
    "incident/effect.rs",
    "incident/event.rs",
    "incident/fix.rs",
    "remediation/evict_pod.rs",
    "remediation/guard.rs",
    "remediation/mod.rs",
    "remediation/operation.rs",
    "remediation/restart_pod.rs",
    "remediation/stored_plan.rs",
];

#[test]
fn only_the_files_of_a_fix_speak_of_what_it_alone_does() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms = PURE.iter().chain(ARROWS.iter().map(|(room, _)| room)).filter(|room| **room != "simulate");
    let rooms: BTreeSet<&str> = rooms.copied().chain(["commands"]).collect();
    let speaks = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap().to_lowercase();
        ["evict", "replacement", "restart_pod"].iter().any(|word| text.contains(word))
    };
    let files = rooms.iter().flat_map(|room| sources(room)).filter(speaks);
    let files: BTreeSet<String> =
        files.map(|path| path.strip_prefix(&source).unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(files, OF_ONE_FIX.map(str::to_owned).into());
}

#[test]
fn each_examiner_has_the_collector_of_its_name() {
    let names = |folder: &str| -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        paths
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .filter(|name| name != "mod")
            .collect()
    };
    let (examiners, collectors) = (names("triage/examine"), names("cluster/collect"));
    assert!(examiners.contains("spire_agent"), "is it looking in the right place? {examiners:?}");
    assert_eq!(examiners.difference(&collectors).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn collectors_gather_and_do_not_judge() {
    let judging = ["AgentState", "CheckResult", "Svid", "Verdict", "diagnose", "examine", "renewed_since"];
    let collectors = sources("cluster").into_iter().filter(|path| path.iter().any(|part| part == "collect"));
    let (mut looked_at, mut judges) = (0, Vec::new());
    for path in collectors {
        let code = code(&path);
        looked_at += 1;
        judges
            .extend(words(&code).iter().filter(|word| judging.contains(word)).map(|word| format!("{path:?}: {word}")));
    }
    assert!(looked_at > 5, "is it looking in the right place?");
    assert!(judges.is_empty(), "{judges:?}: triage says what else to gather (triage/look_further)");
}

/// The files of one room that each of its files imports: by `super::file`, or by a name that the room itself has from it.
fn imports_within(room: &str) -> BTreeMap<String, BTreeSet<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room);
    let room_itself = code(&folder.join("mod.rs"));
    let stem = |path: &Path| path.strip_prefix(&folder).unwrap().iter().next().unwrap().to_string_lossy().into_owned();
    let paths = sources(room).into_iter().filter(|path| !path.ends_with("mod.rs"));
    let files: Vec<_> = paths.map(|path| (stem(&path).trim_end_matches(".rs").to_owned(), path)).collect();
    let names: BTreeSet<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    // `pub use file::{Name, Other};` in mod.rs.
    let shown = |word: &str| {
        let from = room_itself.lines().filter_map(|line| line.strip_prefix("pub use ")?.split_once("::"));
        let mut from = from.filter(|(_, shown)| words(shown).contains(&word));
        from.next().map(|(file, _)| file.to_owned())
    };
    let of_file = |path: &Path| {
        let code = code(path);
        let tails = ["super::", &format!("crate::{room}::")]
            .map(|way| code.match_indices(way).map(|(at, way)| code[at + way.len()..].to_owned()).collect::<Vec<_>>());
        let mut found = BTreeSet::new();
        for tail in tails.into_iter().flatten() {
            let end = if tail.starts_with('{') { tail.find(';') } else { tail.find([':', ';', ' ', '(', ',', ')']) };
            for word in words(&tail[..end.unwrap_or(tail.len())]) {
                found.extend(names.get(word).map(|name| (*name).to_owned()).or_else(|| shown(word)));
            }
        }
        found
    };
    let mut imports = BTreeMap::<_, BTreeSet<_>>::new();
    for (name, path) in &files {
        imports.entry(name.clone()).or_default().extend(of_file(path).into_iter().filter(|other| other != name));
    }
    imports
}

fn words(code: &str) -> Vec<&str> {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty()).collect()
}

#[test]
fn no_files_of_the_engine_import_each_other_in_a_circle() {
    let mut left = imports_within("engine");
    assert!(left.len() > 20, "the test looks at {} files only: is it looking in the right place?", left.len());
    assert!(left["build"].contains("shared") && left["inbox"].contains("command"), "it finds what is imported");
    // Takes away those that import nothing of what is left, until nothing is: a circle stays.
    loop {
        let free: BTreeSet<_> =
            left.iter().filter(|(_, others)| others.is_empty()).map(|(name, _)| name.clone()).collect();
        if free.is_empty() {
            break;
        }
        left.retain(|name, others| {
            others.retain(|other| !free.contains(other));
            !free.contains(name)
        });
    }
    assert!(left.is_empty(), "files that import each other in a circle, or lead to some that do:\n{left:#?}");
}
