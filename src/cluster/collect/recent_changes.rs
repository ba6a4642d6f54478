//! What changed shortly before, by the pods that were listed in any case.

use jiff::Timestamp;

use crate::{
    cluster::FoundPod,
    triage::{RecentChange, is_of_late},
};

/// How many changes of SPIRE are kept.
const KEPT_MOST: usize = 20;

/// The creation of pods of the target.
pub(super) fn of_target<'a>(pods: impl Iterator<Item = &'a FoundPod>, now: Timestamp) -> Option<RecentChange> {
    let (mut count, mut of, mut newest) = (0_u32, 0_u32, None);
    for pod in pods {
        of = of.saturating_add(1);
        if let Some(at) = created(pod).filter(|at| is_of_late(*at, now)) {
            count = count.saturating_add(1);
            newest = newest.max(Some(at));
        }
    }
    newest.map(|at| RecentChange::TargetPodsCreated { count, of, at })
}

/// The creation of SPIRE's pods, and the end of their containers.
pub(super) fn of_spire<'a>(pods: impl Iterator<Item = &'a FoundPod>, now: Timestamp) -> Vec<RecentChange> {
    let changes = pods.flat_map(|found| {
        let pod = || found.pod.clone();
        let created = created(found).map(|at| (at, RecentChange::SpirePodCreated { pod: pod(), at }));
        let ended = found.troubles.iter().filter_map(|trouble| {
            let end = trouble.ended.clone()?;
            Some((end.at?, RecentChange::SpireContainerEnded { pod: found.pod.clone(), end }))
        });
        created.into_iter().chain(ended).collect::<Vec<_>>()
    });
    let mut changes: Vec<(Timestamp, RecentChange)> = changes.filter(|(at, _)| is_of_late(*at, now)).collect();
    changes.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    changes.into_iter().map(|(_, change)| change).take(KEPT_MOST).collect()
}

fn created(pod: &FoundPod) -> Option<Timestamp> {
    Timestamp::from_second(pod.started).ok().filter(|at| at.as_second() > 0)
}
