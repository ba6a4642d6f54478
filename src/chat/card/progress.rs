//! The parts of the card that move: the fix, the ladder, and what the bot could not do.

use super::{
    LIST_MOST, Line, Span, command, joined, people,
    text::{code, lasted, person, strong, text, time, words},
};
use crate::{
    approval::Question,
    escalation::{Ladder, LevelNumber, Rung},
    incident::{Fix, FixEnd, FixPhase, Incident, PastFix},
    people::PersonId,
    remediation::{Operation, Plan, Proof, StepNumber},
};

/// How many ended fixes and troubles are shown, newest last.
const PAST_MOST: usize = 3;

/// The level with its team, as "L1 Platform On-Call".
pub(in crate::chat) fn level_name(incident: &Incident, level: LevelNumber) -> String {
    incident.policy.level(level).map_or_else(|| level.to_string(), |known| format!("{level} {}", known.team))
}

/// Who is called, until when, who is next, and what stops the clock.
pub(super) fn on_the_hook(incident: &Incident) -> Vec<Line> {
    if incident.quiet && incident.is_live() {
        return held_back(incident);
    }
    match &incident.ladder {
        Ladder::Still => Vec::new(),
        Ladder::Paused { .. } => {
            vec![words("The clock stands still while the alerts are resolved. If they fire again it goes on.")]
        }
        Ladder::Running { rung: Rung::Waiting { level, until }, .. } => waiting(incident, *level, *until),
        Ladder::Running { rung: Rung::AllPaged { until }, .. } => vec![
            vec![
                strong("Every level was called and nobody has acknowledged."),
                text(" All are called again at "),
                time(*until),
                text("."),
            ],
            stops(incident),
        ],
        Ladder::Running { rung: Rung::Acknowledged { level, until }, holder } => {
            acknowledged(incident, *level, *until, holder.as_ref())
        }
    }
}

/// Of one that a storm holds back: no window of it runs.
fn held_back(incident: &Incident) -> Vec<Line> {
    let has_it = incident.ladder.holder().map(|holder| vec![person(holder), text(" has it.")]);
    let storm = match incident.joined {
        None => words("Opened within a storm: people are called once for all of it, not for this one."),
        Some(storm) => vec![
            text("Part of "),
            strong(format!("the storm {}", storm.kept_like(incident.id))),
            text(": people are called once for all of it, not for this one. What is known stands on its card."),
        ],
    };
    has_it.into_iter().chain([storm]).collect()
}

fn waiting(incident: &Incident, level: LevelNumber, until: jiff::Timestamp) -> Vec<Line> {
    let first = vec![strong(level_name(incident, level)), text(" has until "), time(until), text(" to acknowledge.")];
    let next = match incident.policy.above(level) {
        Some(above) => format!("Then {} {} is called.", above.number, above.team),
        None => "Then every level is called again.".to_owned(),
    };
    [first, words(next)].into_iter().chain(beside(incident)).chain([stops(incident)]).collect()
}

/// The levels that are called beside the window.
fn beside(incident: &Incident) -> Option<Line> {
    let names: Vec<Span> = incident.called_beside().map(|level| strong(level_name(incident, level))).collect();
    let verb = if names.len() == 1 { " is" } else { " are" };
    let said = text(format!("{verb} called as well, because of what was found."));
    (!names.is_empty()).then(|| joined(names).into_iter().chain([said]).collect())
}

fn acknowledged(
    incident: &Incident,
    level: LevelNumber,
    until: jiff::Timestamp,
    holder: Option<&PersonId>,
) -> Vec<Line> {
    let who = holder.map_or_else(|| text("Somebody"), person);
    let name = level_name(incident, level);
    let idle = vec![
        text("Without a sign of work (a command, a fix or a note) by "),
        time(until),
        text(format!(", {level} is called again.")),
    ];
    let has_it = vec![who, text(" has it for "), strong(name), text("; the clock is stopped.")];
    [has_it].into_iter().chain(beside(incident)).chain([idle]).collect()
}

fn stops(incident: &Incident) -> Line {
    vec![text("Acknowledging stops the clock: press the button or say "), command("ack", incident.id, "")]
}

/// The fix under way.
pub(super) fn fix(incident: &Incident) -> Vec<Line> {
    incident.fix.iter().flat_map(|fix| under_way(incident, fix)).collect()
}

/// The newest fixes that have ended.
pub(super) fn tried(incident: &Incident) -> Vec<Line> {
    incident.past_fixes.iter().rev().take(PAST_MOST).rev().map(ended).collect()
}

fn under_way(incident: &Incident, fix: &Fix) -> Vec<Line> {
    let lead = [code(fix.name.to_string()), text(", asked for by "), person(&fix.requester), text(": ")];
    let with = |rest: Line| lead.iter().cloned().chain(rest).collect::<Line>();
    let approved = |by: &[PersonId], rest: Line| {
        let mut line = with(vec![text("approved by ")]);
        line.extend(people(by).into_iter().chain([text(". ")]).chain(rest));
        line
    };
    let steps = fix.plan.as_ref().map_or(0, |plan| plan.operations.len());
    match &fix.phase {
        FixPhase::Drawing => vec![with(words("reading the cluster to draw the plan."))],
        FixPhase::Asking { question } => {
            let mut lines = vec![with(words("waits for approval."))];
            lines.extend(fix.plan.as_ref().map(plan_lines).unwrap_or_default());
            lines.extend(question_lines(incident, question));
            lines
        }
        FixPhase::Approved { by, .. } => {
            vec![approved(by, words("Reading the counters before the first step."))]
        }
        FixPhase::Stepping { by, step, since, .. } => {
            let which = format!("Step {} of {steps}{}, started at ", step.ordinal(), operation(fix, *step));
            vec![approved(by, vec![text(which), time(*since), text(".")])]
        }
        FixPhase::Settling { by, step, until, .. } => {
            let planned = fix.plan.as_ref().and_then(|plan| plan.operation(*step));
            let which = format!(
                "Step {} of {steps}{}: waiting for {}, until ",
                step.ordinal(),
                operation(fix, *step),
                planned.map_or("its effect", Operation::awaited)
            );
            vec![approved(by, vec![text(which), time(*until), text(" at most.")])]
        }
        FixPhase::Verifying { until: Some(until), .. } => vec![with(vec![
            text("all steps are done. The counters are watched until "),
            time(*until),
            text(" before the bot says whether it worked."),
        ])],
        FixPhase::Verifying { until: None, .. } => {
            vec![with(words("all steps are done. Taking the first counters."))]
        }
    }
}

/// What the step that runs does to what, in parentheses.
fn operation(fix: &Fix, step: StepNumber) -> String {
    let planned = fix.plan.as_ref().and_then(|plan| plan.operation(step));
    planned.map_or_else(String::new, |planned| format!(" ({} {})", planned.verb(), planned.target()))
}

fn question_lines(incident: &Incident, question: &Question) -> Vec<Line> {
    let mut votes = words(format!("{} of {} approvals", question.approved_by.len(), question.needed));
    if !question.approved_by.is_empty() {
        votes.push(text(": "));
        votes.extend(people(&question.approved_by));
    }
    votes.extend([text(". The question ends at "), time(question.expires_at), text(".")]);
    let how = vec![
        text("The person who asked cannot approve. Others: the buttons, or "),
        command("approve", incident.id, ""),
        text(" and "),
        command("reject", incident.id, ""),
        text("."),
    ];
    vec![votes, how]
}

/// The plan, exactly: what approvers must see before they vote.
pub(in crate::chat) fn plan_lines(plan: &Plan) -> Vec<Line> {
    let mut lines = vec![vec![
        text("Plan "),
        code(plan.id().short().to_owned()),
        text(format!(" for {}, drawn at ", plan.target)),
        time(plan.drawn_at),
        text(":"),
    ]];
    for (at, planned) in plan.operations.iter().enumerate().take(LIST_MOST) {
        lines.push(vec![
            text(format!("{}. {} ", at.saturating_add(1), planned.verb())),
            code(planned.target()),
            text(planned.details()),
        ]);
    }
    let more = plan.operations.len().saturating_sub(LIST_MOST);
    if more > 0 {
        lines.push(vec![strong(format!("… and {more} more steps"))]);
    }
    let (ready, wanted) = plan.ready;
    lines.push(words(format!("{ready} of {wanted} {} are ready now.{}", plan.counted(), budgets(plan))));
    lines.extend(plan.warnings.iter().take(LIST_MOST).map(|warning| vec![strong("Careful: "), text(warning.clone())]));
    lines.push(words(format!("Undo: {}", plan.undo())));
    lines
}

fn budgets(plan: &Plan) -> String {
    let one = |budget: &crate::remediation::Budget| {
        format!(" Disruption budget {} lets {} pod(s) go now.", budget.name, budget.allowed)
    };
    if plan.budgets.is_empty() {
        " No disruption budget covers them.".to_owned()
    } else {
        plan.budgets.iter().take(LIST_MOST).map(one).collect()
    }
}

/// What it was, how it ended, who did it, and how long that took.
fn ended(past: &PastFix) -> Line {
    let mut line = vec![code(past.name.to_string()), text(" ")];
    if past.verifies.is_some() {
        line.push(text("was looked at again and "));
    }
    line.extend(end_line(&past.end));
    line.push(text(" ("));
    if let Some(requester) = &past.requester {
        line.extend([text("asked for by "), person(requester), text(", ")]);
    }
    if !past.run.approved_by.is_empty() {
        line.push(text("approved by "));
        line.extend(people(&past.run.approved_by));
        line.push(text(", "));
    }
    if let Some(since) = past.run.since {
        line.push(text(format!("took {}, ", lasted(past.at.duration_since(since).as_secs()))));
    }
    line.extend([text("ended at "), time(past.at), text(")")]);
    line
}

/// How a fix ended, as the end of a sentence.
pub(in crate::chat) fn end_line(end: &FixEnd) -> Line {
    match end {
        FixEnd::Verified { verification } => {
            let proof = match verification.proof {
                Proof::Worked => "worked",
                Proof::NoEffect => "had no effect",
                Proof::Worse => "made it worse",
                Proof::Unproven => "is unproven",
            };
            vec![strong(proof), text(reasons(&verification.reasons))]
        }
        FixEnd::Refused { reasons: why } => vec![strong("was refused"), text(reasons(why))],
        FixEnd::Rejected { by } => vec![strong("was rejected"), text(" by "), person(by)],
        FixEnd::Withdrawn => vec![strong("was withdrawn")],
        FixEnd::Expired => vec![strong("expired"), text(": nobody approved it in time")],
        FixEnd::Failed { step, reason } => {
            vec![strong(format!("failed at step {}", step.ordinal())), text(format!(": {reason}"))]
        }
        FixEnd::Unknown { step } => vec![
            strong(format!("is unknown at step {}", step.ordinal())),
            text(": it is not known whether that step was done; a person has to look"),
        ],
        FixEnd::Cancelled => vec![strong("was cancelled"), text(" because the incident ended first")],
        FixEnd::TargetChanged => {
            vec![strong("was dropped"), text(" because the incident is about another service now")]
        }
    }
}

fn reasons(reasons: &[String]) -> String {
    let shown: Vec<&str> = reasons.iter().take(LIST_MOST).map(String::as_str).collect();
    if shown.is_empty() { String::new() } else { format!(": {}", shown.join("; ")) }
}

/// What could not be done, newest last.
pub(super) fn troubles(incident: &Incident) -> Vec<Line> {
    let newest = incident.troubles.iter().rev().take(PAST_MOST).rev();
    newest.map(|trouble| vec![time(trouble.at), text(format!(" {}", trouble.text))]).collect()
}
