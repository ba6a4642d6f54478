//! Reads the SVID that a pod presents now.

use super::{ClusterClient, FoundPod, admin::Admin, exec::Tool};
use crate::triage::certificate::{Svid, ders, read_pem};

impl ClusterClient {
    /// The SVID that a pod presents: what its proxy serves; its file where there is no proxy, or it cannot be asked. A
    /// proxy that serves none has none, whatever lies on disk.
    pub(super) async fn svid_of(&self, pod: &FoundPod) -> Result<Svid, String> {
        self.svid_from(pod, &self.admin(&pod.pod)).await
    }

    /// The same, by an admin interface that is asked for more.
    pub(super) async fn svid_from(&self, pod: &FoundPod, admin: &Admin<'_>) -> Result<Svid, String> {
        let (served, file) = futures::join!(served_chain(pod, admin), self.chain_of_file(pod));
        let chain = match served {
            Some(Ok(chain)) => chain,
            Some(Err(why)) if file.is_empty() => return Err(why),
            Some(Err(_)) | None => file,
        };
        let leaf = ders(&chain).into_iter().next().ok_or("there is none")?;
        Svid::read(&leaf).map_err(|error| error.to_string())
    }

    async fn chain_of_file(&self, pod: &FoundPod) -> Vec<String> {
        let tool = Tool::Cat(self.settings.svid_path.clone());
        match self.exec(&pod.pod, pod.container.as_deref(), &tool).await {
            Ok(output) if output.exit_code == 0 => read_pem(&output.stdout).certificates,
            _ => Vec::new(),
        }
    }
}

async fn served_chain(pod: &FoundPod, admin: &Admin<'_>) -> Option<Result<Vec<String>, String>> {
    if !pod.sidecar {
        return None;
    }
    Some(admin.secrets().await.map(|served| served.chain).map_err(|error| error.to_string()))
}
