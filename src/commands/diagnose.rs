//! `mtls-medic diagnose`: the same verdict from saved evidence, offline.

use std::{io::Read, path::PathBuf, process::ExitCode};

use clap::Args;
use serde::Deserialize;

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
    Shape {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It is another document.
    #[error("{path} is {found:?}, and not evidence of mtls-medic ({EVIDENCE_SCHEMA}): save it with `triage --save`")]
    Schema {
        /// Which file.
        path: PathBuf,
        /// What it says it is.
        found: String,
    },
    /// A newer build wrote it, and what this one does not know of it would be left out of the verdict.
    #[error(
        "{path} is {found}, which a newer mtls-medic wrote; this one judges {EVIDENCE_SCHEMA}: take a version of \
         mtls-medic that is not older than the one that saved it"
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// What it says it is.
        found: String,
    },
}

/// What every version of the document begins with.
#[derive(Deserialize)]
struct Header {
    schema: String,
}

fn check_schema(args: &DiagnoseArgs, bytes: &[u8]) -> Result<(), DiagnoseError> {
    let path = args.file.clone();
    let Header { schema: found } =
        serde_json::from_slice(bytes).map_err(|source| DiagnoseError::Shape { path: path.clone(), source })?;
    if found == EVIDENCE_SCHEMA {
        return Ok(());
    }
    let version = |schema: &str| {
        let (name, version) = schema.rsplit_once("/v")?;
        Some((name.to_owned(), version.parse::<u32>().ok()?))
    };
    match (version(&found), version(EVIDENCE_SCHEMA)) {
        (Some((name, newer)), Some((ours, this))) if name == ours && newer > this => {
            Err(DiagnoseError::Newer { path, found })
        }
        _ => Err(DiagnoseError::Schema { path, found }),
    }
}

/// Reads, judges, prints.
pub fn run(args: &DiagnoseArgs) -> Result<ExitCode, DiagnoseError> {
    let failed = |source| DiagnoseError::Read { path: args.file.clone(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&args.file).map_err(failed)?;
    file.take(EVIDENCE_MOST).read_to_end(&mut bytes).map_err(failed)?;
    check_schema(args, &bytes)?;
    let evidence: Evidence =
        serde_json::from_slice(&bytes).map_err(|source| DiagnoseError::Shape { path: args.file.clone(), source })?;
    let verdict = diagnose(&evidence);
    Ok(super::answer(&render(&verdict, args.output), exit_code(&verdict)))
}
