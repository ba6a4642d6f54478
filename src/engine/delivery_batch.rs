//! Webhook bodies on their way to one transaction.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    accepted::Accepted,
    change::{extend, unchanged},
    shared::Shared,
    storm_brake::Openings,
    submit_error::SubmitError,
};
use crate::{
    incident::{
        AlertDelivery, AlertEffect, AlertSighting, AlertStatus, Event, Fingerprint, Incident, IncidentId, IncidentKey,
        Policy, SightingContext, end_cut_off, ends_beside, say_aloud, sight,
    },
    journal::{Append, Change, JournalError, StoredIncident},
};

/// Of how many other clusters the channel is told: a label that is never the same tells nobody anything.
const CLUSTERS_TOLD_MOST: u32 = 20;

fn cluster_told(cluster: &str) -> String {
    format!("cluster/{cluster}")
}

/// What bodies make of their incidents, before it is stored.
pub(super) struct DeliveryBatch<'a> {
    shared: &'a Shared,
    now: Timestamp,
    policy: Policy,
    /// The incidents that the bodies are about, changed in place.
    changes: Vec<Change>,
    /// Where among them the incident of a key is; `None` where nothing is known of the key.
    places: BTreeMap<IncidentKey, Option<usize>>,
    /// Incidents that its source says still fire.
    seen: BTreeSet<IncidentId>,
    /// Alertmanager's groups, and the places of the incidents that changed by each.
    groups: BTreeSet<(String, usize)>,
    /// How many alerts of the body an incident could not keep apart, by its place.
    too_many: BTreeMap<usize, u64>,
    /// What the body came to so far.
    body: Body,
    bodies: Vec<Body>,
    openings: Openings<'a>,
    /// Other clusters of which the channel has yet to hear, and is told by this body.
    told: Vec<(String, Timestamp)>,
    /// Clusters that were asked about.
    asked: BTreeMap<String, bool>,
}

/// What one body came to.
#[derive(Debug, Default)]
struct Body {
    /// The places of the incidents that opened.
    opened: BTreeSet<usize>,
    /// Those that changed or opened.
    touched: BTreeSet<usize>,
    /// Alerts that said nothing new.
    repeated: usize,
}

/// What bodies came to, to be stored.
pub(super) struct BatchToStore<'a> {
    pub(super) append: Append,
    pub(super) openings: Openings<'a>,
    pub(super) sums: Sums,
}

/// What each body came to, by places in the append: incidents get their names when they are stored.
pub(super) struct Sums {
    /// The incident at each place; `None` for one that opens.
    names: Vec<Option<IncidentId>>,
    bodies: Vec<Body>,
}

impl Sums {
    /// The same, once the incidents that opened have their names, in the order of their places.
    pub(super) fn named(self, opened: &[IncidentId]) -> Vec<Accepted> {
        let mut opened = opened.iter().copied();
        let names: Vec<_> = self.names.into_iter().map(|name| name.or_else(|| opened.next())).collect();
        let name = |place: &usize| names.get(*place).copied().flatten();
        let of_one = |body: Body| Accepted {
            opened: body.opened.iter().filter_map(name).collect(),
            changed: body.touched.difference(&body.opened).filter_map(name).collect(),
            repeated: body.repeated,
        };
        self.bodies.into_iter().map(of_one).collect()
    }
}

impl<'a> DeliveryBatch<'a> {
    pub(super) fn new(shared: &'a Shared, now: Timestamp) -> Self {
        Self {
            shared,
            now,
            policy: shared.rules.policy(),
            changes: Vec::new(),
            places: BTreeMap::new(),
            seen: BTreeSet::new(),
            groups: BTreeSet::new(),
            too_many: BTreeMap::new(),
            body: Body::default(),
            bodies: Vec::new(),
            openings: shared.incoming.brake.openings(now),
            told: Vec::new(),
            asked: BTreeMap::new(),
        }
    }

    /// Reads the newest incidents of these keys at once, for the bodies that name them.
    pub(super) async fn load(&mut self, keys: &[&IncidentKey]) -> Result<(), SubmitError> {
        let stored = self.shared.journal.newest_of_each(keys).await?;
        self.places.extend(keys.iter().map(|key| ((*key).clone(), None)));
        for (key, stored) in stored {
            let stored = self.shared.followed(stored).await?;
            let place = self.keep(stored);
            self.places.insert(key, Some(place));
        }
        Ok(())
    }

    /// Takes one body.
    pub(super) async fn take(&mut self, delivery: &AlertDelivery) -> Result<(), SubmitError> {
        let mut places = BTreeSet::new();
        // What fires first: a body that ends one alert of an incident and brings another has it at no moment without one.
        let (firing, mut rest): (Vec<_>, Vec<_>) =
            delivery.alerts.iter().partition(|sighting| sighting.status == AlertStatus::Firing);
        // What each incident is told by this body to fire.
        let mut fires: BTreeMap<(usize, &Fingerprint), &AlertSighting> = BTreeMap::new();
        for sighting in firing {
            let place = self.place_of(sighting).await?;
            let is_full = |incident: &Incident| incident.is_live() && !incident.has_room_for(&sighting.fingerprint);
            if self.incident(place).is_some_and(is_full) {
                // What this body ends may make room for it.
                rest.push(sighting);
            } else {
                let place = self.take_at(delivery, sighting, place).await?;
                if let Some(place) = place {
                    let latest = fires.entry((place, &sighting.fingerprint)).or_insert(sighting);
                    *latest = if sighting.said_start() > latest.said_start() { sighting } else { latest };
                }
                places.extend(place);
            }
        }
        for sighting in rest {
            let place = self.place_of(sighting).await?;
            let beside = place.and_then(|place| fires.get(&(place, &sighting.fingerprint)));
            if sighting.status == AlertStatus::Resolved
                && beside.is_some_and(|firing| !ends_beside(firing, sighting, self.now))
            {
                self.repeated(sighting, place);
                continue;
            }
            places.extend(self.take_at(delivery, sighting, place).await?);
        }
        self.take_cut_off(delivery, places).await?;
        let body = std::mem::take(&mut self.body);
        self.groups.extend(body.touched.iter().map(|place| (delivery.group_key.clone(), *place)));
        self.bodies.push(body);
        self.too_many.clear();
        Ok(())
    }

    /// Where the incident of an alert is: the newest of its key, or the one that is open under the key that an earlier
    /// version gave it.
    async fn place_of(&mut self, sighting: &AlertSighting) -> Result<Option<usize>, SubmitError> {
        let place = self.find(&sighting.key).await?;
        let Some(earlier) = &sighting.earlier_key else { return Ok(place) };
        // An incident that is full keeps no more alerts apart, so it is not asked for each of them.
        let settled = |incident: &Incident| {
            incident.is_live()
                && (incident.alerts.contains_key(&sighting.fingerprint)
                    || !incident.has_room_for(&sighting.fingerprint))
        };
        if self.incident(place).is_some_and(settled) {
            return Ok(place);
        }
        let Some(stored) = self.newest(earlier).await? else { return Ok(place) };
        let goes_on = stored.incident.is_live() || stored.incident.key != *earlier;
        // Keys of that time could be those of two clusters.
        let is_its = stored.incident.cluster == sighting.cluster
            && stored.incident.alert == sighting.name
            && stored.incident.target == sighting.target;
        let knows = stored.incident.alerts.contains_key(&sighting.fingerprint);
        Ok(if goes_on && (knows || is_its && sighting.target.is_some()) { Some(self.keep(stored)) } else { place })
    }

    /// The newest incident of a key, read once a body.
    async fn find(&mut self, key: &IncidentKey) -> Result<Option<usize>, SubmitError> {
        if let Some(place) = self.places.get(key) {
            return Ok(*place);
        }
        let stored = self.newest(key).await?;
        let place = stored.map(|stored| self.keep(stored));
        self.places.insert(key.clone(), place);
        Ok(place)
    }

    /// Reads whether the channel was told of another cluster, once a body.
    async fn ask_about_cluster(&mut self, cluster: &str) -> Result<(), SubmitError> {
        if self.policy.cluster.is(cluster) || self.asked.contains_key(cluster) {
            return Ok(());
        }
        let what = cluster_told(cluster);
        let may_tell = self.shared.journal.may_tell(&what, CLUSTERS_TOLD_MOST).await?;
        self.asked.insert(cluster.to_owned(), may_tell);
        Ok(())
    }

    /// The newest incident of a key, or the one that it joined.
    async fn newest(&self, key: &IncidentKey) -> Result<Option<StoredIncident>, JournalError> {
        match self.shared.journal.newest_of(key).await? {
            Some(newest) => self.shared.followed(newest).await.map(Some),
            None => Ok(None),
        }
    }

    /// The place of an incident that was read.
    fn keep(&mut self, stored: StoredIncident) -> usize {
        let known = self.changes.iter().position(|change| change.after.id == stored.incident.id);
        known.unwrap_or_else(|| {
            self.changes.push(unchanged(stored.incident, self.now));
            self.changes.len().saturating_sub(1)
        })
    }

    fn incident(&self, place: Option<usize>) -> Option<&Incident> {
        self.changes.get(place?).map(|change| &change.after)
    }

    /// What is known besides an alert of this body.
    fn sighted<'b>(&'b self, delivery: &'b AlertDelivery, quiet: bool) -> SightingContext<'b> {
        let group = Some(delivery.group_key.as_str());
        SightingContext { now: self.now, policy: &self.policy, fresh: IncidentId::UNNUMBERED, quiet, group }
    }

    async fn take_at(
        &mut self,
        delivery: &AlertDelivery,
        sighting: &AlertSighting,
        place: Option<usize>,
    ) -> Result<Option<usize>, SubmitError> {
        self.ask_about_cluster(&sighting.cluster).await?;
        Ok(self.take_alert(delivery, sighting, place))
    }

    /// Takes one alert; the place of its incident, if it has one.
    fn take_alert(
        &mut self,
        delivery: &AlertDelivery,
        sighting: &AlertSighting,
        place: Option<usize>,
    ) -> Option<usize> {
        let means = |batch: &Self, quiet| sight(batch.incident(place), sighting, &batch.sighted(delivery, quiet));
        match means(self, false) {
            AlertEffect::Nothing => self.repeated(sighting, place),
            AlertEffect::Change(events) if events.contains(&Event::Reopened) => {
                let quiet = self.is_too_much(sighting);
                if let AlertEffect::Change(events) = means(self, quiet) {
                    self.add(place, events);
                }
            }
            AlertEffect::Change(events) => self.add(place, events),
            AlertEffect::Open(_) => {
                let quiet = self.is_too_much(sighting);
                if let AlertEffect::Open(mut events) = means(self, quiet) {
                    let may_tell = self.asked.get_mut(&sighting.cluster).filter(|may_tell| **may_tell);
                    if let Some(may_tell) = may_tell
                        && say_aloud(&mut events)
                    {
                        *may_tell = false;
                        self.told.push((cluster_told(&sighting.cluster), self.now));
                    }
                    return self.open(&sighting.key, events);
                }
            }
        }
        place
    }

    /// Counts one more opening, and says whether it is more than people can carry. What calls nobody is not counted.
    fn is_too_much(&mut self, sighting: &AlertSighting) -> bool {
        sighting.unseeing.is_none() && self.openings.add(self.policy.storm_per_minute)
    }

    fn repeated(&mut self, sighting: &AlertSighting, place: Option<usize>) {
        self.body.repeated = self.body.repeated.saturating_add(1);
        let Some((place, incident)) = place.zip(self.incident(place)) else { return };
        if sighting.status != AlertStatus::Firing {
            return;
        }
        let (id, has_room) = (incident.id, incident.has_room_for(&sighting.fingerprint));
        self.seen.insert(id);
        if !has_room {
            let more = self.too_many.entry(place).or_default();
            *more = more.saturating_add(1);
        }
    }

    fn open(&mut self, key: &IncidentKey, events: Vec<Event>) -> Option<usize> {
        let change = self.shared.opening(events, self.now)?;
        let place = self.changes.len();
        self.changes.push(change);
        self.body.opened.insert(place);
        self.body.touched.insert(place);
        self.places.insert(key.clone(), Some(place));
        Some(place)
    }

    fn add(&mut self, place: Option<usize>, events: Vec<Event>) {
        let Some((place, change)) = place.and_then(|place| Some((place, self.changes.get_mut(place)?))) else { return };
        if events.is_empty() {
            return;
        }
        self.body.touched.insert(place);
        if events.iter().any(|event| matches!(event, Event::AlertFired { .. })) {
            self.seen.insert(change.after.id);
        }
        extend(change, events, self.now, &self.policy);
        let put_right = self.policy.cluster.put_right(&change.after);
        extend(change, put_right, self.now, &self.policy);
    }

    /// A body that was cut: its incidents say so until one comes whole; a resolved group ends also the alerts that it
    /// does not list.
    async fn take_cut_off(&mut self, delivery: &AlertDelivery, mut places: BTreeSet<usize>) -> Result<(), SubmitError> {
        if delivery.truncated > 0 {
            let stored = self.shared.journal.live_in_group(&delivery.group_key).await?;
            for stored in stored {
                places.insert(self.keep(stored));
            }
            // Those that the bodies before opened are not stored yet.
            let before = self.groups.iter().filter(|(group, _)| *group == delivery.group_key);
            places.extend(before.map(|(_, place)| *place));
        }
        let listed: Vec<&str> = delivery.alerts.iter().map(|alert| alert.fingerprint.0.as_str()).collect();
        let over = delivery.status == AlertStatus::Resolved;
        for place in places {
            if let Some(incident) = self.incident(Some(place)).filter(|_| over && delivery.truncated > 0) {
                let events = end_cut_off(incident, &listed, &self.sighted(delivery, false));
                self.add(Some(place), events);
            }
            let Some(incident) = self.incident(Some(place)) else { continue };
            let missing = delivery.truncated.saturating_add(self.too_many.get(&place).copied().unwrap_or(0));
            // Of a group that is over nothing is missing any more.
            let count = if over { 0 } else { missing };
            if incident.is_live() && incident.is_news_of_cut_off(&delivery.group_key, count) {
                let group = Some(delivery.group_key.clone());
                self.add(Some(place), vec![Event::AlertsCutOff { count, group }]);
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> BatchToStore<'a> {
        // Where each incident is among those that changed.
        let mut moved_to = BTreeMap::new();
        let mut changes = Vec::new();
        for (place, change) in self.changes.into_iter().enumerate().filter(|(_, change)| !change.events.is_empty()) {
            moved_to.insert(place, changes.len());
            changes.push(change);
        }
        let moved = |place: &usize| moved_to.get(place).copied();
        let of_one = |body: Body| Body {
            opened: body.opened.iter().filter_map(moved).collect(),
            touched: body.touched.iter().filter_map(moved).collect(),
            repeated: body.repeated,
        };
        let names = changes.iter().map(|change| (change.read_version > 0).then_some(change.after.id)).collect();
        let sums = Sums { names, bodies: self.bodies.into_iter().map(of_one).collect() };
        // An incident that opens is seen at that moment.
        let seen = self.seen.into_iter().filter(|id| *id != IncidentId::UNNUMBERED);
        let groups = self.groups.into_iter().filter_map(|(group, place)| Some((group, moved(&place)?)));
        let append = Append {
            seen: seen.map(|id| (id, self.now)).collect(),
            groups: groups.collect(),
            changes,
            told: self.told,
            ..Append::default()
        };
        BatchToStore { append, openings: self.openings, sums }
    }
}
