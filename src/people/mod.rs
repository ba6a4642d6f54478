//! Actors, roles and levels of people. Pure.
