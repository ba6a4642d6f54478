//! mtls-medic: takes the night shift for mTLS on Kubernetes with SPIRE and Istio.
//!
//! The map of the house is in `ARCHITECTURE.md`. Arrows run one way:
//! `commands → cluster, chat, alertmanager, http → engine → journal → pure rooms`.
#![cfg_attr(test, allow(clippy::as_conversions))]

pub mod alertmanager;
pub mod approval;
pub mod bounds;
pub mod chat;
pub mod clock;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod engine;
pub mod escalation;
pub mod http;
pub mod incident;
pub mod journal;
pub mod legible;
pub mod mesh;
pub mod metrics;
pub mod people;
pub(crate) mod private_file;
pub mod remediation;
pub mod report;
pub mod simulate;
pub mod telemetry;
pub mod triage;
