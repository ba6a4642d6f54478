//! A verdict as text, JSON and Markdown. Pure.

mod plain;
#[cfg(test)]
mod tests;
mod verdict;

pub use verdict::{Format, render};
