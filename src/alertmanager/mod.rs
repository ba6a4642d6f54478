//! The Alertmanager webhook: its body, its route and its authentication.

mod auth;
mod body;
mod fields;
mod route;
mod sightings;

pub use auth::{Authentication, Credential};
pub use body::{BodyError, Webhook};
pub use route::{Intake, router};
pub use sightings::Mapping;
