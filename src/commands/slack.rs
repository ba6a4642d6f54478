//! Slack put together from the configuration.

use std::{collections::BTreeSet, sync::Arc};

use axum::Router;
use secrecy::SecretString;

use super::{
    chat::{ChatParts, Connection, Listening},
    serve::ServeError,
};
use crate::{
    chat::{
        Look, Roster, Whose,
        slack::{Client, Directory, Home, Patience, SLACK_API, SLACK_HOOKS, SlackOut, SlackReception, Socket, router},
    },
    clock::Clock,
    config::{Config, ConfigError, SlackMode},
    engine::{Inbox, Perform},
    escalation::LevelNumber,
    http::Bodies,
    incident::{Face, Room},
    metrics::Metrics,
};

/// How requests come in.
pub enum ConnectionMode {
    /// Over a socket that this client opens with the app's token.
    Socket(Box<Client>),
    /// Over HTTP, signed with this.
    Http(SecretString),
}

/// The workspace, ready to be connected.
pub struct SlackParts {
    client: Client,
    directory: Arc<Directory>,
    look: Look,
    home: Home,
    way: ConnectionMode,
}

impl SlackParts {
    /// Reads the secrets and makes the clients; `None` when no workspace is configured.
    pub(super) fn of(config: &Config, clock: Arc<dyn Clock>, metrics: &Metrics) -> Result<Option<Self>, ServeError> {
        let Some(slack) = &config.slack else { return Ok(None) };
        let api = slack.api.as_deref().unwrap_or(SLACK_API);
        let token = slack.bot_token.read("slack.bot_token");
        let other = match (slack.mode, &slack.app_token, &slack.signing_secret) {
            (SlackMode::Socket, Some(token), _) => token.read("slack.app_token"),
            (SlackMode::Http, _, Some(secret)) => secret.read("slack.signing_secret"),
            (SlackMode::Socket, None, _) => {
                Err("slack.app_token: mode socket needs an app-level token (xapp-)".to_owned())
            }
            (SlackMode::Http, _, None) => Err("slack.signing_secret: mode http needs the signing secret".to_owned()),
        };
        let (token, other) = match (token, other) {
            (Ok(token), Ok(other)) => (token, other),
            (token, other) => {
                let problems = [token.err(), other.err()].into_iter().flatten().collect();
                return Err(ConfigError::Problems(problems).into());
            }
        };
        let client = Client::new(api, &token)?.counted(metrics.clone());
        let way = match slack.mode {
            SlackMode::Socket => ConnectionMode::Socket(Box::new(Client::new(api, &other)?.counted(metrics.clone()))),
            SlackMode::Http => ConnectionMode::Http(other),
        };
        let people = &config.people;
        let roster = config.roster();
        let groups = (1_u8..)
            .zip(&people.levels)
            .flat_map(|(number, level)| {
                level.mention.groups.iter().cloned().map(move |group| (group, LevelNumber(number)))
            })
            .collect();
        let home = Home {
            team: slack.team.clone(),
            enterprise: slack.enterprise.clone(),
            channels: BTreeSet::from([slack.channel.clone()]),
            whose: Whose::default(),
            groups,
            hooks: SLACK_HOOKS.to_owned(),
        };
        Ok(Some(Self::new(client, home, roster, Look { links: config.links() }, way, clock)))
    }

    /// Of a workspace that is known already.
    pub fn new(
        client: Client,
        home: Home,
        roster: Roster,
        look: Look,
        way: ConnectionMode,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let directory = Arc::new(Directory::new(client.clone(), home.team.clone(), roster, clock));
        Self { client, directory, look, home, way }
    }
}

impl ChatParts for SlackParts {
    fn face(&self) -> (Room, Arc<dyn Perform>) {
        let out = SlackOut::new(self.client.clone(), self.directory.clone(), self.look.clone());
        (Room::Chat(Face::Slack), Arc::new(out))
    }

    /// Routes in HTTP mode, a socket in Socket Mode.
    fn listen(self: Box<Self>, inbox: Inbox, clock: Arc<dyn Clock>, bodies: Bodies) -> Listening {
        let home = Home { whose: Whose::of(&inbox), ..self.home };
        let desk = SlackReception::desk(Arc::new(inbox), self.client, self.directory, home, clock.clone());
        match self.way {
            ConnectionMode::Socket(client) => {
                let socket = Socket::new(*client, desk.clone(), Patience::default());
                let opened = socket.clone();
                let connection = Connection {
                    run: Box::new(move |stop| Box::pin(socket.run(stop))),
                    is_open: Box::new(move || opened.is_open()),
                    when_closed: "Slack's socket is not open, so nobody can acknowledge in chat: check the app-level token \
                                  and the way out",
                };
                Listening { routes: Router::new(), connection: Some(connection), desk }
            }
            ConnectionMode::Http(secret) => {
                Listening { routes: router(desk.clone(), secret, clock, bodies), connection: None, desk }
            }
        }
    }
}
