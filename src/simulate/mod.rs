//! The simulated mesh: a small world that moves, behind an HTTP server that speaks the Kubernetes API.
//!
//! [`world`] knows SPIRE, workloads, proxies and controllers and nothing of HTTP; [`api`] knows the Kubernetes wire and
//! nothing of meshes. They meet in two places: the [`store`] of objects, and [`Kubelet`], which is what an API server
//! asks of the machines behind it.

pub mod api;
mod planted;
mod simulation;
pub mod store;
pub mod world;

pub use planted::Planted;
pub use simulation::{Simulation, StartError};

use jiff::Timestamp;

use crate::mesh::PodRef;

/// What a real API server would ask of a kubelet: run a command, read a log, reach a port.
pub trait Kubelet: Send + Sync + 'static {
    /// Runs `argv` in a container (no shell, as in a real exec), or says why it cannot be run.
    fn exec(&self, pod: &PodRef, container: &str, argv: &[String], stdin: &[u8]) -> Result<CommandOutput, Unreachable>;
    /// The lines of a container's log, oldest first. `previous` asks for the container that ran before a restart.
    fn logs(&self, pod: &PodRef, container: &str, previous: bool) -> Result<Vec<LogLine>, Unreachable>;
    /// One HTTP exchange with the program that listens on a port of the pod; `path` has its query.
    fn http(&self, pod: &PodRef, port: u16, method: &str, path: &str) -> Result<HttpAnswer, Unreachable>;
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// The exit code.
    pub exit_code: i32,
}

/// One line of a log and when it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When, on the world's clock.
    pub at: Timestamp,
    /// The line, without its line end.
    pub text: String,
}

/// What a port of a pod answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The media type.
    pub content_type: &'static str,
    pub body: Vec<u8>,
}

/// Why a kubelet could not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// No such pod or container.
    #[error("container {0} is not found")]
    NoContainer(String),
    /// The container is not running.
    #[error("container {0} is not running")]
    NotRunning(String),
    /// The command is not in the image.
    #[error("exec: \"{0}\": executable file not found in $PATH")]
    NoExecutable(String),
    /// Nothing listens on that port.
    #[error("connect: connection refused on port {0}")]
    Refused(u16),
}
