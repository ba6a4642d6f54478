use jiff::Timestamp;

use super::{Format, render};
use crate::{
    legible::hostile,
    mesh::TargetRef,
    triage::{
        CallAtOnce, Check, CheckId, CheckResult, Confidence, Consequence, Contraindicated, FixName, NotChecked, On,
        RuledOut, Scenario, Side, Subject, VERDICT_SCHEMA, Verdict,
    },
};

fn at() -> Timestamp {
    "2026-11-24T03:00:00Z".parse().unwrap()
}

/// A verdict in which every field is filled.
fn full(summary: &str) -> Verdict {
    let check = Check {
        id: CheckId::SpireAgent,
        subject: Subject::SpireAgent("node-1".parse().unwrap()),
        result: CheckResult::Fail,
        summary: summary.to_owned(),
        source: "spire-agent healthcheck".to_owned(),
        observed_at: at(),
        remedy: Some("restart it".to_owned()),
    };
    let pod = crate::mesh::PodRef { namespace: "web".parse().unwrap(), name: "frontend-a".parse().unwrap() };
    Verdict {
        schema: VERDICT_SCHEMA.to_owned(),
        target: TargetRef::parse("web".parse().unwrap(), "svc/frontend").unwrap(),
        at: at(),
        scenario: Scenario::SpireAgent,
        confidence: Confidence::High,
        on: On {
            side: Side::Client,
            pods: vec![pod],
            lives: vec![crate::mesh::PodUid::parse("uid-a").unwrap()],
            nodes: vec!["node-1".parse().unwrap()],
        },
        reasons: vec!["a reason".into()],
        ruled_out: vec![RuledOut { scenario: Scenario::Network, because: "b".to_owned(), certain: true }],
        consequences: vec![Consequence::ExpiredCertificate],
        checks: vec![check],
        not_checked: vec![NotChecked { what: "modes".to_owned(), why: "later".to_owned() }],
        fixes: vec![FixName::SyncTrustBundle],
        never: vec![Contraindicated { fix: FixName::RestartPod, reason: "no SVID".to_owned() }],
        call_at_once: Some(CallAtOnce::L2),
    }
}

#[test]
fn a_report_says_where_what_follows_whom_to_call_and_from_which_source_and_when() {
    for format in [Format::Text, Format::Markdown] {
        let text = render(&full("it is broken"), format).replace('\\', "");
        for said in
            ["web/frontend-a", "node-1", "certificates ran out", "L2", "spire-agent healthcheck", "next: restart it"]
        {
            assert!(text.contains(said), "{said} in {text}");
        }
        assert_eq!(text.matches("2026-11-24T03:00:00Z").count(), 2, "the time of the verdict and of its check: {text}");
    }
}

#[test]
fn what_to_do_stands_before_the_long_list_of_what_was_seen() {
    let because = || "because".to_owned();
    let not = |scenario| RuledOut { scenario, because: because(), certain: true };
    let mut verdict = full("it is broken");
    verdict.ruled_out.extend([Scenario::NoFaultFound, Scenario::Inconclusive].map(not));
    verdict.ruled_out.push(RuledOut { scenario: Scenario::NoFaultFound, because: because(), certain: false });
    let text = render(&verdict, Format::Text);
    let titles = ["Because", "Fixes that fit", "Do not", "Checked", "Other causes", "Not checked"];
    assert!(titles.map(|title| text.find(&format!("\n{title}\n")).unwrap()).is_sorted(), "{text}");
    assert!(text.contains("(high confidence, ") && text.contains("sync-trust-bundle: by hand"), "{text}");
    assert!(!text.contains("not no fault found") && !text.contains("not inconclusive"), "{text}");
    assert!(text.contains("open: no fault found"), "{text}");
}

#[test]
fn nothing_from_outside_steers_a_terminal_or_becomes_markup() {
    let bad = "\u{1b}[2Jgone\r\n# head \u{202e}<img src=x> [click](http://evil) **bold** @channel";
    let text = render(&full(bad), Format::Text);
    assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n') && !text.contains('\u{202e}'), "{text}");
    let markdown = render(&full(bad), Format::Markdown);
    assert!(
        !markdown.contains("<img") && !markdown.contains("[click](") && !markdown.contains("@channel"),
        "{markdown}"
    );
    assert!(!markdown.lines().any(|line| line.starts_with('#')), "{markdown}");
    assert!(render(&full(&"x".repeat(5000)), Format::Text).len() < 2000, "a line has an end");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_turns_hides_or_steers_in_a_report(text in hostile::text()) {
        for format in [Format::Text, Format::Markdown] {
            let shown = render(&full(&text), format);
            proptest::prop_assert!(hostile::is_legible(&shown), "{}", shown);
        }
    }
}

/// The names of all fields, as `on.pods[].name`.
fn fields(value: &serde_json::Value, at: &str, found: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (name, inner) in map {
                let name = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                fields(inner, &name, found);
                found.insert(name);
            }
        }
        serde_json::Value::Array(all) => all.iter().for_each(|inner| fields(inner, &format!("{at}[]"), found)),
        _ => {}
    }
}

#[test]
fn the_documented_fields_of_a_verdict_are_those_that_are_written() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/verdict-schema.md");
    let text = std::fs::read_to_string(path).unwrap();
    let verdict = text.split("## Checks").next().unwrap();
    let documented: std::collections::BTreeSet<String> =
        verdict.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).map(str::to_owned).collect();
    let mut written = std::collections::BTreeSet::new();
    fields(&serde_json::to_value(full("x")).unwrap(), "", &mut written);
    assert_eq!(documented, written);
    assert!(text.contains(VERDICT_SCHEMA) && text.contains(crate::triage::EVIDENCE_SCHEMA));
}
