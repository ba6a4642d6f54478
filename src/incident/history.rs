//! The history of an incident in words, for the card: one short line for each event that people care about.

use super::{CloseReason, Event, FixEnd};
use crate::escalation::Rung;

/// The line of an event, if it has one. Holds nothing from outside but names that were validated at the border and
/// ids; it is escaped like any other text all the same.
pub(super) fn line(event: &Event) -> Option<String> {
    let text = match event {
        Event::Reopened => "opened again".to_owned(),
        Event::ClearingBegan { .. } => "all alerts resolved".to_owned(),
        Event::ClearingEnded => "firing again".to_owned(),
        Event::Closed { reason: CloseReason::AlertsResolved } => "closed: the alerts stayed resolved".to_owned(),
        Event::Closed { reason: CloseReason::Person(by) } => format!("closed by {}{}", by.who, by.because()),
        Event::Closed { reason: CloseReason::Joined { into, by } } => format!("joined {into}, said by {by}"),
        Event::IncidentJoined { incident, by } => format!("{incident} joined, said by {by}"),
        Event::TargetSet { target, by } => format!("target {target}, set by {by}"),
        Event::WentStale { .. } => "the alert is no longer repeated by its source".to_owned(),
        Event::CalledBeside { level, .. } => format!("calling {level} as well, because of what was found"),
        Event::RungBegan { rung: Rung::Waiting { level, .. }, call, .. } if call.is_empty() => {
            format!("{level}, who was called just now, has the window")
        }
        Event::RungBegan { call, .. } if call.is_empty() => "no level can be called".to_owned(),
        Event::RungBegan { call, .. } => {
            let levels: Vec<String> = call.iter().map(ToString::to_string).collect();
            format!("calling {}", levels.join(", "))
        }
        Event::WindowBreached { rung: Rung::Waiting { level, .. } } => format!("{level} did not answer in time"),
        Event::OfOurCluster => "its cluster is known as ours now".to_owned(),
        Event::LeftStorm => "stands on its own from now on".to_owned(),
        Event::FellBack { level, pager, .. } => format!("chat out of reach: {level} is called by {}", pager.0),
        Event::PageUncertain { level, pager, .. } => {
            format!("{} did not answer to the page of {level}, which may ring all the same", pager.0)
        }
        Event::LevelUnreachable { level, why, .. } => format!("{level} cannot be called: {why}"),
        Event::OverdueNoticed { what, .. } => format!("{what} is late"),
        Event::NoticedLate { seconds } => format!("the bot was away when a window ended ({seconds} s late)"),
        Event::ClockSet { by, .. } if by.is_negative() => "the bot's clock was set back".to_owned(),
        Event::ClockSet { .. } => "the bot's clock was set forward".to_owned(),
        Event::Acknowledged { by, .. } => format!("acknowledged by {by}"),
        Event::HandedTo { to, by, .. } => format!("handed to {to} by {by}"),
        Event::TriageFinished { verdict, .. } => format!("verdict: {}", verdict.scenario),
        Event::Surveyed { survey, .. } => {
            let causes: Vec<&str> = survey.causes().map(|finding| finding.scenario.title()).collect();
            let found = if causes.is_empty() { "no cause found".to_owned() } else { causes.join(", ") };
            format!("{} services looked at: {found}", survey.looked_at())
        }
        Event::TriageFailed { .. } => "the diagnostics could not run".to_owned(),
        Event::FixProposed { name, by, .. } => format!("{name} asked for by {by}"),
        Event::PlanDrawn { plan, .. } => format!("plan {} waits for approval", plan.id()),
        Event::VoteCounted { by, .. } => format!("approved by {by}; more needed"),
        Event::FixApproved { plan, by, .. } => {
            let people: Vec<String> = by.iter().map(ToString::to_string).collect();
            format!("plan {plan} approved by {}", people.join(", "))
        }
        Event::QuestionOutdated { .. } => "the bot is newer than the plan: it is drawn again".to_owned(),
        Event::PlanMoved { .. } => "the cluster moved: the plan is drawn again".to_owned(),
        Event::StepDone { step, .. } => format!("step {} done", step.ordinal()),
        Event::StepSettled { result, .. } => result.in_short(),
        Event::VerificationAsked { by, .. } => format!("{by} asked to verify again"),
        Event::FixEnded { end, .. } => fix_end(end),
        Event::WritesSwitched { on: true, by, .. } => format!("fixes switched on by {by}"),
        Event::WritesSwitched { on: false, by, .. } => format!("fixes switched off by {by}"),
        _ => return None,
    };
    Some(text)
}

fn fix_end(end: &FixEnd) -> String {
    match end {
        FixEnd::Verified { verification } => format!("fix: {}", verification.proof),
        FixEnd::Refused { .. } => "fix refused".to_owned(),
        FixEnd::Rejected { by } => format!("fix rejected by {by}"),
        FixEnd::Withdrawn => "fix withdrawn".to_owned(),
        FixEnd::Expired => "nobody approved the fix in time".to_owned(),
        FixEnd::Failed { step, .. } => format!("fix failed at step {}", step.ordinal()),
        FixEnd::Unknown { step } => format!("not known whether step {} was done", step.ordinal()),
        FixEnd::Cancelled => "fix cancelled".to_owned(),
        FixEnd::TargetChanged => "fix dropped for another target".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_bot_owed_and_was_late_with_stands_in_the_history_of_the_night() {
        let since = "2026-03-01T03:12:00Z".parse().unwrap();
        let event = Event::OverdueNoticed { what: "the page to L1".to_owned(), since };
        assert_eq!(line(&event).as_deref(), Some("the page to L1 is late"));
    }
}
