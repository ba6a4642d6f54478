//! Pagers, by configuration only: calling one rings somebody.

use secrecy::ExposeSecret;

use super::finding::Finding;
use crate::{
    chat::checked,
    config::{Config, Pager, PagerKind},
};

const AREA: &str = "pagers";

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    let all = config.pagers.iter().map(|(name, pager)| match problem(name, pager) {
        None => Finding::ok(AREA, format!("{name} has its address and key; it is not called")),
        Some(problem) => Finding::missing(AREA, problem, "mend it in the configuration (pagers)"),
    });
    all.collect()
}

fn problem(name: &str, pager: &Pager) -> Option<String> {
    let key = pager.key.as_ref().map(|key| key.read(&format!("pagers.{name}.key"))).transpose();
    let url = pager.url.as_ref().map(|url| url.read(&format!("pagers.{name}.url"))).transpose();
    match (pager.kind, key, url) {
        (_, Err(problem), _) | (_, _, Err(problem)) => Some(problem),
        (PagerKind::Generic, _, Ok(None)) => Some(format!("pagers.{name}.url: a generic pager needs an address")),
        (PagerKind::Pagerduty, Ok(None), _) => Some(format!("pagers.{name}.key: PagerDuty needs a routing key")),
        // The address may be the secret itself: it is not shown.
        (_, _, Ok(Some(url))) if checked(url.expose_secret()).is_err() => {
            Some(format!("pagers.{name}.url: the address is not https, so it is never called"))
        }
        _ => None,
    }
}
