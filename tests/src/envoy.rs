//! A real Envoy with a shipped configuration, `envoy/edge.yaml` or another one of that folder.
//!
//! Only what a test must change is changed: the addresses, and the filter's JSON when the story is
//! about it. Envoy picks free ports itself; this reads them from its admin page. The
//! process is ended by its id when the value is dropped, and its files go with it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

mod setup;

pub use setup::Setup;

/// How long Envoy may take to listen, and to answer its admin page. Only a broken run waits so
/// long.
const READY_MAX: Duration = Duration::from_secs(30);
const ADMIN_MAX: Duration = Duration::from_secs(10);
/// How long the filter may keep its counters to itself: ten times what it does.
const COUNTERS_MAX: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);
/// Lines of log that an error shows.
const LOG_LINES: usize = 30;

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    child: Child,
    folder: TempDir,
    listener: SocketAddr,
    admin: SocketAddr,
}

// === impl Envoy ===

impl Envoy {
    /// Starts Envoy in front of `upstream` and waits until it serves.
    ///
    /// # Errors
    /// When a part is missing, or Envoy ends or does not serve in time; with the end of its log.
    pub fn start(setup: &Setup, upstream: SocketAddr) -> Result<Self> {
        let filter = root().join("target/wasm/filter.wasm");
        ensure!(filter.is_file(), "{filter:?} is missing: run tests/setup/guests");
        let folder = TempDir::new()?;
        let (yaml, admin_file) = (folder.path().join("edge.yaml"), folder.path().join("admin"));
        setup.write(&yaml, folder.path(), upstream)?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut command = Command::new(binary()?);
        command
            .current_dir(root())
            .arg("--config-path")
            .arg(&yaml)
            .arg("--admin-address-path")
            .arg(&admin_file)
            .args(["--use-dynamic-base-id", "--concurrency", &setup.workers().to_string()])
            .args(["--file-flush-interval-msec", "50", "--log-level", "info"])
            .env_remove("LIVEKIT_KEYS")
            .envs(setup.keys.as_ref().map(|keys| ("LIVEKIT_KEYS", keys)))
            .envs(setup.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(folder.path().join("access"))?)
            .stderr(log);
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let child = command.spawn().context("starting envoy")?;
        let mut envoy = Self { child, folder, listener: nowhere, admin: nowhere };
        envoy.wait_ready(&admin_file)?;
        Ok(envoy)
    }

    /// Where it takes webhooks.
    pub fn listener(&self) -> SocketAddr {
        self.listener
    }

    /// Where its admin page is.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// The number of a counter or gauge; 0 when it is not there.
    ///
    /// # Errors
    /// When the admin page does not answer.
    pub fn stat(&self, name: &str) -> Result<u64> {
        let page = self.admin(&format!("/stats?filter=^{name}$"))?;
        let found = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.map_or(Ok(0), |number| number.trim().parse().context("a stat that is no number"))
    }

    /// A counter of the filter.
    ///
    /// # Errors
    /// When the admin page does not answer.
    pub fn counter(&self, name: &str) -> Result<u64> {
        self.stat(&format!("wasmcustom.livekit_webhook.{name}"))
    }

    /// The sum of counters of the filter, which hands them over now and then: waits for it to reach
    /// `expected`, and returns what it is at last.
    ///
    /// # Errors
    /// When the admin page does not answer.
    pub fn counters(&self, names: &[&str], expected: u64) -> Result<u64> {
        let began = Instant::now();
        loop {
            let sum: Result<u64> = names.iter().map(|name| self.counter(name)).sum();
            let sum = sum?;
            if sum >= expected || began.elapsed() > COUNTERS_MAX {
                return Ok(sum);
            }
            std::thread::sleep(POLL);
        }
    }

    /// A page of the admin listener.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn admin(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.admin, ADMIN_MAX)?;
        stream.set_read_timeout(Some(ADMIN_MAX))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Moves a new filter file in, as an operator does: the present one with `from` replaced.
    ///
    /// # Errors
    /// When this is not a setup with a filter file, or `from` is not in it.
    pub fn change_filter(&self, from: &str, to: &str) -> Result<()> {
        let path = setup::filter_file(self.folder.path());
        let text = std::fs::read_to_string(&path)?;
        ensure!(text.contains(from), "no `{from}` in the filter file");
        let next = path.with_extension("next");
        std::fs::write(&next, text.replace(from, to))?;
        Ok(std::fs::rename(next, path)?)
    }

    /// The id of the process.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Everything Envoy has logged so far.
    pub fn log(&self) -> String {
        read(&self.folder.path().join("log"))
    }

    /// The access log so far. Envoy writes it shortly after the answer.
    pub fn access_log(&self) -> String {
        read(&self.folder.path().join("access"))
    }

    fn wait_ready(&mut self, admin_file: &Path) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < READY_MAX {
            if let Some(status) = self.child.try_wait()? {
                bail!("envoy ended with {status}:\n{}", tail(&self.log()));
            }
            if let Ok(admin) = read(admin_file).trim().parse() {
                self.admin = admin;
                if let Some(listener) = self.find_listener() {
                    self.listener = listener;
                    return Ok(());
                }
            }
            std::thread::sleep(POLL);
        }
        bail!("envoy does not serve after {READY_MAX:?}:\n{}", tail(&self.log()))
    }

    /// The listener's address, once Envoy is live.
    fn find_listener(&self) -> Option<SocketAddr> {
        self.admin("/ready").ok().filter(|page| page.contains("LIVE"))?;
        let page = self.admin("/listeners").ok()?;
        page.lines().find_map(|line| line.split_once("::")?.1.trim().parse().ok())
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The binary that `tests/setup/envoy` finds or installs.
///
/// # Errors
/// When there is none.
pub fn binary() -> Result<PathBuf> {
    let output =
        Command::new(root().join("tests/setup/envoy")).output().context("tests/setup/envoy")?;
    ensure!(
        output.status.success(),
        "tests/setup/envoy: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

fn read(path: &Path) -> String {
    std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n")
}
