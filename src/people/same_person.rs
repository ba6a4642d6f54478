//! One person with an id on each platform, as the configuration links them. Pure.

use std::collections::BTreeSet;

use super::PersonId;

/// Which ids are one person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SamePeople(Vec<BTreeSet<PersonId>>);

impl SamePeople {
    /// Each set is one person. The configuration refuses an id that stands in two.
    pub fn new(people: impl IntoIterator<Item = BTreeSet<PersonId>>) -> Self {
        Self(people.into_iter().collect())
    }

    /// The other ids of the person who has this one.
    pub fn others(&self, id: &PersonId) -> BTreeSet<PersonId> {
        let all = self.0.iter().find(|person| person.contains(id)).cloned().unwrap_or_default();
        all.into_iter().filter(|other| other != id).collect()
    }
}
