//! The real binary, started with a configuration of its own in a folder of its own.
//!
//! The binary is the one beside the test executable; `cargo build --workspace` makes it. A story that finds none fails
//! and says so. Every gateway listens on a free port, which it tells in its log; the folder outlives a restart, so that
//! a killed gateway can be started again on the same store.

#![expect(clippy::disallowed_methods, reason = "a fixture's tasks end with its runtime")]

use anyhow::{Context as _, bail};
use serde_json::Value;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Log lines kept; a gateway that writes more is out of hand, and the oldest are dropped.
const LINES_MAX: usize = 100_000;

/// The configuration, as its parts. `extra` is TOML text appended as it stands.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    sources: String,
    plugins: String,
    endpoints: String,
    subscriptions: String,
    ports: Vec<u16>,
    listen: Option<SocketAddr>,
    store_url: Option<String>,
    extra: String,
    environment: Vec<(String, String)>,
}

/// A running (or killed) gateway.
pub struct Gateway {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
    child: Option<Child>,
    address: SocketAddr,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    grown: Notify,
}

// === impl Setup ===

impl Setup {
    /// Nothing but a store in the folder and a free port.
    pub fn new() -> Self {
        Self::default()
    }

    /// Another store than SQLite in the folder.
    #[must_use]
    pub fn store(mut self, url: &str) -> Self {
        self.store_url = Some(url.to_owned());
        self
    }

    /// A fixed address for ingest instead of a free port.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Some(address);
        self
    }

    /// A source with one key.
    #[must_use]
    pub fn source(mut self, name: &str, api_key: &str, secret: &str) -> Self {
        let (name, key, secret) = (quoted(name), quoted(api_key), quoted(secret));
        let keys = format!("keys = [{{ api_key = {key}, secret = {secret} }}]");
        self.sources += &format!("[[source]]\nname = {name}\n{keys}\n\n");
        self
    }

    /// A plugin from a file; `config` is a TOML inline table, such as `{ fields = ["a"] }`.
    #[must_use]
    pub fn plugin(mut self, name: &str, file: &Path, config: &str, on_error: Option<&str>) -> Self {
        let (name, file) = (quoted(name), quoted(&file.to_string_lossy()));
        self.plugins += &format!("[[plugin]]\nname = {name}\nfile = {file}\nconfig = {config}\n");
        if let Some(policy) = on_error {
            self.plugins += &format!("on_error = {}\n", quoted(policy));
        }
        self.plugins.push('\n');
        self
    }

    /// An endpoint signed in `signing` with the secret `secret`, which is handed over in the environment. `more` is TOML
    /// text, such as `retry = ["0s", "1s"]`. Its port is allowed for plain HTTP on 127.0.0.1.
    #[must_use]
    pub fn endpoint(
        mut self,
        name: &str,
        url: &str,
        signing: &str,
        secret: &str,
        more: &str,
    ) -> Self {
        let variable = format!("ENDPOINT_{}_SECRET", name.to_uppercase().replace('-', "_"));
        self.endpoints += &format!(
            "[[endpoint]]\nname = {}\nurl = {}\nsigning = [{}]\nsecret_env = {}\n{more}\n\n",
            quoted(name),
            quoted(url),
            quoted(signing),
            quoted(&variable),
        );
        self.environment.push((variable, secret.to_owned()));
        let authority =
            url.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.split('/').next());
        self.ports.extend(authority.and_then(|port| port.parse::<u16>().ok()));
        self
    }

    /// A subscription; empty lists are left out.
    #[must_use]
    pub fn subscription(
        mut self,
        endpoint: &str,
        events: &[&str],
        rooms: &[&str],
        plugins: &[&str],
    ) -> Self {
        self.subscriptions += &format!("[[subscription]]\nendpoint = {}\n", quoted(endpoint));
        for (key, values) in [("events", events), ("rooms", rooms), ("plugins", plugins)] {
            if !values.is_empty() {
                let values: Vec<_> = values.iter().map(|value| quoted(value)).collect();
                self.subscriptions += &format!("{key} = [{}]\n", values.join(", "));
            }
        }
        self.subscriptions.push('\n');
        self
    }

    /// TOML text at the end.
    #[must_use]
    pub fn extra(mut self, toml: &str) -> Self {
        self.extra += toml;
        self.extra.push('\n');
        self
    }

    /// A variable of the gateway's environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The whole file, for a gateway in `folder`.
    pub fn to_toml(&self, folder: &Path) -> String {
        let database = format!("sqlite:{}", folder.join("livekit-webhook.db").display());
        let store = quoted(self.store_url.as_deref().unwrap_or(&database));
        let listen = self.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        let mut toml = String::new();
        // Writing to a string does not fail.
        let _ = write!(toml, "[ingest]\nlisten = \"{listen}\"\n\n");
        let _ = write!(toml, "[store]\nurl = {store}\n\n");
        if !self.ports.is_empty() {
            let mut ports = self.ports.clone();
            ports.sort_unstable();
            ports.dedup();
            let allow: Vec<_> =
                ports.iter().map(|port| quoted(&format!("127.0.0.1:{port}"))).collect();
            let _ = write!(toml, "[deliver]\nallow = [{}]\n\n", allow.join(", "));
        }
        for part in
            [&self.sources, &self.plugins, &self.endpoints, &self.subscriptions, &self.extra]
        {
            toml.push_str(part);
        }
        toml
    }
}

/// A TOML basic string: what JSON writes is one.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

// === impl Gateway ===

impl Gateway {
    /// Writes the configuration, starts the binary and waits until it listens.
    ///
    /// # Errors
    /// When there is no binary, or it does not listen within `bound`; says what it logged.
    pub async fn start(setup: &Setup, bound: Duration) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("gateway.toml"), setup.to_toml(folder.path()))?;
        let mut gateway = Self {
            folder,
            environment: setup.environment.clone(),
            child: None,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log: Arc::default(),
        };
        gateway.start_again(bound).await?;
        Ok(gateway)
    }

    /// Starts the binary on the same folder after it ended. It listens on another port then.
    ///
    /// # Errors
    /// When it still runs, or as [`Gateway::start`].
    pub async fn start_again(&mut self, bound: Duration) -> anyhow::Result<()> {
        anyhow::ensure!(self.child.is_none(), "it still runs");
        self.log = Arc::default();
        let mut child = Command::new(binary()?)
            .arg("serve")
            .arg("--config")
            .arg(self.folder.path().join("gateway.toml"))
            .current_dir(self.folder.path())
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C on the terminal is for whoever started it, who then ends it in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the gateway")?;
        let stderr = child.stderr.take().context("its log")?;
        let stdout = child.stdout.take().context("its output")?;
        tokio::spawn(self.log.clone().follow(stderr));
        tokio::spawn(self.log.clone().follow(stdout));
        self.child = Some(child);
        self.address = self.wait_listening("ingest", bound).await?;
        Ok(())
    }

    /// Where LiveKit should send.
    pub fn url(&self) -> String {
        format!("http://{}/webhook", self.address)
    }

    /// Where ingest listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder of configuration and store.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Everything it wrote since it was started last.
    pub fn log(&self) -> Vec<String> {
        lock(&self.log.lines).clone()
    }

    /// Waits for the log line `listening` of `server` and gives its address. A gateway that ends instead is an error at
    /// once.
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

    /// SIGTERM, and waits for the end.
    ///
    /// # Errors
    /// When it has not ended within `bound`; it is killed then.
    pub async fn terminate(&mut self, bound: Duration) -> anyhow::Result<ExitStatus> {
        let mut child = self.child.take().context("it does not run")?;
        let id = child.id().context("it ended before")?;
        // The standard library sends no signal but SIGKILL; the shell's own `kill` is on every machine.
        let script = format!("kill -TERM {id}");
        let sent = Command::new("sh").arg("-c").arg(script).status().await?;
        anyhow::ensure!(sent.success(), "cannot send SIGTERM");
        let ended = timeout(bound, child.wait()).await;
        let ended = ended.with_context(|| format!("runs after {bound:?}\n{}", self.log.text()))?;
        Ok(ended?)
    }
}

/// The binary beside this executable, or in the folder above when this is a test's.
fn binary() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let name = format!("livekit-webhook{}", std::env::consts::EXE_SUFFIX);
    let mut places = test.ancestors().skip(1).take(2).map(|folder| folder.join(&name));
    places
        .find(|binary| binary.is_file())
        .context("no livekit-webhook beside the tests: run `cargo build --workspace` first")
}

/// The address in a JSON log line that says `server` listens. Fields stand under `fields`, or at the top.
fn listening(line: &str, server: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    let says = |name: &str, text: &str| fields.get(name).and_then(Value::as_str) == Some(text);
    if !says("message", "listening") || !says("server", server) {
        return None;
    }
    fields.get("address")?.as_str()?.parse().ok()
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
