//! Typed evidence, examiners, diagnosis. Pure.

mod fix;
mod verdict;

pub use fix::FixName;
pub use verdict::{
    CallAtOnce, Check, CheckResult, Confidence, Consequence, Never, NotChecked, On, RuledOut, Scenario, Side,
    VERDICT_SCHEMA, Verdict,
};
