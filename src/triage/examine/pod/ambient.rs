//! Step 3.3 of a pod in ambient mode: what its node's ztunnel logs of it.

use super::Rows;
use crate::triage::{
    CheckId, CheckResult,
    certificate_sources::missing,
    ends::end_of,
    ztunnel_log::{Said, of_late},
};

impl Rows<'_> {
    pub(super) fn ztunnel_log(&mut self) {
        let Some(gathered) = &self.pod.ztunnel_log else { return };
        let seen = (gathered.source(), gathered.at());
        let Some(log) = gathered.value() else {
            self.add(CheckId::ZtunnelLog, CheckResult::Inconclusive, missing(gathered).unwrap_or_default(), seen, None);
            return;
        };
        let lines: Vec<(&str, Said)> = of_late(log, gathered.at()).collect();
        let failed: Vec<_> = lines.iter().filter(|(_, said)| *said != Said::Connected).collect();
        let (result, summary) = match (failed.last(), lines.last()) {
            (Some((line, Said::Failed(_, meaning))), _) => (
                CheckResult::Fail,
                format!("{meaning}, in the newest of {} line(s) of late: «{}»", failed.len(), end_of(line)),
            ),
            (Some((line, _)), _) => (
                CheckResult::Inconclusive,
                format!(
                    "{} line(s) of late speak of a failure and do not say why, the newest: «{}»",
                    failed.len(),
                    end_of(line)
                ),
            ),
            (None, Some(_)) => (
                CheckResult::Pass,
                "connections with identities on both sides came about of late, and none failed".to_owned(),
            ),
            (None, None) => (CheckResult::Inconclusive, "it says nothing of this pod of late".to_owned()),
        };
        self.add(CheckId::ZtunnelLog, result, summary, seen, None);
    }
}
