//! `mtls-medic whatif`: what would change between workloads if objects were applied or deleted, before they are.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{
    objects_file::{ObjectsFileError, text},
    objects_source::{ObjectsSource, ObjectsSourceError},
};
use crate::{
    report::what_if_text,
    triage::istio::{ObjectsError, what_if},
};

/// Options of `whatif`.
#[derive(Debug, Args)]
pub struct WhatIfArgs {
    /// The objects to apply: PeerAuthentication, DestinationRule, or any other that decides on mTLS; `-` reads them from
    /// standard input
    #[arg(short, long, value_name = "FILE", required = true)]
    file: Vec<PathBuf>,
    /// Delete the objects of FILE instead of applying them
    #[arg(long)]
    delete: bool,
    #[command(flatten)]
    source: ObjectsSource,
    /// Write the answer like this
    #[arg(short, long, value_enum, default_value_t)]
    output: super::pair::PairFormat,
}

/// The comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WhatIfError {
    /// What is there now.
    #[error(transparent)]
    Objects(#[from] ObjectsSourceError),
    /// What is to be applied.
    #[error(transparent)]
    Change(#[from] ObjectsFileError),
    /// None of the objects to delete is there.
    #[error("none of the objects in {0} is there, so there is nothing to delete: look at their namespaces and names")]
    NothingToDelete(PathBuf),
    /// The answer as JSON.
    #[error("the answer could not be written")]
    Write(#[from] serde_json::Error),
}

/// Compares and prints. 0 nothing breaks, 1 something that works would fail; an error is 3.
pub async fn run(args: &WhatIfArgs) -> Result<ExitCode, WhatIfError> {
    // Who calls a Service may be in any namespace.
    let before = args.source.read(None).await?;
    let mut after = before.clone();
    for path in &args.file {
        let failed = |source: ObjectsError| ObjectsFileError::Objects { path: path.clone(), source };
        let change = text(path)?;
        if args.delete {
            if after.delete(&change).map_err(failed)? == 0 {
                return Err(WhatIfError::NothingToDelete(path.clone()));
            }
        } else {
            after.apply(&change).map_err(failed)?;
        }
    }
    let found = what_if(&before, &after);
    let code = if found.breaks() { ExitCode::from(1) } else { ExitCode::SUCCESS };
    let answer = match args.output {
        super::pair::PairFormat::Text => what_if_text(&found),
        super::pair::PairFormat::Json => serde_json::to_string_pretty(&found)?,
    };
    Ok(super::answer(&answer, code))
}
