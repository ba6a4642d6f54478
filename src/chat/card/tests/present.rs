//! After a fix the card tells the present: what was tried, what fails now, and which pods are gone.

use super::*;
use crate::{
    incident::{Event, FixNumber, RunNumber, apply},
    remediation::{FailureRate, StepNumber},
};

/// The card as it reads on a terminal.
fn read(incident: &Incident) -> String {
    let card = Card::of(incident);
    let section = |section: &Section| {
        let lines: Vec<String> = section.lines.iter().map(|line| format!("  {}", plain(line))).collect();
        format!("{}\n{}", section.part.heading(), lines.join("\n"))
    };
    let sections: Vec<String> = card.sections.iter().map(section).collect();
    let buttons: Vec<&str> = card.buttons.iter().map(|button| button.label.as_str()).collect();
    format!("{}\n{}\n[{}]", plain(&card.headline), sections.join("\n"), buttons.join("] ["))
}

fn rate(failed: u64, of: u64) -> FailureRate {
    FailureRate { failed, of, from: at(10), until: at(12) }
}

fn with_rate(proof: Proof, rate: Option<FailureRate>) -> Incident {
    let mut incident = after(proof);
    let FixEnd::Verified { verification } = &mut incident.past_fixes[0].end else { panic!() };
    verification.rate = rate;
    incident
}

#[test]
fn after_a_fix_that_worked_the_card_tells_the_present() {
    insta::assert_snapshot!(read(&with_rate(Proof::Worked, Some(rate(0, 240)))), @r"
    restart-pod worked. @U0ONCALL has it.
    On the hook
      @U0ONCALL has it for L1 Platform On-Call; the clock is stopped.
      Without a sign of work (a command, a fix or a note) by 2026-03-01 03:18:00 UTC, L1 is called again.
    What is wrong
      MTLSHandshakeFailureRateHigh in cluster prod, since 2026-03-01 02:55:00 UTC
      Service: web svc/frontend
      When it began to fire: 9 % of handshakes of web/frontend fail
      After restart-pod: 0 % fail (0 of 240, as its proxies counted from 2026-03-01 03:10:00 UTC to 2026-03-01 03:12:00 UTC).
    Diagnosis
      Found before restart-pod ran, so it may no longer hold. Look again: /mtls triage INC-7
      expired certificate (high confidence), where the service is called, seen at 2026-03-01 03:01:00 UTC
      • the SVID of web/frontend-7d9c5b6f4-aaaaa expired 40 min ago
      Follows from it, and needs no fix of its own: certificates will run out, their renewal is overdue.
    What was tried
      restart-pod worked: handshakes grew by 120, failures by 0 (asked for by @U0ONCALL, approved by @U0SEC, took 4 min, ended at 2026-03-01 03:12:00 UTC)
    What can be done
      • restart-pod: low risk; replaces one pod after the other within its disruption budget, and cuts the connections of each. It worked at 2026-03-01 03:12:00 UTC. Look whether it is needed again: /mtls triage INC-7
      • never restart-spire-agent: the agent renews for others
    Blast radius
      1 of 1 alert(s) firing.
      Replaced since: web/frontend-7d9c5b6f4-aaaaa by web/frontend-7d9c5b6f4-bbbbb
    Not checked
      • proxy log: logs are forbidden: grant get on pods/log
    [Triage again] [Escalate to L2 Platform Security] [Resolve]
    ");
}

#[test]
fn after_a_fix_without_proof_it_says_that_nobody_knows_how_much_fails() {
    let incident = with_rate(Proof::Unproven, None);
    insta::assert_snapshot!(says(&Card::of(&incident), CardPart::WhatIsWrong), @r"
    MTLSHandshakeFailureRateHigh in cluster prod, since 2026-03-01 02:55:00 UTC
    Service: web svc/frontend
    When it began to fire: 9 % of handshakes of web/frontend fail
    After restart-pod: it is not known how much fails, because nothing was counted. The alert speaks of what was before.
    ");
    assert!(acts(&Card::of(&incident)).contains(&Act::ProposeFix { fix: FixName::RestartPod }), "it did not work yet");
}

#[test]
fn what_was_found_half_an_hour_ago_offers_no_fix_any_more() {
    let mut incident = diagnosed();
    incident.ladder = asking().ladder;
    apply(&mut incident, &Event::WentStale { last_seen: at(20) }, at(32));
    insta::assert_snapshot!(read(&incident), @r"
    Diagnosis: expired certificate. @U0ONCALL has it.
    On the hook
      @U0ONCALL has it for L1 Platform On-Call; the clock is stopped.
      Without a sign of work (a command, a fix or a note) by 2026-03-01 03:18:00 UTC, L1 is called again.
    What is wrong
      MTLSHandshakeFailureRateHigh in cluster prod, since 2026-03-01 02:55:00 UTC
      Service: web svc/frontend
      9 % of handshakes of web/frontend fail
      Stale: the alert has not been repeated since 2026-03-01 03:20:00 UTC and never ended. Its source may be down.
    Diagnosis
      expired certificate (high confidence), where the service is called, seen at 2026-03-01 03:01:00 UTC
      • the SVID of web/frontend-7d9c5b6f4-aaaaa expired 40 min ago
      Follows from it, and needs no fix of its own: certificates will run out, their renewal is overdue.
    What can be done
      • restart-pod: low risk; replaces one pod after the other within its disruption budget, and cuts the connections of each. The diagnosis is of 2026-03-01 03:01:00 UTC, too long ago. Look again first: /mtls triage INC-7
      • never restart-spire-agent: the agent renews for others
    Blast radius
      1 of 1 alert(s) firing.
      Shown to be affected: web/frontend-7d9c5b6f4-aaaaa
      Named by the alerts, not checked: web/frontend-7d9c5b6f4-aaaaa
    Not checked
      • proxy log: logs are forbidden: grant get on pods/log
    [Triage again] [Escalate to L2 Platform Security] [Resolve]
    ");
}

#[test]
fn a_few_failures_are_never_rounded_to_none() {
    let incident = with_rate(Proof::NoEffect, Some(rate(1, 24_000)));
    assert!(says(&Card::of(&incident), CardPart::WhatIsWrong).contains("1 % fail"));
}

#[test]
fn a_verdict_that_is_newer_than_the_fix_is_the_present() {
    let mut incident = with_rate(Proof::Worked, Some(rate(0, 240)));
    let verdict = incident.verdict.as_mut().unwrap();
    verdict.at = at(20);
    verdict.on.pods = vec![pod("frontend-7d9c5b6f4-bbbbb")];
    let card = Card::of(&incident);
    assert_eq!(plain(&card.headline), "Diagnosis: expired certificate. @U0ONCALL has it.");
    assert!(acts(&card).contains(&Act::ProposeFix { fix: FixName::RestartPod }));
    assert!(!says(&card, CardPart::Diagnosis).contains("may no longer hold"));
    assert!(says(&card, CardPart::BlastRadius).contains("Shown to be affected: web/frontend-7d9c5b6f4-bbbbb"));
}

#[test]
fn a_pod_that_was_evicted_is_not_affected_any_more_although_its_replacement_never_came() {
    let mut incident = after(Proof::Unproven);
    incident.past_fixes[0].results.clear();
    incident.past_fixes[0].end =
        FixEnd::Failed { step: StepNumber(0), reason: "there is no Ready replacement".to_owned() };
    insta::assert_snapshot!(says(&Card::of(&incident), CardPart::BlastRadius), @r"
    1 of 1 alert(s) firing.
    Ended since: web/frontend-7d9c5b6f4-aaaaa
    ");
}

#[test]
fn a_fix_that_looked_again_says_who_looked() {
    let mut incident = after(Proof::Unproven);
    let mut again = incident.past_fixes[0].clone();
    again.number = FixNumber(2);
    again.verifies = Some(FixNumber(1));
    again.requester = Some(who("U0SEC"));
    again.run.since = Some(at(20));
    again.at = at(22);
    again.end = FixEnd::Verified {
        verification: Verification {
            proof: Proof::Worked,
            reasons: vec!["failures stand still".to_owned()],
            rate: None,
        },
    };
    incident.past_fixes.push(again);
    insta::assert_snapshot!(says(&Card::of(&incident), CardPart::Tried), @r"
    restart-pod is unproven: handshakes grew by 120, failures by 0 (asked for by @U0ONCALL, approved by @U0SEC, took 4 min, ended at 2026-03-01 03:12:00 UTC)
    restart-pod was looked at again and worked: failures stand still (asked for by @U0SEC, approved by @U0SEC, took 2 min, ended at 2026-03-01 03:22:00 UTC)
    ");
}

#[test]
fn an_incident_that_fires_again_says_open_again_and_quotes_no_old_verdict_as_new() {
    let mut incident = after(Proof::Worked);
    apply(&mut incident, &Event::Reopened, at(40));
    apply(&mut incident, &Event::TriageStarted { run: RunNumber(2), by: None }, at(40));
    let rung = Rung::Waiting { level: LevelNumber(1), until: at(55) };
    let reason = crate::incident::CallReason::Opened;
    apply(&mut incident, &Event::RungBegan { rung, call: vec![LevelNumber(1)], reason: reason.clone() }, at(40));
    insta::assert_snapshot!(read(&incident), @r"
    Open again. Looking into it now. L1 has until 2026-03-01 03:55:00 UTC to acknowledge.
    On the hook
      L1 Platform On-Call has until 2026-03-01 03:55:00 UTC to acknowledge.
      Then L2 Platform Security is called.
      Acknowledging stops the clock: press the button or say /mtls ack INC-7
    What is wrong
      MTLSHandshakeFailureRateHigh in cluster prod, since 2026-03-01 02:55:00 UTC
      Service: web svc/frontend
      9 % of handshakes of web/frontend fail
      It fired again soon after closing and was reopened at 2026-03-01 03:40:00 UTC.
    Diagnosis
      The diagnostics were asked for at 2026-03-01 03:40:00 UTC; from their turn on they take 20 s at most.
      Before it was opened again, the diagnosis was: expired certificate, at 2026-03-01 03:01:00 UTC.
    What was tried
      restart-pod worked: handshakes grew by 120, failures by 0 (asked for by @U0ONCALL, approved by @U0SEC, took 4 min, ended at 2026-03-01 03:12:00 UTC)
    Blast radius
      1 of 1 alert(s) firing.
      Named by the alerts, not checked: web/frontend-7d9c5b6f4-aaaaa
    [Acknowledge] [Escalate to L2 Platform Security] [Resolve]
    ");
    let called = crate::chat::posts::call(LevelNumber(1), &reason, &incident).summary();
    insta::assert_snapshot!(called, @r"
    L1 Platform On-Call is mentioned: an incident is open again.
    INC-7 MTLSHandshakeFailureRateHigh on web svc/frontend. The diagnosis is still running; this message will say the cause.
    Acknowledge by 2026-03-01 03:55:00 UTC, or L2 Platform Security is called. Acknowledging stops the clock: /mtls ack INC-7
    ");
}

#[test]
fn a_reason_for_closing_stands_on_the_card() {
    let by = crate::incident::ClosedBy { who: who("U0ONCALL"), why: Some("lamp test".to_owned()) };
    let status = IncidentStatus::Closed { at: at(30), reason: CloseReason::Person(by) };
    let incident = Incident { status, ladder: Ladder::Still, ..diagnosed() };
    assert_eq!(plain(&Card::of(&incident).headline), "Closed by @U0ONCALL at 2026-03-01 03:30:00 UTC: lamp test.");
    let said = crate::chat::posts::notice(&crate::incident::Notice::Closed, &incident).summary();
    insta::assert_snapshot!(said, @"Closed by @U0ONCALL: lamp test. The alert that fires now does not reopen it; a new firing does.");
}
