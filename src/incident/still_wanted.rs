//! Whether an effect is still wanted when its turn comes: looked at when it is done, not when it was planned (lessons:
//! notifications that went on after acknowledge or resolve).

use jiff::Timestamp;

use super::calls::call_wanted;
use super::{Fix, FixNumber, FixPhase, Incident, IncidentStatus, Notice, PageState, Round, Triage, Work};
use crate::remediation::PlanId;

/// Whether `work` should still be done for the incident as it is now.
pub fn still_wanted(incident: &Incident, work: &Work, now: Timestamp) -> bool {
    match work {
        Work::Timer { .. } | Work::DrawCard { .. } => true,
        // A page whose call was tried again meanwhile rings anew under the same name.
        Work::EndPage { key, .. } => incident.calls.page(key).is_none_or(|page| page.state != PageState::Ringing),
        Work::Triage { run } => {
            incident.is_live() && matches!(&incident.triage, Triage::Running { run: at, .. } if at == run)
        }
        Work::DrawPlan { fix } => phase_of(incident, *fix) == Some(&FixPhase::Drawing),
        Work::RunStep { fix, plan, step } => matches!(
            phase_of(incident, *fix),
            Some(FixPhase::Stepping { plan: at, step: current, .. }) if at == plan && current == step
        ),
        Work::AwaitStep { fix, plan, step } => matches!(
            phase_of(incident, *fix),
            Some(FixPhase::Settling { plan: at, step: current, .. }) if at == plan && current == step
        ),
        Work::Sample { fix, round } => sample_wanted(phase_of(incident, *fix), *round),
        Work::UpdatePage { key, .. } => {
            incident.status == IncidentStatus::Open
                && incident.calls.page(key).is_some_and(|page| page.state == PageState::Ringing)
        }
        Work::UpdateMention { .. } => incident.is_live(),
        Work::Mention { level, rung, .. } | Work::CallPager { level, rung, .. } => call_wanted(incident, *level, rung),
        Work::Post { notice, .. } => post_wanted(incident, notice, now),
    }
}

fn phase_of(incident: &Incident, number: FixNumber) -> Option<&FixPhase> {
    incident.fix.as_ref().filter(|fix| fix.number == number).map(|fix| &fix.phase)
}

fn sample_wanted(phase: Option<&FixPhase>, round: Round) -> bool {
    match phase {
        Some(FixPhase::Approved { .. }) => round == Round::Before,
        Some(FixPhase::Verifying { until: None, .. }) => round == Round::Start,
        Some(FixPhase::Verifying { until: Some(_), .. }) => round == Round::End,
        _ => false,
    }
}

fn post_wanted(incident: &Incident, notice: &Notice, now: Timestamp) -> bool {
    match notice {
        Notice::Reminder { until, .. } => {
            now < *until && incident.ladder.rung().is_some_and(|rung| rung.until() == *until)
        }
        // The post is the only call that the new holder gets: wanted while they have it.
        Notice::HandedTo { to, .. } => incident.ladder.running_holder() == Some(to),
        Notice::TargetWanted => incident.is_live() && incident.target.is_none() && !incident.is_foreign(),
        Notice::ApprovalWanted { plan } => asks_about(incident.fix.as_ref(), plan),
        // A newer run has spoken already: the older verdict would only confuse.
        Notice::Verdict { run } => {
            let newer = matches!(&incident.triage, Triage::Done { run: newest, .. } if newest > run);
            (incident.verdict.is_some() || incident.survey.is_some()) && !newer
        }
        Notice::Clearing { until } => incident.status == IncidentStatus::Clearing { until: *until },
        _ => true,
    }
}

fn asks_about(fix: Option<&Fix>, plan: &PlanId) -> bool {
    fix.is_some_and(|fix| matches!(fix.phase, FixPhase::Asking { .. }) && fix.plan_id().as_ref() == Some(plan))
}
