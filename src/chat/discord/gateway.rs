//! Discord's gateway: a WebSocket that we open, so that a cluster needs no way in. Reconnects for ever.
//!
//! Opcodes, close codes and intents are serenity's; the connection is ours. serenity's own shard hands what it hears to
//! serenity's runner alone, reads and inflates without a bound, and takes a stream that ended for one that is silent.
//! Compression is not asked for: with no intents there is little to compress, and nothing can be inflated without end.

mod connection;
mod session;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use secrecy::SecretString;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use self::{
    connection::Connection,
    session::{Left, Session},
};
use crate::{
    chat::discord::jitter::jittered,
    metrics::{Metric, Metrics},
};

pub use self::session::ToMend;

/// Sessions a day that are left to those who look for a fault by hand: with no more than this, the bot begins them slowly.
/// Discord allows a thousand, and resets the token of a bot that begins more.
const SESSIONS_KEPT: u32 = 50;
/// After so many failures in a row an old session is given up: Discord keeps one for a few minutes.
const RESUMPTIONS_MOST: usize = 3;

/// How long is waited for what.
#[derive(Debug, Clone)]
pub struct GatewayPatience {
    /// The most time between two heartbeats. Each is acknowledged before the next one, or the connection is dead: twice this
    /// is how long a dead one goes unnoticed. Discord asks for one every 41 s only.
    pub beat: Duration,
    /// Until Discord has greeted, and then until it has taken the session.
    pub greeting: Duration,
    /// The waits between attempts to connect; the last one repeats.
    pub waits: Vec<Duration>,
    /// The least time between two new sessions: Discord ends those that come faster than one in 5 s.
    pub between_sessions: Duration,
    /// The wait between attempts while an operator has to mend something, or few new sessions are left for the day.
    pub slow: Duration,
}

impl Default for GatewayPatience {
    fn default() -> Self {
        let waits = [500, 2_000, 10_000, 30_000, 60_000];
        Self {
            beat: Duration::from_secs(10),
            greeting: Duration::from_secs(8),
            waits: waits.into_iter().map(Duration::from_millis).collect(),
            between_sessions: Duration::from_secs(6),
            slow: Duration::from_mins(5),
        }
    }
}

/// Where the gateway is, and how many sessions may still begin there (`GET /gateway/bot`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrance {
    /// `wss://…`, without a query.
    pub address: String,
    pub sessions_left: u32,
    /// When there are as many again as there were in the morning.
    pub renewed_in: Duration,
}

/// Why Discord did not say where its gateway is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NoEntrance {
    pub reason: String,
    /// How long Discord asked us to wait.
    pub after: Option<Duration>,
    /// What an operator has to mend first.
    pub mend: Option<ToMend>,
}

/// Who knows where the gateway is.
#[async_trait]
pub trait FindGateway: Send + Sync {
    async fn find(&self) -> Result<Entrance, NoEntrance>;
}

/// Who takes the interactions that are heard.
pub trait Hear: Send + Sync {
    /// Takes one interaction, as JSON. Returns at once: what it costs happens elsewhere.
    fn interaction(self: Arc<Self>, json: &str);
    /// Counts what was not understood.
    fn count_refusal(&self, reason: &'static str);
}

/// The connection to the gateway.
pub struct Gateway {
    token: SecretString,
    find: Arc<dyn FindGateway>,
    hear: Arc<dyn Hear>,
    /// Whether a session is there and alive.
    open: watch::Sender<bool>,
    mend: Mutex<Option<ToMend>>,
    metrics: Metrics,
    patience: GatewayPatience,
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gateway(open: {})", self.is_open())
    }
}

impl Gateway {
    /// A connection that is not open yet; `token` is the bot's.
    pub fn new(
        token: SecretString,
        find: Arc<dyn FindGateway>,
        hear: Arc<dyn Hear>,
        metrics: Metrics,
        patience: GatewayPatience,
    ) -> Arc<Self> {
        metrics.set(Metric::DiscordGatewayOpen, 0);
        Arc::new(Self { token, find, hear, open: watch::Sender::new(false), mend: Mutex::default(), metrics, patience })
    }

    /// Whether Discord can reach us now: part of readiness.
    pub fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// What an operator has to mend before it opens, where Discord said so.
    pub fn to_mend(&self) -> Option<ToMend> {
        *self.mend.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is open, and every change of that.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.open.subscribe()
    }

    fn set_open(&self, open: bool) {
        if open {
            self.set_mend(None);
        }
        self.open.send_replace(open);
        self.metrics.set(Metric::DiscordGatewayOpen, u64::from(open));
    }

    fn set_mend(&self, mend: Option<ToMend>) {
        *self.mend.lock().unwrap_or_else(PoisonError::into_inner) = mend;
    }

    /// Keeps a connection open until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut pace = Pace { session: None, failures: 0, failed_resumptions: 0, session_began: None };
        while !stop.is_cancelled() {
            let wait = self.one_connection(&mut pace, &stop).await;
            tokio::select! {
                () = sleep(wait) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Connects, listens until the connection ends, and says how long to wait before the next one.
    async fn one_connection(&self, pace: &mut Pace, stop: &CancellationToken) -> Duration {
        let opened = tokio::select! {
            opened = self.open(pace) => opened,
            () = stop.cancelled() => return Duration::ZERO,
        };
        let left = match opened {
            Ok(connection) => connection.listen(stop).await,
            Err(NotOpened::Left(left)) => left,
            Err(NotOpened::AskAgainIn(wait)) => return wait,
        };
        if left.forgets_session {
            pace.session = None;
        }
        if let Some(mend) = left.mend {
            return self.wait_for_an_operator(mend);
        }
        if let Some(open_for) = left.open_for {
            pace.failed_resumptions = 0;
            if open_for >= self.patience.beat {
                pace.failures = 0;
                return Duration::ZERO;
            }
            // A good connection that is ended at once, again and again, is no good one: then there are waits in between.
            return self.after_failure(pace);
        }
        pace.failed_resumptions = pace.failed_resumptions.saturating_add(1);
        if pace.failed_resumptions >= RESUMPTIONS_MOST {
            pace.session = None;
        }
        let wait = self.after_failure(pace);
        // Discord asks for one to five seconds before a session is begun in the place of one that it refused.
        if left.forgets_session { wait.max(jittered(self.patience.between_sessions)) } else { wait }
    }

    async fn open<'a>(&'a self, pace: &'a mut Pace) -> Result<Connection<'a>, NotOpened> {
        let address = match &pace.session {
            Some(session) => session.address.clone(),
            None => self.entrance(pace).await.map_err(NotOpened::AskAgainIn)?,
        };
        match connection::greeted(&address, &self.patience).await {
            Ok(greeted) => Ok(Connection::over(greeted, self, pace)),
            Err(reason) => {
                tracing::warn!(reason, "no connection to Discord's gateway; trying again");
                Err(NotOpened::Left(Left::failed()))
            }
        }
    }

    /// Asks where the gateway is. Where no session may begin now, returns how long to wait before asking again.
    async fn entrance(&self, pace: &mut Pace) -> Result<String, Duration> {
        if let Some(began) = pace.session_began {
            sleep(self.patience.between_sessions.saturating_sub(began.elapsed())).await;
        }
        let found = match self.find.find().await {
            Ok(found) => found,
            Err(NoEntrance { mend: Some(mend), .. }) => return Err(self.wait_for_an_operator(mend)),
            Err(NoEntrance { reason, after, .. }) => {
                tracing::warn!(reason, "Discord did not say where its gateway is; asking again");
                let wait = self.after_failure(pace);
                return Err(after.unwrap_or(wait));
            }
        };
        self.metrics.set(Metric::DiscordGatewaySessionsLeft, found.sessions_left.into());
        if found.sessions_left == 0 {
            let seconds = found.renewed_in.as_secs();
            tracing::error!(
                seconds,
                "Discord allows no new session until the day's are renewed: something began them in a loop, perhaps a second \
                 bot with the same token"
            );
            // To ask again costs no session, and one wrong answer must not make the bot deaf for a day.
            let (least, most) = (self.patience.between_sessions, self.patience.slow);
            return Err(found.renewed_in.min(most).max(least));
        }
        if found.sessions_left < SESSIONS_KEPT {
            sleep(jittered(self.patience.slow)).await;
        }
        Ok(found.address)
    }

    fn wait_for_an_operator(&self, mend: ToMend) -> Duration {
        tracing::error!(%mend, "Discord's gateway stays closed until this is mended; trying again every few minutes");
        self.set_mend(Some(mend));
        jittered(self.patience.slow)
    }

    fn after_failure(&self, pace: &mut Pace) -> Duration {
        let wait = jittered(self.wait_after(pace.failures));
        pace.failures = pace.failures.saturating_add(1);
        wait
    }

    fn wait_after(&self, failures: usize) -> Duration {
        let waits = &self.patience.waits;
        waits.get(failures).or(waits.last()).copied().unwrap_or(self.patience.beat)
    }
}

/// Why there is no connection.
enum NotOpened {
    /// It is not known where to, or no session may begin: the wait before asking again.
    AskAgainIn(Duration),
    Left(Left),
}

/// What one connection leaves to the next.
struct Pace {
    session: Option<Session>,
    /// Connections in a row that were no good.
    failures: usize,
    /// Attempts in a row to go on with the session.
    failed_resumptions: usize,
    /// When a new session was last asked for.
    session_began: Option<Instant>,
}
