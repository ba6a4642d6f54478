//! Alerts that Alertmanager left out of its bodies (`truncatedAlerts`), or that an incident could not keep apart. An incident
//! that others joined has alerts of several groups: each group takes back only what it said itself.

use super::Incident;

/// How many groups are told apart. An incident whose alerts come in more has been joined by many others, and says already
/// that targets are missing.
const GROUPS_MOST: usize = 20;

impl Incident {
    /// Whether a body of `group` with so many alerts cut off says something new.
    pub fn is_news_of_cut_off(&self, group: &str, count: u64) -> bool {
        // Before groups were told apart, the newest body had the word.
        let unknown = if self.cut_off_by.is_empty() { self.cut_off } else { 0 };
        let known = self.cut_off_by.get(group).copied();
        let has_room = known.is_some() || self.cut_off_by.len() < GROUPS_MOST;
        has_room && known.unwrap_or(unknown) != count
    }

    pub(super) fn cuts_off(&mut self, group: Option<&String>, count: u64) {
        let Some(group) = group else {
            self.cut_off_by.clear();
            self.cut_off = count;
            return;
        };
        if count == 0 {
            self.cut_off_by.remove(group);
        } else {
            self.cut_off_by.insert(group.clone(), count);
        }
        self.cut_off = self.cut_off_by.values().copied().fold(0, u64::saturating_add);
    }
}
