//! What SPIRE's own healthchecks say.

use super::{Healthcheck, Redacted, ends::end_of};

/// Reads a healthcheck's output and exit code.
pub fn read_healthcheck(exit_code: i32, stdout: &str, stderr: &str) -> Healthcheck {
    let output = if stdout.trim().is_empty() { stderr } else { stdout };
    Healthcheck { healthy: exit_code == 0, output: end_of(&Redacted::new(output.trim())).into() }
}
