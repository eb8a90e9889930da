//! A real Envoy with the shipped `envoy/edge.yaml`.
//!
//! Only what a test must change is changed: the three addresses, and the filter's JSON when the
//! story is about it. Envoy picks free ports itself; this reads them from its admin page. The
//! process is ended by its id when the value is dropped, and its files go with it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

/// How long Envoy may take to listen, and to answer its admin page. Only a broken run waits so
/// long.
const READY_MAX: Duration = Duration::from_secs(30);
const ADMIN_MAX: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// Lines of log that an error shows.
const LOG_LINES: usize = 30;

/// What differs from the shipped configuration.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// `LIVEKIT_KEYS`, in LiveKit's form. `None`: not set.
    pub keys: Option<String>,
    /// The filter's JSON, when it is not the shipped one.
    pub filter_json: Option<String>,
    /// Texts of the YAML and what stands in for them. Each must be there.
    pub edits: Vec<(String, String)>,
    /// The shipped ports for webhooks and for the admin page, not free ones.
    pub shipped_ports: bool,
}

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    child: Child,
    folder: TempDir,
    listener: SocketAddr,
    admin: SocketAddr,
}

// === impl Setup ===

impl Setup {
    /// The shipped configuration with these keys.
    pub fn with_keys(keys: &str) -> Self {
        Self { keys: Some(keys.to_owned()), ..Self::default() }
    }

    /// With this JSON for the filter.
    #[must_use]
    pub fn filter(mut self, json: &str) -> Self {
        self.filter_json = Some(json.to_owned());
        self
    }

    /// With `from` replaced by `to`.
    #[must_use]
    pub fn edit(mut self, from: &str, to: &str) -> Self {
        self.edits.push((from.to_owned(), to.to_owned()));
        self
    }

    /// On the ports of the shipped file.
    #[must_use]
    pub fn shipped_ports(mut self) -> Self {
        self.shipped_ports = true;
        self
    }

    fn yaml(&self, upstream: SocketAddr) -> Result<String> {
        let path = root().join("envoy/edge.yaml");
        let mut yaml =
            std::fs::read_to_string(&path).with_context(|| format!("reading {path:?}"))?;
        let host = "address: 127.0.0.1, port_value: 8080".to_owned();
        let own = format!("address: {}, port_value: {}", upstream.ip(), upstream.port());
        let mut edits = vec![(host, own)];
        if !self.shipped_ports {
            let free = |port: &str| (format!("port_value: {port}"), "port_value: 0".to_owned());
            edits.extend([free("10000"), free("9901")]);
        }
        edits.extend(self.edits.iter().cloned());
        for (from, to) in &edits {
            ensure!(yaml.contains(from), "envoy/edge.yaml has no `{from}`");
            yaml = yaml.replace(from, to);
        }
        if let Some(json) = &self.filter_json {
            let parts = yaml
                .split_once("value: |")
                .zip(yaml.split_once("                        vm_config:"));
            let ((head, _), (_, tail)) = parts.context("envoy/edge.yaml has no filter JSON")?;
            let json = json.replace('\'', "''");
            yaml = format!("{head}value: '{json}'\n                        vm_config:{tail}");
        }
        Ok(yaml)
    }
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
        std::fs::write(&yaml, setup.yaml(upstream)?)?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut command = Command::new(binary()?);
        command
            .current_dir(root())
            .arg("--config-path")
            .arg(&yaml)
            .arg("--admin-address-path")
            .arg(&admin_file)
            .args(["--use-dynamic-base-id", "--concurrency", "2"])
            .args(["--file-flush-interval-msec", "50", "--log-level", "info"])
            .env_remove("LIVEKIT_KEYS")
            .envs(setup.keys.as_ref().map(|keys| ("LIVEKIT_KEYS", keys)))
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
        page.lines().find_map(|line| line.strip_prefix("livekit-webhook::")?.trim().parse().ok())
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
fn binary() -> Result<PathBuf> {
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
