//! Pagers, by configuration only: calling one rings somebody.

use super::finding::DoctorFinding;
use crate::{commands::pagers::pager, config::Config};

const AREA: &str = "pagers";

pub(super) fn examine(config: &Config) -> Vec<DoctorFinding> {
    let all = config.pagers.iter().map(|(name, file)| match pager(name, file) {
        Ok(_) => DoctorFinding::ok(AREA, format!("{name} has its address and key; it is not called")),
        Err(problem) => DoctorFinding::missing(AREA, problem, "mend it in the configuration (pagers)"),
    });
    all.collect()
}
