//! What a webhook body came to.

use crate::incident::IncidentId;

/// What a webhook body came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Incidents that opened.
    pub opened: Vec<IncidentId>,
    /// Incidents that changed.
    pub changed: Vec<IncidentId>,
    /// Alerts that said nothing new.
    pub repeated: usize,
}
