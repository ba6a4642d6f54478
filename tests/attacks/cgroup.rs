//! A memory cgroup of our own (version 1 or 2) with the chart's limit, where this machine lets us have one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use mtls_medic::bounds::MEMORY;

/// The group.
pub struct Cgroup {
    folder: PathBuf,
}

impl Cgroup {
    /// `None` where it cannot be had: then no limit is set, and the peak is all there is to look at.
    pub fn make() -> Option<Self> {
        let ours = fs::read_to_string("/proc/self/cgroup").ok()?;
        let (root, path, limit) = ours.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            match (parts.next()?, parts.next()?, parts.next()?) {
                (_, controllers, path) if controllers.split(',').any(|one| one == "memory") => {
                    Some(("/sys/fs/cgroup/memory", path.to_owned(), "memory.limit_in_bytes"))
                }
                ("0", "", path) if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() => {
                    Some(("/sys/fs/cgroup", path.to_owned(), "memory.max"))
                }
                _ => None,
            }
        })?;
        let name = format!("mtls-medic-{}-{}", std::process::id(), moment());
        // A container sees its own group as the root.
        let places = [PathBuf::from(format!("{root}{path}")), PathBuf::from(root)];
        let folder = places.into_iter().map(|place| place.join(&name)).find(|folder| fs::create_dir(folder).is_ok())?;
        let group = Self { folder };
        fs::write(group.folder.join(limit), MEMORY.to_string()).is_ok().then_some(group)
    }

    /// Where a process puts itself in.
    pub fn procs(&self) -> PathBuf {
        self.folder.join("cgroup.procs")
    }
}

/// Two tests of one process make two groups.
fn moment() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos()
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.folder));
    }
}
