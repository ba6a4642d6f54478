//! The catalogue of fixes: plans, guards and verification. Pure.
