//! Who may do what, as the configuration says; the same on every face.

use crate::people::{Mention, PersonId, Role, SamePeople};

/// Who may do what.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    /// Who may command.
    pub commanders: Vec<Mention>,
    /// Who may approve.
    pub approvers: Vec<Mention>,
    /// Who is known by several ids.
    pub same: SamePeople,
}

impl Roster {
    /// The people and groups of a role, on every platform.
    pub fn holders(&self, role: Role) -> &[Mention] {
        match role {
            Role::Commander => &self.commanders,
            Role::Approver => &self.approvers,
        }
    }

    /// Whether a person has a role by their own id.
    pub fn names(&self, person: &PersonId, role: Role) -> bool {
        self.holders(role).contains(&person.into())
    }
}
