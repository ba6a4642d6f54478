//! What the bot reads of pods through the real API server: commands, logs and ports, and what it makes of a stream that does
//! not come whole.

use std::{fs, sync::Arc, time::Duration};

use crate::bed::Bed;
use jiff::SignedDuration;
use mtls_medic::{
    clock::SystemClock,
    cluster::{Limits, Settings, connect, gather},
    mesh::{Namespace, TargetRef},
    triage::{Evidence, Gathered, Missing},
};

/// As the manifest calls it.
const POD: &str = "pod/odd";
/// A reader of this file waits for its end.
const STUCK: &str = "/files/stuck";

/// A pod whose files and logs are not as they should be; gone when it is dropped.
struct Odd {
    bed: Bed,
    namespace: String,
}

impl Odd {
    async fn is_made(bed: &Bed, name: &str) -> Self {
        let odd = Self { bed: bed.clone(), namespace: format!("odd-{name}-{}", std::process::id()) };
        let manifest = tempfile::NamedTempFile::new().unwrap();
        let text = include_str!("data/streams.yaml").replace("NAMESPACE", &odd.namespace);
        fs::write(manifest.path(), text).unwrap();
        bed.administrator("kubectl", &["apply", "-f", manifest.path().to_str().unwrap()]).await;
        let wait = ["wait", "-n", &odd.namespace, POD, "--for", "condition=Ready", "--timeout", "120s"];
        bed.administrator("kubectl", &wait).await;
        odd
    }

    /// Gathers with these settings.
    async fn evidence(&self, settings: Settings) -> Evidence {
        let target = TargetRef::parse(Namespace::parse(&self.namespace).unwrap(), POD).unwrap();
        let reach = connect(Some(&self.bed.kubeconfig()), None, settings).await.unwrap();
        // Much for the stack of a test, unoptimized.
        Box::pin(gather(&reach, &target, Arc::new(SystemClock), Arc::new(|_| ()))).await.unwrap()
    }

    /// What reading that file as an SVID came to.
    async fn reading(&self, path: &str) -> Missing {
        let settings = Settings { svid_path: path.to_owned(), ..settings() };
        why(&self.evidence(settings).await.pods[0].svid_file)
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.bed.clean_up("kubectl", &["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}

fn settings() -> Settings {
    let limits = Limits { check: Duration::from_secs(30), overall: Duration::from_mins(1), ..Limits::default() };
    Settings { spire_namespace: "spire".to_owned(), limits, ..Settings::default() }
}

fn why<T>(gathered: &Gathered<T>) -> Missing {
    match gathered {
        Gathered::Missing { reason, .. } => reason.clone(),
        Gathered::Seen { .. } => panic!("it was seen"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_missing_one_that_may_not_be_read_and_one_that_is_too_big_are_told_apart() {
    let bed = Bed::to_share().await;
    let odd = Odd::is_made(&bed, "files").await;
    assert_eq!(odd.reading("/files/nowhere").await, Missing::Gone { what: "/files/nowhere".to_owned() });
    let said = "cat /files/unreadable failed: cat: /files/unreadable: Permission denied";
    assert_eq!(odd.reading("/files/unreadable").await, Missing::Other { why: said.into() });
    let Missing::Other { why } = odd.reading("/files/big").await else { panic!("it is too big") };
    assert!(why.contains("it wrote over 524288 bytes"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_end_costs_its_own_check_and_no_other() {
    let bed = Bed::to_share().await;
    let odd = Odd::is_made(&bed, "stuck").await;
    // Long enough for all the others on a busy machine.
    let limits = Limits { check: Duration::from_secs(20), ..settings().limits };
    let evidence = odd.evidence(Settings { svid_path: STUCK.to_owned(), limits, ..settings() }).await;
    let pod = &evidence.pods[0];
    assert_eq!(why(&pod.svid_file), Missing::TimedOut { seconds: 20 });
    assert!(pod.proxy_log.value().is_some() && evidence.servers[0].healthcheck.value().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_half_way_is_no_half_answer() {
    let bed = Bed::to_break().await;
    let odd = Odd::is_made(&bed, "cut").await;
    let cut = async {
        let reads = format!("until ps ax | grep -q '[c]at {STUCK}'; do : $((n += 1)); [ $n -lt 300 ]; sleep 0.1; done");
        bed.administrator("kubectl", &["exec", "-n", &odd.namespace, "odd", "-c", "app", "--", "sh", "-ec", &reads])
            .await;
        bed.cut_streams().await;
    };
    // The API server ends the bot's stream with a success: only what came can tell.
    let (read, ()) = tokio::join!(odd.reading(STUCK), cut);
    let Missing::Other { why } = read else { panic!("{read:?}") };
    assert!(why.contains("it came only in part"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_long_log_the_newest_lines_are_kept_and_only_since_when_it_was_asked() {
    let bed = Bed::to_share().await;
    let odd = Odd::is_made(&bed, "logs").await;
    let agents_log = async |since: Duration| {
        let evidence = odd.evidence(Settings { agent_log_since: since, ..settings() }).await;
        (evidence.agents[0].log.value().unwrap().reaches, evidence)
    };
    let (all, evidence) = agents_log(Duration::from_hours(24)).await;
    let proxy = evidence.pods[0].proxy_log.value().unwrap();
    let has = |end: &str| proxy.lines.iter().any(|line| line.ends_with(end));
    assert!(proxy.cut && has(" 5999") && has("SAN matcher"), "both streams are read: {:?}", proxy.lines.last());
    assert!(!has(" 5000"), "the oldest are left out");

    let (late, evidence) = agents_log(Duration::from_secs(1)).await;
    let all = all.expect("the agent said something when it started");
    assert!(
        late.is_none_or(|late| late > all && late >= evidence.gathered_at - SignedDuration::from_secs(10)),
        "{late:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_healthcheck_ended_is_read_and_where_there_is_no_command_its_port_is_asked() {
    let bed = Bed::to_share().await;
    let odd = Odd::is_made(&bed, "health").await;
    let health = async |settings: Settings| odd.evidence(settings).await.agents[0].healthcheck.clone();
    let green = health(settings()).await;
    assert!(green.value().unwrap().healthy, "{green:?}");
    let wrong_socket = health(Settings { agent_socket: "/nowhere/agent.sock".to_owned(), ..settings() }).await;
    let red = wrong_socket.value().unwrap();
    assert!(!red.healthy && red.output.contains("Agent is unhealthy"), "exit code 1 and what it said: {red:?}");
    let no_command = Settings { agent_command: "/nowhere/spire-agent".to_owned(), ..settings() };
    let asked = health(no_command.clone()).await;
    assert_eq!(asked.value().unwrap().output.as_str(), "asked over HTTP: /live answers 200, /ready answers 200");
    let nothing = health(Settings { health_port: 9, ..no_command }).await;
    assert_eq!(why(&nothing), Missing::ToolMissing { tool: "/nowhere/spire-agent".to_owned() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_where_nobody_listens_is_said_in_the_words_of_the_node() {
    let bed = Bed::to_share().await;
    let odd = Odd::is_made(&bed, "port").await;
    let evidence = odd.evidence(settings()).await;
    let Missing::Other { why } = why(&evidence.pods[0].stats) else { panic!("nobody listens there") };
    assert!(why.contains("connection refused") && why.contains("15000"), "{why}");
}
