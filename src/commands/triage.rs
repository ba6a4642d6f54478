//! `mtls-medic triage`: a one-shot diagnosis from a terminal, with the user's kubeconfig.

use std::{
    io::{IsTerminal, Write, stderr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use clap::Args;

use crate::{
    clock::SystemClock,
    cluster::{ClusterError, Settings, connect, gather},
    config::{ConfigError, mesh_settings},
    legible,
    mesh::{NameError, Namespace, TargetRef},
    private_file,
    report::{Format, render},
    triage::{Scenario, Verdict, diagnose},
};

/// Options of `triage`.
#[derive(Debug, Args)]
pub struct TriageArgs {
    /// What to look at: pod/NAME, deploy/NAME, statefulset/NAME, daemonset/NAME or svc/NAME
    target: String,
    /// The namespace of the target
    #[arg(short, long)]
    namespace: Namespace,
    /// Write the verdict like this
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Save the evidence to this file; `diagnose` judges it again
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Read from this file where things are in the mesh: only its parts `mesh` and `triage` count
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Use this kubeconfig instead of the one that kubectl would use
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Use this context of the kubeconfig
    #[arg(long)]
    context: Option<String>,
}

/// The triage could not run.
#[derive(Debug, thiserror::Error)]
pub enum TriageError {
    /// The target's name.
    #[error(transparent)]
    Target(#[from] NameError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The evidence could not be written.
    #[error("the evidence could not be kept in {path}: {why}")]
    Save { path: PathBuf, why: String },
}

/// Looks, judges, prints. 0 healthy, 1 fault found, 2 inconclusive; an error is 3.
pub async fn run(args: TriageArgs) -> Result<ExitCode, TriageError> {
    let target = TargetRef::parse(args.namespace, &args.target)?;
    let settings = args.config.as_deref().map_or_else(|| Ok(Settings::default()), mesh_settings)?;
    let reach = connect(args.kubeconfig.as_deref(), args.context.as_deref(), settings).await?;
    // For somebody who waits; in a script's log it is noise.
    let progress = Arc::new(|check: &str| {
        if stderr().is_terminal() {
            drop(writeln!(stderr(), "looked at {}", legible::line(check)));
        }
    });
    let evidence = gather(&reach, &target, Arc::new(SystemClock), progress).await?;
    if let Some(path) = args.save {
        let failed = |why: String| TriageError::Save { path: path.clone(), why };
        let text = serde_json::to_vec_pretty(&evidence).map_err(|error| failed(error.to_string()))?;
        private_file::write(&path, &text).map_err(|error| failed(error.to_string()))?;
    }
    let verdict = diagnose(&evidence);
    Ok(super::answer(&render(&verdict, args.output), exit_code(&verdict)))
}

/// What a verdict means for scripts.
pub(super) fn exit_code(verdict: &Verdict) -> ExitCode {
    match verdict.scenario {
        Scenario::NoFaultFound => ExitCode::SUCCESS,
        Scenario::Inconclusive => ExitCode::from(2),
        _ => ExitCode::from(1),
    }
}
