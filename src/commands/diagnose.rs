//! `mtls-medic diagnose`: the same verdict from saved evidence, offline.

use std::{io::Read, path::PathBuf, process::ExitCode};

use clap::Args;
use serde::Deserialize;

use super::triage::exit_code;
use crate::{
    legible,
    report::{Format, render},
    triage::{EVIDENCE_SCHEMA, Evidence, diagnose},
};

/// The largest evidence file that is read, in bytes.
const EVIDENCE_MOST: u64 = 64 * 1024 * 1024;

/// How much of what a foreign document calls itself is shown, in characters.
const SCHEMA_SHOWN: usize = 80;
/// How editors of some systems begin a file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Options of `diagnose`.
#[derive(Debug, Args)]
pub struct DiagnoseArgs {
    /// A file that `triage --save` wrote, or the evidence of an incident
    file: PathBuf,
    /// Write the verdict like this
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
        #[source]
        source: std::io::Error,
    },
    /// It is no evidence.
    #[error("{path} is not evidence of mtls-medic ({EVIDENCE_SCHEMA}): save it with `triage --save`")]
    Shape {
        /// Which file.
        path: PathBuf,
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
    let shown = legible::short_line(&found, SCHEMA_SHOWN);
    let version = |schema: &str| {
        let (name, version) = schema.rsplit_once("/v")?;
        Some((name.to_owned(), version.parse::<u32>().ok()?))
    };
    match (version(&found), version(EVIDENCE_SCHEMA)) {
        (Some((name, newer)), Some((ours, this))) if name == ours && newer > this => {
            Err(DiagnoseError::Newer { path, found: shown })
        }
        _ => Err(DiagnoseError::Schema { path, found: shown }),
    }
}

/// Reads, judges, prints.
pub fn run(args: &DiagnoseArgs) -> Result<ExitCode, DiagnoseError> {
    let failed = |source| DiagnoseError::Read { path: args.file.clone(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(&args.file).map_err(failed)?;
    file.take(EVIDENCE_MOST).read_to_end(&mut bytes).map_err(failed)?;
    let document = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
    check_schema(args, document)?;
    let evidence: Evidence =
        serde_json::from_slice(document).map_err(|source| DiagnoseError::Shape { path: args.file.clone(), source })?;
    let verdict = diagnose(&evidence);
    Ok(super::answer(&render(&verdict, args.output), exit_code(&verdict)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(document: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), document).unwrap();
        let args = DiagnoseArgs { file: file.path().to_owned(), output: Format::Text };
        let error = run(&args).unwrap_err();
        format!("{:#}", anyhow::Error::from(error)).replace(&*file.path().to_string_lossy(), "FILE")
    }

    #[test]
    fn what_a_foreign_document_calls_itself_is_shown_short_and_harmless() {
        let schema = |name: &str| serde_json::json!({ "schema": name }).to_string();
        insta::assert_snapshot!(refused(&schema(&format!("re\u{202e}po\u{1b}[31mrt/{}", "x".repeat(5_000_000)))), @r#"FILE is "repo [31mrt/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…", and not evidence of mtls-medic (mtls-medic.evidence/v1): save it with `triage --save`"#);
        insta::assert_snapshot!(refused(&schema("mtls-medic.evidence/v9")), @"FILE is mtls-medic.evidence/v9, which a newer mtls-medic wrote; this one judges mtls-medic.evidence/v1: take a version of mtls-medic that is not older than the one that saved it");
        insta::assert_snapshot!(refused(&format!("\u{feff}{}", schema("mtls-medic.evidence/v9"))), @"FILE is mtls-medic.evidence/v9, which a newer mtls-medic wrote; this one judges mtls-medic.evidence/v1: take a version of mtls-medic that is not older than the one that saved it");
    }
}
