//! The client, with our limits, and errors that say what to grant.

use std::{path::Path, sync::Arc, time::Duration};

use kube::{
    Client, Config,
    client::UpgradeConnectionError,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::sync::Semaphore;

use super::{long::LongAnswers, transport};
use crate::{
    bounds,
    mesh::Namespace,
    remediation::one_agent_at_a_time::OtherAgentsNotReady,
    triage::{Expectations, Missing, Redacted},
};

/// What a stream into a pod (exec, port-forward) needs on its subresource: `get` since ever, from Kubernetes 1.35 on
/// `create` as well.
pub(super) const STREAM_VERBS: &str = "get and create";

/// Something could not be read from or written to the cluster.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClusterError {
    /// The configuration of the client.
    #[error("the Kubernetes configuration could not be read: {0}")]
    Configuration(Redacted),
    /// The API server refused.
    #[error("not allowed to {verb} {resource} in {namespace}: grant it to the bot's role (deploy/)")]
    Forbidden {
        /// get, list, create, `get and create` …
        verb: &'static str,
        /// As `pods/exec`.
        resource: &'static str,
        namespace: String,
    },
    /// The API server does not know who we are: the token or certificate is missing, wrong or over.
    #[error("{what}: the API server does not accept the bot's credentials: renew its token or kubeconfig")]
    Unauthenticated {
        /// What was tried.
        what: String,
    },
    /// It is not there.
    #[error("{what} is not there")]
    NotFound { what: String },
    /// No answer in time.
    #[error("{what} gave no answer in {seconds} s")]
    TimedOut {
        /// What was asked.
        what: String,
        /// For how long it was waited.
        seconds: u64,
    },
    /// The tool is not in the image.
    #[error("{tool} is not in the image of {container}")]
    ToolMissing {
        tool: String,
        /// Where it was looked for.
        container: String,
    },
    /// The API server ended no pod for the sake of a disruption budget: nothing was changed, for certain.
    #[error("the disruption budget {budget} lets no pod go now ({said})")]
    BudgetSpent {
        /// The name of the budget, where the API server gave it.
        budget: String,
        /// The API server's words.
        said: Redacted,
    },
    /// It would be done at the wrong moment: nothing was done, for certain.
    #[error("{0}")]
    NotNow(OtherAgentsNotReady),
    /// The API server has too much to do: nothing was done, for certain.
    #[error("{what}: the API server has too much to do (429) and asked to come again")]
    Busy {
        /// What was tried.
        what: String,
    },
    /// The API server, or a policy or webhook of this cluster, refuses the request itself; no grant helps.
    #[error("{what} is refused by the cluster: {said}")]
    Refused {
        /// What was tried.
        what: String,
        /// In the cluster's words.
        said: Redacted,
    },
    /// Anything else.
    #[error("{what} failed: {why}")]
    Failed {
        /// What was tried.
        what: String,
        /// Why it failed.
        why: Redacted,
    },
}

impl ClusterError {
    /// What an error of the client means for one request.
    pub(super) fn of(
        error: &kube::Error,
        verb: &'static str,
        resource: &'static str,
        namespace: &str,
        what: &str,
    ) -> Self {
        let code = match error {
            kube::Error::Api(status) => Some(status.code),
            // A refused WebSocket upgrade carries no Status, only its code.
            kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(code)) => Some(code.as_u16()),
            _ => None,
        };
        match code {
            Some(401) => Self::Unauthenticated { what: what.to_owned() },
            Some(403) => Self::Forbidden { verb, resource, namespace: namespace.to_owned() },
            Some(404) => Self::NotFound { what: what.to_owned() },
            _ => Self::Failed { what: what.to_owned(), why: in_words(error) },
        }
    }

    /// The same, as a gap in the evidence.
    pub(super) fn missing(&self) -> Missing {
        match self {
            Self::Forbidden { verb, resource, namespace } => {
                Missing::Forbidden { grant: format!("{verb} {resource} in {namespace}") }
            }
            Self::NotFound { what } => Missing::Gone { what: what.clone() },
            Self::TimedOut { seconds, .. } => Missing::TimedOut { seconds: *seconds },
            Self::ToolMissing { tool, .. } => Missing::ToolMissing { tool: tool.clone() },
            other => Missing::Other { why: other.to_string().into() },
        }
    }
}

/// How much of an error is told, in characters: a proxy in front of the API server may answer with a page.
const SAID_MOST: usize = 500;

fn in_words(error: &kube::Error) -> Redacted {
    match error {
        kube::Error::Api(status) => told(&format!("{} ({})", status.message, status.code)),
        other => told(&other.to_string()),
    }
}

/// What a neighbour said, as it is told.
pub(super) fn told(said: &str) -> Redacted {
    // Cut only after it was cleared: half a secret is not known for one.
    Redacted::new(said).chars().take(SAID_MOST).collect::<String>().into()
}

/// How long and how much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For one check.
    pub check: Duration,
    /// For all of a triage.
    pub overall: Duration,
    /// How many calls of the API server run at once.
    pub calls: usize,
    /// How many pods are looked at.
    pub sample: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // A night's nodes are slow: 8 s is long for a file and short for a person; 20 s is the issue's overall limit.
        Self {
            check: Duration::from_secs(8),
            overall: Duration::from_secs(20),
            calls: bounds::CLUSTER_CALLS,
            sample: 3,
        }
    }
}

/// Where things are in this mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The SVID file in a workload's container.
    pub svid_path: String,
    /// The bundle file in a workload's container.
    pub bundle_path: String,
    /// The namespace of SPIRE.
    pub spire_namespace: String,
    /// The namespace of istiod, where the mesh's own settings are.
    pub istio_namespace: String,
    /// The label selector of SPIRE's server pods.
    pub server_selector: String,
    /// The label selector of SPIRE's agent pods.
    pub agent_selector: String,
    /// The namespace of Istio's ztunnel (ambient mode).
    pub ztunnel_namespace: String,
    /// The label selector of its pods.
    pub ztunnel_selector: String,
    /// The server's command.
    pub server_command: String,
    /// The agent's command.
    pub agent_command: String,
    /// The server's admin socket.
    pub server_socket: String,
    /// The agent's socket.
    pub agent_socket: String,
    /// The agent's admin socket.
    pub agent_admin_socket: String,
    /// Where server and agents serve `/live` and `/ready`.
    pub health_port: u16,
    /// How far back an agent's log is read: half the life of an SVID at least, since SPIRE renews it in the middle.
    pub agent_log_since: Duration,
    /// Whether agents can attest their node again after a restart, where people say so.
    pub agents_attest_again: Option<bool>,
    /// What identities look like.
    pub expectations: Expectations,
    /// How long and how much is read.
    pub limits: Limits,
}

impl Default for Settings {
    /// The paths and labels of the runbook; the port of SPIRE's hardened chart.
    fn default() -> Self {
        Self {
            svid_path: "/run/spire/svid/svid.crt".to_owned(),
            bundle_path: "/run/spire/bundle/bundle.crt".to_owned(),
            spire_namespace: "spire-system".to_owned(),
            istio_namespace: "istio-system".to_owned(),
            server_selector: "app=spire-server".to_owned(),
            agent_selector: "app=spire-agent".to_owned(),
            ztunnel_namespace: "istio-system".to_owned(),
            ztunnel_selector: "app=ztunnel".to_owned(),
            server_command: "/opt/spire/bin/spire-server".to_owned(),
            agent_command: "/opt/spire/bin/spire-agent".to_owned(),
            server_socket: "/tmp/spire-server/private/api.sock".to_owned(),
            agent_socket: "/run/spire/sockets/agent.sock".to_owned(),
            agent_admin_socket: "/tmp/spire-agent/private/admin.sock".to_owned(),
            health_port: 9982,
            agent_log_since: Duration::from_hours(1),
            agents_attest_again: None,
            expectations: Expectations::default(),
            limits: Limits::default(),
        }
    }
}

/// The way to one cluster: its client, with a bound on concurrent calls, and where things are in it. Cheap to clone.
#[derive(Clone)]
pub struct ClusterClient {
    pub(super) client: Client,
    pub(super) settings: Arc<Settings>,
    pub(super) calls: Arc<Semaphore>,
    pub(super) long: LongAnswers,
}

impl ClusterClient {
    pub(super) fn new(config: Config, settings: Settings) -> Result<Self, ClusterError> {
        let long = LongAnswers::default();
        let client = transport::client(config, &long);
        let client = client.map_err(|error| ClusterError::Configuration(error.to_string().into()))?;
        let calls = Arc::new(Semaphore::new(settings.limits.calls));
        Ok(Self { client, settings: Arc::new(settings), calls, long })
    }

    /// A copy with a limit of `most` calls of its own, so that its calls never wait for those of the original.
    pub(super) fn with_calls_of_its_own(&self, most: usize) -> Self {
        Self { calls: Arc::new(Semaphore::new(most)), ..self.clone() }
    }

    /// Runs one call within the check's limit and the bound on concurrent calls.
    pub(super) async fn bounded<T, E: From<ClusterError>>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let limit = self.settings.limits.check;
        let timed_out = || ClusterError::TimedOut { what: what.to_owned(), seconds: limit.as_secs() };
        tokio::time::timeout(limit, async {
            let _slot = self.calls.acquire().await.map_err(|_| timed_out())?;
            transport::keeping_its_place(call).await
        })
        .await
        .unwrap_or_else(|_| Err(timed_out().into()))
    }
}

impl ClusterClient {
    /// What evidence is judged by.
    pub(in crate::cluster) fn expectations(&self) -> Expectations {
        Expectations { protected: self.protected(), ..self.settings.expectations.clone() }
    }

    /// The namespaces of the platform that only the configuration knows.
    pub(in crate::cluster) fn protected(&self) -> Vec<Namespace> {
        self.settings.spire_namespace.parse().into_iter().collect()
    }
}

/// The longest kubeconfig, in bytes: kube reads it whole.
const KUBECONFIG_MOST: u64 = 4 * 1024 * 1024;

/// Whether a file is longer than any kubeconfig, or never ends.
fn is_endless(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;

    std::fs::metadata(path).is_ok_and(|file| file.len() > KUBECONFIG_MOST || file.file_type().is_char_device())
}

/// kube quotes the path of a kubeconfig twice, as `'"…"'`.
fn quoted_once(error: &str) -> String {
    error.replace("'\"", "\"").replace("\"'", "\"")
}

/// Connects with a kubeconfig (and a context), or, without one, from inside the cluster or with the user's own.
pub async fn connect(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
    settings: Settings,
) -> Result<ClusterClient, ClusterError> {
    let failed = |error: &dyn std::fmt::Display| ClusterError::Configuration(quoted_once(&error.to_string()).into());
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let config = match (kubeconfig, context) {
        (Some(path), _) => {
            if is_endless(path) {
                return Err(failed(&format!("{} is no kubeconfig: it is too long, or a device", path.display())));
            }
            let file = Kubeconfig::read_from(path).map_err(|error| failed(&error))?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(|error| failed(&error))?
        }
        (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(|error| failed(&error))?,
        (None, None) => Config::infer().await.map_err(|error| failed(&error))?,
    };
    ClusterClient::new(config, settings)
}

/// Connects to a bare URL, as the simulated mesh has it.
pub fn connect_to(url: &str, settings: Settings) -> Result<ClusterClient, ClusterError> {
    let url = url.parse().map_err(|_| ClusterError::Configuration(format!("{url} is not a URL").into()))?;
    ClusterClient::new(Config::new(url), settings)
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[tokio::test]
    async fn a_kubeconfig_that_is_not_there_is_named_in_one_pair_of_quotes() {
        let error = connect(Some(Path::new("/nowhere/kubeconfig")), None, Settings::default()).await.map(drop);
        insta::assert_snapshot!(error.unwrap_err(), @r#"the Kubernetes configuration could not be read: failed to read kubeconfig from "/nowhere/kubeconfig": No such file or directory (os error 2)"#);
    }

    #[test]
    fn a_page_that_a_proxy_answers_is_not_told_whole() {
        let page = Status::failure(&"<p>".repeat(10_000), "").with_code(502).boxed();
        let told = ClusterError::of(&kube::Error::Api(page), "list", "pods", "web", "pods of web").to_string();
        assert!(told.len() < 600 && told.contains("pods of web"), "{told}");
    }
}
