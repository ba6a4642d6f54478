//! Reads the SVID that a pod presents now.

use super::{ClusterClient, FoundPod, admin::Admin, exec::Tool};
use crate::triage::certificate::{Svid, ders, read_pem};

impl ClusterClient {
    /// The SVID that a pod presents: what its proxy serves; its file where there is no proxy, or it cannot be asked. `None`
    /// is a proxy's own answer that it serves none: then there is none, whatever lies on disk. A file that is missing or
    /// empty says nothing, as its pod may keep none.
    pub(super) async fn svid_of(&self, pod: &FoundPod) -> Result<Option<Svid>, String> {
        self.svid_from(pod, &self.admin(&pod.pod)).await
    }

    /// The same, by an admin interface that is asked for more.
    pub(super) async fn svid_from(&self, pod: &FoundPod, admin: &Admin<'_>) -> Result<Option<Svid>, String> {
        self.svid_copies(pod, admin).await.presented
    }

    /// The SVID that a pod presents, and the one in its file, each read once.
    pub(super) async fn svid_copies(&self, pod: &FoundPod, admin: &Admin<'_>) -> SvidCopies {
        let (served, file) = futures::join!(served_chain(pod, admin), self.chain_of_file(pod));
        let in_file = file.as_ref().ok().and_then(|chain| Svid::read(ders(chain).first()?).ok());
        SvidCopies { presented: presented(served, file), in_file }
    }

    /// The certificates in the file of a pod; never none.
    async fn chain_of_file(&self, pod: &FoundPod) -> Result<Vec<String>, String> {
        let path = &self.settings.svid_path;
        let output = self.exec(&pod.pod, pod.container.as_deref(), &Tool::Cat(path.clone())).await;
        let output = output.map_err(|error| error.to_string())?;
        let chain = if output.exit_code == 0 { read_pem(&output.stdout).certificates } else { Vec::new() };
        if chain.is_empty() {
            Err(format!("no certificate could be read from {path} of {}", pod.pod))
        } else {
            Ok(chain)
        }
    }
}

/// What a pod shows of its SVID.
pub(super) struct SvidCopies {
    /// As [`ClusterClient::svid_of`] says it.
    pub(super) presented: Result<Option<Svid>, String>,
    /// What lies in its file, whatever its proxy presents.
    pub(super) in_file: Option<Svid>,
}

fn presented(
    served: Option<Result<Vec<String>, String>>,
    file: Result<Vec<String>, String>,
) -> Result<Option<Svid>, String> {
    let chain = match (served, file) {
        (Some(Ok(chain)), _) if chain.is_empty() => return Ok(None),
        (Some(Ok(chain)), _) | (Some(Err(_)) | None, Ok(chain)) => chain,
        (Some(Err(why)), Err(_)) | (None, Err(why)) => return Err(why),
    };
    let leaf = ders(&chain).into_iter().next().ok_or("its certificate does not decode")?;
    Svid::read(&leaf).map(Some).map_err(|error| error.to_string())
}

async fn served_chain(pod: &FoundPod, admin: &Admin<'_>) -> Option<Result<Vec<String>, String>> {
    if !pod.sidecar {
        return None;
    }
    Some(admin.secrets().await.map(|served| served.chain).map_err(|error| error.to_string()))
}
