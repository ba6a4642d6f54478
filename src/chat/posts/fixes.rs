//! What is said in the thread about a fix, from the question to its end.

use jiff::Timestamp;

use super::{Post, Raw};
use crate::{
    chat::card::{
        self, Line, code, command, end_line, level_name, people, person, plan_lines, strong, text, time, words,
    },
    escalation::{LevelNumber, Rung},
    incident::{Fix, FixEnd, FixPhase, Incident},
    mesh::PodRef,
    people::PersonId,
    remediation::{Plan, PlanId, Proof, StepResult},
    triage::FixName,
};

/// The cluster is not what was approved any more.
pub(super) fn plan_moved(what: &str) -> Post {
    Post::saying(vec![vec![
        strong("Stopped before the next step: "),
        text(format!(
            "the cluster is no longer what was approved ({what}). A new plan is being drawn and asks for approval again; \
             until then nothing more is changed."
        )),
    ]])
}

/// The bot was updated while a plan waited.
pub(super) fn question_outdated() -> Post {
    Post::saying(vec![vec![
        strong("The plan is drawn again: "),
        text(
            "the bot was updated while it waited for approval. The new plan asks for approval again; until then nothing \
             more is changed.",
        ),
    ]])
}

pub(super) fn started(fix: FixName, by: &[PersonId]) -> Post {
    let mut line = vec![code(fix.to_string()), text(" starts, approved by ")];
    line.extend(people(by));
    line.push(text(". The steps follow here, one after the other."));
    Post::saying(vec![line])
}

/// What a step came to.
pub(super) fn step_settled(target: &str, result: &StepResult) -> Post {
    Post::saying(vec![match result {
        StepResult::Replaced { pod, not_after, .. } => replaced(target, &pod.to_string(), *not_after),
        StepResult::AgentRestarted { node, pod, renewed, stale, unread, .. } => {
            let mut line =
                vec![text(format!("The SPIRE agent of {node} is ")), code(pod.to_string()), text(" now, and works.")];
            line.extend(holding(renewed, "a new SVID"));
            line.extend(holding(stale, "none, or the old one"));
            line.extend(holding(unread, "one that could not be read"));
            line
        }
    }])
}

/// Which pods hold what, as one more sentence.
fn holding(pods: &[PodRef], what: &str) -> Line {
    let names: Vec<String> = pods.iter().map(ToString::to_string).collect();
    let verb = if pods.len() == 1 { "holds" } else { "hold" };
    if pods.is_empty() { Line::new() } else { vec![text(" "), code(names.join(" ")), text(format!(" {verb} {what}."))] }
}

/// A pod took the place of another one.
pub(super) fn replaced(old: &str, new: &str, not_after: Option<Timestamp>) -> Line {
    let mut line = vec![
        code(old.to_owned()),
        text(" was replaced by "),
        code(new.to_owned()),
        text(", which is Ready and holds a valid SVID"),
    ];
    line.extend(not_after.into_iter().flat_map(|end| [text(" until "), time(end)]));
    line.push(text("."));
    line
}

pub(super) fn approval_wanted(incident: &Incident, id: &PlanId) -> Post {
    let shown = incident.fix.as_ref().and_then(|fix| fix.plan.as_ref().map(|plan| (fix, plan)));
    let Some((fix, plan)) = shown.filter(|(_, plan)| plan.id() == *id) else {
        return Post::saying(vec![words(format!("Plan {id} is no longer the one that waits: see the card."))]);
    };
    let mut lines = vec![vec![
        strong("Approval wanted: "),
        person(&fix.requester),
        text(" asks for "),
        code(fix.name.to_string()),
        text(format!(" ({}). Somebody else has to approve it", card::risk(fix.name))),
        text(until_when(fix)),
        time_of(fix),
        text("."),
    ]];
    lines.extend(plan_lines(plan));
    lines.push(words("These lines would do the same by hand:"));
    Post {
        raw: kubectl(plan),
        to_approvers: true,
        broadcast: true,
        buttons: card::votes(incident.id, plan).into(),
        ..Post::saying(lines)
    }
}

fn until_when(fix: &Fix) -> &'static str {
    if expiry(fix).is_some() { " by " } else { "" }
}

fn time_of(fix: &Fix) -> card::Span {
    expiry(fix).map_or_else(|| text(""), time)
}

fn expiry(fix: &Fix) -> Option<Timestamp> {
    match &fix.phase {
        FixPhase::Asking { question } => Some(question.expires_at),
        _ => None,
    }
}

fn kubectl(plan: &Plan) -> Option<Raw> {
    let lines: Vec<String> = plan.kubectl().collect();
    (!lines.is_empty()).then(|| Raw::new("kubectl", lines.join("\n")))
}

/// How a fix ended, and what is next.
pub(super) fn ended(incident: &Incident, fix: FixName, end: &FixEnd) -> Post {
    let id = incident.id;
    let mut line = vec![code(fix.to_string()), text(" ")];
    line.extend(end_line(end));
    line.push(text("."));
    let ended = incident.past_fixes.iter().rev().find(|past| past.name == fix && past.end == *end);
    let left_stale = ended.is_some_and(|past| past.results.iter().any(|result| !result.left_stale().is_empty()));
    let wrote = ended.is_some_and(|past| past.verifies.is_none() && past.wrote());
    let next = match end {
        // It was under way, and the cluster moved: its new plan did not come about.
        FixEnd::Refused { .. }
        | FixEnd::Rejected { .. }
        | FixEnd::Withdrawn
        | FixEnd::Expired
        | FixEnd::Cancelled
        | FixEnd::TargetChanged
            if wrote =>
        {
            words("What was done before that stays done; nothing more is changed.")
        }
        FixEnd::Verified { verification } => match verification.proof {
            Proof::Worked => words("Next: nothing. It closes by itself once the alerts stay resolved."),
            Proof::NoEffect => {
                vec![text("Next: look again with "), command("triage", id, ""), text(", or escalate.")]
            }
            Proof::Worse => worse(incident),
            Proof::Unproven if left_stale => words("Next: the diagnostics run again, and say what is left to do."),
            Proof::Unproven => vec![
                text("Next: this proves nothing either way, and closes nothing. Send some traffic and try "),
                command("verify", id, ""),
            ],
        },
        FixEnd::Refused { .. } => words("Nothing was changed. Next: remove what stands in the way and ask again."),
        FixEnd::Rejected { .. } | FixEnd::Withdrawn | FixEnd::Cancelled | FixEnd::TargetChanged => {
            words("Nothing more is changed.")
        }
        FixEnd::Expired => words("Nothing was changed. Next: ask for it again to see a fresh plan."),
        FixEnd::Failed { .. } => words("What was done before that step stays done; nothing more is changed."),
        FixEnd::Unknown { .. } => {
            words("Next: look at what the step changes before anything else is tried; the bot repeats nothing.")
        }
    };
    let loud = matches!(end, FixEnd::Verified { .. } | FixEnd::Failed { .. } | FixEnd::Unknown { .. });
    Post { broadcast: loud, buttons: card::ask_for_fixes(incident), ..Post::saying(vec![line, next]) }
}

/// What to do when a fix made it worse: whom to decide with depends on who has been called.
fn worse(incident: &Incident) -> Line {
    if let Some(level) = incident.called_beside().max() {
        return words(format!("Next: stop, and decide with {}, who is called.", level_name(incident, level)));
    }
    match incident.ladder.rung() {
        Some(Rung::Waiting { level, .. }) if *level != LevelNumber::FIRST => {
            words(format!("Next: stop, and decide with {}, who is called.", level_name(incident, *level)))
        }
        Some(Rung::AllPaged { .. }) => words("Next: stop, and decide with the other levels: all of them are called."),
        _ => vec![text("Next: stop, and decide with the next level. Escalate: "), command("escalate", incident.id, "")],
    }
}
