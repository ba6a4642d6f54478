//! What the papers say is there: every relative link of every .md file leads somewhere, so does every path that
//! ARCHITECTURE.md names, and every public item of the sources says what it is for.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every .md file of the repository, but those of builds and of hidden folders.
fn papers() -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// The lines of a paper that are not code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !fence && !in_code
    })
}

/// What `[text](here)` leads to.
fn links(text: &str) -> Vec<&str> {
    let ends = |line| str::split(line, "](").skip(1);
    prose(text).flat_map(ends).filter_map(|rest| Some(rest.split_once(')')?.0)).collect()
}

/// The anchors of a paper's headings, as code hosts make them: lower case, dashes for spaces, no other marks.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || ['-', '_', ' '].contains(c);
    let anchor =
        |line: &str| line.trim_start_matches('#').trim().to_lowercase().chars().filter(kept).collect::<String>();
    headings.map(|line| anchor(line).replace(' ', "-")).collect()
}

/// Why a link of a paper leads nowhere.
fn fault(paper: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let target = if file.is_empty() { paper.to_owned() } else { paper.parent().unwrap().join(file) };
    if !target.exists() {
        return Some(format!("{}: {link} is not there", paper.display()));
    }
    let anchor = anchor?;
    let there = anchors(&fs::read_to_string(&target).unwrap());
    (!there.contains(anchor)).then(|| format!("{}: {link}: no such heading among {there:?}", paper.display()))
}

#[test]
fn every_link_of_every_paper_leads_somewhere() {
    let (mut faults, mut links_seen) = (Vec::new(), 0);
    for paper in papers() {
        let text = fs::read_to_string(&paper).unwrap();
        for link in links(&text) {
            links_seen += 1;
            faults.extend(fault(&paper, link));
        }
    }
    assert!(links_seen > 40, "the test sees {links_seen} links only: is it looking in the right place?");
    assert!(faults.is_empty(), "links that lead nowhere:\n{}", faults.join("\n"));
}

#[test]
fn a_file_or_heading_that_is_gone_is_noticed() {
    let readme = root().join("README.md");
    assert_eq!(fault(&readme, "deploy/operations.md#journal"), None);
    assert_eq!(fault(&readme, "https://example.org/nowhere"), None);
    assert!(fault(&readme, "deploy/gone.md").is_some());
    assert!(fault(&readme, "deploy/operations.md#gone").is_some());
    assert!(fault(&readme, "#gone").is_some());
}

/// The words of a paper in `marks` that are paths: those with a slash, and those of a file.
fn paths_named(text: &str) -> BTreeSet<&str> {
    let marked = text.split('`').skip(1).step_by(2);
    let is_path = |word: &&str| {
        let first = word.split('/').next().unwrap();
        let known = ["src", "tests", "deploy", "config", ".ci"].contains(&first)
            || !first.is_empty() && root().join("src").join(first).is_dir();
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.".contains(c));
        plain && (known && word.contains('/') || Path::new(word).extension().is_some_and(|kind| kind == "rs"))
    };
    marked.filter(is_path).collect()
}

/// A path is given from the root of the repository, or from `src/`; the ending .rs may be left out.
fn is_there(path: &str) -> bool {
    [root().to_owned(), root().join("src")]
        .iter()
        .any(|from| from.join(path).exists() || from.join(format!("{path}.rs")).is_file())
}

#[test]
fn every_path_that_the_plan_of_the_house_names_is_there() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let prose: String = prose(&text).flat_map(|line| [line, "\n"]).collect();
    let named = paths_named(&prose);
    assert!(named.len() > 60, "the test sees {} paths only: is it looking in the right place?", named.len());
    let gone: Vec<_> = named.into_iter().filter(|path| !is_there(path)).collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md names what is not there: {gone:?}");
}

/// Every source, without those of tests.
fn sources() -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join("src")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !["tests", "stories", "snapshots"].contains(&name.as_str()) {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") && name != "tests.rs" {
                found.push(path);
            }
        }
    }
    found
}

/// The public items of a source above which no comment stands. Fields and variants may do without one.
fn undocumented(code: &str) -> Vec<&str> {
    const ITEMS: [&str; 8] = ["fn ", "async fn ", "const ", "struct ", "enum ", "trait ", "type ", "static "];
    let (mut documented, mut in_attribute, mut found) = (false, false, Vec::new());
    for line in code.lines().map(str::trim) {
        if line.starts_with("///") {
            documented = true;
        } else if in_attribute || line.starts_with("#[") {
            in_attribute = !line.ends_with(']');
        } else {
            let is_item = line.strip_prefix("pub ").is_some_and(|rest| ITEMS.iter().any(|item| rest.starts_with(item)));
            // A macro hands its items the comments of who uses it.
            found.extend((is_item && !documented && !line.contains('$')).then_some(line));
            documented = false;
        }
    }
    found
}

#[test]
fn every_public_item_says_what_it_is_for() {
    let (mut bare, mut files) = (Vec::new(), 0);
    for path in sources() {
        files += 1;
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        if !code.starts_with("//! ") {
            bare.push(format!("{}: the module itself", path.display()));
        }
        bare.extend(undocumented(code).into_iter().map(|line| format!("{}: {line}", path.display())));
    }
    assert!(files > 200, "the test looks at {files} files only: is it looking in the right place?");
    assert!(bare.is_empty(), "public items of which nothing says what they are for:\n{}", bare.join("\n"));
}

#[test]
fn an_item_without_a_comment_is_noticed_behind_attributes_too() {
    let code = "/// A thing.\n#[derive(\n    Debug,\n)]\npub struct A {\n    pub field: u8,\n}\n#[must_use]\npub fn bare() {}\n";
    assert_eq!(undocumented(code), ["pub fn bare() {}"]);
}

/// The text of every source below these folders.
fn below(folders: &[&str]) -> String {
    let (mut all, mut folders) = (String::new(), folders.iter().map(|one| root().join(one)).collect::<Vec<_>>());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                all.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    all
}

/// The names of all tests in a source.
fn tests_in(source: &str) -> BTreeSet<&str> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let mut names = BTreeSet::new();
    let mut marked = false;
    for line in lines {
        if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| marked) {
            names.extend(rest.split_once('(').map(|(name, _)| name));
            marked = false;
        }
    }
    names
}

#[test]
fn every_test_that_the_table_of_the_chats_names_is_there_and_plays_on_its_chat() {
    let both = ["tests/conversations", "tests/crash"];
    let (slack, discord) =
        (below(&[both[0], both[1], "src/chat/slack"]), below(&[both[0], both[1], "src/chat/discord"]));
    let there = [tests_in(&slack), tests_in(&discord)];
    let text = fs::read_to_string(root().join("deploy/chats.md")).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() > 30, "{} rows: is the test looking in the right place?", rows.len());
    let mut faults = Vec::new();
    for row in &rows {
        let [story, cells @ ..] = &row[..] else { panic!("{row:?}") };
        assert_eq!(cells.len(), 2, "{story}");
        for (cell, there) in cells.iter().zip(&there) {
            let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
            faults.extend(named.iter().filter(|name| !there.contains(*name)).map(|name| format!("{story}: {name}")));
            if named.is_empty() && !cell.starts_with("not shown yet") && !cell.starts_with("Slack has none") {
                faults.push(format!("{story}: {cell:?} says neither a test nor that there is none"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
