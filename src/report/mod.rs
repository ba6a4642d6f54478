//! A verdict as text, JSON and Markdown, and calls between workloads as text. Pure.

mod alike;
mod pair;
mod plain;
#[cfg(test)]
mod tests;
mod verdict;

pub use pair::{all_pairs as all_pairs_text, pair as pair_text, what_if as what_if_text};
pub use verdict::{Format, render};
