//! The file, field by field.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use serde::Deserialize;

use super::{Address, SecretSource, duration::TimeSpan};
use crate::{cluster::rights::Duty, mesh::Namespace};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the webhook, health and metrics (and, in HTTP mode, Slack) are served.
    pub listen: SocketAddr,
    /// The journal's file. Its folder must exist and last.
    pub journal: PathBuf,
    /// The name of this cluster: of alerts whose cluster label says so, and of those without one.
    pub cluster: String,
    /// Other values of the cluster label that mean this cluster. An alert of any other opens an incident that people are
    /// called about, and that this bot neither diagnoses nor fixes.
    #[serde(default)]
    pub cluster_also: Vec<String>,
    /// Who may send alerts, and which are ours.
    pub alertmanager: Alertmanager,
    /// Which cluster. Left out: the one that the bot runs in.
    #[serde(default)]
    pub kubernetes: Kubernetes,
    /// Where SPIRE and Istio keep things.
    #[serde(default)]
    pub mesh: MeshFile,
    /// How long and how much is looked at.
    #[serde(default)]
    pub triage: TriageLimits,
    /// The Slack workspace. Left out: nothing is posted anywhere, which `serve` says aloud.
    pub slack: Option<Slack>,
    /// The Discord server. Slack may be there as well: one incident then lives on both.
    pub discord: Option<Discord>,
    /// The runbook's address, for cards and pages. An alert's own `runbook_url` goes before it.
    pub runbook: Option<String>,
    /// Levels and roles.
    pub people: People,
    /// Pagers by name.
    #[serde(default)]
    pub pagers: BTreeMap<String, PagerFile>,
    /// The times of the ladder.
    #[serde(default)]
    pub escalation: Escalation,
    /// Who must approve.
    #[serde(default)]
    pub approval: Approval,
    /// Whether fixes may run. Off until approvers are named (invariant 10).
    #[serde(default)]
    pub writes: bool,
    /// How long the raw evidence of a closed incident is kept after its last event (default 400d, at least 7d). Events,
    /// and with them the evidence's digest, stay.
    pub keep: Option<TimeSpan>,
    /// The watcher outside that the bot calls while it lives. Left out, nobody notices when the bot is dead.
    pub heartbeat: Option<HeartbeatFile>,
}

/// The heartbeat (dead man's switch).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatFile {
    /// The address that the bot calls with POST, as `{file: …}` or `{env: …}`: with it, others could keep the watcher quiet.
    pub url: SecretSource,
    /// How often (default 1m, at least 10s). Let the watcher wait for three of them.
    pub every: Option<TimeSpan>,
}

/// The webhook.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alertmanager {
    /// Tokens that are accepted as `Authorization: Bearer`; several while one is replaced.
    #[serde(default)]
    pub bearer_tokens: Vec<SecretSource>,
    /// User and password that are accepted as basic auth.
    pub basic: Option<Basic>,
    /// A proxy in front authenticates the sender (mTLS). Said explicitly: without any of the three, `serve` refuses to
    /// start.
    #[serde(default)]
    pub authenticated_by_proxy: bool,
    /// The names of the alerts that open incidents.
    #[serde(default = "alert_names")]
    pub alerts: Vec<String>,
    /// Which label names what.
    #[serde(default)]
    pub labels: Labels,
}

fn alert_names() -> Vec<String> {
    vec!["MTLSHandshakeFailureRateHigh".to_owned()]
}

/// Basic authentication.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user's name.
    pub user: String,
    pub password: SecretSource,
}

/// Names of labels.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Labels {
    pub cluster: String,
    pub namespace: String,
    pub service: String,
    /// The pod. It may name an exporter, so it is never trusted alone.
    pub pod: String,
}

impl Default for Labels {
    fn default() -> Self {
        let [cluster, namespace, service, pod] = ["cluster", "namespace", "service", "pod"].map(str::to_owned);
        Self { cluster, namespace, service, pod }
    }
}

/// The API server.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kubernetes {
    /// A kubeconfig; left out: the pod's own service account.
    pub kubeconfig: Option<PathBuf>,
    /// A context of it.
    pub context: Option<String>,
    /// The namespaces that the bot looks after, for `doctor`; left out: all.
    pub namespaces: Vec<Namespace>,
    /// What the bot is not granted on purpose: `doctor` asks for none of these rights, and no fix that needs one is offered.
    pub without: Vec<Duty>,
}

/// SPIRE's and Istio's places. A field that is left out is as in the runbook.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MeshFile {
    /// The trust domain; left out, each SVID's own is taken.
    pub trust_domain: Option<String>,
    /// What SPIFFE IDs look like: `spiffe://{trust_domain}/ns/{namespace}/sa/{service_account}`.
    pub spiffe_id_template: Option<String>,
    /// The SVID file in workloads.
    pub svid_path: Option<String>,
    /// The bundle file in workloads.
    pub bundle_path: Option<String>,
    /// SPIRE's namespace.
    pub spire_namespace: Option<String>,
    /// istiod's namespace, where the ConfigMap `istio` is.
    pub istio_namespace: Option<String>,
    /// The label selector of SPIRE's server.
    pub server_selector: Option<String>,
    /// The labels of SPIRE's agents, as `key=value` with commas between them.
    pub agent_selector: Option<String>,
    /// The namespace of ztunnel, where pods are in ambient mode. A bot that looks after some namespaces alone needs it among them.
    pub ztunnel_namespace: Option<String>,
    /// The labels of ztunnel's pods.
    pub ztunnel_selector: Option<String>,
    /// The server's socket.
    pub server_socket: Option<String>,
    /// The agent's socket.
    pub agent_socket: Option<String>,
    /// The agent's admin socket (SPIRE's `admin_socket_path`), over which newer agents say when they last synchronised.
    pub agent_admin_socket: Option<String>,
    /// Where server and agents serve `/live` and `/ready`, for images and rights without their command (default 9982).
    pub health_port: Option<u16>,
    /// How far back an agent's log is read (default 1h). Half the life of an SVID at least: SPIRE renews it in the middle,
    /// and an agent whose log shows no renewal is not known to work.
    pub agent_log_since: Option<TimeSpan>,
    /// Whether SPIRE agents can attest their node again after a restart: yes with `k8s_psat`, `x509pop`, `sshpop` and
    /// `tpm_devid`, no with join tokens, `aws_iid`, `azure_*` and `gcp_iit`. Left out: as the agent's log or its pod tells.
    pub agents_attest_again: Option<bool>,
}

/// Limits of the diagnostics.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TriageLimits {
    /// How many pods of a target are looked at (default 3).
    pub sample: Option<usize>,
    /// The limit of one check (default 8s).
    pub check: Option<TimeSpan>,
    /// The limit of all (default 20s, at most 25s).
    pub overall: Option<TimeSpan>,
}

/// How the bot hears Slack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlackMode {
    /// A WebSocket that the bot opens: no way in from outside is needed.
    Socket,
    /// Signed HTTP requests to `/slack/commands` and `/slack/interactivity`.
    Http,
}

/// The Slack workspace.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slack {
    /// How the bot hears it.
    pub mode: SlackMode,
    /// The bot's token (`xoxb-`).
    pub bot_token: SecretSource,
    /// The app-level token (`xapp-`), for `mode: socket`.
    pub app_token: Option<SecretSource>,
    /// The signing secret, for `mode: http`.
    pub signing_secret: Option<SecretSource>,
    /// The workspace (`T…`).
    pub team: String,
    /// The enterprise (`E…`), on Enterprise Grid.
    pub enterprise: Option<String>,
    /// The incident channel (`C…`).
    pub channel: String,
    /// Whether a bot of another cluster uses the same Slack app. Ids then carry the cluster (`INC-7/blue`), and people
    /// name one with each command. An app of its own for each bot is better: Slack spreads what people ask over all connections.
    #[serde(default)]
    pub shared_app: bool,
    /// Where the runbook's address stood before it had a place of its own: read where [`Config::runbook`] is left out.
    pub runbook: Option<String>,
    /// Another address of Slack's API, for tests.
    pub api: Option<String>,
}

/// How the bot hears Discord.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiscordMode {
    /// A WebSocket that the bot opens: no way in from outside is needed.
    #[default]
    Gateway,
    /// Signed HTTP requests to `/discord/interactions`.
    Http,
}

/// The Discord server ("guild").
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discord {
    /// How the bot hears it (default `gateway`).
    #[serde(default)]
    pub mode: DiscordMode,
    /// The bot's token.
    pub bot_token: SecretSource,
    /// The application's id.
    #[serde(deserialize_with = "snowflake")]
    pub application: String,
    /// The application's public key, 64 hex digits, for `mode: http`. It is no secret.
    pub public_key: Option<String>,
    /// The server's id.
    #[serde(deserialize_with = "snowflake")]
    pub guild: String,
    /// The incident channel's id.
    #[serde(deserialize_with = "snowflake")]
    pub channel: String,
    /// Another address of Discord's API, for tests.
    pub api: Option<String>,
}

/// Levels and roles. Users by id (`U…`), groups by id (`S…`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// The ladder, first called first.
    pub levels: Vec<LevelFile>,
    /// The pager that calls a level without a pager of its own while the chat cannot be reached.
    #[serde(default)]
    pub fallback_pager: Option<String>,
    /// Who may command.
    pub commanders: RosterFile,
    /// Who may approve fixes.
    #[serde(default)]
    pub approvers: RosterFile,
    /// People with an id on each platform. Without it, nobody approves on one platform what was asked for on the other.
    #[serde(default)]
    pub same: Vec<SamePerson>,
}

/// People of a role.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RosterFile {
    /// Users by id.
    pub users: Vec<String>,
    /// User groups by id.
    pub groups: Vec<String>,
    /// The same on Discord.
    pub discord: DiscordRoster,
}

/// People of a role on Discord, by ids of 17 to 20 digits.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscordRoster {
    /// Users by id.
    #[serde(deserialize_with = "snowflakes")]
    pub users: Vec<String>,
    /// Roles by id.
    #[serde(deserialize_with = "snowflakes")]
    pub roles: Vec<String>,
}

/// One person with an id on each platform.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamePerson {
    /// The user's id on Slack.
    pub slack: String,
    /// The user's id on Discord.
    #[serde(deserialize_with = "snowflake")]
    pub discord: String,
}

/// Ids on Discord are numbers, which people write with and without quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Snowflake {
    Text(String),
    Number(u64),
}

impl From<Snowflake> for String {
    fn from(id: Snowflake) -> Self {
        match id {
            Snowflake::Text(text) => text,
            Snowflake::Number(number) => number.to_string(),
        }
    }
}

fn snowflake<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Snowflake::deserialize(from).map(String::from)
}

fn snowflakes<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(Vec::<Snowflake>::deserialize(from)?.into_iter().map(String::from).collect())
}

/// One level.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelFile {
    /// The team's name.
    pub team: String,
    /// How long it has.
    pub window: TimeSpan,
    /// Who is mentioned.
    #[serde(default)]
    pub mention: RosterFile,
    /// Which pager is called beside the mention.
    pub pager: Option<String>,
}

/// Which kind of pager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PagerKind {
    /// A JSON body to a webhook of yours.
    Generic,
    /// PagerDuty Events v2.
    Pagerduty,
}

/// One pager.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerFile {
    /// Which kind.
    pub kind: PagerKind,
    /// Its address; for `pagerduty`, left out means PagerDuty's own. As `{file: …}` or `{env: …}` when the address is itself
    /// a secret.
    pub url: Option<Address>,
    /// The bearer token of a generic webhook, or PagerDuty's routing key.
    pub key: Option<SecretSource>,
}

/// Times of the ladder and of an incident's life.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Escalation {
    /// After the last window, all are called again this often (default 1h).
    pub repeat: Option<TimeSpan>,
    /// A reminder is given with this percentage of a window left (default 33).
    pub reminder_percent: Option<u8>,
    /// How long alerts must stay resolved before an incident closes (default 5m).
    pub hold: Option<TimeSpan>,
    /// Firing within this time after closing reopens it (default 30m).
    pub flap: Option<TimeSpan>,
    /// Firing that is not repeated for this long is stale; take twice Alertmanager's repeat_interval (default 8h).
    pub stale_after: Option<TimeSpan>,
    /// More openings a minute are one storm (default 10).
    pub storm_per_minute: Option<u32>,
}

/// Approval of fixes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Approval {
    /// How many people other than the requester (default 1).
    pub needed: Option<u8>,
    /// How long the question stands (default 15m).
    pub expires_after: Option<TimeSpan>,
    /// How long the counters are watched after a fix (default 2m).
    pub verification_window: Option<TimeSpan>,
    /// How long the effect of one step may take to be seen (default 5m).
    #[serde(alias = "replacement_within")]
    pub settled_within: Option<TimeSpan>,
}
