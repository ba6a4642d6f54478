//! A kubeconfig that points at the simulated mesh.

use std::{io, path::Path};

use crate::private_file;

/// Cluster, user and context are all called this.
const NAME: &str = "simulated-mesh";
/// Sent by clients that send one; the simulated mesh asks nobody who they are.
const TOKEN: &str = "not-checked";

/// Writes a kubeconfig whose only context is the simulated mesh at `url` (`http://ADDRESS:PORT`). An old file is
/// replaced; the new one can be read by its owner only, as kubectl wants it.
pub fn write_kubeconfig(path: &Path, url: &str) -> io::Result<()> {
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": NAME,
        "clusters": [{"name": NAME, "cluster": {"server": url}}],
        "users": [{"name": NAME, "user": {"token": TOKEN}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME, "namespace": "default"}}],
    });
    // JSON is YAML too.
    private_file::write(path, format!("{config:#}\n").as_bytes())
}
