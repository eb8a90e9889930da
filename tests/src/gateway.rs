//! The real binary, started with a configuration of its own in a folder of its own.
//!
//! The binary is the one beside the test executable; `cargo build --workspace` makes it. A story
//! that finds none fails and says so. Every gateway listens on free ports, which it tells in its
//! log; the folder outlives a restart, so that a killed gateway can be started again on the same
//! store.

#![expect(clippy::disallowed_methods, reason = "a fixture's tasks end with its runtime")]

use crate::exchange::{self, Reply};
use crate::ledger::Ledger;
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::timeout;

mod control;
pub mod setup;

pub use setup::Setup;

/// Log lines kept; a gateway that writes more is out of hand, and the oldest are dropped.
const LINES_MAX: usize = 100_000;
/// Between two looks at something that rings no bell here.
const POLL: Duration = Duration::from_millis(10);

/// A running (or killed) gateway. Dropping it kills the process.
pub struct Gateway {
    folder: tempfile::TempDir,
    setup: Setup,
    child: Option<Child>,
    address: SocketAddr,
    admin: SocketAddr,
    log: Arc<Log>,
}

/// A command that ran to its end.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about, and its log.
    pub stderr: String,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    grown: Notify,
}

// === impl Gateway ===

impl Gateway {
    /// Writes the configuration, starts the binary and waits until it listens.
    ///
    /// # Errors
    /// When there is no binary, or it does not listen within `bound`; says what it logged.
    pub async fn start(setup: &Setup, bound: Duration) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("gateway.toml"), setup.to_toml())?;
        Self::start_in(folder, setup, bound).await
    }

    /// Starts the binary on the same folder after it ended. It listens on other ports then.
    ///
    /// # Errors
    /// When it still runs, or as [`Gateway::start`].
    pub async fn start_again(&mut self, bound: Duration) -> anyhow::Result<()> {
        anyhow::ensure!(self.child.is_none(), "it still runs");
        self.log = Arc::default();
        let mut command = command("sh", self.folder.path(), self.setup.environment());
        if self.setup.is_apart() {
            command.process_group(0);
        }
        // A write past a file's limit is to fail and not to end the process: see `limit_files`.
        let mut child = command
            .args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#])
            .arg(binary()?)
            .args(["serve", "--config", "gateway.toml", "--log-format", "json"])
            .spawn()
            .context("cannot start the gateway")?;
        let stderr = child.stderr.take().context("its log")?;
        let stdout = child.stdout.take().context("its output")?;
        tokio::spawn(self.log.clone().follow(stderr));
        tokio::spawn(self.log.clone().follow(stdout));
        self.child = Some(child);
        self.address = self.wait_listening("ingest", bound).await?;
        self.admin = self.wait_listening("admin", bound).await?;
        Ok(())
    }

    /// The same at the address it had before, for those who know no other.
    ///
    /// # Errors
    /// As [`Gateway::start_again`], and when somebody else took the port meanwhile.
    pub async fn come_back(&mut self, bound: Duration) -> anyhow::Result<()> {
        self.setup = self.setup.clone().listen(self.address);
        std::fs::write(self.folder.path().join("gateway.toml"), self.setup.to_toml())?;
        self.start_again(bound).await
    }

    /// Where LiveKit should send.
    pub fn url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// Where ingest listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics and health are.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The folder of configuration and store.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What is in the store, read beside the gateway.
    ///
    /// # Errors
    /// When there is no store yet.
    pub fn ledger(&self) -> anyhow::Result<Ledger> {
        Ledger::open(&self.setup.database_in(self.folder()))
    }

    /// Everything it wrote since it was started last.
    pub fn log(&self) -> Vec<String> {
        lock(&self.log.lines).clone()
    }

    /// A page of the admin listener.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn admin(&self, path: &str) -> anyhow::Result<Reply> {
        exchange::get(self.admin, path).await
    }

    /// A counter or gauge by its name without the prefix and with its labels, such as
    /// `ingest_refused_total{reason="sig"}`; 0 when it is not there.
    ///
    /// # Errors
    /// When the admin listener does not answer.
    pub async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let page = self.admin("/metrics").await?.body;
        let name = format!("livekit_webhook_{name} ");
        let line = page.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(Ok(0.0), |number| number.parse().context("a metric that is no number"))
    }

    /// Waits until a metric has reached `least`.
    ///
    /// # Errors
    /// When it has not within `bound`.
    pub async fn wait_metric(&self, name: &str, least: f64, bound: Duration) -> anyhow::Result<()> {
        let reached = async {
            while self.metric(name).await? < least {
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        };
        let in_time = timeout(bound, reached).await;
        in_time.with_context(|| format!("{name} is under {least} after {bound:?}"))?
    }

    /// Waits for the log line `listening` of `server` and gives its address. A gateway that ends
    /// instead is an error at once.
    ///
    /// # Errors
    /// When there is none within `bound`; says what was logged.
    pub async fn wait_listening(
        &mut self,
        server: &str,
        bound: Duration,
    ) -> anyhow::Result<SocketAddr> {
        let log = self.log.clone();
        let child = self.child.as_mut().context("it does not run")?;
        let found = tokio::select! {
            found = timeout(bound, log.wait_for(|line| listening(line, server))) => found.ok(),
            ended = child.wait() => bail!("the gateway ended: {ended:?}\n{}", log.text()),
        };
        found.with_context(|| format!("`{server}` does not listen after {bound:?}\n{}", log.text()))
    }

    /// Waits for a line of the log for which `wanted` gives something.
    ///
    /// # Errors
    /// When there is none within `bound`; says what was logged.
    pub async fn wait_log<T>(
        &self,
        bound: Duration,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> anyhow::Result<T> {
        let found = timeout(bound, self.log.wait_for(wanted)).await.ok();
        found.with_context(|| format!("no such line after {bound:?}\n{}", self.log.text()))
    }

    /// The power goes off: SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn kill_9(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        child.kill().await.context("cannot kill it")
    }

    /// SIGTERM; does not wait.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn ask_to_stop(&self) -> anyhow::Result<()> {
        self.signal("TERM").await
    }

    /// Writes `setup` in place of its configuration, and SIGHUP; does not wait.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn reload(&self, setup: &Setup) -> anyhow::Result<()> {
        std::fs::write(self.folder.path().join("gateway.toml"), setup.to_toml())?;
        self.signal("HUP").await
    }

    /// From now on no file of the gateway's may grow past so many bytes; `None` lifts the limit.
    ///
    /// # Errors
    /// When it does not run, or there is no `prlimit` (util-linux).
    pub async fn limit_files(&self, bytes_max: Option<u64>) -> anyhow::Result<()> {
        let id = self.process_id()?;
        let soft = bytes_max.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let mut command = Command::new("prlimit");
        command.arg("--pid").arg(id.to_string()).arg(format!("--fsize={soft}:"));
        let set = command.status().await.context("prlimit, of util-linux")?;
        anyhow::ensure!(set.success(), "cannot limit its files");
        Ok(())
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When it has not ended within `bound`; it is killed then.
    pub async fn wait_end(&mut self, bound: Duration) -> anyhow::Result<ExitStatus> {
        let mut child = self.child.take().context("it does not run")?;
        let ended = timeout(bound, child.wait()).await;
        let ended = ended.with_context(|| format!("runs after {bound:?}\n{}", self.log.text()))?;
        Ok(ended?)
    }

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// As [`Gateway::wait_end`].
    pub async fn terminate(&mut self, bound: Duration) -> anyhow::Result<ExitStatus> {
        self.ask_to_stop().await?;
        self.wait_end(bound).await
    }
}

/// Runs a command of the binary to its end in `folder`.
///
/// # Errors
/// When there is no binary, or it still runs after `bound`; it is killed then.
pub async fn run(
    folder: &Path,
    arguments: &[&str],
    environment: &[(String, String)],
    bound: Duration,
) -> anyhow::Result<Ended> {
    let output = command(binary()?, folder, environment).args(arguments).output();
    let output = timeout(bound, output).await;
    let output = output.with_context(|| format!("{arguments:?} runs after {bound:?}"))??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    Ok(Ended { code: output.status.code(), stdout, stderr })
}

fn command(program: impl AsRef<OsStr>, folder: &Path, environment: &[(String, String)]) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env_remove("LIVEKIT_WEBHOOK_CONFIG")
        .env_remove("LIVEKIT_WEBHOOK_LOG")
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// The binary beside this executable, or in the folder above when this is a test's.
///
/// # Errors
/// When there is none.
pub fn binary() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let name = format!("livekit-webhook{}", std::env::consts::EXE_SUFFIX);
    let mut places = test.ancestors().skip(1).take(2).map(|folder| folder.join(&name));
    places
        .find(|binary| binary.is_file())
        .context("no livekit-webhook beside the tests: run `cargo build --workspace` first")
}

/// The address in a JSON log line that says `server` listens.
fn listening(line: &str, server: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let says = |name: &str, text: &str| line.get(name).and_then(Value::as_str) == Some(text);
    if !says("message", "listening") || !says("server", server) {
        return None;
    }
    line.get("address")?.as_str()?.parse().ok()
}

// === impl Log ===

impl Log {
    async fn follow(self: Arc<Self>, stream: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(stream).lines();
        // Ends with the process; a line that is not UTF-8 ends it too.
        while let Ok(Some(line)) = lines.next_line().await {
            let mut kept = lock(&self.lines);
            if kept.len() >= LINES_MAX {
                kept.drain(..LINES_MAX / 2);
            }
            kept.push(line);
            drop(kept);
            self.grown.notify_waiters();
        }
    }

    async fn wait_for<T>(&self, wanted: impl Fn(&str) -> Option<T>) -> T {
        loop {
            let mut grown = std::pin::pin!(self.grown.notified());
            grown.as_mut().enable();
            if let Some(found) = lock(&self.lines).iter().find_map(|line| wanted(line)) {
                return found;
            }
            grown.await;
        }
    }

    fn text(&self) -> String {
        lock(&self.lines).join("\n")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
