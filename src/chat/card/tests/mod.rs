//! An incident to draw, and what its card must say.

mod offers;
mod present;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::{
    approval::Question,
    escalation::{Level, LevelNumber, PagerName, Policy},
    incident::{
        Act, Alert, AlertSighting, Destination, Face, Fingerprint, Fix, FixEnd, FixNumber, FixPhase, IncidentKey,
        PastFix, Run, RunNumber, Triage,
    },
    mesh::{Namespace, NodeName, ObjectName, PodRef, PodUid, TargetKind, TargetRef},
    people::{Mention, PersonId, Platform},
    remediation::{Budget, Operation, Plan, PlanContent, PodEviction, Proof, StepResult, Verification},
    triage::{
        Check, CheckId, CheckResult, Confidence, Consequence, FixName, Never, NotChecked, On, Scenario, Side,
        VERDICT_SCHEMA, Verdict,
    },
};

pub(crate) fn at(minute: i64) -> Timestamp {
    "2026-03-01T03:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minute)
}

pub(crate) fn who(user: &str) -> PersonId {
    PersonId { platform: Platform::Slack, workspace: "T0TEAM".to_owned(), user: user.to_owned() }
}

pub(crate) fn pod(name: &str) -> PodRef {
    PodRef { namespace: Namespace::parse("web").unwrap(), name: ObjectName::parse(name).unwrap() }
}

pub(crate) fn target() -> TargetRef {
    TargetRef {
        namespace: Namespace::parse("web").unwrap(),
        kind: TargetKind::Service,
        name: ObjectName::parse("frontend").unwrap(),
    }
}

pub(crate) fn policy() -> Policy {
    let level = |number, team: &str, minutes, mention: Mention| Level {
        number: LevelNumber(number),
        team: team.to_owned(),
        window: SignedDuration::from_mins(minutes),
        mentions: vec![mention],
        pager: (number == 1).then(|| PagerName("night".to_owned())),
    };
    Policy {
        levels: vec![
            level(1, "Platform On-Call", 15, Mention::Group("S0ONCALL".to_owned())),
            level(2, "Platform Security", 30, Mention::Group("S0SECURITY".to_owned())),
            level(3, "Infrastructure", 60, Mention::User("U0INFRA".to_owned())),
        ],
        repeat_every: SignedDuration::from_hours(1),
        reminder_percent: 33,
        fallback_pager: None,
    }
}

/// The incident as it stands when it has just opened.
pub(crate) fn opened() -> Incident {
    let sighting = AlertSighting {
        target: Some(target()),
        pod: Some(pod("frontend-7d9c5b6f4-aaaaa")),
        summary: Some("9 % of handshakes of web/frontend fail".to_owned()),
        ..AlertSighting::firing(
            "MTLSHandshakeFailureRateHigh",
            "prod",
            IncidentKey("prod/MTLSHandshakeFailureRateHigh/web/frontend".to_owned()),
            Fingerprint("f00d".to_owned()),
            at(-5),
        )
    };
    Incident {
        id: IncidentId::new(7),
        version: 4,
        key: sighting.key.clone(),
        alert: sighting.name.clone(),
        cluster: "prod".to_owned(),
        foreign_to: None,
        target: Some(target()),
        opened_at: at(0),
        created_at: None,
        reopened_at: None,
        life: Life::Open,
        alerts: BTreeMap::from([(
            sighting.fingerprint.clone(),
            Alert { status: sighting.status, group: None, start_before: None, sighting },
        )]),
        cut_off: 0,
        cut_off_by: std::collections::BTreeMap::new(),
        stale_since: None,
        quiet: false,
        calls: crate::incident::Calls::default(),
        storm: None,
        storm_look: None,
        survey: None,
        policy: policy(),
        ladder: Ladder::Running { rung: Rung::Waiting { level: LevelNumber(1), until: at(15) }, holder: None },
        channels: vec![Destination { face: Face::Slack, channel: "C0NIGHT".to_owned() }],
        triage: Triage::Running { run: RunNumber(1), since: at(0) },
        verdict: None,
        earlier: None,
        evidence: None,
        fix: None,
        past_fixes: Vec::new(),
        history: Vec::new(),
        troubles: Vec::new(),
    }
}

/// After the first triage.
pub(crate) fn diagnosed() -> Incident {
    let check = Check {
        id: CheckId::SvidDates,
        subject: "web/frontend-7d9c5b6f4-aaaaa".to_owned(),
        result: CheckResult::Fail,
        summary: "the SVID expired 40 min ago".to_owned(),
        source: "exec cat /run/spire/svid/svid.crt".to_owned(),
        observed_at: at(1),
        remedy: None,
    };
    let verdict = Verdict {
        schema: VERDICT_SCHEMA.to_owned(),
        target: target(),
        at: at(1),
        scenario: Scenario::ExpiredCertificate,
        confidence: Confidence::High,
        on: On {
            side: Side::Server,
            pods: vec![pod("frontend-7d9c5b6f4-aaaaa")],
            lives: Vec::new(),
            nodes: Vec::new(),
        },
        reasons: vec!["the SVID of web/frontend-7d9c5b6f4-aaaaa expired 40 min ago".to_owned()],
        ruled_out: Vec::new(),
        consequences: vec![Consequence::RotationOverdue],
        checks: vec![check],
        not_checked: vec![NotChecked {
            what: "proxy log".to_owned(),
            why: "logs are forbidden: grant get on pods/log".to_owned(),
        }],
        fixes: vec![FixName::RestartPod],
        never: vec![Never { fix: FixName::RestartSpireAgent, reason: "the agent renews for others".to_owned() }],
        call_at_once: None,
    };
    Incident { verdict: Some(verdict), triage: Triage::Done { run: RunNumber(1), at: at(1) }, version: 6, ..opened() }
}

/// A diagnosed incident in which every text from outside is this one.
pub(crate) fn saying(text: &str) -> Incident {
    let mut incident = diagnosed();
    incident.alert = text.to_owned();
    incident.alerts.values_mut().for_each(|alert| alert.sighting.summary = Some(text.to_owned()));
    if let Some(verdict) = &mut incident.verdict {
        verdict.reasons = vec![text.to_owned()];
        for check in &mut verdict.checks {
            (check.subject, check.summary, check.source) = (text.to_owned(), text.to_owned(), text.to_owned());
        }
        verdict.not_checked = vec![NotChecked { what: text.to_owned(), why: text.to_owned() }];
    }
    incident
}

pub(crate) fn plan() -> Plan {
    let planned = PodEviction {
        pod: pod("frontend-7d9c5b6f4-aaaaa"),
        uid: PodUid::parse("0a1b2c3d").unwrap(),
        node: Some(NodeName::parse("node-1").unwrap()),
        controller: "ReplicaSet/frontend-7d9c5b6f4".to_owned(),
        workload: "deploy/frontend".to_owned(),
        because: "its SVID expired 40 min ago".to_owned(),
    };
    Plan::new(PlanContent {
        fix: FixName::RestartPod,
        target: target(),
        drawn_at: at(3),
        operations: vec![Operation::EvictPod(planned)],
        ready: (3, 3),
        budgets: vec![Budget { name: "frontend".to_owned(), allowed: 1 }],
        warnings: vec!["connections of this pod are cut".to_owned()],
        pods_before: Vec::new(),
    })
}

/// Acknowledged by U0ONCALL, who asked for restart-pod: its plan waits.
pub(crate) fn asking() -> Incident {
    let question = Question { requester: who("U0ONCALL"), expires_at: at(33), approved_by: BTreeSet::new(), needed: 1 };
    let fix = Fix {
        number: FixNumber(1),
        name: FixName::RestartPod,
        requester: who("U0ONCALL"),
        plan: Some(plan()),
        plans_drawn: 1,
        verifies: None,
        phase: FixPhase::Asking { question },
        run: Run::default(),
        results: Vec::new(),
        before: Vec::new(),
        start: Vec::new(),
    };
    let ladder = Ladder::Running {
        rung: Rung::Acknowledged { level: LevelNumber(1), until: at(18) },
        holder: Some(who("U0ONCALL")),
    };
    Incident { fix: Some(fix), ladder, version: 10, ..diagnosed() }
}

/// After a fix that came to `proof`.
pub(crate) fn after(proof: Proof) -> Incident {
    let end = FixEnd::Verified {
        verification: Verification {
            proof,
            reasons: vec!["handshakes grew by 120, failures by 0".to_owned()],
            rate: None,
        },
    };
    let result = StepResult::Replaced {
        old: None,
        pod: pod("frontend-7d9c5b6f4-bbbbb"),
        uid: PodUid::parse("4d5e6f").unwrap(),
        not_after: None,
    };
    let (name, plan, at) = (FixName::RestartPod, Some(plan()), at(12));
    let run = Run { approved_by: vec![who("U0SEC")], since: Some(self::at(8)), steps_done: 1 };
    let (requester, results) = (Some(who("U0ONCALL")), vec![result]);
    let past = PastFix { number: FixNumber(1), name, requester, run, plan, results, verifies: None, end, at };
    Incident { fix: None, past_fixes: vec![past], version: 20, ..asking() }
}

fn acts(card: &Card) -> Vec<Act> {
    card.buttons.iter().map(|button| button.press.act.clone()).collect()
}

fn says(card: &Card, part: Part) -> String {
    let lines = card.section(part).map(|section| section.lines.clone()).unwrap_or_default();
    lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_card_says_who_is_on_the_hook_until_when_who_is_next_and_that_acknowledging_stops_the_clock() {
    let text = says(&Card::of(&opened()), Part::OnTheHook);
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
    let text = says(&Card::of(&Incident { quiet: true, ladder, ..opened() }), Part::OnTheHook);
    insta::assert_snapshot!(text, @"
    @U0ONCALL has it.
    Opened within a storm: people are called once for all of it, not for this one.
    ");
}

#[test]
fn what_was_cut_off_and_what_could_not_be_checked_is_said() {
    let card = Card::of(&Incident { cut_off: 12, ..diagnosed() });
    assert!(says(&card, Part::BlastRadius).contains("12 more alert(s) were cut off"));
    assert!(says(&card, Part::NotChecked).contains("proxy log"));
    assert!(says(&card, Part::Fixes).contains("never restart-spire-agent: the agent renews for others"));
}

#[test]
fn a_button_that_cannot_work_is_not_drawn() {
    let fix = Act::ProposeFix { fix: FixName::RestartPod };
    assert!(!acts(&Card::of(&opened())).contains(&fix), "no verdict yet");
    assert!(acts(&Card::of(&diagnosed())).contains(&fix));
    assert!(!acts(&Card::of(&asking())).contains(&fix), "it is under way");
    assert!(!acts(&Card::of(&asking())).contains(&Act::Acknowledge), "somebody has it");
    assert!(!acts(&Card::of(&diagnosed()).with_writes_off()).contains(&fix), "fixes are switched off");
    let closed = Life::Closed { at: at(30), reason: CloseReason::AlertsResolved };
    assert!(Card::of(&Incident { life: closed, ladder: Ladder::Still, ..diagnosed() }).buttons.is_empty());
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
    verdict.reasons = (0..30).map(|number| format!("reason {number}")).collect();
    assert!(says(&Card::of(&incident), Part::Diagnosis).contains("… and 22 more reasons"));
}

#[test]
fn moments_in_a_sentence_become_times_for_the_reader() {
    let line = with_times("Zürich: it closes at 2026-03-01T03:15:00Z, or at 2026-03-01T03:16:00Z. Zzz");
    assert_eq!(line.iter().filter(|span| matches!(span, Span::Time(_))).count(), 2);
    assert_eq!(line[1], time(at(15)));
    assert!(plain(&line).ends_with("or at 2026-03-01 03:16:00 UTC. Zzz"));
    assert_eq!(with_times("no moment"), words("no moment"));
}

#[test]
fn a_storm_is_one_card_that_counts_and_asks_for_no_target() {
    let storm = Incident { storm: Some(40), target: None, alerts: BTreeMap::new(), triage: Triage::NotRun, ..opened() };
    let card = Card::of(&storm);
    assert!(card.title.contains("40 incidents"));
    assert!(says(&card, Part::WhatIsWrong).contains("40 incidents have opened in cluster prod"));
    assert!(card.section(Part::Diagnosis).is_none() && card.section(Part::BlastRadius).is_none());
    assert!(acts(&card).contains(&Act::Acknowledge));
}

/// A storm of 64 that was looked at: two services suffer from SPIRE's server, a third shows nothing, a fourth is not there.
pub(crate) fn stormy() -> Incident {
    use crate::{incident::StormLook, triage::Survey};
    let service = |namespace: &str, name: &str| TargetRef::parse(namespace.parse().unwrap(), name).unwrap();
    let found = |target, scenario, confidence, reasons: &[&str]| Verdict {
        target,
        scenario,
        confidence,
        reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
        checks: Vec::new(),
        on: On { side: Side::Unknown, pods: Vec::new(), lives: Vec::new(), nodes: Vec::new() },
        ..diagnosed().verdict.unwrap()
    };
    let down = "the healthcheck of spire-server-0 fails";
    let verdicts = [
        found(service("payments", "checkout"), Scenario::SpireServer, Confidence::High, &[down]),
        found(
            service("web", "gateway"),
            Scenario::SpireServer,
            Confidence::Medium,
            &[down, "its SVID ended 40 min ago"],
        ),
        found(service("web", "frontend"), Scenario::NoFaultFound, Confidence::High, &[]),
    ];
    let gone = NotChecked { what: "web svc/cart".to_owned(), why: "web svc/cart is not there".to_owned() };
    let look = StormLook {
        services: ["checkout", "ledger"].map(|name| service("payments", name)).to_vec(),
        more: 40,
        without_target: 2,
        of_other_clusters: 1,
        count: 64,
        looks: 1,
    };
    Incident {
        target: None,
        storm: Some(64),
        storm_look: Some(look),
        survey: Some(Survey::of(&verdicts, vec![gone], at(1))),
        triage: Triage::Done { run: RunNumber(1), at: at(1) },
        alerts: BTreeMap::new(),
        ..opened()
    }
}

fn section(incident: &Incident, part: Part) -> String {
    let lines = Card::of(incident).section(part).map(|section| section.lines.clone()).unwrap_or_default();
    lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n")
}

fn labels(incident: &Incident) -> Vec<String> {
    Card::of(incident).buttons.into_iter().map(|button| button.label).collect()
}

#[test]
fn the_card_of_a_storm_names_its_services_and_takes_all_with_one_button() {
    let storm = stormy();
    insta::assert_snapshot!(plain(&Card::of(&storm).headline), @"More incidents than people can be called about: SPIRE server unhealthy at 2 of 3 services looked at. L1 has until 2026-03-01 03:15:00 UTC to acknowledge.");
    insta::assert_snapshot!(section(&storm, Part::WhatIsWrong), @"
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
    assert_eq!(section(&foreign, Part::Fixes), "");
    let fresh = Incident { foreign_to: Some("blue".to_owned()), triage: Triage::NotRun, target: None, ..opened() };
    insta::assert_snapshot!(section(&fresh, Part::Diagnosis), @"Not from here: this bot looks after blue, so it neither looks into cluster prod nor changes anything there. Ask the bot of prod, or follow the runbook there by hand.");
    insta::assert_snapshot!(plain(&Card::of(&fresh).headline), @"Of cluster prod, so not diagnosed from here. L1 has until 2026-03-01 03:15:00 UTC to acknowledge.");
    assert!(!section(&fresh, Part::WhatIsWrong).contains("/mtls target"), "nobody is asked for what is refused");
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
    let post = crate::chat::wording::notice(&crate::incident::Notice::RuleUnseeing, &incident);
    insta::assert_snapshot!(post.summary(), @"MTLSHandshakeFailureRateHigh would not be seen now: its rule has no data (DatasourceNoData). Nobody is called for that. Mend the rule or its data source; until then this alert says nothing, so look at the mesh by hand where you must be sure.");
}

#[test]
fn an_incident_that_joined_another_says_where_it_goes_on() {
    let reason = CloseReason::Joined { into: IncidentId::new(3), by: who("U0ONCALL") };
    let incident = Incident { life: Life::Closed { at: at(30), reason }, ladder: Ladder::Still, ..opened() };
    insta::assert_snapshot!(Card::of(&incident).summary(), @"INC-7 MTLSHandshakeFailureRateHigh: web svc/frontend (closed): Joined INC-3 at 2026-03-01 03:30:00 UTC, said by @U0ONCALL: its alerts go on there.");
    let post = crate::chat::wording::notice(&crate::incident::Notice::Closed, &incident);
    insta::assert_snapshot!(post.summary(), @"Joined INC-3, which is open for the same service, said by @U0ONCALL. Its alerts go on there, and nobody is called for this one any more. Go on in the thread of INC-3.");
}
