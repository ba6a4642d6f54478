//! The real `serve` on a disk that goes wrong: files of the journal that are taken away, a second bot, and a file system
//! that stands still.

use std::{
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command as Process, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{mesh::Mesh, serving::Outside};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_answers_nothing_as_stored_once_its_journal_is_deleted_and_calls_people_past_it() {
    let (mesh, outside) = Mesh::and_outside().await;
    let bot = outside.starts_by(Process::new("sh").args(["-c", "umask 000 && exec \"$@\"", "sh"])).await;
    outside.alertmanager_sends("firing-one-service.json").await;
    outside.channel_shows("<@U0LEVEL1>").await;
    let journal = outside.journal();
    for ending in ["", "-wal", "-shm", ".lock"] {
        let path = PathBuf::from(format!("{}{ending}", journal.display()));
        assert_eq!(mode(&path), 0o600, "{ending}, whatever the umask");
    }
    std::fs::remove_file(&journal).unwrap();
    for file in ["firing-one-service.json", "resolved-one-service.json"] {
        assert_eq!(outside.alertmanager_tries(file).await, Some(500), "{file}");
    }
    let (status, said) = outside.ready().await;
    assert_eq!(status, 503);
    assert!(said.contains("journal.sqlite was deleted or moved away while the bot had it open"), "{said}");
    assert!(outside.log().contains("all that was stored is saved in"), "{}", outside.log());
    outside.slack.until("people are called", |slack| slack.transcript().contains("the bot itself is in trouble")).await;
    bot.killed();
    mesh.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_serve_answered_and_a_cut_wal_took_away_is_missed_after_a_kill_and_people_are_called_about_it() {
    let (mesh, outside) = Mesh::and_outside().await;
    let bot = outside.starts().await;
    outside.alertmanager_sends("firing-one-service.json").await;
    outside.channel_shows("<@U0LEVEL1>").await;
    let wal = format!("{}-wal", outside.journal().display());
    std::fs::File::options().write(true).open(&wal).unwrap().set_len(0).unwrap();
    assert_eq!(outside.alertmanager_tries("resolved-one-service.json").await, Some(500));
    let began = Instant::now();
    while !outside.ready().await.1.contains("journal.sqlite-wal was cut or overwritten by another program") {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", outside.ready().await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bot.killed();

    let bot = outside.starts().await;
    outside.channel_shows("MtlsMedicJournalLostRecords").await;
    let incidents = outside.incidents().await;
    assert_eq!(incidents.len(), 1, "what was answered is gone: {incidents:?}");
    assert!(
        outside.log().contains("The bot's journal lost what was stored from the beginning to"),
        "{}",
        outside.log()
    );
    bot.killed();

    let bot = outside.starts().await;
    assert_eq!(outside.incidents().await.len(), 1, "it is told once");
    bot.killed();
    mesh.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_serve_finds_the_journal_in_use_behind_a_symbolic_link_and_without_the_lock_file() {
    let (mesh, outside) = Mesh::and_outside().await;
    let bot = outside.starts().await;
    let (link, config) = (outside.path("link.sqlite"), outside.path("second.yaml"));
    symlink(outside.journal(), &link).unwrap();
    std::fs::remove_file(format!("{}.lock", outside.journal().display())).unwrap();
    let mut second: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(outside.path("config.yaml")).unwrap()).unwrap();
    second["journal"] = json!(link);
    second["listen"] = json!("127.0.0.1:0");
    std::fs::write(&config, second.to_string()).unwrap();
    let ended =
        Process::new(env!("CARGO_BIN_EXE_mtls-medic")).args(["serve", "--config"]).arg(&config).output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && said.contains("is in use by another mtls-medic"), "{said}");
    bot.killed();
    mesh.ends().await;
}

/// A file system of its own, in a mount namespace of its own, that is frozen and thawed from outside.
struct Volume {
    folder: tempfile::TempDir,
    frozen_in: Option<u32>,
}

impl Volume {
    /// `None` where the machine does not let us make one.
    fn make() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        std::fs::create_dir(folder.path().join("mount")).unwrap();
        let volume = Self { folder, frozen_in: None };
        let made = Process::new("mkfs.ext4").args(["-q", "-F"]).arg(&image).stdout(Stdio::null()).status();
        let tried = volume.inside().args(["true"]).stderr(Stdio::null()).status();
        (made.is_ok_and(|made| made.success()) && tried.is_ok_and(|tried| tried.success())).then_some(volume)
    }

    fn mount(&self) -> PathBuf {
        self.folder.path().join("mount")
    }

    /// What runs a command where the volume is mounted.
    fn inside(&self) -> Process {
        let mut command = Process::new("unshare");
        command
            .args([
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                "mount -o loop \"$1\" \"$2\" && shift 2 && exec \"$@\"",
                "sh",
            ])
            .arg(self.folder.path().join("image"))
            .arg(self.mount());
        command
    }

    fn ask(&self, process: u32, what: &str) -> bool {
        let done = Process::new("nsenter")
            .args(["--target", &process.to_string(), "--mount", "fsfreeze", what])
            .arg(self.mount())
            .status();
        done.is_ok_and(|done| done.success())
    }

    fn freezes(&mut self, process: u32) {
        assert!(self.ask(process, "--freeze"));
        self.frozen_in = Some(process);
    }

    fn thaws(&mut self) {
        if let Some(process) = self.frozen_in.take() {
            assert!(self.ask(process, "--unfreeze"));
        }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // A process that writes to a frozen file system cannot even be killed.
        self.thaws();
    }
}

async fn until(outside: &Outside, status: u16, within: Duration) -> (Duration, String) {
    let began = Instant::now();
    loop {
        let (seen, said) = outside.ready().await;
        if seen == status {
            return (began.elapsed(), said);
        }
        assert!(began.elapsed() < within, "after {within:?} /readyz still says {seen}: {said}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "a test that cannot run here says so")]
async fn serve_is_not_ready_within_thirty_seconds_of_its_disk_standing_still_and_answers_all_the_same() {
    let Some(mut volume) = Volume::make() else {
        eprintln!("NOT RUN: this machine lets us mount and freeze no file system");
        return;
    };
    let (mesh, outside) = Mesh::and_outside_with(json!({ "journal": volume.mount().join("journal.sqlite") })).await;
    let bot = outside.starts_by(&mut volume.inside()).await;
    let _ = until(&outside, 200, Duration::from_secs(10)).await;
    volume.freezes(bot.process());
    let (took, said) = until(&outside, 503, Duration::from_secs(30)).await;
    assert!(said.contains("the disk under the journal has not answered for"), "{said}");
    assert_eq!(outside.get_text("/healthz").await.0, 200);
    let metrics = outside.metrics().await;
    assert!(metrics.contains("mtls_medic_journal_readable 0") && metrics.contains("mtls_medic_ready 0"), "{metrics}");
    volume.thaws();
    let _ = until(&outside, 200, Duration::from_secs(30)).await;
    eprintln!("/readyz failed {:.1} s after the disk stood still", took.as_secs_f64());
    bot.killed();
    mesh.ends().await;
}
