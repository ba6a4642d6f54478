//! Token, application, server, channel, permissions, roles, commands and gateway of Discord. Nothing is posted.

use std::collections::BTreeSet;

use super::{finding::DoctorFinding, webhook::Listening};
use crate::{
    chat::discord::{
        ADMINISTRATOR, Application, BotUser, DISCORD_API, DiscordError, FindGateway, Guild, GuildChannel, GuildRole,
        MENTION_EVERYONE, PERMISSIONS, Rest, are_ours, in_channel, invite_link,
    },
    config::{Config, Discord, DiscordMode},
    metrics::Metrics,
};

const AREA: &str = "discord";

/// What was found. `listening` says whether the bot runs here, and so whether it should have registered its commands.
pub(super) async fn examine(config: &Config, listening: &Listening) -> Vec<DoctorFinding> {
    let Some(discord) = &config.discord else { return Vec::new() };
    let invitation =
        format!("the link that invites the bot with exactly what it needs: {}", invite_link(&discord.application));
    let mut findings = vec![DoctorFinding::ok(AREA, invitation)];
    let client = discord.bot_token.read("discord.bot_token").and_then(|token| {
        let base = discord.api.as_deref().unwrap_or(DISCORD_API);
        Rest::new(base, &token, Metrics::default()).map_err(|error| error.to_string())
    });
    match client {
        Ok(rest) => Doctor { rest, config, discord }.look(listening, &mut findings).await,
        Err(problem) => {
            findings.push(DoctorFinding::missing(AREA, problem, "put it where the configuration names it"));
        }
    }
    findings
}

struct Doctor<'a> {
    rest: Rest,
    config: &'a Config,
    discord: &'a Discord,
}

impl Doctor<'_> {
    async fn look(&self, listening: &Listening, findings: &mut Vec<DoctorFinding>) {
        let bot = match self.rest.bot_user().await {
            Ok(bot) => bot,
            // Without the token nothing else can be asked.
            Err(error) => return findings.push(failed("the bot's token", &error)),
        };
        findings.push(DoctorFinding::ok(AREA, format!("the token is the bot {} ({})", bot.username, bot.id)));
        match self.rest.application().await {
            Ok(application) => self.application(&application, findings),
            Err(error) => findings.push(failed("the application", &error)),
        }
        match self.rest.guild(&self.discord.guild).await {
            Ok(guild) => self.server(&bot, &guild, listening, findings).await,
            Err(error) => findings.push(self.no_server(&error)),
        }
        if self.discord.mode == DiscordMode::Gateway {
            findings.push(self.gateway().await);
        }
    }

    fn application(&self, application: &Application, findings: &mut Vec<DoctorFinding>) {
        let wanted = &self.discord.application;
        findings.push(if application.id == *wanted {
            DoctorFinding::ok(AREA, format!("it is the bot of the application {wanted}"))
        } else {
            let said =
                format!("the token is of the application {}, and discord.application is {wanted}", application.id);
            DoctorFinding::missing(AREA, said, "take the token of that application (Bot, Reset Token), or mend the id")
        });
        findings.push(self.way_in(application));
        let intents = application.privileged_intents();
        findings.push(if intents.is_empty() {
            DoctorFinding::ok(AREA, "no privileged intent is switched on")
        } else {
            let said = format!("the bot needs no privileged intent, and these are switched on: {}", intents.join(", "));
            DoctorFinding::missing(
                AREA,
                said,
                "switch them off in the developer portal (Bot, Privileged Gateway Intents)",
            )
        });
        if application.bot_public {
            findings.push(DoctorFinding::missing(
                AREA,
                "everybody may invite the bot to a server of theirs",
                "switch Public Bot off in the developer portal (Bot)",
            ));
        }
    }

    /// Discord sends interactions to the address where one is set, and by the gateway else; never both.
    fn way_in(&self, application: &Application) -> DoctorFinding {
        let address = application.interactions_endpoint_url.as_deref().filter(|address| !address.is_empty());
        match (self.discord.mode, address) {
            (DiscordMode::Gateway, None) => DoctorFinding::ok(AREA, "commands and presses come by the gateway"),
            (DiscordMode::Gateway, Some(address)) => DoctorFinding::missing(
                AREA,
                format!("commands and presses go to {address}, and none comes by the gateway"),
                "take the Interactions Endpoint URL out of the developer portal (General Information), or set \
                 discord.mode: http",
            ),
            (DiscordMode::Http, _) if !self.has_key(application) => DoctorFinding::missing(
                AREA,
                "discord.public_key is not the application's, so every request of Discord's is refused",
                format!("set it to {} (General Information, Public Key)", application.verify_key),
            ),
            (DiscordMode::Http, None) => DoctorFinding::missing(
                AREA,
                "the public key is the application's; but Discord has no address to send commands and presses to",
                "start the bot, then set the Interactions Endpoint URL in the developer portal (General Information) to \
                 https://HOST/discord/interactions",
            ),
            (DiscordMode::Http, Some(address)) => DoctorFinding::ok(
                AREA,
                format!("the public key is the application's, and commands and presses go to {address}"),
            ),
        }
    }

    fn has_key(&self, application: &Application) -> bool {
        let ours = self.discord.public_key.as_deref().map(str::trim).unwrap_or_default();
        !ours.is_empty() && ours.eq_ignore_ascii_case(&application.verify_key)
    }

    fn no_server(&self, error: &DiscordError) -> DoctorFinding {
        let guild = &self.discord.guild;
        if !is_refused(error, &[403, 404]) {
            return failed(&format!("the server {guild}"), error);
        }
        let remedy = "open the link above and choose the server, or mend discord.guild";
        DoctorFinding::missing(AREA, format!("the bot is not on the server {guild}"), remedy)
    }

    async fn server(&self, bot: &BotUser, guild: &Guild, listening: &Listening, findings: &mut Vec<DoctorFinding>) {
        let (id, channel) = (&self.discord.guild, &self.discord.channel);
        findings.push(DoctorFinding::ok(AREA, format!("the bot is on the server {} ({id})", guild.name)));
        let (has, seen, registered) = futures::join!(
            self.rest.roles_of(id, &bot.id),
            self.rest.channel(channel),
            self.rest.registered(&self.discord.application, id)
        );
        let may = match (has, seen) {
            (_, Err(error)) => {
                findings.push(no_channel(channel, &error));
                None
            }
            (has, Ok(seen)) => {
                findings.push(self.channel(&seen));
                match has {
                    Ok(has) => Some(in_channel(id, &bot.id, &has, &guild.roles, &seen.permission_overwrites)),
                    Err(error) => {
                        findings.push(failed("which roles the bot has", &error));
                        None
                    }
                }
            }
        };
        if let Some(may) = may {
            findings.extend(permissions(may));
        }
        let mentions_all = may.is_some_and(|may| may & MENTION_EVERYONE != 0);
        findings.extend(self.roles(&guild.roles, mentions_all));
        findings.push(match registered {
            Ok(registered) if are_ours(&registered) => {
                DoctorFinding::ok(AREA, "/mtls is registered as this version has it")
            }
            Ok(_) => not_registered(listening),
            Err(error) if is_refused(&error, &[403]) => DoctorFinding::missing(
                AREA,
                "the bot may not register commands on the server",
                "open the link above once more: it asks for the scope applications.commands",
            ),
            Err(error) => failed("the registered commands", &error),
        });
    }

    fn channel(&self, seen: &GuildChannel) -> DoctorFinding {
        let (guild, channel) = (&self.discord.guild, &self.discord.channel);
        if seen.guild_id.as_ref() != Some(guild) {
            let place = seen.guild_id.as_ref().map_or("no server".to_owned(), |other| format!("the server {other}"));
            let said = format!("the channel {channel} is of {place}, and discord.guild is {guild}");
            return DoctorFinding::missing(AREA, said, "mend discord.channel or discord.guild");
        }
        if !seen.takes_threads() {
            let said = format!("the channel {channel} is of a kind in which no message has a thread");
            return DoctorFinding::missing(AREA, said, "name a text channel in discord.channel");
        }
        DoctorFinding::ok(AREA, format!("the channel {channel} is of this server, and takes threads"))
    }

    /// A role that is gone is a level that nobody answers for. Commanders are never mentioned as such.
    fn roles(&self, known: &[GuildRole], mentions_all: bool) -> Vec<DoctorFinding> {
        let people = &self.config.people;
        let levels = people.levels.iter().map(|level| &level.mention);
        let called: BTreeSet<&String> =
            levels.chain([&people.approvers]).flat_map(|roster| &roster.discord.roles).collect();
        let all: BTreeSet<&String> = called.iter().copied().chain(&people.commanders.discord.roles).collect();
        let finding = |id: &String| {
            let Some(role) = known.iter().find(|role| role.id == *id) else {
                let remedy = "mend its id in the configuration (people)";
                return DoctorFinding::missing(AREA, format!("there is no role {id} on the server"), remedy);
            };
            let name = &role.name;
            if !called.contains(id) {
                return DoctorFinding::ok(AREA, format!("the role {name} ({id}) is there"));
            }
            if role.mentionable || mentions_all {
                return DoctorFinding::ok(AREA, format!("the role {name} ({id}) is there, and may be mentioned"));
            }
            DoctorFinding::missing(
                AREA,
                format!("the role {name} ({id}) may not be mentioned, so calling it rings nobody"),
                "switch on \"Allow anyone to @mention this role\" (Server Settings, Roles)",
            )
        };
        all.into_iter().map(finding).collect()
    }

    async fn gateway(&self) -> DoctorFinding {
        match self.rest.find().await {
            Ok(found) if found.sessions_left == 0 => DoctorFinding::missing(
                AREA,
                format!(
                    "Discord allows no new session of the gateway for {} min: the day's are used up",
                    found.renewed_in.as_secs().div_ceil(60)
                ),
                "something begins them in a loop: look for a second bot with this token, and give each its own",
            ),
            Ok(found) => {
                let left = found.sessions_left;
                DoctorFinding::ok(
                    AREA,
                    format!("Discord says where its gateway is; {left} sessions are left for today"),
                )
            }
            Err(error) => DoctorFinding::not_checked(
                AREA,
                format!("the gateway: {error}"),
                "check the way out to Discord (proxy, NetworkPolicy), and try again in a minute",
            ),
        }
    }
}

fn permissions(may: u64) -> Vec<DoctorFinding> {
    if may & ADMINISTRATOR != 0 {
        let said = "the bot is an administrator, and needs only what the link above asks for";
        return vec![DoctorFinding::missing(AREA, said, "take ADMINISTRATOR from its roles (Server Settings, Roles)")];
    }
    let lacks: Vec<DoctorFinding> = PERMISSIONS
        .iter()
        .filter(|one| may & one.bits == 0)
        .map(|one| {
            DoctorFinding::missing(
                AREA,
                format!("the permission {} is not given in the channel: {}", one.name, one.without_it),
                "give it to the bot's role there (Edit Channel, Permissions)",
            )
        })
        .collect();
    if lacks.is_empty() {
        return vec![DoctorFinding::ok(
            AREA,
            format!("all {} permissions are given in the channel", PERMISSIONS.len()),
        )];
    }
    lacks
}

fn no_channel(channel: &str, error: &DiscordError) -> DoctorFinding {
    if is_refused(error, &[403]) {
        let said = format!("the bot does not see the channel {channel}");
        return DoctorFinding::missing(AREA, said, "add the bot or its role to it (Edit Channel, Permissions)");
    }
    if is_refused(error, &[404]) {
        return DoctorFinding::missing(AREA, format!("there is no channel {channel}"), "mend discord.channel");
    }
    failed(&format!("the channel {channel}"), error)
}

fn not_registered(listening: &Listening) -> DoctorFinding {
    let said = "/mtls is not registered on the server as this version has it";
    if matches!(listening, Listening::Bot { .. }) {
        let remedy = "start the bot again: it registers its commands when it starts, and logs why it cannot";
        return DoctorFinding::missing(AREA, said, remedy);
    }
    DoctorFinding::not_checked(AREA, said, "start the bot: it registers its commands when it starts")
}

fn is_refused(error: &DiscordError, statuses: &[u16]) -> bool {
    matches!(error, DiscordError::Refused { status, .. } if statuses.contains(status))
}

/// A refusal is something to mend; anything else says nothing.
fn failed(what: &str, error: &DiscordError) -> DoctorFinding {
    match error {
        DiscordError::Refused { status: 401, .. } => DoctorFinding::missing(
            AREA,
            format!("{what}: Discord refuses it (401)"),
            "make a new one in the developer portal (Bot, Reset Token), and put it where discord.bot_token names it",
        ),
        DiscordError::Refused { status, code, .. } => DoctorFinding::missing(
            AREA,
            format!("{what}: Discord refuses to say it (HTTP {status}, code {code})"),
            "check the token and the ids in the configuration",
        ),
        DiscordError::RateLimited { .. } => {
            DoctorFinding::not_checked(AREA, format!("{what}: {error}"), "wait a minute and try again")
        }
        DiscordError::Unreachable { .. } | DiscordError::TooLong { .. } | DiscordError::BeyondReach => {
            DoctorFinding::not_checked(
                AREA,
                format!("{what}: {error}"),
                "check the way out to Discord (proxy, NetworkPolicy)",
            )
        }
    }
}
