//! Counters and gauges in Prometheus' text form.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
};

use crate::legible;

/// The most series that are kept: labels come from closed lists, so this is never reached unless something is wrong.
const SERIES_MOST: usize = 1000;

/// All series of the process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<BTreeMap<String, (MetricKind, u64)>>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MetricKind {
    Counter,
    Gauge,
}

fn series(name: &str, labels: &[(&str, &str)]) -> String {
    // Names of the configuration may hold what the text form escapes.
    let escaped = |value: &str| legible::line(value).replace('\\', "\\\\").replace('"', "\\\"");
    let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value))).collect();
    if labels.is_empty() { format!("mtls_medic_{name}") } else { format!("mtls_medic_{name}{{{}}}", labels.join(",")) }
}

impl Metrics {
    /// Adds to a counter. Labels must come from closed lists, never from outside.
    pub fn count(&self, name: &str, labels: &[(&str, &str)], by: u64) {
        self.change(series(name, labels), MetricKind::Counter, |value| value.saturating_add(by));
    }

    /// Brings a counter to what is counted elsewhere.
    pub fn raise(&self, name: &str, labels: &[(&str, &str)], to: u64) {
        self.change(series(name, labels), MetricKind::Counter, |value| value.max(to));
    }

    /// Sets a gauge.
    pub fn set(&self, name: &str, labels: &[(&str, &str)], to: u64) {
        self.change(series(name, labels), MetricKind::Gauge, |_| to);
    }

    /// Sets every series of a gauge to nothing: those that are not set again were of something that is over.
    pub fn clear(&self, name: &str) {
        let (alone, labelled) = (series(name, &[]), format!("{}{{", series(name, &[])));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (series, entry) in all.iter_mut() {
            if *series == alone || series.starts_with(&labelled) {
                entry.1 = 0;
            }
        }
    }

    fn change(&self, series: String, kind: MetricKind, change: impl FnOnce(u64) -> u64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= SERIES_MOST && !all.contains_key(&series) {
            return;
        }
        let entry = all.entry(series).or_insert((kind, 0));
        entry.1 = change(entry.1);
    }

    /// The exposition.
    pub fn render(&self) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        let mut last = "";
        for (series, (kind, value)) in all.iter() {
            let name = series.split('{').next().unwrap_or(series);
            if name != last {
                let kind = if *kind == MetricKind::Counter { "counter" } else { "gauge" };
                // Writing into a String cannot fail.
                let _ = writeln!(out, "# TYPE {name} {kind}");
                last = name;
            }
            let _ = writeln!(out, "{series} {value}");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_configuration_breaks_no_line_and_hides_nothing_in_a_label() {
        let metrics = Metrics::default();
        metrics.count("pager_calls_total", &[("pager", "a\u{202e}b\u{200b}\n\"c\\\u{1b}")], 1);
        assert_eq!(
            metrics.render(),
            "# TYPE mtls_medic_pager_calls_total counter\nmtls_medic_pager_calls_total{pager=\"ab \\\"c\\\\ \"} 1\n"
        );
    }

    #[test]
    fn what_is_over_is_shown_as_nothing_and_neighbours_stay() {
        let metrics = Metrics::default();
        metrics.set("effects_due", &[("room", "Cluster")], 3);
        metrics.set("effects_due_long_ago", &[], 2);
        metrics.clear("effects_due");
        metrics.set("effects_due", &[("room", "Pager")], 1);
        let shown = metrics.render();
        for line in [
            "mtls_medic_effects_due{room=\"Cluster\"} 0",
            "mtls_medic_effects_due{room=\"Pager\"} 1",
            "mtls_medic_effects_due_long_ago 2",
        ] {
            assert!(shown.contains(line), "{shown}");
        }
    }
}
