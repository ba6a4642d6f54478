//! An incident to draw, at each moment of its night.

use super::super::*;
use crate::{
    approval::Question,
    escalation::{EscalationPolicy, Level, LevelNumber, PagerName},
    incident::{
        Alert, AlertSighting, Destination, Face, Fingerprint, Fix, FixEnd, FixNumber, FixPhase, IncidentKey, PastFix,
        Run, RunNumber, Triage,
    },
    mesh::{ControllerRef, Namespace, NodeName, ObjectName, PodRef, PodUid, TargetKind, TargetRef},
    people::{Mention, PersonId, Platform},
    remediation::{Budget, Operation, Plan, PlanContent, PodEviction, Proof, StepResult, Verification},
    triage::{
        Check, CheckId, CheckResult, Confidence, Consequence, Contraindicated, FixName, NotChecked, On, Scenario, Side,
        Subject, VERDICT_SCHEMA, Verdict,
    },
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

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

pub(crate) fn policy() -> EscalationPolicy {
    let level = |number, team: &str, minutes, mention: Mention| Level {
        number: LevelNumber(number),
        team: team.to_owned(),
        window: SignedDuration::from_mins(minutes),
        mentions: vec![mention],
        pager: (number == 1).then(|| PagerName("night".to_owned())),
    };
    EscalationPolicy {
        levels: vec![
            level(1, "Platform On-Call", 15, Mention::group(Platform::Slack, "S0ONCALL")),
            level(2, "Platform Security", 30, Mention::group(Platform::Slack, "S0SECURITY")),
            level(3, "Infrastructure", 60, Mention::user(Platform::Slack, "U0INFRA")),
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
        status: IncidentStatus::Open,
        alerts: BTreeMap::from([(
            sighting.fingerprint.clone(),
            Alert { status: sighting.status, group: None, start_before: None, sighting },
        )]),
        cut_off: 0,
        cut_off_by: std::collections::BTreeMap::new(),
        stale_since: None,
        quiet: false,
        joined: None,
        calls: crate::incident::Calls::default(),
        storm: None,
        storm_look: None,
        survey: None,
        policy: policy(),
        ladder: Ladder::Running { rung: Rung::Waiting { level: LevelNumber(1), until: at(15) }, holder: None },
        channels: vec![Destination { face: Face::Slack, channel: "C0NIGHT".to_owned() }],
        triage: Triage::Running { run: RunNumber(1), since: at(0) },
        left_out: Vec::new(),
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
        subject: Subject::Pod(pod("frontend-7d9c5b6f4-aaaaa")),
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
        reasons: vec!["the SVID of web/frontend-7d9c5b6f4-aaaaa expired 40 min ago".into()],
        ruled_out: Vec::new(),
        consequences: vec![Consequence::RotationOverdue],
        checks: vec![check],
        not_checked: vec![NotChecked {
            what: "proxy log".to_owned(),
            why: "logs are forbidden: grant get on pods/log".to_owned(),
        }],
        fixes: vec![FixName::RestartPod],
        never: vec![Contraindicated {
            fix: FixName::RestartSpireAgent,
            reason: "the agent renews for others".to_owned(),
        }],
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
        verdict.reasons = vec![text.into()];
        for check in &mut verdict.checks {
            check.subject = Subject::Other(text.to_owned());
            (check.summary, check.source) = (text.to_owned(), text.to_owned());
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
        controller: ControllerRef::new("ReplicaSet", "frontend-7d9c5b6f4"),
        workload: ControllerRef::new("deploy", "frontend"),
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
    let question = Question {
        requester: who("U0ONCALL"),
        expires_at: at(33),
        approved_by: BTreeSet::new(),
        needed: 1,
        known_beside_requester: BTreeSet::new(),
    };
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
    let run = Run { approved_by: vec![who("U0SEC")], since: Some(self::at(8)), steps_done: 1, quorum: None };
    let (requester, results) = (Some(who("U0ONCALL")), vec![result]);
    let past = PastFix { number: FixNumber(1), name, requester, run, plan, results, verifies: None, end, at };
    Incident { fix: None, past_fixes: vec![past], version: 20, ..asking() }
}

/// A storm of 64 that was looked at: two services suffer from SPIRE's server, a third shows nothing, a fourth is not there.
pub(crate) fn stormy() -> Incident {
    use crate::{
        incident::StormLook,
        triage::{SharedFact, StatedReason, Survey},
    };
    let service = |namespace: &str, name: &str| TargetRef::parse(namespace.parse().unwrap(), name).unwrap();
    let found = |target, scenario, confidence, reasons: Vec<StatedReason>| Verdict {
        target,
        scenario,
        confidence,
        reasons,
        checks: Vec::new(),
        on: On { side: Side::Unknown, pods: Vec::new(), lives: Vec::new(), nodes: Vec::new() },
        ..diagnosed().verdict.unwrap()
    };
    let down = SharedFact::NoSpireServer.stated("the healthcheck of spire-server-0 fails");
    let verdicts = [
        found(service("payments", "checkout"), Scenario::SpireServer, Confidence::High, vec![down.clone()]),
        found(
            service("web", "gateway"),
            Scenario::SpireServer,
            Confidence::Medium,
            vec![down, "its SVID ended 40 min ago".into()],
        ),
        found(service("web", "frontend"), Scenario::NoFaultFound, Confidence::High, Vec::new()),
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
