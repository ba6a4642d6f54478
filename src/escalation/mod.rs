//! The ladder of levels and windows. Pure.
