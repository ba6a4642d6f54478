//! The bot on real parts: a Kubernetes API server with RBAC, pods behind its own streaming, SPIRE and Envoy. Needs a test bed
//! that runs (`tests/real/bed`); `tests/real/run` does all of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test may fail")]

mod alerts;
mod bed;
mod deploy;
mod doctor;
#[path = "../fake_pager/mod.rs"]
mod fake_pager;
#[path = "../fake_slack/mod.rs"]
mod fake_slack;
mod faults;
mod installed;
mod looks;
mod nights;
mod rotation;
#[path = "../serving/mod.rs"]
mod serving;
mod shops;
mod spire;
mod streams;
