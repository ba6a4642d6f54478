//! The command line of mtls-medic.

fn main() {}
