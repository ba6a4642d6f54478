//! Who may do what, from user ids and user groups; looked up at the edge, at most five minutes old, failing closed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

use super::client::Client;
use crate::{
    chat::Roster,
    clock::Clock,
    people::{Actor, Mention, PersonId, Platform, RIGHTS_LAST, Role, Whom},
};

/// A group is asked for again after this; between this and [`RIGHTS_LAST`] an old answer still serves when Slack fails.
const REFRESH: SignedDuration = SignedDuration::from_secs(60);

#[derive(Debug, Clone)]
struct Group {
    /// When it was looked up, by the clock that nobody sets.
    read_at: Timestamp,
    members: BTreeSet<String>,
}

/// The directory of one workspace.
pub struct Directory {
    client: Client,
    team: String,
    roster: Roster,
    clock: Arc<dyn Clock>,
    groups: Mutex<BTreeMap<String, Group>>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("team", &self.team).field("roster", &self.roster).finish_non_exhaustive()
    }
}

impl Directory {
    /// A directory; `team` is the workspace's id.
    pub fn new(client: Client, team: String, roster: Roster, clock: Arc<dyn Clock>) -> Self {
        Self { client, team, roster, clock, groups: Mutex::default() }
    }

    /// The clock by which rights grow old.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Who is mentioned when somebody of a role is wanted.
    pub fn holders(&self, role: Role) -> Vec<Mention> {
        self.roster.holders(role).iter().filter(|one| one.platform == Platform::Slack).cloned().collect()
    }

    /// A person with the roles that they have now. When a group that could give a role cannot be looked up, that role is
    /// not given; and when nothing else gives one either, the rights count as not known rather than as none.
    pub async fn actor(&self, user: &str) -> Actor {
        let now = self.clock.now();
        let (mut roles, mut as_of, mut unknown) = (BTreeSet::new(), now, false);
        for role in [Role::Commander, Role::Approver] {
            match self.has(user, role, now).await {
                Some((true, seen)) => {
                    roles.insert(role);
                    as_of = as_of.min(seen);
                }
                Some((false, _)) => {}
                None => unknown = true,
            }
        }
        if roles.is_empty() && unknown {
            as_of = Timestamp::UNIX_EPOCH;
        }
        let id = self.person(user);
        Actor { also: self.roster.same.others(&id), id, roles, as_of }
    }

    fn person(&self, user: &str) -> PersonId {
        PersonId { platform: Platform::Slack, workspace: self.team.clone(), user: user.to_owned() }
    }

    /// Whether the person has the role and since when that is known; `None` when it cannot be known.
    async fn has(&self, user: &str, role: Role, now: Timestamp) -> Option<(bool, Timestamp)> {
        let holders = self.roster.holders(role);
        if self.roster.names(&self.person(user), role) {
            return Some((true, now));
        }
        let mut unknown = false;
        for holder in holders {
            if let Mention { platform: Platform::Slack, whom: Whom::Group(id) } = holder {
                match self.group(id).await {
                    Some(group) if group.members.contains(user) => {
                        let age = self.clock.steady().duration_since(group.read_at);
                        return Some((true, now.saturating_sub(age).unwrap_or(Timestamp::MIN)));
                    }
                    Some(_) => {}
                    None => unknown = true,
                }
            }
        }
        (!unknown).then_some((false, now))
    }

    async fn group(&self, id: &str) -> Option<Group> {
        let known = self.lock().get(id).cloned();
        let now = self.clock.steady();
        let age = |group: &Group| now.duration_since(group.read_at);
        if let Some(fresh) = known.as_ref().filter(|group| age(group) < REFRESH) {
            return Some(fresh.clone());
        }
        match self.client.members(id).await {
            Ok(members) => {
                let group = Group { read_at: now, members: members.into_iter().collect() };
                self.lock().insert(id.to_owned(), group.clone());
                Some(group)
            }
            Err(error) => {
                tracing::warn!(group = id, %error, "a user group could not be looked up");
                known.filter(|group| age(group) <= RIGHTS_LAST)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Group>> {
        // Only whole values are inserted: what a panicking holder left is still right.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
