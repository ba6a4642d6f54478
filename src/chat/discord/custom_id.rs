//! What a button carries through Discord: a press in at most 100 characters, so no JSON.
//!
//! `1?ap:7:prod:…` is version 1, to be asked back first (`?`; `!` is not), the act, the number of the incident, the
//! cluster of the bot, and what the act was drawn for.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::limits::{CUSTOM_ID, length};
use crate::{
    chat::card::Press,
    escalation::LevelNumber,
    incident::{Act, IncidentId},
    remediation::PlanId,
    triage::FixName,
};

/// The version in front, so that a later bot can tell.
const VERSION: char = '1';
/// Closing while the alert fires.
const ANYWAY: &str = "anyway";
/// The length of the hash of a plan, in bytes.
const HASH: usize = 32;

/// A press, and whether it counts at once. Discord has no dialog that asks back: where one belongs, the first press is
/// answered in private, with a button whose press is confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscordPress {
    pub press: Press,
    /// Whether nothing is left to ask: the button asks nothing back, or this is the answer to what was asked back.
    pub confirmed: bool,
}

impl DiscordPress {
    /// The custom id; `None` for an act that no button carries, or one that does not fit.
    pub fn custom_id(&self) -> Option<String> {
        let (code, detail) = act_code(&self.press.act)?;
        let mark = if self.confirmed { '!' } else { '?' };
        let number = self.press.incident.number();
        let id = |cluster: &str| format!("{VERSION}{mark}{code}:{number}:{cluster}:{detail}");
        let cluster = self.press.cluster.as_deref().filter(|cluster| is_carried(cluster)).unwrap_or_default();
        // A cluster with a longer name is left out: only bots that share an app need it, and the configuration gives those a
        // short one.
        [id(cluster), id("")].into_iter().find(|id| length(id) <= CUSTOM_ID)
    }

    /// Reads a custom id. `None` for one that this bot did not write.
    pub fn parse(id: &str) -> Option<Self> {
        let rest = id.strip_prefix(VERSION)?;
        let (confirmed, rest) = match rest.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, rest.strip_prefix('?')?),
        };
        let mut parts = rest.splitn(4, ':');
        let (code, number, cluster, detail) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let incident = IncidentId::new(number.parse().ok()?);
        let cluster = (!cluster.is_empty()).then(|| cluster.to_owned());
        let press = Press { incident, cluster, act: act_of(code, detail)? };
        // Of each press there is one way to write it.
        let read = Self { press, confirmed };
        (read.custom_id().as_deref() == Some(id)).then_some(read)
    }
}

/// Whether a name can stand between the colons.
fn is_carried(cluster: &str) -> bool {
    !cluster.is_empty()
        && cluster.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn act_code(act: &Act) -> Option<(&'static str, String)> {
    let level = |from: &Option<LevelNumber>| from.map_or_else(String::new, |level| level.0.to_string());
    Some(match act {
        Act::Acknowledge => ("ak", String::new()),
        Act::AcknowledgeAll => ("aa", String::new()),
        Act::Triage => ("tr", String::new()),
        Act::Withdraw => ("wd", String::new()),
        Act::Verify => ("vf", String::new()),
        Act::ProposeFix { fix } => ("fx", fix.to_string()),
        Act::Approve { plan } => ("ap", plan_code(plan.as_ref())?),
        Act::Reject { plan } => ("rj", plan_code(plan.as_ref())?),
        Act::Escalate { from } => ("es", level(from)),
        Act::Resolve { reason: None, anyway } => ("rs", if *anyway { ANYWAY.to_owned() } else { String::new() }),
        Act::Resolve { reason: Some(_), .. } | Act::SetTarget { .. } | Act::HandOff { .. } | Act::Note { .. } => {
            return None;
        }
    })
}

fn act_of(code: &str, detail: &str) -> Option<Act> {
    let bare = |act| detail.is_empty().then_some(act);
    match code {
        "ak" => bare(Act::Acknowledge),
        "aa" => bare(Act::AcknowledgeAll),
        "tr" => bare(Act::Triage),
        "wd" => bare(Act::Withdraw),
        "vf" => bare(Act::Verify),
        "fx" => FixName::parse(detail).map(|fix| Act::ProposeFix { fix }),
        "ap" if detail.is_empty() => Some(Act::Approve { plan: None }),
        "ap" => plan_of(detail).map(|plan| Act::Approve { plan: Some(plan) }),
        "rj" if detail.is_empty() => Some(Act::Reject { plan: None }),
        "rj" => plan_of(detail).map(|plan| Act::Reject { plan: Some(plan) }),
        "es" if detail.is_empty() => Some(Act::Escalate { from: None }),
        "es" => detail.parse().ok().map(|level| Act::Escalate { from: Some(LevelNumber(level)) }),
        "rs" => matches!(detail, "" | ANYWAY).then(|| Act::Resolve { reason: None, anyway: detail == ANYWAY }),
        _ => None,
    }
}

/// The whole hash of a plan in 43 characters; in hexadecimal it would leave no room for the cluster.
fn plan_code(plan: Option<&PlanId>) -> Option<String> {
    let Some(plan) = plan else { return Some(String::new()) };
    let bytes = hex::decode(&plan.0).ok().filter(|bytes| bytes.len() == HASH)?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

fn plan_of(detail: &str) -> Option<PlanId> {
    let bytes = URL_SAFE_NO_PAD.decode(detail).ok().filter(|bytes| bytes.len() == HASH)?;
    Some(PlanId(hex::encode(bytes)))
}
