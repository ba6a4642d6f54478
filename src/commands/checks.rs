//! `mtls-medic checks`: what each check reads, with which rights, and what becomes of it without.

use std::process::ExitCode;

use crate::cluster::page_of_checks;

/// Prints the page.
pub fn run() -> ExitCode {
    super::answer(&page_of_checks(), ExitCode::SUCCESS)
}
