//! How events change what is remembered of calls.

use jiff::Timestamp;

use super::{
    CallReason, Event, FirstCall, Incident, IncidentStatus, Lacks, LevelCall, PageState, PagerAlert, Triage,
    UnexplainedMention,
    calls::{Known, MENTIONS_MOST, PAGES_MOST, Ways},
};
use crate::escalation::{LevelNumber, PagerName, Rung};

pub(super) fn apply_calls(incident: &mut Incident, event: &Event, at: Timestamp) {
    let version = incident.version;
    incident.calls.unexplained.retain(|mention| mention.completed.is_none());
    let fresh = |level: LevelNumber, rung: Rung, beside: Option<Timestamp>| LevelCall {
        level,
        rung,
        version,
        mentioned: false,
        paged: false,
        rings_again: None,
        refused: 0,
        fell_back: false,
        beside,
        waits: None,
    };
    match event {
        Event::CalledBeside { level, rung, .. } => {
            incident.calls.ask(fresh(*level, *rung, Some(at)));
            incident.calls.by_evidence = incident.calls.by_evidence.max(Some(*level));
        }
        Event::RungBegan { rung, call, reason } => {
            let waits = waits(incident, reason);
            for level in call {
                incident.calls.ask(LevelCall { waits: waits.clone(), ..fresh(*level, *rung, None) });
            }
            // As versions that put the lower levels aside stored it.
            if let (CallReason::Evidence { .. }, Rung::Waiting { level, .. }) = (reason, rung) {
                incident.calls.by_evidence = incident.calls.by_evidence.max(Some(*level));
            }
        }
        Event::LevelCalled { level, by_pager, page, lacks, mention } => {
            // The end of a page that was under way while the alerts ended is told at once: it has reached nobody.
            let ended = *by_pager && matches!(incident.status, IncidentStatus::Clearing { .. });
            incident.calls.change(*level, |asked| {
                asked.mentioned |= !by_pager;
                asked.paged |= by_pager;
                if ended {
                    asked.page_ended(version);
                }
            });
            if incident.calls.first.iter().all(|first| first.level != *level) {
                incident.calls.first.push(FirstCall { level: *level, version });
            }
            if let Some((pager, key)) = page {
                keep_page(incident, *level, pager, key, *lacks);
            }
            if let Some((to, post)) = mention {
                let (to, post) = (to.clone(), post.clone());
                incident.calls.unexplained.push(UnexplainedMention { to, level: *level, post, completed: None });
                let surplus = incident.calls.unexplained.len().saturating_sub(MENTIONS_MOST);
                incident.calls.unexplained.drain(..surplus);
            }
            incident.calls.complete(Known::of(incident), version);
        }
        Event::PageUncertain { level, pager, key } => keep_page(incident, *level, pager, key, Lacks::default()),
        Event::CardPosted { to, link } => {
            if let Some(link) = link {
                incident.calls.card = Some(link.clone());
                incident.calls.cards.insert(to.face, link.clone());
            }
            incident.calls.complete(Known::of(incident), version);
        }
        Event::TriageFinished { .. } | Event::TriageFailed { .. } | Event::Surveyed { .. } => {
            incident.calls.complete(Known::of(incident), version);
        }
        Event::LevelUnreachable { level, .. } => {
            incident.calls.change(*level, |asked| asked.refused = asked.refused.saturating_add(1));
        }
        Event::FellBack { level, .. } => incident.calls.change(*level, |asked| asked.fell_back = true),
        Event::Acknowledged { .. } | Event::HandedTo { .. } => {
            forget_unreached(incident);
            incident.calls.asked.clear();
            incident.calls.end_pages(PageState::Acknowledged, version);
        }
        Event::ClearingBegan { .. } => {
            // Who was woken by a page that has ended is woken again if it fires again.
            let pages = incident.calls.pages.clone();
            let rang = |asked: &&mut LevelCall| pages.iter().any(|page| page.level == asked.level);
            incident.calls.asked.iter_mut().filter(rang).for_each(|asked| asked.page_ended(version));
            incident.calls.end_pages(PageState::Resolved, version);
        }
        Event::ClearingEnded => ask_again(incident),
        Event::Closed { .. } => {
            incident.calls.asked.clear();
            incident.calls.end_pages(PageState::Resolved, version);
        }
        Event::Reopened => {
            incident.calls.by_evidence = None;
            incident.calls.first.clear();
            // What the calls of the opening before lack is no longer what is looked for.
            incident.calls.unexplained.clear();
        }
        _ => {}
    }
}

fn keep_page(incident: &mut Incident, level: LevelNumber, pager: &PagerName, key: &str, lacks: Lacks) {
    let version = incident.version;
    // An acknowledgement forgets who was asked, so those asked by now were asked after it, for help.
    let for_help = incident.calls.of(level).is_some_and(|asked| asked.beside.is_some());
    // A page that was under way while somebody acknowledged, or while the alerts ended, is ended as well.
    let state = match (&incident.status, incident.ladder.rung()) {
        (IncidentStatus::Open, Some(Rung::Acknowledged { .. })) if !for_help => PageState::Acknowledged,
        (IncidentStatus::Open, _) => PageState::Ringing,
        (IncidentStatus::Clearing { .. } | IncidentStatus::Closed { .. }, _) => PageState::Resolved,
    };
    let known = &mut incident.calls.pages;
    known.retain(|page| page.state != PageState::Resolved && page.key != *key);
    let (pager, key) = (pager.clone(), key.to_owned());
    known.push(PagerAlert { pager, level, key, state, version, lacks, completed: None });
    // Forgotten, it would ring for ever: it is ended first.
    let surplus = known.len().saturating_sub(PAGES_MOST);
    for oldest in known.iter_mut().take(surplus) {
        oldest.state = PageState::Resolved;
        oldest.version = version;
    }
}

/// A call beside the window that an acknowledgement drops before it reached its level was not made: the same evidence calls
/// for help later.
fn forget_unreached(incident: &mut Incident) {
    let calls = &mut incident.calls;
    let newest = calls.by_evidence.and_then(|level| calls.of(level));
    if newest.is_some_and(|asked| asked.beside.is_some() && !asked.got_through()) {
        let reached = calls.asked.iter().filter(|asked| asked.beside.is_some() && asked.got_through());
        calls.by_evidence = reached.map(|asked| asked.level).max();
    }
}

/// The window goes on: the bot calls those again whom it has not reached yet, since it dropped a call that fell into the pause.
fn ask_again(incident: &mut Incident) {
    let Some(running) = incident.ladder.rung().copied() else { return };
    let is_called = |level: LevelNumber| match running {
        Rung::Waiting { level: at, .. } => level <= at,
        Rung::AllPaged { .. } => true,
        Rung::Acknowledged { .. } => false,
    };
    let mut all = std::mem::take(&mut incident.calls.asked);
    for one in &mut all {
        // The same instant: no call was dropped, and one that is not made yet is still there.
        if one.rung != running && (one.beside.is_some() || is_called(one.level)) && Ways::left(incident, one).any() {
            one.rung = running;
            one.version = incident.version;
            one.rings_again = None;
            one.refused = 0;
            one.fell_back = false;
            one.waits = waits(incident, &CallReason::FiringAgain);
        }
    }
    incident.calls.asked = all;
}

/// Why a call waits for the diagnosis: the first of an opening does, while the diagnosis runs.
fn waits(incident: &Incident, reason: &CallReason) -> Option<CallReason> {
    let first = matches!(reason, CallReason::Opened | CallReason::FiringAgain);
    (first && matches!(incident.triage, Triage::Running { .. })).then(|| reason.clone())
}
