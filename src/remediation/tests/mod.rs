//! What a plan may hold, and what its effect proves.

mod planning;
mod signatures;
mod verifying;
