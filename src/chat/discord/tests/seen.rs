//! What people read on Discord, as a night goes on.

use jiff::SignedDuration;

use super::drawn;
use crate::{
    chat::{
        card::{Card, Link, tests as night, utc},
        discord::{
            as_read::as_read,
            message::{self, Message},
        },
        posts,
    },
    engine::ChecksSoFar,
    escalation::{Ladder, LevelNumber},
    incident::{CallReason, CloseReason, Incident, IncidentStatus, Notice, RunNumber},
    people::{Mention, Platform},
    remediation::Proof,
};

fn seen(message: &Message) -> String {
    as_read(message, utc).join("\n")
}

fn posted(notice: &Notice, incident: &Incident, mentions: &[Mention]) -> String {
    seen(&message::post(&posts::notice(notice, incident), mentions, "post"))
}

#[test]
fn the_card_when_it_opens() {
    let mut card = Card::of(&night::opened());
    card.links = [("Runbook", "https://wiki.example.org/mtls"), ("Graph", "http://grafana:3000/d/1")]
        .map(|(label, url)| Link { label: label.to_owned(), url: url.to_owned() })
        .to_vec();
    insta::assert_snapshot!(seen(&message::card(&card, "card")), @"
    │ 🔴 INC-7 MTLSHandshakeFailureRateHigh: web svc/frontend
    │ UNANSWERED · Looking into it now. L1 has until 2026-03-01 03:15:00 UTC to acknowledge.
    │ [Graph](http://grafana:3000/d/1)
    │ ON THE HOOK
    │ L1 Platform On-Call has until 2026-03-01 03:15:00 UTC to acknowledge.
    │ Then L2 Platform Security is called.
    │ Acknowledging stops the clock: press the button or say `/mtls ack incident:INC-7`
    │ WHAT IS WRONG
    │ MTLSHandshakeFailureRateHigh in cluster prod, since 2026-03-01 02:55:00 UTC
    │ Service: `web svc/frontend`
    │ 9 % of handshakes of web/frontend fail
    │ DIAGNOSIS
    │ The diagnostics were asked for at 2026-03-01 03:00:00 UTC; from their turn on they take 20 s at most.
    │ BLAST RADIUS
    │ 1 of 1 alert(s) firing.
    │ Named by the alerts, not checked: `web/frontend-7d9c5b6f4-aaaaa`
    │ – INC-7 · card 8367cd66fdd136bb
    [Acknowledge] [Escalate to L2 Platform Security] [Resolve]
    [Runbook ↗]
    ");
}

#[test]
fn the_card_of_a_plan_that_waits_for_approval() {
    insta::assert_snapshot!(seen(&drawn(&night::asking())), @"
    │ 🟠 INC-7 MTLSHandshakeFailureRateHigh: web svc/frontend
    │ IN HAND · Diagnosis: expired certificate. @U0ONCALL (Slack) has it.
    │ ON THE HOOK
    │ @U0ONCALL (Slack) has it for L1 Platform On-Call; the clock is stopped.
    │ Without a sign of work (a command, a fix or a note) by 2026-03-01 03:18:00 UTC, L1 is called again.
    │ WHAT IS WRONG
    │ MTLSHandshakeFailureRateHigh in cluster prod, since 2026-03-01 02:55:00 UTC
    │ Service: `web svc/frontend`
    │ 9 % of handshakes of web/frontend fail
    │ DIAGNOSIS
    │ expired certificate (high confidence), where the service is called, seen at 2026-03-01 03:01:00 UTC
    │ • the SVID of web/frontend-7d9c5b6f4-aaaaa expired 40 min ago
    │ Follows from it, and needs no fix of its own: certificates will run out, their renewal is overdue.
    │ FIX UNDER WAY
    │ `restart-pod`, asked for by @U0ONCALL (Slack): waits for approval.
    │ Plan `1e972060` for web svc/frontend, drawn at 2026-03-01 03:03:00 UTC:
    │ 1. evict `web/frontend-7d9c5b6f4-aaaaa` on node-1, replaced by ReplicaSet/frontend-7d9c5b6f4: its SVID expired 40 min ago
    │ 3 of 3 pods are ready now. Disruption budget frontend lets 1 pod(s) go now.
    │ Careful: connections of this pod are cut
    │ Undo: nothing to undo: the controller brings up a new pod of the same template
    │ 0 of 1 approvals. The question ends at 2026-03-01 03:33:00 UTC.
    │ The person who asked cannot approve. Others: the buttons, or `/mtls approve incident:INC-7` and `/mtls reject incident:INC-7`.
    │ WHAT CAN BE DONE
    │ • `restart-pod`: low risk; replaces one pod after the other within its disruption budget, and cuts the connections of each.
    │ • never `restart-spire-agent`: the agent renews for others
    │ BLAST RADIUS
    │ 1 of 1 alert(s) firing.
    │ Shown to be affected: `web/frontend-7d9c5b6f4-aaaaa`
    │ Named by the alerts, not checked: `web/frontend-7d9c5b6f4-aaaaa`
    │ NOT CHECKED
    │ • proxy log: logs are forbidden: grant get on pods/log
    │ – INC-7 · card 54e6afd4fd21b75d
    [Approve 1e972060] [Reject 1e972060] [Withdraw restart-pod] [Escalate to L2 Platform Security] [Resolve]
    ");
}

#[test]
fn the_card_while_fixes_are_switched_off() {
    let card = Card::of(&night::diagnosed()).with_writes_off();
    insta::assert_snapshot!(seen(&message::card(&card, "card")), @"
    │ 🔴 INC-7 MTLSHandshakeFailureRateHigh: web svc/frontend
    │ UNANSWERED · Diagnosis: expired certificate. L1 has until 2026-03-01 03:15:00 UTC to acknowledge.
    │ ON THE HOOK
    │ L1 Platform On-Call has until 2026-03-01 03:15:00 UTC to acknowledge.
    │ Then L2 Platform Security is called.
    │ Acknowledging stops the clock: press the button or say `/mtls ack incident:INC-7`
    │ WHAT IS WRONG
    │ MTLSHandshakeFailureRateHigh in cluster prod, since 2026-03-01 02:55:00 UTC
    │ Service: `web svc/frontend`
    │ 9 % of handshakes of web/frontend fail
    │ DIAGNOSIS
    │ expired certificate (high confidence), where the service is called, seen at 2026-03-01 03:01:00 UTC
    │ • the SVID of web/frontend-7d9c5b6f4-aaaaa expired 40 min ago
    │ Follows from it, and needs no fix of its own: certificates will run out, their renewal is overdue.
    │ WHAT CAN BE DONE
    │ • `restart-pod`: low risk; replaces one pod after the other within its disruption budget, and cuts the connections of each.
    │ • never `restart-spire-agent`: the agent renews for others
    │ Fixes are switched off, so the bot only diagnoses. Approvers: `/mtls writes switch:on`, if the configuration allows fixes (writes).
    │ BLAST RADIUS
    │ 1 of 1 alert(s) firing.
    │ Shown to be affected: `web/frontend-7d9c5b6f4-aaaaa`
    │ Named by the alerts, not checked: `web/frontend-7d9c5b6f4-aaaaa`
    │ NOT CHECKED
    │ • proxy log: logs are forbidden: grant get on pods/log
    │ – INC-7 · card 8367cd66fdd136bb
    [Acknowledge] [Triage again] [Escalate to L2 Platform Security] [Resolve]
    ");
}

#[test]
fn the_card_says_that_posts_wait_for_discord_and_how_far_a_triage_is() {
    let looked = ChecksSoFar { checks: 2, newest: "log of spire-agent".to_owned() };
    let card = Card::of(&night::opened()).with_progress(Some(&looked)).with_backlog(3, Platform::Discord, night::at(5));
    let text = seen(&message::card(&card, "card"));
    for line in [
        "│ Looked at 2 things so far, the newest: `log of spire-agent`",
        "│ 3 post(s) of the bot waited at 2026-03-01 03:05:00 UTC, because Discord takes them slower now. Calls go first, and nothing is left out.",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn the_card_after_an_unproven_fix() {
    insta::assert_snapshot!(seen(&drawn(&night::after(Proof::Unproven))), @"
    │ 🟠 INC-7 MTLSHandshakeFailureRateHigh: web svc/frontend
    │ IN HAND · restart-pod is unproven. @U0ONCALL (Slack) has it.
    │ ON THE HOOK
    │ @U0ONCALL (Slack) has it for L1 Platform On-Call; the clock is stopped.
    │ Without a sign of work (a command, a fix or a note) by 2026-03-01 03:18:00 UTC, L1 is called again.
    │ WHAT IS WRONG
    │ MTLSHandshakeFailureRateHigh in cluster prod, since 2026-03-01 02:55:00 UTC
    │ Service: `web svc/frontend`
    │ When it began to fire: 9 % of handshakes of web/frontend fail
    │ After restart-pod: it is not known how much fails, because nothing was counted. The alert speaks of what was before.
    │ DIAGNOSIS
    │ Found before restart-pod ran, so it may no longer hold. Look again: `/mtls triage incident:INC-7`
    │ expired certificate (high confidence), where the service is called, seen at 2026-03-01 03:01:00 UTC
    │ • the SVID of web/frontend-7d9c5b6f4-aaaaa expired 40 min ago
    │ Follows from it, and needs no fix of its own: certificates will run out, their renewal is overdue.
    │ WHAT WAS TRIED
    │ `restart-pod` is unproven: handshakes grew by 120, failures by 0 (asked for by @U0ONCALL (Slack), approved by @U0SEC (Slack), took 4 min, ended at 2026-03-01 03:12:00 UTC)
    │ WHAT CAN BE DONE
    │ • `restart-pod`: low risk; replaces one pod after the other within its disruption budget, and cuts the connections of each.
    │ • never `restart-spire-agent`: the agent renews for others
    │ BLAST RADIUS
    │ 1 of 1 alert(s) firing.
    │ Replaced since: `web/frontend-7d9c5b6f4-aaaaa` by `web/frontend-7d9c5b6f4-bbbbb`
    │ NOT CHECKED
    │ • proxy log: logs are forbidden: grant get on pods/log
    │ – INC-7 · card 54e6afd4fd21b75d
    [Ask for restart-pod] [Verify again] [Triage again] [Escalate to L2 Platform Security] [Resolve]
    ");
}

#[test]
fn the_card_while_it_clears_and_when_it_has_closed() {
    let clearing = Incident { status: IncidentStatus::Clearing { until: night::at(20) }, ..night::diagnosed() };
    let message = drawn(&clearing);
    assert_eq!(message.embeds[0].color, Some(0x09_69_da), "blue");
    insta::assert_snapshot!(message.embeds[0].description.as_ref().unwrap(), @"**CLEARING** · **All alerts are resolved.** It closes by itself at <t:1772335200:f> unless they fire again.");
    let status = IncidentStatus::Closed { at: night::at(30), reason: CloseReason::AlertsResolved };
    let closed = drawn(&Incident { status, ladder: Ladder::Still, ..night::diagnosed() });
    assert_eq!((closed.embeds[0].color, closed.components.len()), (Some(0x1a_7f_37), 0));
    insta::assert_snapshot!(closed.embeds[0].description.as_ref().unwrap(), @"**CLOSED** · **Closed** at <t:1772335800:f>: its alerts stayed resolved.");
}

#[test]
fn a_call_says_in_its_text_who_is_called_and_why() {
    let call = posts::call(LevelNumber(1), &CallReason::Opened, &night::opened());
    let role = [Mention::group(Platform::Discord, "771122334455667788")];
    let message = message::post(&call, &role, "call");
    assert_eq!(message.allowed_mentions.roles, ["771122334455667788"]);
    insta::assert_snapshot!(seen(&message), @"
    <@&771122334455667788> L1 Platform On-Call is mentioned: a new incident.
    │ INC-7 MTLSHandshakeFailureRateHigh on `web svc/frontend`. The diagnosis is still running; this message will say the cause.
    │ Acknowledge by 2026-03-01 03:15:00 UTC, or L2 Platform Security is called. Acknowledging stops the clock: `/mtls ack incident:INC-7`
    │ – post 7edb360f06acaef2
    [Acknowledge]
    ");
}

#[test]
fn the_posts_that_ask_and_tell() {
    let approvers = [Mention::user(Platform::Discord, "42")];
    insta::assert_snapshot!(posted(&Notice::ApprovalWanted { plan: night::plan().id() }, &night::asking(), &approvers), @r#"
    <@42> Approval wanted: @U0ONCALL (Slack) asks for `restart-pod` (low risk; replaces one pod after the other within its disruption budget, and cuts the connections of each). Somebody else has to approve it by 2026-03-01 03:33:00 UTC.
    │ Plan `1e972060` for web svc/frontend, drawn at 2026-03-01 03:03:00 UTC:
    │ 1. evict `web/frontend-7d9c5b6f4-aaaaa` on node-1, replaced by ReplicaSet/frontend-7d9c5b6f4: its SVID expired 40 min ago
    │ 3 of 3 pods are ready now. Disruption budget frontend lets 1 pod(s) go now.
    │ Careful: connections of this pod are cut
    │ Undo: nothing to undo: the controller brings up a new pod of the same template
    │ These lines would do the same by hand:
    │ echo '{"apiVersion":"policy/v1","deleteOptions":{"preconditions":{"uid":"0a1b2c3d"}},"kind":"Eviction","metadata":{"name":"frontend-7d9c5b6f4-aaaaa","namespace":"web"}}' | kubectl create --raw /api/v1/namespaces/web/pods/frontend-7d9c5b6f4-aaaaa/eviction -f -
    │ – post 72231043bc1807e6
    [Approve 1e972060] [Reject 1e972060]
    "#);
    insta::assert_snapshot!(posted(&Notice::Verdict { run: RunNumber(1) }, &night::diagnosed(), &[]), @"
    │ expired certificate (high confidence), where the service is called, seen at 2026-03-01 03:01:00 UTC
    │ • the SVID of web/frontend-7d9c5b6f4-aaaaa expired 40 min ago
    │ Follows from it, and needs no fix of its own: certificates will run out, their renewal is overdue.
    │ Fits: `restart-pod` (low risk; replaces one pod after the other within its disruption budget, and cuts the connections of each).
    │ Do not try `restart-spire-agent`: the agent renews for others
    │ 1 thing(s) could not be checked; they are listed below.
    │ Next: ask for the fix with the button; its plan is shown first and nothing is changed yet.
    │ not checked   proxy log: logs are forbidden: grant get on pods/log
    │ FAIL          1.1-svid-dates web/frontend-7d9c5b6f4-aaaaa: the SVID expired 40 min ago
    │               exec cat /run/spire/svid/svid.crt, 2026-03-01 03:01:00 UTC
    │ – post 72231043bc1807e6
    [Ask for restart-pod]
    ");
    let until = night::at(15) + SignedDuration::from_secs(1);
    insta::assert_snapshot!(posted(&Notice::Reminder { level: Some(LevelNumber(1)), until }, &night::opened(), &approvers), @"
    <@42>
    │ L1 Platform On-Call has until 2026-03-01 03:15:01 UTC to acknowledge. Acknowledging stops the clock: `/mtls ack incident:INC-7`
    │ – post 72231043bc1807e6
    [Acknowledge]
    ");
}

#[test]
fn a_press_that_needs_a_second_word_is_asked_back() {
    let card = Card::of(&night::asking());
    let (confirm, press) =
        card.buttons.iter().find_map(|button| Some((button.confirm.clone()?, button.press.clone()))).unwrap();
    let back = message::ask_back(&confirm, &press);
    insta::assert_snapshot!(seen(&back), @"
    │ Approve restart-pod?
    │ Plan 1e972060: 1 pod(s) of web svc/frontend are evicted, one after the other.
    │ To go back, dismiss this message.
    [Approve]
    ");
    assert_eq!(back.presses(), [press]);
    assert!(
        back.components[0].components[0].custom_id.as_deref().unwrap().starts_with("1!"),
        "the second press counts"
    );
}
