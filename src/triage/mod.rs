//! Typed evidence, examiners, diagnosis. Pure.
