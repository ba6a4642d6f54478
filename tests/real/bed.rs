//! The test beds that run: what a test may do with one.

use std::{
    ffi::OsStr,
    ops::Deref,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::LazyLock,
};

use futures::future::select_all;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A test bed that runs: its folder.
#[derive(Debug, Clone)]
pub struct Bed(PathBuf);

/// A bed, for as long as this is held.
pub struct Held {
    bed: Bed,
    _leave: Leave,
}

/// What others may do with it meanwhile.
enum Leave {
    Shared { _guard: RwLockReadGuard<'static, ()> },
    Alone { _guard: RwLockWriteGuard<'static, ()> },
}

impl Deref for Held {
    type Target = Bed;

    fn deref(&self) -> &Bed {
        &self.bed
    }
}

/// The beds, in the order of `REAL_BED`.
static BEDS: LazyLock<Vec<(Bed, RwLock<()>)>> = LazyLock::new(|| {
    let folders = std::env::var("REAL_BED").expect("REAL_BED names the folders of test beds: use tests/real/run");
    std::env::split_paths(&folders).map(|folder| (Bed(folder), RwLock::new(()))).collect()
});

impl Bed {
    /// The one that is shared by all who break nothing of it but a shop of their own.
    pub async fn to_share() -> Held {
        let (bed, lock) = &BEDS[0];
        Held { bed: bed.clone(), _leave: Leave::Shared { _guard: lock.read().await } }
    }

    /// One that nobody else uses meanwhile, where its cluster, its nodes or its SPIRE may be broken: none that is shared, if
    /// there are others.
    pub async fn to_break() -> Held {
        let others = if BEDS.len() > 1 { &BEDS[1..] } else { &BEDS[..] };
        let free = others.iter().map(|(bed, lock)| Box::pin(async move { (bed, lock.write().await) }));
        let ((bed, guard), ..) = select_all(free).await;
        Held { bed: bed.clone(), _leave: Leave::Alone { _guard: guard } }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Of a cluster administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        self.file("kubeconfig")
    }

    /// The first two numbers of the addresses that pods listen at.
    pub fn network(&self) -> String {
        std::fs::read_to_string(self.file("network")).unwrap().trim().to_owned()
    }

    /// A client of a cluster administrator.
    pub async fn client(&self) -> Client {
        client(&self.kubeconfig()).await
    }

    fn command(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("KUBECONFIG", self.kubeconfig());
        command
    }

    /// What a command of a cluster administrator says, which has to end well: of kubectl, or helm.
    pub async fn administrator(&self, program: &str, arguments: &[&str]) -> String {
        let done = run(self.command(part(program), arguments)).await;
        let [said, complained] = [&done.stdout, &done.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert!(done.status.success(), "{program} {arguments:?}: {said}{complained}");
        said
    }

    /// The same where nobody waits any more.
    pub fn clean_up(&self, program: &str, arguments: &[&str]) {
        let done = self.command(part(program), arguments).output();
        let well = done.is_ok_and(|done| done.status.success()) || std::thread::panicking();
        assert!(well, "{program} {arguments:?} failed: what it should remove is left");
    }

    /// Makes something with kubectl, for as long as what it gives is held.
    pub async fn made(&self, arguments: &[&str], remove: &[&str]) -> Made {
        let made = Made { bed: self.clone(), remove: remove.iter().map(|word| (*word).to_owned()).collect() };
        self.administrator("kubectl", arguments).await;
        made
    }

    /// Breaks a part of it (`tests/real/break`).
    pub async fn broken(&self, fault: &'static str) -> Broken {
        self.script("break", &[fault]).await;
        Broken { bed: self.clone(), fault }
    }

    /// Cuts every stream of every node, in the middle of whatever it carries.
    pub async fn cut_streams(&self) {
        for node in ["node-a", "node-b"] {
            let pid = std::fs::read_to_string(self.file("pid").join(node)).unwrap();
            assert!(run(self.command("kill", &["-USR1", pid.trim()])).await.status.success());
        }
    }

    /// Runs a script of the test bed, which has to end well.
    pub async fn script(&self, name: &str, arguments: &[&str]) {
        let done = run(self.command(script(name), arguments)).await;
        assert!(done.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

/// Something in a bed; removed when it is dropped.
pub struct Made {
    bed: Bed,
    remove: Vec<String>,
}

impl Drop for Made {
    fn drop(&mut self) {
        let remove: Vec<&str> = self.remove.iter().map(String::as_str).collect();
        self.bed.clean_up("kubectl", &remove);
    }
}

/// A bed with a fault; whole again when it is dropped.
pub struct Broken {
    bed: Bed,
    fault: &'static str,
}

impl Drop for Broken {
    fn drop(&mut self) {
        let done = self.bed.command(script("restore"), &[self.fault]).output();
        assert!(
            done.is_ok_and(|done| done.status.success()) || std::thread::panicking(),
            "{} stays broken",
            self.fault
        );
    }
}

/// A script of the test bed.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real").join(name)
}

/// A program that `tests/real/install` keeps.
pub fn part(name: &str) -> PathBuf {
    let kept = std::env::var("REAL_PARTS").map_or_else(|_| PathBuf::from("target/real"), PathBuf::from);
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kept).join("bin").join(name)
}

/// A client with the rights of a kubeconfig.
pub async fn client(kubeconfig: &Path) -> Client {
    let config = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// Runs a program to its end.
pub async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}
