//! What the card of an incident must say.

mod night;
mod offers;
mod present;

use std::collections::BTreeMap;

pub(crate) use night::*;

use super::*;
use crate::{
    escalation::LevelNumber,
    incident::{Act, FixEnd, FixNumber, IncidentKey, PastFix, Triage},
    remediation::{Proof, Verification},
    triage::FixName,
};

fn acts(card: &Card) -> Vec<Act> {
    card.buttons.iter().map(|button| button.press.act.clone()).collect()
}

fn says(card: &Card, part: CardPart) -> String {
    let lines = card.section(part).map(|section| section.lines.clone()).unwrap_or_default();
    lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_card_says_who_is_on_the_hook_until_when_who_is_next_and_that_acknowledging_stops_the_clock() {
    let text = says(&Card::of(&opened()), CardPart::OnTheHook);
    assert_eq!(
        text,
        "L1 Platform On-Call has until 2026-03-01 03:15:00 UTC to acknowledge.\n\
         Then L2 Platform Security is called.\n\
         Acknowledging stops the clock: press the button or say /mtls ack INC-7"
    );
}

#[test]
fn of_one_that_somebody_has_and_a_storm_holds_back_no_window_is_shown() {
    let rung = Rung::Acknowledged { level: LevelNumber(1), until: at(20) };
    let ladder = Ladder::Running { rung, holder: Some(who("U0ONCALL")) };
    let text = says(&Card::of(&Incident { quiet: true, ladder, ..opened() }), CardPart::OnTheHook);
    insta::assert_snapshot!(text, @"
    @U0ONCALL has it.
    Opened within a storm: people are called once for all of it, not for this one.
    ");
}

#[test]
fn a_card_whose_incident_joined_a_storm_points_to_the_storms() {
    let card = Card::of(&Incident { quiet: true, joined: Some(IncidentId::new(9)), ..diagnosed() });
    assert_eq!(plain(&card.headline), "Part of the storm INC-9.");
    let shown: Vec<_> = card.sections.iter().map(|section| (section.part, says(&card, section.part))).collect();
    insta::assert_debug_snapshot!(shown, @r#"
    [
        (
            OnTheHook,
            "Part of the storm INC-9: people are called once for all of it, not for this one. What is known stands on its card.",
        ),
        (
            WhatIsWrong,
            "MTLSHandshakeFailureRateHigh in cluster prod, since 2026-03-01 02:55:00 UTC\nService: web svc/frontend\n9 % of handshakes of web/frontend fail",
        ),
    ]
    "#);
}

#[test]
fn what_was_cut_off_and_what_could_not_be_checked_is_said() {
    let card = Card::of(&Incident { cut_off: 12, ..diagnosed() });
    assert!(says(&card, CardPart::BlastRadius).contains("12 more alert(s) were cut off"));
    assert!(says(&card, CardPart::NotChecked).contains("proxy log"));
    assert!(says(&card, CardPart::Fixes).contains("never restart-spire-agent: the agent renews for others"));
}

#[test]
fn a_button_that_cannot_work_is_not_drawn() {
    let fix = Act::ProposeFix { fix: FixName::RestartPod };
    assert!(!acts(&Card::of(&opened())).contains(&fix), "no verdict yet");
    assert!(acts(&Card::of(&diagnosed())).contains(&fix));
    assert!(!acts(&Card::of(&asking())).contains(&fix), "it is under way");
    assert!(!acts(&Card::of(&asking())).contains(&Act::Acknowledge), "somebody has it");
    assert!(!acts(&Card::of(&diagnosed()).with_writes_off()).contains(&fix), "fixes are switched off");
    let closed = IncidentStatus::Closed { at: at(30), reason: CloseReason::AlertsResolved };
    assert!(Card::of(&Incident { status: closed, ladder: Ladder::Still, ..diagnosed() }).buttons.is_empty());
    let mut twice = after(Proof::NoEffect);
    twice.past_fixes.push(PastFix { number: FixNumber(2), ..twice.past_fixes[0].clone() });
    assert!(!acts(&Card::of(&twice)).contains(&fix), "without effect twice");
}

#[test]
fn buttons_carry_what_they_were_drawn_for() {
    let drawn = acts(&Card::of(&asking()));
    let plan = Some(plan().id());
    assert!(drawn.contains(&Act::Approve { plan: plan.clone() }) && drawn.contains(&Act::Reject { plan }));
    assert!(drawn.contains(&Act::Escalate { from: Some(LevelNumber(1)) }));
}

#[test]
fn an_unproven_fix_offers_to_look_again_and_a_proven_one_does_not() {
    assert!(acts(&Card::of(&after(Proof::Unproven))).contains(&Act::Verify));
    assert!(!acts(&Card::of(&after(Proof::Worked))).contains(&Act::Verify));
    let mut untouched = after(Proof::Unproven);
    untouched.past_fixes[0].results.clear();
    assert!(!acts(&Card::of(&untouched)).contains(&Act::Verify), "there is nothing to look at");
}

#[test]
fn a_long_list_is_cut_with_a_count() {
    let mut incident = diagnosed();
    let verdict = incident.verdict.as_mut().unwrap();
    verdict.reasons = (0..30).map(|number| format!("reason {number}").into()).collect();
    assert!(says(&Card::of(&incident), CardPart::Diagnosis).contains("… and 22 more reasons"));
}

#[test]
fn moments_in_a_sentence_become_times_for_the_reader() {
    let line = sentence("Zürich: it closes at 2026-03-01T03:15:00Z, or at 2026-03-01T03:16:00Z. Zzz");
    assert_eq!(line.iter().filter(|span| matches!(span, Span::Time(_))).count(), 2);
    assert_eq!(line[1], time(at(15)));
    assert!(plain(&line).ends_with("or at 2026-03-01 03:16:00 UTC. Zzz"));
    assert_eq!(sentence("no moment"), words("no moment"));
}

#[test]
fn a_storm_is_one_card_that_counts_and_asks_for_no_target() {
    let storm = Incident { storm: Some(40), target: None, alerts: BTreeMap::new(), triage: Triage::NotRun, ..opened() };
    let card = Card::of(&storm);
    assert!(card.title.contains("40 incidents"));
    assert!(says(&card, CardPart::WhatIsWrong).contains("40 incidents have opened in cluster prod"));
    assert!(card.section(CardPart::Diagnosis).is_none() && card.section(CardPart::BlastRadius).is_none());
    assert!(acts(&card).contains(&Act::Acknowledge));
}

fn section(incident: &Incident, part: CardPart) -> String {
    let lines = Card::of(incident).section(part).map(|section| section.lines.clone()).unwrap_or_default();
    lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_fix_that_the_bot_has_no_rights_for_is_named_and_not_offered() {
    let incident = Incident { left_out: vec![FixName::RestartPod], ..diagnosed() };
    let fixes = section(&incident, CardPart::Fixes);
    insta::assert_snapshot!(fixes.lines().next().unwrap(), @"• restart-pod: low risk; replaces one pod after the other within its disruption budget, and cuts the connections of each. The bot is not given the rights for this one: follow the runbook by hand.");
    assert!(!labels(&incident).iter().any(|label| label.contains("restart-pod")));
    assert!(labels(&diagnosed()).iter().any(|label| label.contains("restart-pod")));
}

fn labels(incident: &Incident) -> Vec<String> {
    Card::of(incident).buttons.into_iter().map(|button| button.label).collect()
}

#[test]
fn the_card_of_a_storm_names_its_services_and_takes_all_with_one_button() {
    let storm = stormy();
    insta::assert_snapshot!(plain(&Card::of(&storm).headline), @"More incidents than people can be called about: SPIRE server unhealthy at 2 of 3 services looked at. L1 has until 2026-03-01 03:15:00 UTC to acknowledge.");
    insta::assert_snapshot!(section(&storm, CardPart::WhatIsWrong), @"
    64 incidents have opened in cluster prod since 2026-03-01 03:00:00 UTC. People are called once for all of them. The list: /mtls incidents. All that are open are taken by /mtls ack all
    Held back, on payments svc/checkout, payments svc/ledger and 40 more.
    Of those held back, 2 do not say which service they are about, and 1 are of clusters that this bot does not look after.
    ");
    assert_eq!(
        labels(&storm),
        ["Acknowledge", "Acknowledge all that are open", "Triage again", "Escalate to L2 Platform Security", "Resolve"]
    );
}

#[test]
fn the_card_of_another_cluster_says_so_and_offers_neither_diagnostics_nor_a_fix() {
    let ours = diagnosed();
    assert!(labels(&ours).iter().any(|label| label == "Triage again"));
    let foreign = Incident { foreign_to: Some("blue".to_owned()), ..ours };
    assert_eq!(labels(&foreign), ["Acknowledge", "Escalate to L2 Platform Security", "Resolve"]);
    assert_eq!(section(&foreign, CardPart::Fixes), "");
    let fresh = Incident { foreign_to: Some("blue".to_owned()), triage: Triage::NotRun, target: None, ..opened() };
    insta::assert_snapshot!(section(&fresh, CardPart::Diagnosis), @"Not from here: this bot looks after blue, so it neither looks into cluster prod nor changes anything there. Ask the bot of prod, or follow the runbook there by hand.");
    insta::assert_snapshot!(plain(&Card::of(&fresh).headline), @"Of cluster prod, so not diagnosed from here. L1 has until 2026-03-01 03:15:00 UTC to acknowledge.");
    assert!(!section(&fresh, CardPart::WhatIsWrong).contains("/mtls target"), "nobody is asked for what is refused");
}

#[test]
fn an_alert_whose_rule_sees_nothing_is_shown_as_what_would_not_be_seen() {
    let mut incident = Incident { ladder: Ladder::Still, triage: Triage::NotRun, target: None, ..opened() };
    incident.key = IncidentKey::of_rule("prod", "MTLSHandshakeFailureRateHigh");
    incident.alerts.values_mut().for_each(|alert| alert.sighting.unseeing = Some(crate::incident::Unseeing::NoData));
    let card = Card::of(&incident);
    let said: Vec<String> = card.sections.iter().flat_map(|section| &section.lines).map(|line| plain(line)).collect();
    insta::assert_snapshot!(format!("{}\n{}", card.summary(), said.join("\n")), @r#"
INC-7 MTLSHandshakeFailureRateHigh would not be seen now (unanswered): This fault would not be seen now. Nobody is called.
MTLSHandshakeFailureRateHigh: its rule has no data (DatasourceNoData), since 2026-03-01 02:55:00 UTC. As long as that lasts, no alert of this name comes.
"#);
    let post = crate::chat::posts::notice(&crate::incident::Notice::RuleUnseeing, &incident);
    insta::assert_snapshot!(post.summary(), @"MTLSHandshakeFailureRateHigh would not be seen now: its rule has no data (DatasourceNoData). Nobody is called for that. Mend the rule or its data source; until then this alert says nothing, so look at the mesh by hand where you must be sure.");
}

#[test]
fn an_incident_that_joined_another_says_where_it_goes_on() {
    let reason = CloseReason::Joined { into: IncidentId::new(3), by: who("U0ONCALL") };
    let incident =
        Incident { status: IncidentStatus::Closed { at: at(30), reason }, ladder: Ladder::Still, ..opened() };
    insta::assert_snapshot!(Card::of(&incident).summary(), @"INC-7 MTLSHandshakeFailureRateHigh: web svc/frontend (closed): Joined INC-3 at 2026-03-01 03:30:00 UTC, said by @U0ONCALL: its alerts go on there.");
    let post = crate::chat::posts::notice(&crate::incident::Notice::Closed, &incident);
    insta::assert_snapshot!(post.summary(), @"Joined INC-3, which is open for the same service, said by @U0ONCALL. Its alerts go on there, and nobody is called for this one any more. Go on in the thread of INC-3.");
}
