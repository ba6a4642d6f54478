//! The part of a storm's card about its services: which are held back, and the causes found at a few of them.

use super::{
    LIST_MOST, Line,
    body::sure,
    text::{code, strong, text, time, words},
};
use crate::{
    incident::{Incident, StormLook},
    triage::{Finding, Survey},
};

/// How many causes one sentence names.
const CAUSES_MOST: usize = 3;

/// The services of the storm, as far as they are known.
pub(super) fn services(incident: &Incident) -> Vec<Line> {
    let Some(look) = &incident.storm_look else { return Vec::new() };
    let mut lines = Vec::new();
    if !look.services.is_empty() {
        let names: Vec<String> = look.services.iter().map(ToString::to_string).collect();
        let more = if look.more > 0 { format!(" and {} more", look.more) } else { String::new() };
        lines.push(vec![text("Held back, on "), code(names.join(", ")), text(format!("{more}."))]);
    }
    lines.extend(unknown(look).map(words));
    lines
}

fn unknown(look: &StormLook) -> Option<String> {
    let counts = [
        (look.without_target, "do not say which service they are about"),
        (look.of_other_clusters, "are of clusters that this bot does not look after"),
    ];
    let counts: Vec<String> =
        counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    (!counts.is_empty()).then(|| format!("Of those held back, {}.", counts.join(", and ")))
}

/// What the look came to: each cause with its services and what speaks for it, and what could not be looked at.
pub(in crate::chat) fn survey_lines(survey: &Survey) -> Vec<Line> {
    let mut lines = Vec::new();
    for finding in &survey.findings {
        lines.push(vec![
            strong(finding.scenario.title()),
            text(format!(" ({}) at {}", sure(finding.confidence), peer(finding))),
            code(names(finding)),
        ]);
        if !finding.nodes.is_empty() {
            let nodes: Vec<String> = finding.nodes.iter().take(LIST_MOST).map(ToString::to_string).collect();
            lines.push(vec![text("• nodes: "), code(nodes.join(" "))]);
        }
        lines.extend(finding.reasons.iter().map(|reason| match &reason.of {
            Some(service) => vec![text("• "), code(service.to_string()), text(format!(": {}", reason.text))],
            None => words(format!("• {}", reason.text)),
        }));
    }
    lines.extend(
        survey
            .not_looked_at
            .iter()
            .map(|not| vec![strong("Not looked at: "), code(not.what.clone()), text(format!(": {}", not.why))]),
    );
    lines.push(vec![text("Seen at "), time(survey.at), text(". A cause is named only for the services that show it.")]);
    lines
}

/// Said where the services only see the fault of one that they call or are called by.
fn peer(finding: &Finding) -> &'static str {
    if finding.at_a_peer { "a peer of " } else { "" }
}

fn names(finding: &Finding) -> String {
    finding.services.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The same in one sentence's part, for the headline, the call and the page.
pub(in crate::chat) fn survey_in_words(survey: &Survey) -> String {
    let all = survey.looked_at();
    let causes: Vec<String> = survey.causes().take(CAUSES_MOST).map(|finding| at(finding, all)).collect();
    if causes.is_empty() { format!("no cause found at the {all} service(s) looked at") } else { causes.join("; ") }
}

fn at(finding: &Finding, all: usize) -> String {
    let title = finding.scenario.title();
    match finding.services.as_slice() {
        services if finding.at_a_peer => format!("{title} at a peer of {} of {all} services looked at", services.len()),
        services if services.len() == all => format!("{title} at all {all} service(s) looked at"),
        [only] => format!("{title} at {only} only, of {all} services looked at"),
        services => format!("{title} at {} of {all} services looked at", services.len()),
    }
}
