//! `mtls-medic diagnose`: the same verdict from saved evidence, offline.

use std::{io::Read, path::PathBuf, process::ExitCode};

use clap::Args;

use super::triage::exit_code;
use crate::{
    report::{Format, render},
    triage::{EVIDENCE_SCHEMA, Evidence, diagnose},
};

/// The largest evidence file that is read, in bytes.
const EVIDENCE_MOST: u64 = 64 * 1024 * 1024;

/// Options of `diagnose`.
#[derive(Debug, Args)]
pub struct DiagnoseArgs {
    /// The evidence that `triage --save` or an incident kept
    file: PathBuf,
    /// How to write the verdict
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// The evidence could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum DiagnoseError {
    /// It could not be read.
    #[error("{path} could not be read")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no evidence.
    #[error("{path} is not evidence of mtls-medic ({EVIDENCE_SCHEMA}): save it with `triage --save`")]
    Schema {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// Reads, judges, prints.
#[expect(clippy::print_stdout, reason = "a command of the terminal")]
pub fn run(args: &DiagnoseArgs) -> Result<ExitCode, DiagnoseError> {
    let failed = |source| DiagnoseError::Read { path: args.file.clone(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&args.file).map_err(failed)?;
    file.take(EVIDENCE_MOST).read_to_end(&mut bytes).map_err(failed)?;
    let evidence: Evidence =
        serde_json::from_slice(&bytes).map_err(|source| DiagnoseError::Schema { path: args.file.clone(), source })?;
    let verdict = diagnose(&evidence);
    println!("{}", render(&verdict, args.output));
    Ok(exit_code(&verdict))
}
