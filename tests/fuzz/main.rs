//! Throws altered real documents at every reader of what comes from outside: none may panic, and none may take long. Run by
//! `tests/real/long/fuzz SECONDS [TARGET...]` for long, and for a second each with all tests; a failure leaves the document in a file and prints the seed that makes it again.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, reason = "a test may fail")]

mod corpus;
mod mutation;
mod targets;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::{Duration, Instant},
};

use mutation::Mutation;
use targets::{TARGETS, Target};

/// One document takes no longer: the longest is 256 KiB, and this is the development profile.
const LONGEST: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let seconds: u64 = words.first().and_then(|word| word.parse().ok()).unwrap_or(1);
    let first_seed: u64 = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let chosen = words.get(1..).unwrap_or_default();
    std::panic::set_hook(Box::new(|_| ()));
    let wanted = TARGETS.iter().filter(|target| chosen.is_empty() || chosen.iter().any(|word| word == target.name));
    // Each is run, also after one that failed.
    let held: Vec<bool> = wanted.map(|target| holds(target, Duration::from_secs(seconds), first_seed)).collect();
    if held.iter().all(|held| *held) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What this thread has worked: on a busy machine the clock on the wall says nothing of a reader.
fn own_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap()
}

/// Plays a target for a while, and prints `TARGET EXECUTIONS slowest MILLISECONDS`.
fn holds(target: &Target, within: Duration, first_seed: u64) -> bool {
    let corpus = (target.corpus)();
    assert!(!corpus.is_empty(), "{} has nothing to begin with", target.name);
    let began = Instant::now();
    let (mut executions, mut slowest) = (0_u64, Duration::ZERO);
    while began.elapsed() < within {
        let seed = first_seed + executions;
        let document = Mutation::of(seed).alter(&corpus);
        let started = own_time();
        let came_through = catch_unwind(AssertUnwindSafe(|| (target.reads)(&document))).is_ok();
        let took = own_time().saturating_sub(started);
        slowest = slowest.max(took);
        executions += 1;
        if !came_through || took > LONGEST {
            let file = std::env::temp_dir().join(format!("mtls-medic-fuzz-{}-{seed}", target.name));
            std::fs::write(&file, &document).unwrap();
            println!("{} FAILED at SEED={seed} after {took:?}; the document is {}", target.name, file.display());
            return false;
        }
    }
    println!("{} {executions} executions, slowest {:.1} ms", target.name, slowest.as_secs_f64() * 1000.0);
    true
}
