//! Pagers, by configuration only: calling one rings somebody.

use super::finding::Finding;
use crate::{commands::pagers::pager, config::Config};

const AREA: &str = "pagers";

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let all = config.pagers.iter().map(|(name, file)| match pager(name, file) {
        Ok(_) => Finding::ok(AREA, format!("{name} has its address and key; it is not called")),
        Err(problem) => Finding::missing(AREA, problem, "mend it in the configuration (pagers)"),
    });
    all.collect()
}
