//! Where `pair` and `whatif` take their objects from: files, or the cluster itself.

use std::{
    collections::BTreeSet,
    io::{Write, stderr},
    path::PathBuf,
};

use clap::Args;

use super::objects_file::{ObjectsFileError, objects};
use crate::{
    cluster::{ClusterError, Settings, connect},
    config::{ConfigError, mesh_settings},
    legible,
    triage::istio::Objects,
};

/// Files of objects, or a cluster.
#[derive(Debug, Args)]
pub struct ObjectsSource {
    /// Take the objects from this file, as `kubectl get ns,pods,services,endpointslices,peerauthentications,destinationrules,
    /// sidecars,virtualservices,serviceentries,envoyfilters,configmaps -A -o json` or `-o yaml` printed them, instead of reading
    /// them from the cluster; `-` reads standard input; may be given several times
    #[arg(long, value_name = "FILE")]
    objects: Vec<PathBuf>,
    /// Read from this file where things are in the mesh: only its part `mesh` counts
    #[arg(long, value_name = "FILE", conflicts_with = "objects")]
    config: Option<PathBuf>,
    /// Use this kubeconfig instead of the one that kubectl would use
    #[arg(long, value_name = "FILE", conflicts_with = "objects")]
    kubeconfig: Option<PathBuf>,
    /// Use this context of the kubeconfig
    #[arg(long, conflicts_with = "objects")]
    context: Option<String>,
}

/// The objects could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsSourceError {
    #[error(transparent)]
    File(#[from] ObjectsFileError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

impl ObjectsSource {
    /// Reads them. From a cluster, Services and pods only of these namespaces, where they are named. What has a say and could not
    /// be read is told on standard error.
    pub(super) async fn read(&self, namespaces: Option<&BTreeSet<String>>) -> Result<Objects, ObjectsSourceError> {
        if !self.objects.is_empty() {
            return Ok(objects(&self.objects)?);
        }
        let settings = self.config.as_deref().map_or_else(|| Ok(Settings::default()), mesh_settings)?;
        let reach = connect(self.kubeconfig.as_deref(), self.context.as_deref(), settings).await?;
        let live = reach.live_objects(namespaces).await?;
        for gap in &live.not_read {
            let said = format!("less certain: {gap} could not be read ({})", gap.reason.sentence());
            drop(writeln!(stderr(), "{}", legible::line(&said)));
        }
        Ok(live.objects)
    }
}
