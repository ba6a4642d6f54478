//! The values of the metrics, and how Prometheus reads them.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
};

use super::metric::{Metric, MetricName, PREFIX};
use crate::legible;

/// The most series that are kept: labels come from closed lists, so this is never reached unless something is wrong.
const SERIES_MOST: usize = 1000;

/// All series of the process, by metric and the text of its labels. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<BTreeMap<(MetricName, String), u64>>>);

fn labels(metric: Metric<'_>) -> String {
    // Names of the configuration may hold what the text form escapes.
    let escaped = |value: &str| legible::line(value).replace('\\', "\\\\").replace('"', "\\\"");
    let labels = metric.labels().into_iter().map(|(key, value)| format!("{key}=\"{}\"", escaped(value)));
    let labels = labels.collect::<Vec<_>>().join(",");
    if labels.is_empty() { labels } else { format!("{{{labels}}}") }
}

impl Metrics {
    /// Adds to a counter.
    pub fn count(&self, metric: Metric<'_>, by: u64) {
        self.change(metric, |value| value.saturating_add(by));
    }

    /// Brings a counter to what is counted elsewhere.
    pub fn raise(&self, metric: Metric<'_>, to: u64) {
        self.change(metric, |value| value.max(to));
    }

    /// Sets a gauge.
    pub fn set(&self, metric: Metric<'_>, to: u64) {
        self.change(metric, |_| to);
    }

    /// Sets every series of a gauge to nothing: those that are not set again were of something that is over.
    pub fn clear(&self, name: MetricName) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for ((of, _), value) in all.iter_mut() {
            if *of == name {
                *value = 0;
            }
        }
    }

    fn change(&self, metric: Metric<'_>, change: impl FnOnce(u64) -> u64) {
        let series = (MetricName::from(metric), labels(metric));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= SERIES_MOST && !all.contains_key(&series) {
            return;
        }
        let value = all.entry(series).or_insert(0);
        *value = change(*value);
    }

    /// The exposition.
    pub fn render(&self) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        let mut last = None;
        for ((metric, labels), value) in all.iter() {
            let name = metric.name();
            // Writing into a String cannot fail.
            if last.replace(*metric) != Some(*metric) {
                let kind: &str = metric.kind().into();
                let _ = writeln!(out, "# HELP {PREFIX}{name} {}\n# TYPE {PREFIX}{name} {kind}", metric.help());
            }
            let _ = writeln!(out, "{PREFIX}{name}{labels} {value}");
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
        let pager = "a\u{202e}b\u{200b}\n\"c\\\u{1b}";
        metrics.count(Metric::PagerCallsTotal { pager, act: "call", result: "sent" }, 1);
        let shown = metrics.render();
        assert_eq!(
            shown.lines().skip(1).collect::<Vec<_>>(),
            [
                "# TYPE mtls_medic_pager_calls_total counter",
                "mtls_medic_pager_calls_total{pager=\"ab \\\"c\\\\ \",act=\"call\",result=\"sent\"} 1"
            ]
        );
    }

    #[test]
    fn what_is_over_is_shown_as_nothing_and_neighbours_stay() {
        let metrics = Metrics::default();
        metrics.set(Metric::EffectsDue { room: "cluster" }, 3);
        metrics.set(Metric::EngineOverdue, 1);
        metrics.clear(MetricName::EffectsDue);
        metrics.set(Metric::EffectsDue { room: "pager" }, 1);
        insta::assert_snapshot!(metrics.render(), @r#"
        # HELP mtls_medic_effects_due what waits to be done
        # TYPE mtls_medic_effects_due gauge
        mtls_medic_effects_due{room="cluster"} 0
        mtls_medic_effects_due{room="pager"} 1
        # HELP mtls_medic_engine_overdue 1 when something is over 60 s late
        # TYPE mtls_medic_engine_overdue gauge
        mtls_medic_engine_overdue 1
        "#);
    }
}
