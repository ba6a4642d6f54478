//! One file a command of the binary: each builds the parts and connects them; nothing else does.

use std::{
    io::{ErrorKind, Write, stderr, stdout},
    process::ExitCode,
};

use crate::legible;

pub mod bot;
pub mod chat;
pub mod checks;
pub mod demo;
pub mod diagnose;
#[cfg(feature = "discord")]
pub mod discord;
pub mod doctor;
mod objects_file;
mod objects_source;
mod pagers;
pub mod pair;
pub mod serve;
pub mod simulate;
pub mod slack;
pub mod triage;
mod verdict_format;
pub mod whatif;

/// What a script sees when a command could not run at all: no verdict (0 healthy, 1 fault found, 2 inconclusive).
pub const COULD_NOT_RUN: u8 = 3;

/// Writes what a command found, and returns the code to end with: `code`, also for a reader that has seen enough
/// (`| head`), where `println!` would panic.
pub(crate) fn answer(text: &str, code: ExitCode) -> ExitCode {
    let mut out = stdout().lock();
    match writeln!(out, "{}", legible::lines(text)).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            drop(writeln!(stderr(), "mtls-medic: the answer could not be written: {error}"));
            ExitCode::from(COULD_NOT_RUN)
        }
        _ => code,
    }
}

/// Returns when the process is asked to stop: Ctrl-C or SIGTERM.
pub(crate) async fn until_stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        // Without a handler the signal ends the process at once, which is a stop as well.
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}
