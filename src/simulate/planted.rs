//! What a test plants in the pods of a mesh beside what they say themselves: lines of logs, and text in certificate files.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::{CommandOutput, HttpAnswer, Kubelet, LogLine, Unreachable};
use crate::mesh::PodRef;

/// What is planted. Clones share it, so it can be changed while the mesh runs.
#[derive(Debug, Clone, Default)]
pub struct Planted(Arc<Mutex<Plants>>);

#[derive(Debug, Default)]
struct Plants {
    /// Lines by the container that logs them.
    lines: Vec<(String, String)>,
    /// What stands at the end of every certificate file.
    in_files: Vec<u8>,
}

impl Planted {
    /// Every container of that name logs these lines as well.
    pub fn log(&self, container: &str, lines: &str) {
        self.lock().lines.extend(lines.lines().map(|line| (container.to_owned(), line.to_owned())));
    }

    /// Every certificate file of a workload ends with this text.
    pub fn in_files(&self, text: &str) {
        self.lock().in_files.extend_from_slice(text.as_bytes());
    }

    fn lock(&self) -> MutexGuard<'_, Plants> {
        // Additions leave the lists whole even when a holder panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kubelets that add what is planted to what the others say.
pub(super) struct PlantedKubelet {
    pub(super) real: Arc<dyn Kubelet>,
    pub(super) planted: Planted,
    pub(super) now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Kubelet for PlantedKubelet {
    fn exec(&self, pod: &PodRef, container: &str, argv: &[String], stdin: &[u8]) -> Result<CommandOutput, Unreachable> {
        let planted = self.planted.lock().in_files.clone();
        let [program, files @ ..] = argv else { return self.real.exec(pod, container, argv, stdin) };
        if planted.is_empty() || program != "cat" {
            return self.real.exec(pod, container, argv, stdin);
        }
        let mut all = CommandOutput { stdout: Vec::new(), stderr: Vec::new(), exit_code: 0 };
        for file in files {
            let ran = self.real.exec(pod, container, &[program.clone(), file.clone()], stdin)?;
            all.stdout.extend(ran.stdout);
            all.stderr.extend(ran.stderr);
            all.exit_code = all.exit_code.max(ran.exit_code);
            if ran.exit_code == 0 {
                all.stdout.extend_from_slice(&planted);
            }
        }
        Ok(all)
    }

    fn logs(&self, pod: &PodRef, container: &str, previous: bool) -> Result<Vec<LogLine>, Unreachable> {
        let mut lines = self.real.logs(pod, container, previous)?;
        let at = (self.now)();
        let planted = self.planted.lock();
        let of_it = planted.lines.iter().filter(|(where_, _)| where_ == container);
        lines.extend(of_it.map(|(_, text)| LogLine { at, text: text.clone() }));
        Ok(lines)
    }

    fn http(&self, pod: &PodRef, port: u16, method: &str, path: &str) -> Result<HttpAnswer, Unreachable> {
        self.real.http(pod, port, method, path)
    }
}
