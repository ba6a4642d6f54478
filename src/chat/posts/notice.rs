//! What happened, said in the thread.

use jiff::{SignedDuration, Timestamp};

use super::{
    Post,
    call::{self, CauseFollows},
    checks,
    fixes::{approval_wanted, ended, plan_moved, question_outdated, replaced, started, step_settled},
    raw::checks_that_did_not_pass,
};
use crate::{
    chat::card::{
        self, Line, code, command, command_line, lasted, level_name, person, strong, survey_lines, text, time,
        verdict_lines, words,
    },
    escalation::{LevelNumber, Rung},
    incident::{CloseReason, Follows, Incident, IncidentStatus, Notice, carries_out},
    people::{Mention, PersonId},
    triage::Survey,
};

/// The post for one notice. Never without lines.
#[expect(clippy::too_many_lines, reason = "a table of sentences, one arm a notice: it reads best whole")]
pub fn notice(notice: &Notice, incident: &Incident) -> Post {
    let id = incident.id;
    match notice {
        Notice::Reminder { level, until } => reminder(incident, *level, *until),
        Notice::Unreachable { level, why, follows } => Post {
            broadcast: true,
            ..Post::saying(vec![vec![
                strong(unreachable(&level_name(incident, *level), why, *follows)),
                text(what_follows(*follows)),
                text(" Mend it in the configuration (people.levels)."),
            ]])
        },
        Notice::FellBack { level, pager } => Post::saying(vec![words(format!(
            "The chat could not be reached for a while, so {} was called by the fall-back pager {pager}.",
            level_name(incident, *level)
        ))]),
        Notice::MissedWindow { seconds } => Post::saying(vec![words(format!(
            "The bot was down when a window ended and noticed it {} late. The next window starts now, so that levels are \
             not called all at once.",
            lasted(*seconds)
        ))]),
        Notice::Acknowledged { by, until } => Post::saying(vec![vec![
            person(by),
            text(" has it. Nobody else is called for now. Without a sign of work by "),
            time(*until),
            text(" the level is called again."),
        ]]),
        Notice::HandedTo { to, by } => Post {
            mentions: vec![to.into()],
            broadcast: true,
            links: call::links(incident),
            ..Post::saying(vec![
                vec![
                    person(by),
                    text(" hands "),
                    strong(id.to_string()),
                    text(" to "),
                    person(to),
                    text(". It is yours now; the card at the top says where it stands. To give it on: "),
                    command("handoff", id, "@user"),
                ],
                call::about(incident, CauseFollows::InTheThread),
            ])
        },
        Notice::OtherCluster { ours } => Post {
            broadcast: true,
            ..Post::saying(vec![vec![
                strong(format!("An alert of cluster {}, and this bot looks after {ours}.", incident.cluster)),
                text(" People are called about it as usual, and nothing is diagnosed or fixed from here: the bot of "),
                code(incident.cluster.clone()),
                text(" does that. If "),
                code(incident.cluster.clone()),
                text(format!(" is another name of {ours}, put it into the configuration, as ")),
                code(format!("cluster_also: [{}]", incident.cluster)),
                text(": until then none of its alerts is diagnosed. This is said once."),
            ]])
        },
        Notice::IncidentJoined { incident: other, by } => Post::saying(vec![vec![
            strong(format!("{} joined this incident", other.kept_like(id))),
            text(", said by "),
            person(by),
            text(": it is about the same service. Its alerts go on here, and nobody is called for it any more."),
        ]]),
        Notice::RuleUnseeing => Post {
            broadcast: true,
            ..Post::saying(vec![vec![
                strong(format!("{} would not be seen now: ", incident.alert)),
                text(format!(
                    "{}. Nobody is called for that. Mend the rule or its data source; until then this alert says nothing, so \
                     look at the mesh by hand where you must be sure.",
                    card::why_unseeing(incident)
                )),
            ]])
        },
        Notice::TargetWanted => Post {
            broadcast: true,
            ..Post::saying(vec![vec![
                strong("Which service is this about?"),
                text(" The alert has no labels that say so. Tell the bot, and it starts the diagnostics: "),
                command("target", id, "NAMESPACE WORKLOAD"),
            ]])
        },
        Notice::Verdict { .. } => verdict(incident),
        Notice::TriageFailed { reason } => Post::saying(vec![vec![
            strong("The diagnostics could not run: "),
            text(format!("{reason}. Try again with ")),
            command("triage", id, ""),
            text(", or follow the runbook by hand."),
        ]]),
        Notice::ApprovalWanted { plan } => approval_wanted(incident, plan),
        Notice::PlanMoved { what } => plan_moved(what),
        Notice::QuestionOutdated => question_outdated(),
        Notice::FixStarted { fix, by } => started(*fix, by),
        Notice::StepSettled { target, result } => step_settled(target, result),
        Notice::Replaced { old, new, not_after } => Post::saying(vec![replaced(old, new, Some(*not_after))]),
        Notice::FixEnded { fix, end } => ended(incident, *fix, end),
        Notice::Note { by, text: note } => {
            Post::saying(vec![vec![strong("Note"), text(" by "), person(by), text(format!(": {note}"))]])
        }
        Notice::Clearing { until } if incident.storm.is_some() => Post::saying(vec![vec![
            strong("The storm is over:"),
            text(" none of its incidents is left that nobody was called about. It closes at "),
            time(*until),
            text(" unless another one opens."),
        ]]),
        Notice::Clearing { until } if incident.key.is_of_rule() => Post::saying(vec![vec![
            strong(format!("{} can be seen again:", incident.alert)),
            text(" its rule has data and is evaluated. This closes at "),
            time(*until),
            text(" unless that stops."),
        ]]),
        Notice::Clearing { until } => Post::saying(vec![vec![
            strong("All alerts are resolved."),
            text(" Nobody is called for now. It closes at "),
            time(*until),
            text(" unless they fire again."),
        ]]),
        Notice::FiringAgain => Post {
            broadcast: true,
            ..Post::saying(vec![vec![
                strong("It fires again"),
                text(" before it closed. The clock goes on where it stood still: see the card for who has until when."),
            ]])
        },
        Notice::Closed => Post::saying(vec![closed(incident)]),
        Notice::Reopened => Post {
            broadcast: true,
            ..Post::saying(vec![vec![
                strong("Open again: "),
                text(format!(
                    "it fired again soon after closing. {}What was found and tried before is above in this thread.",
                    looking(incident)
                )),
            ]])
        },
        Notice::Stale { last_seen } => Post::saying(vec![vec![
            strong("The alert is no longer repeated"),
            text(" (last seen at "),
            time(*last_seen),
            text(
                ") and was never resolved. Check that Prometheus and Alertmanager are up; the incident stays open until \
                 they say so, or ",
            ),
            command("resolve", id, ""),
        ]]),
        Notice::WritesSwitched { on, by, reason } => writes_switched(*on, by, reason),
        Notice::ClockSet { by } => Post::saying(vec![vec![
            strong(clock_set(*by)),
            text(
                " No call is later or earlier for it: every window and deadline ends when it would have, and the times on \
                 the card are by the new clock. Look at the time synchronisation of the machine that the bot runs on.",
            ),
        ]]),
        Notice::Overdue { what, since } => Post::saying(vec![vec![
            strong(format!("The bot is late: {what}")),
            text(" has been owed since "),
            time(*since),
            text(
                ". Do not wait for it: call or look yourself if it matters now. The bot goes on trying; its log and \
                 /readyz say what is in the way.",
            ),
        ]]),
        Notice::CouldNot { what, reason } => {
            Post::saying(vec![vec![strong(format!("The bot could not {what}: ")), text(reason.clone())]])
        }
        Notice::Storm { count } => Post {
            broadcast: true,
            ..Post::saying(vec![vec![
                strong("More incidents are opening than people can be called about one by one"),
                text(format!(
                    " ({} so far). They are called once for all of them. The list: ",
                    (*count).max(incident.storm.unwrap_or(0))
                )),
                command_line("incidents"),
            ]])
        },
    }
}

fn looking(incident: &Incident) -> &'static str {
    let looks = matches!(incident.triage, crate::incident::Triage::Running { .. });
    if looks { "The diagnostics run again. " } else { "" }
}

fn unreachable(level: &str, why: &str, follows: Follows) -> String {
    match follows {
        Follows::OtherWay => format!("{level} could not be called by one of its ways: {why}."),
        _ => format!("{level} cannot be called: {why}."),
    }
}

fn what_follows(follows: Follows) -> &'static str {
    match follows {
        Follows::NextLevel => " The next level is called now.",
        Follows::AllLevels => " It is the last level, so every level is called now.",
        Follows::OtherWay => " It is called by the other way all the same.",
        Follows::NobodyLeft => " Nobody is left who can be called: tell somebody yourself. The bot tries again later.",
        Follows::Nothing => " Somebody else is called, or has it, by now.",
    }
}

fn writes_switched(on: bool, by: &PersonId, reason: &str) -> Post {
    let said = if on { "Fixes may run again: " } else { "Fixes are off, nothing is written to the cluster: " };
    let mut line = vec![strong(said), text("said by "), person(by)];
    if !reason.is_empty() {
        line.push(text(format!(" ({reason})")));
    }
    line.push(text(". "));
    line.push(command_line(if on { "writes off" } else { "writes on" }));
    line.push(text(if on { " stops them." } else { " lets them run again." }));
    Post { broadcast: !on, ..Post::saying(vec![line]) }
}

fn reminder(incident: &Incident, level: Option<LevelNumber>, until: Timestamp) -> Post {
    let holder = match &incident.ladder {
        crate::escalation::Ladder::Running { rung: Rung::Acknowledged { .. }, holder: Some(holder) } => Some(holder),
        _ => None,
    };
    let (line, mentions): (Line, Vec<Mention>) = match (holder, level) {
        (Some(holder), _) => (
            vec![
                person(holder),
                text(": no sign of work for a while. By "),
                time(until),
                text(" the level is called again, unless you give a command, a fix or a note: "),
                command("note", incident.id, "TEXT"),
            ],
            vec![holder.into()],
        ),
        (None, Some(level)) => (
            vec![
                strong(level_name(incident, level)),
                text(" has until "),
                time(until),
                text(" to acknowledge. Acknowledging stops the clock: "),
                command("ack", incident.id, ""),
            ],
            incident.policy.level(level).map(|known| known.mentions.clone()).unwrap_or_default(),
        ),
        (None, None) => (
            vec![
                text("Nobody has acknowledged. Every level is called again at "),
                time(until),
                text(". Acknowledging stops that: "),
                command("ack", incident.id, ""),
            ],
            Vec::new(),
        ),
    };
    Post { mentions, buttons: card::taking(incident), ..Post::saying(vec![line]) }
}

/// The next step after a verdict whose fix can be asked for.
pub(super) const ASK_WITH_THE_BUTTON: &str =
    "Next: ask for the fix with the button; its plan is shown first and nothing is changed yet.";

fn verdict(incident: &Incident) -> Post {
    if let Some(survey) = &incident.survey {
        return surveyed(survey);
    }
    let Some(verdict) = &incident.verdict else {
        return Post::saying(vec![words("The diagnostics ended without a verdict.")]);
    };
    let mut lines = verdict_lines(verdict);
    for fix in &verdict.fixes {
        let mut line = vec![text("Fits: "), code(fix.to_string()), text(format!(" ({}).", card::risk(*fix)))];
        let why = carries_out(incident, *fix).err();
        line.extend(why.as_ref().and_then(card::by_hand).map(|why| text(format!(" {why}"))));
        lines.push(line);
    }
    for never in &verdict.never {
        lines.push(vec![text("Do not try "), code(never.fix.to_string()), text(format!(": {}", never.reason))]);
    }
    let missing = verdict.not_checked.len();
    if missing > 0 {
        lines.push(words(format!("{missing} thing(s) could not be checked; they are listed below.")));
    }
    let buttons = card::ask_for_fixes(incident);
    lines.push(match verdict.next_by_hand() {
        _ if !buttons.is_empty() => words(ASK_WITH_THE_BUTTON),
        Some(step) => words(format!("Next: {step}.")),
        None if verdict.fixes.iter().all(|fix| carries_out(incident, *fix).is_err()) => {
            words("Next: a person does by hand what fits, after the runbook.")
        }
        None => words("Next: the card at the top shows what can be done now."),
    });
    Post { raw: Some(checks(verdict)), buttons, ..Post::saying(lines) }
}

/// What a look at several services of a storm came to.
fn surveyed(survey: &Survey) -> Post {
    let mut lines = vec![vec![strong(format!("{} service(s) of the storm were looked at:", survey.looked_at()))]];
    lines.extend(survey_lines(survey));
    lines.push(vec![
        text("Next: to go on with one service, name its incident, as "),
        command_line("incidents"),
        text(" lists them; it then gets a card, diagnostics and fixes of its own."),
    ]);
    let failed = (!survey.checks.is_empty()).then(|| checks_that_did_not_pass(&survey.checks));
    Post { raw: failed, broadcast: survey.causes().next().is_some(), ..Post::saying(lines) }
}

fn closed(incident: &Incident) -> Line {
    let mut line = vec![strong("Closed")];
    match &incident.status {
        IncidentStatus::Closed { reason: CloseReason::Joined { into, by }, .. } => {
            let into = into.kept_like(incident.id);
            return vec![
                strong(format!("Joined {into}")),
                text(", which is open for the same service, said by "),
                person(by),
                text(". Its alerts go on there, and nobody is called for this one any more. Go on in the thread of "),
                code(into.to_string()),
                text("."),
            ];
        }
        IncidentStatus::Closed { reason: CloseReason::Person(by), .. } => {
            line.extend([text(" by "), person(&by.who), text(by.because())]);
        }
        IncidentStatus::Closed { reason: CloseReason::AlertsResolved, .. } => {
            line.push(text(": the alerts stayed resolved"));
        }
        IncidentStatus::Open | IncidentStatus::Clearing { .. } => {}
    }
    let by_a_person = matches!(&incident.status, IncidentStatus::Closed { reason: CloseReason::Person(_), .. });
    line.push(text(if by_a_person && incident.is_firing() {
        ". The alert that fires now does not reopen it; a new firing does."
    } else {
        ". If it fires again soon, this thread is opened again."
    }));
    line
}

fn clock_set(by: SignedDuration) -> String {
    let which = if by.is_negative() { "back" } else { "forward" };
    format!(
        "The clock of the bot's machine was set {which} by {}.",
        lasted((by.abs() + SignedDuration::from_millis(500)).as_secs())
    )
}
