//! One file a command of the binary: each builds the parts and connects them; nothing else does.

mod bot;
pub mod demo;
pub mod diagnose;
pub mod doctor;
pub mod serve;
pub mod simulate;
mod slack;
pub mod triage;

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
