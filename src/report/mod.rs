//! A verdict or an incident as text, JSON and Markdown. Pure.
