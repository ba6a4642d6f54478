//! What the file means: checked as a whole, with the defaults filled in, and every problem told at once.

use std::time::Duration;

use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};

use super::{Config, ConfigError, duration::TimeSpan, file::RosterFile, ids, mesh::settings};
use crate::{
    alertmanager::{Authentication, Credential, Mapping},
    approval::ApprovalRule,
    chat::checked,
    cluster::{Settings, rights::fixes_left_out},
    escalation::{self, Level, LevelNumber, PagerName},
    incident::{OwnCluster, Policy, WebAddress},
};

/// The settled configuration.
pub struct SettledConfig {
    /// The rules of decisions.
    pub policy: Policy,
    /// Who may send alerts.
    pub authentication: Authentication,
    /// Which are ours.
    pub mapping: Mapping,
    /// Where things are in the mesh.
    pub settings: Settings,
    /// How long the journal keeps raw evidence; `None` leaves the engine's default.
    pub keep: Option<SignedDuration>,
    /// The address of the heartbeat, and the pause between two.
    pub heartbeat: Option<(SecretString, Duration)>,
}

/// The shortest `keep`: the engine repeats answers to requests for as long, and forgets nothing before.
const KEPT_AT_LEAST: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The longest name of a cluster that people type behind an incident's.
const TYPED_MOST: usize = 40;
/// The shortest pause between heartbeats: most watchers reject faster callers.
const BEATS_AT_MOST_EVERY: Duration = Duration::from_secs(10);
/// The pause between heartbeats where the configuration names none.
const BEATS_EVERY: Duration = Duration::from_mins(1);

impl Config {
    /// Checks everything; reads the secrets of the webhook.
    pub fn settle(&self) -> Result<SettledConfig, ConfigError> {
        let mut problems = Vec::new();
        let authentication = self.authentication(&mut problems);
        let levels = self.levels(&mut problems);
        let settings = settings(&self.mesh, &self.triage, &mut problems);
        self.check_people(&mut problems);
        self.check_cluster(&mut problems);
        self.check_runbook(&mut problems);
        ids::check(self, &mut problems);
        let keep = self.keep.map(|span| span.0);
        if keep.is_some_and(|keep| keep < KEPT_AT_LEAST) {
            problems.push("keep: at least 7d, so that what is asked twice within a week gets one answer".to_owned());
        }
        let heartbeat = self.heartbeat(&mut problems);
        if !problems.is_empty() {
            return Err(ConfigError::Problems(problems));
        }
        let labels = self.alertmanager.labels.clone();
        let mapping = Mapping {
            alerts: self.alertmanager.alerts.clone(),
            cluster_label: labels.cluster,
            namespace_label: labels.namespace,
            service_label: labels.service,
            pod_label: labels.pod,
            cluster: self.cluster.clone(),
        };
        Ok(SettledConfig { policy: self.policy(levels), authentication, mapping, settings, keep, heartbeat })
    }

    fn heartbeat(&self, problems: &mut Vec<String>) -> Option<(SecretString, Duration)> {
        let file = self.heartbeat.as_ref()?;
        let every = file.every.map_or(BEATS_EVERY, |span| Duration::try_from(span.0).unwrap_or(BEATS_EVERY));
        if every < BEATS_AT_MOST_EVERY {
            problems.push("heartbeat.every: at least 10s".to_owned());
        }
        let called = |url: SecretString| match checked(url.expose_secret()) {
            Ok(_) => Ok(url),
            Err(_) => {
                Err("heartbeat.url: the address is not https, and not on this machine: it is not called; it is not \
                           shown, since it is a secret"
                    .to_owned())
            }
        };
        match file.url.read("heartbeat.url").and_then(called) {
            Ok(url) => Some((url, every)),
            Err(problem) => {
                problems.push(problem);
                None
            }
        }
    }

    /// The runbook's address.
    pub fn runbook(&self) -> Option<&str> {
        let once = self.slack.as_ref().and_then(|slack| slack.runbook.as_deref());
        self.runbook.as_deref().or(once)
    }

    fn check_runbook(&self, problems: &mut Vec<String>) {
        // The old place was never looked at, and files of that time stay readable.
        if self.runbook.as_deref().is_some_and(|address| WebAddress::parse(address).is_none()) {
            problems.push("runbook: it is no address that people can open: https://…".to_owned());
        }
    }

    fn authentication(&self, problems: &mut Vec<String>) -> Authentication {
        let mut credentials = Vec::new();
        for (place, token) in self.alertmanager.bearer_tokens.iter().enumerate() {
            match token.read(&format!("alertmanager.bearer_tokens[{place}]")) {
                Ok(token) => credentials.push(Credential::Bearer(token)),
                Err(problem) => problems.push(problem),
            }
        }
        if let Some(basic) = &self.alertmanager.basic {
            match basic.password.read("alertmanager.basic.password") {
                Ok(password) => credentials.push(Credential::Basic { user: basic.user.clone(), password }),
                Err(problem) => problems.push(problem),
            }
        }
        let named = !self.alertmanager.bearer_tokens.is_empty() || self.alertmanager.basic.is_some();
        match (named, self.alertmanager.authenticated_by_proxy) {
            (true, true) => problems.push(
                "alertmanager: authenticated_by_proxy lets everybody in who reaches the port: leave the credentials or it out"
                    .to_owned(),
            ),
            (false, true) => return Authentication::AtTheProxy,
            (false, false) => problems.push(
                "alertmanager: nobody would be asked who they are: set bearer_tokens or basic, or say \
                 authenticated_by_proxy: true when a proxy does it"
                    .to_owned(),
            ),
            (true, false) => {}
        }
        Authentication::Credentials(credentials)
    }

    fn levels(&self, problems: &mut Vec<String>) -> Vec<Level> {
        if self.people.levels.is_empty() || self.people.levels.len() > 9 {
            problems.push("people.levels: name one to nine levels".to_owned());
        }
        let fallback = self.people.fallback_pager.as_ref();
        if let Some(pager) = fallback.filter(|pager| !self.pagers.contains_key(*pager)) {
            problems.push(format!("people.fallback_pager: {pager:?} is not among pagers"));
        }
        let mut levels = Vec::new();
        for (number, level) in (1_u8..).zip(&self.people.levels) {
            if let Some(pager) = level.pager.as_ref().filter(|pager| !self.pagers.contains_key(*pager)) {
                problems.push(format!("people.levels: L{number} calls the pager {pager:?}, which is not among pagers"));
            }
            let mentions = level.mention.mentions();
            if mentions.is_empty() && level.pager.is_none() {
                problems.push(format!("people.levels: L{number} {:?} has nobody to mention and no pager", level.team));
            }
            levels.push(Level {
                number: LevelNumber(number),
                team: level.team.clone(),
                window: level.window.0,
                mentions,
                pager: level.pager.clone().map(PagerName),
            });
        }
        levels
    }

    fn check_people(&self, problems: &mut Vec<String>) {
        let nobody = |roster: &RosterFile| roster.mentions().is_empty();
        if nobody(&self.people.commanders) {
            problems.push(
                "people.commanders: name at least one user, group or role, else nobody can acknowledge".to_owned(),
            );
        }
        if self.writes && nobody(&self.people.approvers) {
            problems.push(
                "writes: true needs people.approvers: a fix is approved by somebody else than its requester".to_owned(),
            );
        }
    }

    /// The cluster that the bot looks after, by all of its names.
    pub fn own_cluster(&self) -> OwnCluster {
        OwnCluster::new(&self.cluster, self.cluster_also.iter().cloned())
    }

    fn check_cluster(&self, problems: &mut Vec<String>) {
        if self.cluster_also.iter().any(|name| name.trim().is_empty()) {
            problems.push("cluster_also: a cluster has a name".to_owned());
        }
        let typed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        let fits = self.cluster.len() <= TYPED_MOST && self.cluster.chars().all(typed);
        if self.slack.as_ref().is_some_and(|slack| slack.shared_app) && !fits {
            problems.push(format!(
                "slack.shared_app: ids carry the cluster then, so its name has only letters, digits, '-', '_' and '.', and at \
                 most {TYPED_MOST} of them"
            ));
        }
    }

    fn policy(&self, levels: Vec<Level>) -> Policy {
        let usual = Policy::usual(escalation::EscalationPolicy::of(levels), self.channels());
        let or = |given: Option<TimeSpan>, usual: SignedDuration| given.map_or(usual, |span| span.0);
        let ladder = usual.escalation;
        Policy {
            cluster: self.own_cluster(),
            escalation: escalation::EscalationPolicy {
                repeat_every: or(self.escalation.repeat, ladder.repeat_every),
                reminder_percent: self.escalation.reminder_percent.unwrap_or(ladder.reminder_percent).min(99),
                fallback_pager: self.people.fallback_pager.clone().map(PagerName),
                ..ladder
            },
            approval: ApprovalRule {
                needed: self.approval.needed.unwrap_or(usual.approval.needed).max(1),
                expires_after: or(self.approval.expires_after, usual.approval.expires_after),
            },
            hold: or(self.escalation.hold, usual.hold),
            flap: or(self.escalation.flap, usual.flap),
            stale_after: or(self.escalation.stale_after, usual.stale_after),
            storm_per_minute: self.escalation.storm_per_minute.unwrap_or(usual.storm_per_minute).max(1),
            verification_window: or(self.approval.verification_window, usual.verification_window),
            settled_within: or(self.approval.settled_within, usual.settled_within),
            writes_enabled: self.writes,
            left_out: fixes_left_out(&self.kubernetes.without),
            channels: usual.channels,
        }
    }
}
