//! What one pod of the target holds, serves and logs (runbook steps 1.1 to 1.3, 3.3 and the domain notes on Envoy).

use super::{Gathering, gap, mounted::mounted, pod_start, ztunnel};
use crate::{
    cluster::{
        ClusterError, FoundPod,
        admin::{Admin, PROXY},
        exec::Tool,
    },
    mesh::PodRef,
    triage::{
        ClientEvidence, Gathered, LogExcerpt, PemFile, PodEvidence, ProxyStats, Redacted, ServedSecrets,
        certificate::{NoBundle, read_bundle, read_pem},
        envoy::{connected_since, tls_lines},
        look_further::{LookFurther, after_bundle_file, after_certificates, shown_bundle},
    },
};

/// How far back the proxy's log is read, in seconds: the runbook's ten minutes.
const LOG_SINCE: i64 = 600;
/// How many lines of a log are kept as evidence.
const LINES_KEPT: usize = 60;

pub(super) async fn gather(gathering: &Gathering, found: &FoundPod) -> PodEvidence {
    let settings = &gathering.reach.settings;
    let admin = gathering.reach.admin(&found.pod);
    let crashed = found.troubles.iter().any(|one| one.name.as_str() == PROXY && one.ended.is_some());
    let ztunnel_log = async { if found.ambient { Some(ztunnel::log(gathering, found).await) } else { None } };
    let (svid_file, bundle_file, served, stats, proxy_log, ztunnel_log) = futures::join!(
        file(gathering, found, &settings.svid_path, |text| Ok(read_pem(text))),
        bundle(gathering, found, &settings.bundle_path),
        served(gathering, found, &admin),
        stats(gathering, found.sidecar, &admin),
        proxy_log(gathering, &found.pod, found.sidecar, crashed),
        ztunnel_log,
    );
    let mut pod = PodEvidence {
        pod: found.pod.clone(),
        uid: found.uid.clone(),
        node: found.node.clone(),
        service_account: found.service_account.clone(),
        controller: found.controller.clone(),
        ready: found.ready,
        sidecar: found.sidecar,
        ambient: found.ambient,
        svid_file,
        bundle_file,
        served,
        stats,
        proxy_log,
        ztunnel_log,
        start: None,
    };
    if after_certificates(&pod) == Some(LookFurther::PodStart) {
        pod.start = Some(pod_start::gather(gathering, found).await);
    }
    pod
}

async fn file(
    gathering: &Gathering,
    found: &FoundPod,
    path: &str,
    read: fn(&[u8]) -> Result<PemFile, NoBundle>,
) -> Gathered<PemFile> {
    let source = format!("cat {path}");
    let call = async {
        let output = gathering.reach.exec(&found.pod, found.container.as_deref(), &Tool::Cat(path.to_owned())).await?;
        if output.exit_code == 0 {
            let failed = |why: String| ClusterError::Failed { what: format!("cat {path}"), why: why.into() };
            return read(&output.stdout).map_err(|error| failed(error.to_string()));
        }
        let said = output.stderr.lines().next().unwrap_or_default().trim();
        if said.contains("No such file") {
            return Err(ClusterError::NotFound { what: path.to_owned() });
        }
        // It may well be there: not readable is not the same as missing.
        Err(ClusterError::Failed { what: format!("cat {path}"), why: said.into() })
    };
    gathering.check(source, call).await
}

/// The bundle file, or the ConfigMap behind it (what the proxy trusts is gathered beside it).
async fn bundle(gathering: &Gathering, found: &FoundPod, path: &str) -> Gathered<PemFile> {
    let read = file(gathering, found, path, read_bundle).await;
    let behind = match after_bundle_file(&read) {
        Some(LookFurther::MountedConfigMap) => mounted(gathering, found, path).await,
        _ => None,
    };
    shown_bundle(read, behind)
}

async fn served(gathering: &Gathering, found: &FoundPod, admin: &Admin<'_>) -> Gathered<ServedSecrets> {
    let source = "Envoy /config_dump (secrets)";
    if !found.sidecar {
        return gap(gathering, source, "the pod has no sidecar");
    }
    gathering.check(source.to_owned(), admin.secrets()).await
}

/// What the proxy of a pod of the mesh says, where that pod is a client of the target.
pub(super) async fn client(gathering: &Gathering, pod: PodRef) -> ClientEvidence {
    let admin = gathering.reach.admin(&pod);
    let (stats, proxy_log) = futures::join!(stats(gathering, true, &admin), proxy_log(gathering, &pod, true, false));
    ClientEvidence { pod, stats, proxy_log }
}

async fn stats(gathering: &Gathering, sidecar: bool, admin: &Admin<'_>) -> Gathered<ProxyStats> {
    let source = "Envoy /stats and /clusters";
    if !sidecar {
        return gap(gathering, source, "the pod has no sidecar");
    }
    gathering.check(source.to_owned(), admin.stats()).await
}

async fn proxy_log(gathering: &Gathering, pod: &PodRef, sidecar: bool, crashed: bool) -> Gathered<LogExcerpt> {
    let source = "log of istio-proxy";
    if !sidecar {
        return gap(gathering, source, "the pod has no sidecar");
    }
    let call = async {
        let before = async {
            // One that crashed says in the log of its last life why.
            if crashed { gathering.reach.previous_log(pod, Some(PROXY), LOG_SINCE).await.ok() } else { None }
        };
        let (before, now) = futures::join!(before, gathering.reach.log(pod, Some(PROXY), LOG_SINCE));
        let text = match (before, now) {
            (Some(before), now) => format!("{}\n{}", &*before, now.as_deref().unwrap_or_default()),
            (None, now) => now?.to_string(),
        };
        let (lines, cut) = tls_lines(&text, LINES_KEPT);
        let connected_since = connected_since(&text, &lines);
        let lines = lines.into_iter().map(Redacted::from).collect();
        Ok(LogExcerpt { lines, cut, reaches: None, connected_since })
    };
    gathering.check(source.to_owned(), call).await
}
