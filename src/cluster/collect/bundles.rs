//! The roots that SPIRE and Istio hand out in ConfigMaps, and those that the SPIRE server has itself (runbook steps 1.4, 1.6
//! and scenario 3).

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::Gathering;
use crate::{
    cluster::{ClusterError, FoundPod, exec::Tool},
    mesh::Namespace,
    triage::{
        DomainRoots, Gathered, PemFile, ServerBundles,
        certificate::{NoBundle, read_bundle, read_listed_bundles, read_shown_bundle},
    },
};

/// SPIRE's bundle: as PEM (its `k8sbundle` notifier), or as a SPIFFE bundle (the hardened chart).
pub(super) async fn of_spire(gathering: &Gathering) -> Gathered<PemFile> {
    let namespace = &gathering.reach.settings.spire_namespace;
    gathering.config_map(namespace, "spire-bundle", &["bundle.crt", "bundle.pem", "bundle.spiffe"]).await
}

/// istiod's root, as a namespace has it.
pub(super) async fn of_istio(gathering: &Gathering, namespace: &Namespace) -> Gathered<PemFile> {
    gathering.config_map(namespace.as_str(), "istio-ca-root-cert", &["root-cert.pem", "ca.crt"]).await
}

/// The bundles that a pod of the SPIRE server has.
pub(super) async fn of_server(gathering: &Gathering, found: &FoundPod) -> ServerBundles {
    let (own, federated) = futures::join!(
        asked(gathering, found, Tool::ServerBundle, "spire-server bundle show", read_shown_bundle),
        asked(gathering, found, Tool::FederatedBundles, "spire-server bundle list", read_listed_bundles),
    );
    ServerBundles { own, federated }
}

async fn asked(
    gathering: &Gathering,
    found: &FoundPod,
    tool: Tool,
    source: &str,
    read: fn(&[u8]) -> Result<DomainRoots, NoBundle>,
) -> Gathered<DomainRoots> {
    let call = async {
        let output = gathering.reach.exec(&found.pod, found.container.as_deref(), &tool).await?;
        let failed = |why: String| ClusterError::Failed { what: source.to_owned(), why: why.into() };
        if output.exit_code != 0 {
            // Servers older than 1.4 know no `-output`, and say so here.
            return Err(failed(output.stderr.lines().next().unwrap_or_default().trim().to_owned()));
        }
        read(&output.stdout).map_err(|error| failed(error.to_string()))
    };
    gathering.check(source.to_owned(), call).await
}

impl Gathering {
    /// The certificates of a ConfigMap, under the first of the keys that is there. A map without any of them is no empty
    /// bundle.
    pub(super) async fn config_map(&self, namespace: &str, name: &str, keys: &[&str]) -> Gathered<PemFile> {
        let source = format!("ConfigMap {namespace}/{name}");
        let api: Api<ConfigMap> = Api::namespaced(self.reach.client.clone(), namespace);
        let failed = |why: String| ClusterError::Failed { what: source.clone(), why: why.into() };
        let call = async {
            let map = api
                .get(name)
                .await
                .map_err(|error| ClusterError::of(&error, "get", "configmaps", namespace, &source))?;
            let data = map.data.unwrap_or_default();
            let text = keys.iter().find_map(|key| data.get(*key));
            let text = text.ok_or_else(|| failed(format!("it has no key {}", keys.join(", "))))?;
            read_bundle(text.as_bytes()).map_err(|error| failed(error.to_string()))
        };
        let call = self.reach.bounded(&source, call);
        self.check(source.clone(), call).await
    }
}
