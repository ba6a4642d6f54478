//! What the mesh as a whole is set to: the document `mesh` of the ConfigMap `istio` in istiod's namespace.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::names::{Metadata, null_as_default};

/// The ConfigMap that istiod reads; a revision's is called `istio-REVISION`.
pub(super) const MESH_CONFIG_MAP: &str = "istio";

/// The settings that every proxy of the mesh shares.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MeshConfig {
    pub root_namespace: String,
    pub trust_domain: String,
    #[serde(deserialize_with = "null_as_default")]
    pub trust_domain_aliases: Vec<String>,
    pub enable_auto_mtls: Option<bool>,
    #[serde(deserialize_with = "null_as_default")]
    pub default_destination_rule_export_to: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    pub default_service_export_to: Vec<String>,
}

/// Istio's own defaults: `DefaultMeshConfig` of Istio 1.31 (pkg/config/mesh/mesh.go).
impl Default for MeshConfig {
    fn default() -> Self {
        Self {
            root_namespace: "istio-system".to_owned(),
            trust_domain: "cluster.local".to_owned(),
            trust_domain_aliases: Vec::new(),
            enable_auto_mtls: None,
            default_destination_rule_export_to: Vec::new(),
            default_service_export_to: Vec::new(),
        }
    }
}

impl MeshConfig {
    /// Whether clients without a rule use mTLS where the server can; unset means on.
    pub fn auto_mtls(&self) -> bool {
        self.enable_auto_mtls.unwrap_or(true)
    }

    /// The identity of a service account in this mesh.
    pub(super) fn identity(&self, namespace: &str, service_account: &str) -> String {
        format!("spiffe://{}/ns/{namespace}/sa/{service_account}", self.trust_domain)
    }
}

/// The ConfigMap around it.
#[derive(Debug, Deserialize)]
pub(super) struct ConfigMap {
    #[serde(default)]
    pub metadata: Metadata,
    #[serde(default, deserialize_with = "null_as_default")]
    pub data: BTreeMap<String, String>,
}
