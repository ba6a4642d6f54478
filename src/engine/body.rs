//! One webhook body on its way to one transaction.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Accepted, SubmitError,
    build::Shared,
    inbox::{extend, not_stored, unchanged},
    storm::Openings,
};
use crate::{
    incident::{
        AlertDelivery, AlertSighting, AlertStatus, Event, Incident, IncidentId, IncidentKey, Policy, Seen, Sighted,
        end_cut_off, sight,
    },
    journal::{Append, Change},
};

/// What a body makes of its incidents, before it is stored.
pub(super) struct Draft<'a> {
    shared: &'a Shared,
    now: Timestamp,
    policy: Policy,
    /// The newest incident of each key, changed in place.
    changes: BTreeMap<IncidentKey, Change>,
    unknown: BTreeSet<IncidentKey>,
    seen: Vec<(IncidentId, Timestamp)>,
    groups: Vec<(String, IncidentId)>,
    /// How many alerts an incident could not keep apart.
    too_many: BTreeMap<IncidentKey, u64>,
    accepted: Accepted,
    openings: Openings<'a>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(shared: &'a Shared, now: Timestamp) -> Self {
        Self {
            shared,
            now,
            policy: shared.policy(),
            changes: BTreeMap::new(),
            unknown: BTreeSet::new(),
            seen: Vec::new(),
            groups: Vec::new(),
            too_many: BTreeMap::new(),
            accepted: Accepted::default(),
            openings: shared.storm.openings(now),
        }
    }

    pub(super) async fn take(&mut self, delivery: &AlertDelivery) -> Result<(), SubmitError> {
        for sighting in &delivery.alerts {
            self.load(&sighting.key).await?;
            self.take_alert(delivery, sighting);
        }
        self.take_cut_off(delivery).await
    }

    /// Reads the newest incident of a key, once a body.
    async fn load(&mut self, key: &IncidentKey) -> Result<(), SubmitError> {
        if self.changes.contains_key(key) || self.unknown.contains(key) {
            return Ok(());
        }
        match self.shared.journal.newest_of(key).await.map_err(not_stored)? {
            Some(stored) => {
                self.changes.insert(key.clone(), unchanged(stored.incident, self.now));
            }
            None => {
                self.unknown.insert(key.clone());
            }
        }
        Ok(())
    }

    fn incident(&self, key: &IncidentKey) -> Option<&Incident> {
        self.changes.get(key).map(|change| &change.after)
    }

    fn what_it_means(&self, sighting: &AlertSighting, group: &str, fresh: IncidentId, quiet: bool) -> Seen {
        let context = Sighted { now: self.now, policy: &self.policy, fresh, quiet, group: Some(group) };
        sight(self.incident(&sighting.key), sighting, &context)
    }

    fn take_alert(&mut self, delivery: &AlertDelivery, sighting: &AlertSighting) {
        let group = delivery.group_key.as_str();
        match self.what_it_means(sighting, group, IncidentId(0), false) {
            Seen::Nothing => self.repeated(sighting),
            Seen::Change(events) if events.contains(&Event::Reopened) => {
                let quiet = self.openings.add(self.policy.storm_per_minute);
                if let Seen::Change(events) = self.what_it_means(sighting, group, IncidentId(0), quiet) {
                    self.add(&sighting.key, events);
                    self.note_group(group, &sighting.key);
                }
            }
            Seen::Change(events) => {
                self.add(&sighting.key, events);
                self.note_group(group, &sighting.key);
            }
            Seen::Open(_) => {
                let quiet = self.openings.add(self.policy.storm_per_minute);
                let fresh = self.shared.journal.fresh_id();
                if let Seen::Open(events) = self.what_it_means(sighting, group, fresh, quiet) {
                    self.open(&sighting.key, events);
                    self.note_group(group, &sighting.key);
                }
            }
        }
    }

    fn repeated(&mut self, sighting: &AlertSighting) {
        self.accepted.repeated = self.accepted.repeated.saturating_add(1);
        let Some(incident) = self.changes.get(&sighting.key).map(|change| &change.after) else { return };
        if sighting.status != AlertStatus::Firing {
            return;
        }
        self.seen.push((incident.id, self.now));
        if !incident.has_room_for(&sighting.fingerprint) {
            let more = self.too_many.entry(sighting.key.clone()).or_default();
            *more = more.saturating_add(1);
        }
    }

    /// Which incidents were seen in a group is only asked for when its bodies are cut.
    fn note_group(&mut self, group: &str, key: &IncidentKey) {
        if let Some(id) = self.incident(key).map(|incident| incident.id) {
            self.groups.push((group.to_owned(), id));
        }
    }

    fn open(&mut self, key: &IncidentKey, events: Vec<Event>) {
        let Some(change) = self.shared.opening(events, self.now) else { return };
        self.accepted.opened.push(change.after.id);
        self.unknown.remove(key);
        self.changes.insert(key.clone(), change);
    }

    fn add(&mut self, key: &IncidentKey, events: Vec<Event>) {
        let Some(change) = self.changes.get_mut(key) else { return };
        let id = change.after.id;
        if !self.accepted.opened.contains(&id) && !self.accepted.changed.contains(&id) {
            self.accepted.changed.push(id);
        }
        if events.iter().any(|event| matches!(event, Event::AlertFired { .. })) {
            self.seen.push((id, self.now));
        }
        extend(change, events, self.now, &self.policy);
    }

    /// A body that was cut: its incidents say so until one comes whole; a resolved group ends also the alerts that it
    /// does not list.
    async fn take_cut_off(&mut self, delivery: &AlertDelivery) -> Result<(), SubmitError> {
        let mut keys: Vec<IncidentKey> = delivery.alerts.iter().map(|alert| alert.key.clone()).collect();
        if delivery.truncated > 0 {
            let stored = self.shared.journal.live_in_group(&delivery.group_key).await.map_err(not_stored)?;
            keys.extend(stored.into_iter().map(|stored| stored.incident.key));
        }
        keys.sort();
        keys.dedup();
        let listed: Vec<&str> = delivery.alerts.iter().map(|alert| alert.fingerprint.0.as_str()).collect();
        let ends = delivery.truncated > 0 && delivery.status == AlertStatus::Resolved;
        for key in keys {
            self.load(&key).await?;
            let Some(incident) = self.incident(&key) else { continue };
            if ends {
                let group = Some(delivery.group_key.as_str());
                let context =
                    Sighted { now: self.now, policy: &self.policy, fresh: IncidentId(0), quiet: false, group };
                let events = end_cut_off(incident, &listed, &context);
                if !events.is_empty() {
                    self.add(&key, events);
                }
                continue;
            }
            let count = delivery.truncated.saturating_add(self.too_many.get(&key).copied().unwrap_or(0));
            if incident.is_live() && incident.cut_off != count {
                self.add(&key, vec![Event::AlertsCutOff { count }]);
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> (Append, Accepted, Openings<'a>) {
        let changed = self.changes.into_values().filter(|change| !change.events.is_empty());
        let append = Append { changes: changed.collect(), seen: self.seen, groups: self.groups, ..Append::default() };
        (append, self.accepted, self.openings)
    }
}
