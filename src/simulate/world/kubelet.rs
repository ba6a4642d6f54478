//! What runs in the pods of the world, as an API server asks its kubelets.

use super::{Fault, World, WorldState, admin, pod::Pod, spire};
use crate::{
    mesh::PodRef,
    simulate::{CommandOutput, HttpAnswer, Kubelet, LogLine, Unreachable},
};

/// The port of Envoy's admin interface in a sidecar.
const ADMIN_PORT: u16 = 15000;

/// What a pod of the world is.
enum Resident<'a> {
    Workload(&'a Pod),
    Agent(&'a str),
    Server,
}

fn resident<'a>(inner: &'a WorldState, pod: &PodRef) -> Option<Resident<'a>> {
    let key = (pod.namespace.to_string(), pod.name.to_string());
    if let Some(found) = inner.pods.get(&key) {
        return Some(Resident::Workload(found));
    }
    if pod.namespace.as_str() != "spire-system" {
        return None;
    }
    let agent = inner.agents.iter().find(|(_, agent)| agent.pod == pod.name.as_str());
    match agent {
        Some((node, _)) => Some(Resident::Agent(node)),
        None if pod.name.as_str() == "spire-server-0" => Some(Resident::Server),
        None => None,
    }
}

fn failed(exit_code: i32, text: &str) -> CommandOutput {
    CommandOutput { stdout: Vec::new(), stderr: text.as_bytes().to_vec(), exit_code }
}

impl Kubelet for World {
    fn exec(
        &self,
        pod: &PodRef,
        container: &str,
        argv: &[String],
        _stdin: &[u8],
    ) -> Result<CommandOutput, Unreachable> {
        let now = self.store.now();
        let inner = self.settled_at(now);
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        match (resident(&inner, pod), container) {
            (Some(Resident::Workload(found)), "app") => exec_app(&inner, found, &words, now),
            (Some(Resident::Workload(found)), "istio-proxy") => exec_proxy(&inner, found, &words, now),
            (Some(Resident::Agent(node)), "spire-agent") => match words.as_slice() {
                ["/opt/spire/bin/spire-agent", "healthcheck", ..] => Ok(spire::agent_healthcheck(&inner, node)),
                other => Err(no_executable(other)),
            },
            (Some(Resident::Server), "spire-server") => match words.as_slice() {
                ["/opt/spire/bin/spire-server", "healthcheck", ..] => Ok(spire::server_healthcheck(&inner)),
                ["/opt/spire/bin/spire-server", "bundle", what, rest @ ..] => {
                    Ok(spire::server_bundle(&inner, what, rest))
                }
                other => Err(no_executable(other)),
            },
            _ => Err(Unreachable::NoContainer(container.to_owned())),
        }
    }

    fn logs(&self, pod: &PodRef, container: &str, previous: bool) -> Result<Vec<LogLine>, Unreachable> {
        let now = self.store.now();
        let inner = self.settled_at(now);
        let missing = || Unreachable::NoContainer(container.to_owned());
        let lines = match (resident(&inner, pod).ok_or_else(missing)?, container) {
            (Resident::Workload(found), "app") => found.app_log.lines(),
            (Resident::Workload(found), "istio-proxy") => found.proxy_log.lines(),
            (Resident::Agent(node), "spire-agent") => {
                inner.agents.get(node).map(|agent| agent.log.lines()).unwrap_or_default()
            }
            (Resident::Server, "spire-server") => Vec::new(),
            _ => return Err(missing()),
        };
        // No container of the world has restarted inside its pod.
        if previous { Err(Unreachable::NotRunning(container.to_owned())) } else { Ok(lines) }
    }

    fn http(&self, pod: &PodRef, port: u16, method: &str, path: &str) -> Result<HttpAnswer, Unreachable> {
        let now = self.store.now();
        let inner = self.settled_at(now);
        match resident(&inner, pod) {
            Some(Resident::Workload(found)) if port == ADMIN_PORT && now >= found.up_at => {
                if method == "GET" {
                    return Ok(admin::answer(&inner, found, path, now));
                }
                let body = b"Method Not Allowed\n".to_vec();
                Ok(HttpAnswer { status: 405, content_type: "text/plain", body })
            }
            _ => Err(Unreachable::Refused(port)),
        }
    }
}

fn no_executable(words: &[&str]) -> Unreachable {
    Unreachable::NoExecutable(words.first().copied().unwrap_or_default().to_owned())
}

fn exec_app(inner: &WorldState, pod: &Pod, words: &[&str], now: jiff::Timestamp) -> Result<CommandOutput, Unreachable> {
    match words {
        ["cat", ..] if inner.has(&Fault::NoCat) => Err(no_executable(words)),
        ["cat", files @ ..] => Ok(cat(inner, pod, files)),
        ["curl", rest @ ..] => Ok(curl(inner, pod, rest, now)),
        other => Err(no_executable(other)),
    }
}

fn exec_proxy(
    inner: &WorldState,
    pod: &Pod,
    words: &[&str],
    now: jiff::Timestamp,
) -> Result<CommandOutput, Unreachable> {
    match words {
        ["pilot-agent", "request", "GET", path] => {
            let path = if path.starts_with('/') { (*path).to_owned() } else { format!("/{path}") };
            let answer = admin::answer(inner, pod, &path, now);
            Ok(CommandOutput { stdout: answer.body, stderr: Vec::new(), exit_code: i32::from(answer.status != 200) })
        }
        ["cat", files @ ..] => Ok(cat(inner, pod, files)),
        ["curl", rest @ ..] => Ok(curl(inner, pod, rest, now)),
        other => Err(no_executable(other)),
    }
}

fn cat(inner: &WorldState, pod: &Pod, files: &[&str]) -> CommandOutput {
    let mut out = Vec::new();
    let bundle = inner.bundle_of(pod);
    for file in files {
        let content = match (*file, &pod.svid) {
            ("/run/spire/svid/svid.crt", Some(svid)) => svid.chain_pem.as_str(),
            ("/run/spire/svid/svid.key", Some(svid)) => svid.key_pem.as_str(),
            ("/run/spire/bundle/bundle.crt", _) if !pod.served.as_ref().is_some_and(|svid| svid.from_istiod) => {
                bundle.as_str()
            }
            (missing, _) => return failed(1, &format!("cat: {missing}: No such file or directory\n")),
        };
        out.extend_from_slice(content.as_bytes());
    }
    CommandOutput { stdout: out, stderr: Vec::new(), exit_code: 0 }
}

fn curl(inner: &WorldState, pod: &Pod, words: &[&str], now: jiff::Timestamp) -> CommandOutput {
    let path = words.iter().find_map(|word| word.strip_prefix("http://localhost:15000"));
    match path {
        Some(path) => {
            let answer = admin::answer(inner, pod, path, now);
            CommandOutput { stdout: answer.body, stderr: Vec::new(), exit_code: 0 }
        }
        None => failed(7, "curl: (7) Failed to connect\n"),
    }
}
