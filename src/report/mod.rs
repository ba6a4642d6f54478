//! A verdict as text, JSON and Markdown. Pure.

mod verdict;

pub use verdict::{Format, render};
