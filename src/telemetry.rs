//! Logging with tracing: structured, on standard error, without secrets.
//!
//! Only what mtls-medic itself says is logged, whatever `RUST_LOG` asks for. The libraries quote what they carry: tungstenite
//! and h2 whole frames (files of pods, tokens) and hyper headers at trace, slack-morphism bodies and addresses with tickets
//! at debug, sqlx statements, kube as a warning the body of an answer that it does not understand. What goes wrong in them
//! comes back as an error, which the caller tells in its own words.

use std::io::{IsTerminal, stderr};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::filter_fn,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line, for log stores.
    Json,
}

/// Starts to log. `default` is the level where `RUST_LOG` does not say otherwise.
pub fn start(format: LogFormat, default: &str) {
    let levels = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // Colours are for people: in a pod's log they are noise.
    let started = logging(format, levels, stderr().is_terminal(), stderr).try_init();
    // Somebody (a test) has started it before: then it logs already.
    drop(started);
}

fn logging<W>(format: LogFormat, levels: EnvFilter, colours: bool, to: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(to).with_ansi(colours);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let ours = filter_fn(|line| is_ours(line.target()));
    tracing_subscriber::registry().with(lines.with_filter(levels).with_filter(ours))
}

/// The crate whose lines are logged.
const OURS: &str = env!("CARGO_CRATE_NAME");

fn is_ours(target: &str) -> bool {
    target.strip_prefix(OURS).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_libraries_say_nothing_whatever_is_asked_for() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let written = Captured::default();
            let to = written.clone();
            let levels = EnvFilter::new("trace,hyper=trace,kube_client=trace");
            tracing::subscriber::with_default(logging(format, levels, false, move || to.clone()), || {
                tracing::trace!("of our own");
                tracing::error!(target: "kube_client::client", "body=hunter2");
                tracing::warn!(target: "tungstenite::protocol", "frame=hunter2");
                tracing::error!(target: "mtls_medic_other", "body=hunter2");
                // Records of the log crate come under this name.
                tracing::trace!(target: "log", "Received message hunter2");
                let _span = tracing::error_span!(target: "hyper", "request", header = "hunter2").entered();
                tracing::info!("within");
            });
            let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            assert!(text.contains("of our own") && text.contains("within") && !text.contains("hunter2"), "{text}");
        }
    }
}
