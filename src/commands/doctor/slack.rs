//! Tokens, scopes, workspace, channel, user groups, and whether another bot uses the same app. Nothing is posted.

use super::{finding::DoctorFinding, webhook::Listening};
use crate::{
    chat::slack::{Client, Installation, SCOPES, SLACK_API, SlackError, other_connections},
    config::{Config, RosterFile, SecretSource, Slack, SlackMode},
};

const AREA: &str = "slack";
/// What is done about most of it.
const REINSTALL: &str = "add it to the app's manifest (deploy/slack-manifest.yaml) and install the app again";

/// What was found, and how many connections of the app others have, where Slack said so.
pub(super) async fn examine(config: &Config) -> (Vec<DoctorFinding>, Option<u64>) {
    let Some(slack) = &config.slack else {
        if config.discord.is_some() {
            return (Vec::new(), None);
        }
        let said = "not configured: nothing is posted anywhere, and only pagers call people";
        return (vec![DoctorFinding::ok(AREA, said)], None);
    };
    let mut findings = Vec::new();
    if let Some(client) = client(slack, &slack.bot_token, "slack.bot_token", &mut findings) {
        match client.installation().await {
            Ok(installation) => {
                workspace(slack, &installation, &mut findings);
                scopes(&installation, &mut findings);
                findings.push(channel(&client, slack).await);
                groups(&client, config, &mut findings).await;
            }
            Err(error) => findings.push(failed("the bot's token", &error)),
        }
    }
    let (of_the_way, others) = way_in(slack).await;
    findings.extend(of_the_way);
    (findings, others)
}

/// Whether another bot uses the same app. The running bot has one connection; the bot of another cluster would hear a part
/// of what people ask this one.
pub(super) fn shared(config: &Config, others: u64, listening: &Listening) -> DoctorFinding {
    let declared = config.slack.as_ref().is_some_and(|slack| slack.shared_app);
    let running = matches!(listening, Listening::Bot { .. });
    match (others, running) {
        (0, _) => DoctorFinding::ok(AREA, "no other bot has a connection of this Slack app"),
        (1, true) => DoctorFinding::ok(AREA, "the one other connection of this Slack app is the running bot's"),
        _ if declared => DoctorFinding::ok(
            AREA,
            format!(
                "{others} other connections of this Slack app are open, as slack.shared_app says: each bot hears a part of \
                 what people ask. An app of its own for each bot is better"
            ),
        ),
        (1, false) => DoctorFinding::not_checked(
            AREA,
            format!("one other connection of this Slack app is open, and no bot listens at {}", config.listen),
            "if your bot does not run elsewhere now, another one uses this app: give each bot an app of its own",
        ),
        _ => DoctorFinding::missing(
            AREA,
            format!(
                "{others} other connections of this Slack app are open: another bot uses it, and hears a part of what people \
                 ask this one"
            ),
            "give each bot an app of its own, or set slack.shared_app: true in both, so that ids carry the cluster (a bot \
             that has just been started again may count twice: look again in a minute)",
        ),
    }
}

fn client(slack: &Slack, token: &SecretSource, field: &str, findings: &mut Vec<DoctorFinding>) -> Option<Client> {
    let made = token.read(field).and_then(|token| {
        Client::new(slack.api.as_deref().unwrap_or(SLACK_API), &token).map_err(|error| error.to_string())
    });
    made.map_err(|problem| {
        findings.push(DoctorFinding::missing(AREA, problem, "put it where the configuration names it"));
    })
    .ok()
}

fn workspace(slack: &Slack, installation: &Installation, findings: &mut Vec<DoctorFinding>) {
    let identity = &installation.identity;
    if identity.team_id == slack.team {
        findings.push(DoctorFinding::ok(
            AREA,
            format!("the token is the bot {} of workspace {}", identity.user_id, slack.team),
        ));
    } else {
        findings.push(DoctorFinding::missing(
            AREA,
            format!("the token is of workspace {}, and slack.team is {}", identity.team_id, slack.team),
            "install the app there, or mend slack.team",
        ));
    }
    if slack.enterprise.is_some() && slack.enterprise != identity.enterprise_id {
        let seen = identity.enterprise_id.as_deref().unwrap_or("none");
        findings.push(DoctorFinding::missing(
            AREA,
            format!("the token is of organisation {seen}, and slack.enterprise is another"),
            "mend slack.enterprise",
        ));
    }
}

fn scopes(installation: &Installation, findings: &mut Vec<DoctorFinding>) {
    let Some(given) = &installation.scopes else {
        let remedy = "compare them with deploy/slack-manifest.yaml by hand";
        findings.push(DoctorFinding::not_checked(AREA, "Slack did not say which scopes the token has", remedy));
        return;
    };
    let missing = SCOPES.iter().filter(|scope| !given.iter().any(|one| one == scope.name)).count();
    for scope in SCOPES.iter().filter(|scope| !given.iter().any(|one| one == scope.name)) {
        let said = format!("the scope {} is not given: {}", scope.name, scope.without_it);
        findings.push(DoctorFinding::missing(AREA, said, REINSTALL));
    }
    if missing == 0 {
        findings.push(DoctorFinding::ok(AREA, format!("all {} scopes are given", SCOPES.len())));
    }
}

async fn channel(client: &Client, slack: &Slack) -> DoctorFinding {
    let channel = &slack.channel;
    match client.is_in(channel).await {
        Ok(()) => DoctorFinding::ok(AREA, format!("the bot is in the channel {channel}")),
        Err(SlackError::Refused { code, .. }) if code == "not_in_channel" || code == "channel_not_found" => {
            let remedy = format!("type /invite @mtls-medic in it, or mend slack.channel ({channel})");
            DoctorFinding::missing(AREA, format!("the bot is not in the channel {channel} ({code})"), remedy)
        }
        Err(error) => failed(&format!("whether the bot is in the channel {channel}"), &error),
    }
}

/// A user group that is empty, or not there, is a level that nobody answers for.
async fn groups(client: &Client, config: &Config, findings: &mut Vec<DoctorFinding>) {
    let people = &config.people;
    let rosters = [&people.commanders, &people.approvers].into_iter();
    let rosters = rosters.chain(people.levels.iter().map(|level| &level.mention));
    let mut groups: Vec<&String> = rosters.flat_map(|roster: &RosterFile| &roster.groups).collect();
    groups.sort();
    groups.dedup();
    for group in groups {
        findings.push(match client.members(group).await {
            Ok(members) if members.is_empty() => DoctorFinding::missing(
                AREA,
                format!("the user group {group} is empty"),
                "put people into it, or name another",
            ),
            Ok(members) => DoctorFinding::ok(AREA, format!("the user group {group} has {} members", members.len())),
            Err(SlackError::Refused { code, .. }) if code == "no_such_subteam" => {
                let said = format!("there is no user group {group}");
                DoctorFinding::missing(AREA, said, "mend its id in the configuration (people)")
            }
            Err(error) => failed(&format!("the user group {group}"), &error),
        });
    }
}

/// How requests come in.
async fn way_in(slack: &Slack) -> (Vec<DoctorFinding>, Option<u64>) {
    let (mut findings, mut others) = (Vec::new(), None);
    match (slack.mode, &slack.app_token, &slack.signing_secret) {
        (SlackMode::Socket, Some(token), _) => {
            if let Some(client) = client(slack, token, "slack.app_token", &mut findings) {
                findings.push(match other_connections(&client).await {
                    Ok(counted) => {
                        others = counted;
                        DoctorFinding::ok(AREA, "Slack gives the app-level token a socket")
                    }
                    Err(SlackError::Refused { code, .. }) if code != "ratelimited" => DoctorFinding::missing(
                        AREA,
                        format!("Slack refuses the app-level token ({code}), so no command or button arrives"),
                        "make one with the scope connections:write, and switch Socket Mode on",
                    ),
                    Err(error) => failed("the app-level token", &error),
                });
            }
        }
        (SlackMode::Socket, None, _) => findings.push(DoctorFinding::missing(
            AREA,
            "slack.app_token: mode socket needs an app-level token (xapp-)",
            "make one with the scope connections:write",
        )),
        (SlackMode::Http, _, Some(secret)) => findings.push(match secret.read("slack.signing_secret") {
            Ok(_) => {
                DoctorFinding::ok(AREA, "the signing secret is there; the first /mtls help shows whether Slack gets in")
            }
            Err(problem) => DoctorFinding::missing(AREA, problem, "put it where the configuration names it"),
        }),
        (SlackMode::Http, _, None) => findings.push(DoctorFinding::missing(
            AREA,
            "slack.signing_secret: mode http needs the signing secret",
            "copy it from the app's Basic Information",
        )),
    }
    (findings, others)
}

/// A refusal is something to mend; anything else says nothing.
fn failed(what: &str, error: &SlackError) -> DoctorFinding {
    match error {
        SlackError::Refused { code, .. } if code != "ratelimited" => {
            let remedy = match code.as_str() {
                "missing_scope" => REINSTALL,
                _ => "check the token and the ids in the configuration",
            };
            DoctorFinding::missing(AREA, format!("{what}: Slack refuses it ({code})"), remedy)
        }
        SlackError::RateLimited { .. } | SlackError::Refused { .. } => {
            DoctorFinding::not_checked(AREA, format!("{what}: {error}"), "wait a minute and try again")
        }
        SlackError::TooLong { .. } | SlackError::Unreachable { .. } | SlackError::BeyondReach => {
            DoctorFinding::not_checked(
                AREA,
                format!("{what}: {error}"),
                "check the way out to Slack (proxy, NetworkPolicy)",
            )
        }
    }
}
