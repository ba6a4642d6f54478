//! `mtls-medic doctor`: looks at its own set-up before the night it is needed. Nothing is changed, posted or called.

#[cfg(feature = "discord")]
mod discord;
mod finding;
mod grant;
mod kubernetes;
mod pagers;
mod slack;
mod webhook;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use self::{
    finding::{DoctorFinding, Examination, FindingResult},
    webhook::Listening,
};
use crate::{
    clock::{Clock, SystemClock},
    config::{Config, ConfigError, mesh_settings},
    journal::{JournalError, Probed, probe},
};

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Check the bot that this configuration describes
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Also send the running bot an alert that has ended already: it opens no incident and calls nobody
    #[arg(long)]
    send_test_alert: bool,
    /// Write the findings like this
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Text)]
    output: ReportFormat,
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// One line for each check.
    Text,
    /// One JSON object.
    Json,
}

/// Looks at everything, prints. 0 all is fine, 1 something is missing, 2 something could not be checked; an error is 3.
pub async fn run(args: DoctorArgs) -> Result<ExitCode, ConfigError> {
    let config = Config::load(&args.config)?;
    let examination = examine(&config, &args, SystemClock.now()).await;
    let code = match examination.result {
        FindingResult::Ok => ExitCode::SUCCESS,
        FindingResult::Missing => ExitCode::from(1),
        FindingResult::NotChecked => ExitCode::from(2),
    };
    Ok(super::answer(&if args.output == ReportFormat::Json { examination.json() } else { examination.text() }, code))
}

async fn examine(config: &Config, args: &DoctorArgs, now: Timestamp) -> Examination {
    let settled = config.settle();
    let mut findings = configuration(config, settled.as_ref().err());
    let mesh = mesh_settings(&args.config);
    let kubernetes = async {
        match mesh {
            Ok(settings) => kubernetes::examine(config, settings).await,
            // What is wrong with it stands among the configuration's problems.
            Err(_) => (Vec::new(), None),
        }
    };
    let ((of_kubernetes, grant), (of_slack, others), listening) =
        futures::join!(kubernetes, slack::examine(config), webhook::look(config.listen));
    findings.extend(of_kubernetes);
    findings.extend(of_slack);
    findings.extend(others.map(|others| slack::shared(config, others, &listening)));
    findings.extend(discord(config, &listening).await);
    findings.extend(pagers::examine(config));
    findings.push(journal(config, &listening).await);
    findings.push(webhook::finding(config.listen, &listening));
    if let (true, Ok(settled)) = (args.send_test_alert, &settled) {
        let alert = webhook::test_alert(config, &settled.authentication, &settled.mapping, &listening, now);
        findings.push(alert.await);
    }
    Examination::of(findings, grant)
}

#[cfg(feature = "discord")]
async fn discord(config: &Config, listening: &Listening) -> Vec<DoctorFinding> {
    discord::examine(config, listening).await
}

/// This bot was built without Discord.
#[cfg(not(feature = "discord"))]
fn discord(config: &Config, _: &Listening) -> std::future::Ready<Vec<DoctorFinding>> {
    let said = "discord is configured, and this bot was built without it (feature discord)";
    let finding = |_: &_| DoctorFinding::missing("discord", said, "take another build, or leave it out");
    std::future::ready(config.discord.iter().map(finding).collect())
}

fn configuration(config: &Config, error: Option<&ConfigError>) -> Vec<DoctorFinding> {
    const AREA: &str = "configuration";
    let remedy = "mend it in the file; config/example.yaml explains every field";
    let mut findings = match error {
        Some(ConfigError::Problems(problems)) => {
            problems.iter().map(|problem| DoctorFinding::missing(AREA, problem.as_str(), remedy)).collect()
        }
        Some(other) => vec![DoctorFinding::missing(AREA, other.to_string(), remedy)],
        None => {
            let writes = if config.writes { "fixes may run" } else { "fixes are off" };
            vec![DoctorFinding::ok(AREA, format!("{} levels; {writes}", config.people.levels.len()))]
        }
    };
    findings.extend(config.calls_nobody().into_iter().map(|level| DoctorFinding::missing(AREA, level, remedy)));
    findings
}

/// A journal that the running bot has is its business: it says itself whether it is ready.
async fn journal(config: &Config, listening: &Listening) -> DoctorFinding {
    const AREA: &str = "journal";
    let path = config.journal.display();
    match probe(&config.journal).await {
        Ok(Probed::New) => {
            DoctorFinding::ok(AREA, format!("{path} can be made, and what is committed there is durable"))
        }
        Ok(Probed::Known { incidents }) => {
            DoctorFinding::ok(AREA, format!("{path} opens with {incidents} incidents, and takes commits"))
        }
        Err(JournalError::InUse(_)) => match listening {
            Listening::Bot { ready: true, .. } => {
                DoctorFinding::ok(AREA, format!("{path} is open in the running bot, which is ready"))
            }
            _ => DoctorFinding::not_checked(
                AREA,
                format!("{path} is in use"),
                "stop the bot that has it, or look at its /readyz",
            ),
        },
        Err(error) => {
            let below = std::error::Error::source(&error).map(|below| format!(" ({below})")).unwrap_or_default();
            DoctorFinding::missing(
                AREA,
                format!("{error}{below}"),
                "the folder must be there, writable and lasting (a volume)",
            )
        }
    }
}
