//! Discord put together from the configuration.

use std::{collections::BTreeSet, sync::Arc};

use axum::Router;
use secrecy::SecretString;

use super::{
    chat::{ChatParts, Connection, Listening},
    serve::ServeError,
};
use crate::{
    chat::{
        Look, Whose,
        discord::{
            DISCORD_API, DiscordHome, DiscordOut, DiscordReception, Gateway, GatewayPatience, PublicKey, Rest, drawing,
            register, router,
        },
    },
    clock::Clock,
    config::{Config, ConfigError, DiscordMode},
    engine::{Inbox, Perform},
    escalation::LevelNumber,
    http::Bodies,
    incident::{Face, Room},
    metrics::Metrics,
};

/// How requests come in.
pub enum ConnectionMode {
    /// By the gateway, which this bot opens with its token.
    Gateway,
    /// Over HTTP, signed with the key of the application.
    Http(PublicKey),
}

/// A server, ready to be connected.
pub struct DiscordParts {
    rest: Rest,
    token: SecretString,
    look: Look,
    home: DiscordHome,
    way: ConnectionMode,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl DiscordParts {
    /// Reads the token and makes the client; `None` when no server is configured.
    pub(super) fn of(config: &Config, clock: Arc<dyn Clock>, metrics: &Metrics) -> Result<Option<Self>, ServeError> {
        let Some(discord) = &config.discord else { return Ok(None) };
        let token = discord.bot_token.read("discord.bot_token");
        let way = match (discord.mode, &discord.public_key) {
            (DiscordMode::Gateway, _) => Ok(ConnectionMode::Gateway),
            (DiscordMode::Http, Some(key)) => {
                PublicKey::parse(key).map(ConnectionMode::Http).map_err(|error| format!("discord.public_key: {error}"))
            }
            (DiscordMode::Http, None) => {
                Err("discord.public_key: mode http needs the application's public key".to_owned())
            }
        };
        let (token, way) = match (token, way) {
            (Ok(token), Ok(way)) => (token, way),
            (token, way) => {
                let problems = [token.err(), way.err()].into_iter().flatten().collect();
                return Err(ConfigError::Problems(problems).into());
            }
        };
        let rest = Rest::new(discord.api.as_deref().unwrap_or(DISCORD_API), &token, metrics.clone())?;
        let groups = (1_u8..)
            .zip(&config.people.levels)
            .flat_map(|(number, level)| {
                level.mention.discord.roles.iter().cloned().map(move |role| (role, LevelNumber(number)))
            })
            .collect();
        let home = DiscordHome {
            application: discord.application.clone(),
            guild: discord.guild.clone(),
            channels: BTreeSet::from([discord.channel.clone()]),
            whose: Whose::default(),
            groups,
            roster: config.roster(),
        };
        let look = Look { links: config.links() };
        Ok(Some(Self::new(rest, token, home, look, way, clock, metrics.clone())))
    }

    /// Of a server that is known already.
    pub fn new(
        rest: Rest,
        token: SecretString,
        home: DiscordHome,
        look: Look,
        way: ConnectionMode,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        Self { rest, token, look, home, way, clock, metrics }
    }
}

impl ChatParts for DiscordParts {
    fn face(&self) -> (Room, Arc<dyn Perform>) {
        let out = DiscordOut::new(
            self.rest.clone(),
            self.home.guild.clone(),
            self.home.roster.clone(),
            self.clock.clone(),
            self.look.clone(),
        );
        (Room::Chat(Face::Discord), Arc::new(out))
    }

    /// Discord gives an application's events to one bot, so `slack.shared_app` changes nothing here. Routes in HTTP mode, the
    /// gateway else; the commands are registered first, in either.
    fn listen(self: Box<Self>, inbox: Inbox, clock: Arc<dyn Clock>, bodies: Bodies) -> Listening {
        let home = DiscordHome { whose: Whose::of(&inbox).in_an_app_of_its_own(), ..self.home };
        let (rest, application, guild) = (self.rest.clone(), home.application.clone(), home.guild.clone());
        tokio::spawn(async move { register(&rest, &application, &guild, &GatewayPatience::default()).await });
        let calls = Arc::new(self.rest.clone());
        let desk = DiscordReception::desk(Arc::new(inbox), calls, drawing(), home, clock.clone(), self.metrics.clone());
        match self.way {
            ConnectionMode::Gateway => {
                let patience = GatewayPatience::default();
                let gateway = Gateway::new(self.token, Arc::new(self.rest), desk.clone(), self.metrics, patience);
                let opened = gateway.clone();
                let connection = Connection {
                    run: Box::new(move |stop| Box::pin(gateway.run(stop))),
                    is_open: Box::new(move || opened.is_open()),
                    when_closed: "Discord's gateway is not open, so nobody can acknowledge in Discord: check the bot's \
                                  token and the way out",
                };
                Listening { routes: Router::new(), connection: Some(connection), desk }
            }
            ConnectionMode::Http(key) => {
                Listening { routes: router(desk.clone(), key, clock, bodies), connection: None, desk }
            }
        }
    }
}
