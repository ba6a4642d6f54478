//! What a plan may hold, and what its effect proves.

mod agent_planning;
mod planning;
mod signatures;
mod verifying;
