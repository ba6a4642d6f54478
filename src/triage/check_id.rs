//! The stable names of the checks, each with its step of the runbook. `config/verdict-schema.md` says what each is about.

pub(super) const FILE_UNREADABLE: &str = "1.0-file-unreadable";
pub(super) const KEY_IN_FILE: &str = "1.0-key-in-file";
pub(super) const OTHER_BLOCKS: &str = "1.0-other-blocks";
pub(super) const FILE_CUT: &str = "1.0-file-cut";
pub(super) const SVID_DATES: &str = "1.1-svid-dates";
pub(super) const SVID_USAGE: &str = "1.1-svid-usage";
pub(super) const CLOCK_SKEW: &str = "1.1-clock-skew";
pub(super) const CHAIN: &str = "1.2-chain";
pub(super) const FILE_CHAIN: &str = "1.2-file-chain";
pub(super) const SPIFFE_ID: &str = "1.3-spiffe-id";
pub(super) const ISSUER: &str = "1.4-issuer";
pub(super) const SERVED_IS_ON_DISK: &str = "1.5-served-is-on-disk";
pub(super) const BUNDLE_END: &str = "1.6-bundle-end";
pub(super) const SPIRE_SERVER: &str = "2.1-spire-server";
pub(super) const SPIRE_AGENT: &str = "2.2-spire-agent";
pub(super) const AGENT_LOG: &str = "2.3-agent-log";
pub(super) const PROXY_LOG: &str = "3.3-proxy-log";
pub(super) const SERVER_COUNTERS: &str = "4.1-server-counters";
pub(super) const CLIENT_COUNTERS: &str = "4.2-client-counters";
pub(super) const CONNECTIONS: &str = "4.3-connections";

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    fn ids_in(text: &str) -> BTreeSet<String> {
        let is_id = |word: &&str| {
            let (step, name) = word.split_once('-').unwrap_or_default();
            let step =
                step.split_once('.').is_some_and(|(one, two)| one.parse::<u8>().is_ok() && two.parse::<u8>().is_ok());
            step && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        };
        text.split('"').filter(is_id).map(str::to_owned).collect()
    }

    fn sources(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() && name != "tests" {
                sources(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") && name != "check_id.rs" {
                found.push(fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn each_check_is_documented_and_named_in_one_place() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let schema = fs::read_to_string(root.join("config/verdict-schema.md")).unwrap();
        let rows = schema.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let documented: BTreeSet<String> = rows.flat_map(ids_in).collect();
        assert_eq!(documented, ids_in(include_str!("check_id.rs")));
        let mut all = Vec::new();
        sources(&root.join("src/triage"), &mut all);
        assert!(all.len() > 40, "{}", all.len());
        for text in all {
            assert!(ids_in(&text).is_empty(), "use the constant instead: {:?}", ids_in(&text));
        }
    }
}
