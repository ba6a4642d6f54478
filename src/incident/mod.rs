//! The incident: its state, what it can be asked, what happened to it, and what must be done. Pure.
