//! The command line of mtls-medic.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mtls_medic::{
    bounds,
    commands::{self, COULD_NOT_RUN},
};

/// Takes the night shift for mTLS on Kubernetes with SPIRE and Istio
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
}

#[derive(Subcommand)]
enum CliCommand {
    /// Play a whole night on one machine: a simulated mesh, a broken service, the bot, and a chat
    Demo(commands::demo::DemoArgs),
    /// Run the bot
    Serve(commands::serve::ServeArgs),
    /// Diagnose once, from this terminal, with your kubeconfig; nothing is changed
    Triage(commands::triage::TriageArgs),
    /// Judge saved evidence again, offline
    Diagnose(commands::diagnose::DiagnoseArgs),
    /// Say whether one workload reaches another by mTLS, and why not, from saved objects
    Pair(commands::pair::PairArgs),
    /// Say what would change or break if Istio objects were applied or deleted, from saved objects
    Whatif(commands::whatif::WhatIfArgs),
    /// Say what each check reads, with which rights, and what becomes of it without
    Checks,
    /// Check the bot's own set-up: configuration, rights, Slack, journal, webhook
    Doctor(commands::doctor::DoctorArgs),
    /// Run only the simulated mesh; real kubectl works against it
    Simulate(commands::simulate::SimulateArgs),
}

/// How much of an error is shown, in characters: it may quote a value from outside, which may be as long as a file.
const ERROR_SHOWN: usize = 8_000;

fn main() -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(bounds::THREADS);
    match tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build() {
        Ok(runtime) => runtime.block_on(started()),
        Err(error) => {
            eprintln_chain(&anyhow::Error::from(error).context("the threads could not be started"));
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

async fn started() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(told) => {
            // Help and version are answers; anything else could not run. clap's own 2 would read as "inconclusive".
            let code = if told.use_stderr() { ExitCode::from(COULD_NOT_RUN) } else { ExitCode::SUCCESS };
            // Without a terminal to print to, the code is all there is to say.
            let _ = told.print();
            return code;
        }
    };
    if !matches!(command, CliCommand::Serve(_)) {
        mtls_medic::telemetry::start(mtls_medic::telemetry::LogFormat::Text, "error");
    }
    match run(command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln_chain(&error);
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

async fn run(command: CliCommand) -> anyhow::Result<ExitCode> {
    match command {
        CliCommand::Demo(args) => Ok(commands::demo::run(args).await?),
        CliCommand::Serve(args) => {
            commands::serve::run(args).await?;
            Ok(ExitCode::SUCCESS)
        }
        CliCommand::Triage(args) => Ok(commands::triage::run(args).await?),
        CliCommand::Diagnose(args) => Ok(commands::diagnose::run(&args)?),
        CliCommand::Pair(args) => Ok(commands::pair::run(&args).await?),
        CliCommand::Whatif(args) => Ok(commands::whatif::run(&args).await?),
        CliCommand::Checks => Ok(commands::checks::run()),
        CliCommand::Doctor(args) => Ok(commands::doctor::run(args).await?),
        CliCommand::Simulate(args) => {
            commands::simulate::run(args).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[expect(clippy::print_stderr, reason = "the one place where an error reaches the terminal")]
fn eprintln_chain(error: &anyhow::Error) {
    let text = format!("{error:#}");
    let text = mtls_medic::legible::lines(&text);
    let shown: String = text.chars().take(ERROR_SHOWN).collect();
    let cut = if shown.len() < text.len() { " … (cut)" } else { "" };
    eprintln!("mtls-medic: {shown}{cut}");
}
