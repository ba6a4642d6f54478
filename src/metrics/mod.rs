//! What `/metrics` shows. Every metric stands in `metric.rs`, with its kind, its labels and its help text; the rest of the
//! code names one by its type.

mod counted;
mod metric;

pub use counted::Metrics;
pub use metric::{CallWay, ClockDirection, Metric, MetricKind, MetricName};
