//! The roots that SPIRE and Istio hand out in ConfigMaps (runbook steps 1.4 and 1.6).

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::Gathering;
use crate::{
    cluster::ClusterError,
    mesh::Namespace,
    triage::{Gathered, PemFile, certificate::read_pem},
};

/// SPIRE's bundle.
pub(super) async fn of_spire(gathering: &Gathering) -> Gathered<PemFile> {
    let namespace = &gathering.reach.settings.spire_namespace;
    gathering.config_map(namespace, "spire-bundle", ["bundle.crt", "bundle.pem"]).await
}

/// istiod's root, as a namespace has it.
pub(super) async fn of_istio(gathering: &Gathering, namespace: &Namespace) -> Gathered<PemFile> {
    gathering.config_map(namespace.as_str(), "istio-ca-root-cert", ["root-cert.pem", "ca.crt"]).await
}

impl Gathering {
    /// The certificates of a ConfigMap, under the first of the keys that is there.
    pub(super) async fn config_map(&self, namespace: &str, name: &str, keys: [&str; 2]) -> Gathered<PemFile> {
        let source = format!("ConfigMap {namespace}/{name}");
        let api: Api<ConfigMap> = Api::namespaced(self.reach.client.clone(), namespace);
        let call = async {
            let map = api
                .get(name)
                .await
                .map_err(|error| ClusterError::of(&error, "get", "configmaps", namespace, &source))?;
            let data = map.data.unwrap_or_default();
            let text = keys.iter().find_map(|key| data.get(*key)).cloned().unwrap_or_default();
            Ok(read_pem(text.as_bytes()))
        };
        let call = self.reach.bounded(&source, call);
        self.check(source.clone(), call).await
    }
}
