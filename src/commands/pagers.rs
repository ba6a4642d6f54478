//! A pager as it is configured: its secrets read and its address looked at, without calling it.

use secrecy::ExposeSecret;

use crate::{
    chat::{
        checked,
        pager::{PAGERDUTY_EVENTS, Pager},
    },
    config::{self, PagerKind},
};

/// The pager of that name, or what is wrong with it. No address is shown: it may be a secret itself.
pub(super) fn pager(name: &str, file: &config::PagerFile) -> Result<Pager, String> {
    let key = file.key.as_ref().map(|key| key.read(&format!("pagers.{name}.key"))).transpose()?;
    let url = file.url.as_ref().map(|url| url.read(&format!("pagers.{name}.url"))).transpose()?;
    if url.as_ref().is_some_and(|url| checked(url.expose_secret()).is_err()) {
        return Err(format!(
            "pagers.{name}.url: the address is not https, and not on this machine, so it is never called; it is not \
             shown, since it may be a secret"
        ));
    }
    match (file.kind, key, url) {
        (PagerKind::Generic, token, Some(url)) => Ok(Pager::Generic { url, token }),
        (PagerKind::Generic, _, None) => Err(format!("pagers.{name}.url: a generic pager needs an address")),
        (PagerKind::Pagerduty, Some(routing_key), url) => {
            Ok(Pager::PagerDuty { url: url.unwrap_or_else(|| PAGERDUTY_EVENTS.into()), routing_key })
        }
        (PagerKind::Pagerduty, None, _) => Err(format!("pagers.{name}.key: PagerDuty needs a routing key")),
    }
}
