//! Whose incident somebody means, where bots of several clusters are in one workspace: one Slack app spreads what people ask
//! over all of its connections, so that it may reach the wrong bot.

use crate::{
    engine::Inbox,
    incident::{IncidentId, Keeper, OwnCluster, TypedId},
};

/// Which bot this is.
#[derive(Debug, Clone, Default)]
pub struct Whose {
    own: OwnCluster,
    keeper: Option<Keeper>,
    /// Whether no other bot hears what is said to this one, whatever is so elsewhere.
    has_own_app: bool,
}

/// What somebody asked is meant for another bot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "that is {incident} of {theirs}, and this is the bot of {ours}: ask again until the bot of {theirs} hears you, and give \
     each bot an app of its own, because what is asked of one app goes to any of the bots that share it"
)]
pub struct OtherBot {
    pub incident: IncidentId,
    /// The cluster of the bot that is meant.
    pub theirs: String,
    /// The cluster of this bot.
    pub ours: String,
}

impl Whose {
    /// The bot of a cluster; `keeper` is its name on ids.
    pub fn new(own: OwnCluster, keeper: Keeper) -> Self {
        Self { own, keeper: Some(keeper), has_own_app: false }
    }

    /// The bot behind an inbox.
    pub fn of(inbox: &Inbox) -> Self {
        Self { own: inbox.policy().cluster, keeper: inbox.keeper(), has_own_app: false }
    }

    /// The same bot on a platform where it has an app of its own: incidents carry the cluster there too, and nobody has to
    /// name it.
    pub fn in_an_app_of_its_own(self) -> Self {
        Self { has_own_app: true, ..self }
    }

    /// The cluster that must be named, since other bots hear what is typed as well; `None` where this bot is alone.
    pub fn to_be_named(&self) -> Option<&'static str> {
        self.keeper.filter(|keeper| keeper.is_named() && !self.has_own_app).map(Keeper::cluster)
    }

    /// Whether this is a name of this bot's cluster, in small letters or capitals.
    pub fn is_ours(&self, cluster: &str) -> bool {
        self.own.is(cluster) || self.keeper.is_some_and(|keeper| keeper.cluster().eq_ignore_ascii_case(cluster))
    }

    /// The incident of ours with that number, written as ours are.
    pub fn ours(&self, incident: IncidentId) -> IncidentId {
        incident.kept_by(self.keeper)
    }

    /// Refuses what is of another bot. A button of before buttons carried the cluster counts as ours.
    pub fn check(&self, incident: IncidentId, cluster: Option<&str>) -> Result<(), OtherBot> {
        match cluster {
            Some(theirs) if !self.is_ours(theirs) => {
                let ours = self.keeper.map_or_else(|| self.own.name().to_owned(), |keeper| keeper.cluster().to_owned());
                Err(OtherBot {
                    incident: incident.kept_by(None),
                    theirs: theirs.chars().take(SHOWN_MOST).collect(),
                    ours,
                })
            }
            _ => Ok(()),
        }
    }

    /// The incident that somebody typed, if it is ours.
    pub fn read(&self, typed: &TypedId) -> Result<IncidentId, OtherBot> {
        self.check(typed.incident, typed.cluster.as_deref())?;
        Ok(self.ours(typed.incident))
    }
}

/// How much of a name that somebody typed is repeated, in characters.
const SHOWN_MOST: usize = 60;
