//! The real `serve` on a machine whose wall clock is set: a small library in front of libc adds to what it says.

use std::{
    path::{Path, PathBuf},
    process::Command as Process,
    time::Duration,
};

use serde_json::json;

use crate::{mesh::Mesh, serving::Outside};

/// A wall clock that is ahead by as many seconds as a file says.
pub struct WallClock {
    folder: tempfile::TempDir,
}

const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static long ahead(void) {
    char text[32] = {0};
    const char *path = getenv("WALL_CLOCK_AHEAD");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    ssize_t got = read(file, text, sizeof text - 1);
    close(file);
    return got > 0 ? strtol(text, NULL, 10) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += ahead();
    return result;
}
"#;

impl WallClock {
    /// Builds the library with the machine's C compiler, which Rust needs anyway.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("clock.c"), LIBRARY).unwrap();
        let built = Process::new("cc")
            .args(["-shared", "-fPIC", "-o", "clock.so", "clock.c", "-ldl"])
            .current_dir(folder.path())
            .status()
            .unwrap();
        assert!(built.success());
        Self { folder }
    }

    fn ahead(&self) -> PathBuf {
        self.folder.path().join("ahead")
    }

    /// What runs a command before whose eyes this clock is.
    pub fn before(&self) -> Process {
        let mut command = Process::new("env");
        command.env("LD_PRELOAD", self.folder.path().join("clock.so")).env("WALL_CLOCK_AHEAD", self.ahead());
        command
    }

    /// Somebody sets it: it is ahead of the true time by so many seconds.
    pub fn is_set_ahead(&self, seconds: i64) {
        let next: &Path = &self.folder.path().join("next");
        std::fs::write(next, seconds.to_string()).unwrap();
        std::fs::rename(next, self.ahead()).unwrap();
    }
}

/// Two levels, of which the second is called when the first has not answered for 25 seconds: the first is mentioned within
/// 20 on the slowest machine, when the diagnosis is not waited for any longer.
async fn night() -> (Mesh, Outside) {
    let level = |team: &str, window: &str, user: &str| json!({ "team": team, "window": window, "mention": { "users": [user] } });
    let people = json!({
        "levels": [level("Platform On-Call", "25s", "U0LEVEL1"), level("Platform Security", "30m", "U0LEVEL2")],
        "commanders": { "users": ["U0ONCALL"] },
        "approvers": { "users": ["U0SEC"] },
    });
    let (mesh, mut outside) = Mesh::and_outside_with(json!({ "people": people })).await;
    outside.slack.patience = Duration::from_mins(1);
    (mesh, outside)
}

async fn is_set_while_a_window_runs(by: i64, said: &str, direction: &str) {
    let ((mesh, outside), clock) = (night().await, WallClock::new());
    let bot = outside.starts_by(&mut clock.before()).await;
    outside.alertmanager_sends("firing-one-service.json").await;
    outside.channel_shows("<@U0LEVEL1>").await;
    clock.is_set_ahead(by);
    outside.channel_shows(said).await;
    assert!(!outside.slack.transcript().contains("U0LEVEL2"), "nobody is called early");
    // Within the patience of the test, and not an hour later.
    outside.channel_shows("<@U0LEVEL2>").await;
    let metrics = outside.metrics().await;
    assert!(metrics.contains(&format!("mtls_medic_clock_jumps_total{{direction=\"{direction}\"}} 1")), "{metrics}");
    bot.killed();
    mesh.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_calls_the_next_level_in_time_when_the_wall_clock_is_set_back_or_forward_by_an_hour() {
    tokio::join!(
        is_set_while_a_window_runs(-3600, "was set back by 60 min", "back"),
        is_set_while_a_window_runs(3600, "was set forward by 60 min", "forward"),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_that_was_away_while_the_wall_clock_was_set_back_calls_the_next_level_in_time() {
    let ((mesh, outside), clock) = (night().await, WallClock::new());
    let bot = outside.starts_by(&mut clock.before()).await;
    outside.alertmanager_sends("firing-one-service.json").await;
    outside.channel_shows("<@U0LEVEL1>").await;
    bot.killed();
    clock.is_set_ahead(-3600);
    let bot = outside.starts_by(&mut clock.before()).await;
    outside.channel_shows("was set back by 60 min").await;
    outside.channel_shows("<@U0LEVEL2>").await;
    bot.killed();
    mesh.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_that_is_killed_right_after_the_wall_clock_was_set_forward_calls_the_next_level_in_time() {
    let ((mesh, outside), clock) = (night().await, WallClock::new());
    let bot = outside.starts_by(&mut clock.before()).await;
    outside.alertmanager_sends("firing-one-service.json").await;
    outside.channel_shows("<@U0LEVEL1>").await;
    clock.is_set_ahead(3600);
    outside.channel_shows("was set forward by 60 min").await;
    bot.killed();
    outside.starts_by(&mut clock.before()).await.killed();
    let bot = outside.starts_by(&mut clock.before()).await;
    outside.channel_shows("<@U0LEVEL2>").await;
    assert_eq!(outside.slack.transcript().matches("was set forward by").count(), 1);
    bot.killed();
    mesh.ends().await;
}
