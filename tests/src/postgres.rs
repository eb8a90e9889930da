//! Real PostgreSQL servers that tests start themselves.
//!
//! `tests/setup/postgres` finds the programs. A data folder is made once, under `target/postgres`,
//! and copied for each server into a temporary folder; nothing of the machine's own clusters is
//! touched. PostgreSQL refuses to run as root, so a test that does runs it as `postgres` or, where
//! there is none, as `nobody`. Servers sync to disk as they would in production.
//!
//! [`Postgres::shared`] is one server for the whole test program, with a database for each test.
//! A story that stops, kills or promotes servers starts its own. Every wait has a bound. A guard
//! process ends the server and removes its folder even when the test program is killed.

use anyhow::{Context as _, Result, bail, ensure};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};

mod certificate;
mod client;
mod folder;
mod pair;
mod process;

pub use client::{Client, Database};
pub use pair::Pair;

use folder::Folder;

/// Who owns every database.
pub const USER: &str = "postgres";
/// What a connection over TCP must know.
pub const PASSWORD: &str = "only:for/tests";
/// The same as it stands in a URL.
pub const PASSWORD_IN_URL: &str = "only%3Afor%2Ftests";

/// How long a server may take to answer, to stop, to follow or to lead. Only a broken run waits so
/// long.
const READY_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// Ports tried before somebody must look.
const PORTS_TRIED_MAX: u32 = 50;
/// Below the ports that Linux gives to outgoing connections: a server that is down for a moment
/// finds its port free when it comes back.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// What differs between servers.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    settings: Vec<String>,
    has_tls: bool,
    is_standby: bool,
}

/// A running (or stopped, or killed) server. Dropping it ends the server and removes its data.
#[derive(Debug)]
pub struct Postgres {
    setup: Setup,
    port: u16,
    child: Option<Child>,
    folder: Folder,
}

// === impl Setup ===

impl Setup {
    /// A setting, as `name=value`.
    #[must_use]
    pub fn setting(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// Offers TLS, with a certificate of an authority of its own.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.has_tls = true;
        self
    }

    /// Begins as a follower.
    fn standby(mut self) -> Self {
        self.is_standby = true;
        self
    }
}

// === impl Postgres ===

impl Postgres {
    /// The one server of this test program.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn shared() -> Result<&'static Self> {
        // Never dropped: its guard ends it when the program is gone.
        static SHARED: OnceCell<Postgres> = OnceCell::const_new();
        SHARED.get_or_try_init(|| async { Self::start(&Setup::default()).await }).await
    }

    /// A server of its own, answering when this returns.
    ///
    /// # Errors
    /// When a part is missing, or the server ends or does not answer in time; with its log.
    pub async fn start(setup: &Setup) -> Result<Self> {
        let folder = Folder::from_template()?;
        if setup.has_tls {
            certificate::write(&folder)?;
        }
        if setup.is_standby {
            folder.write("data/standby.signal", b"")?;
        }
        let mut server = Self { setup: setup.clone(), port: 0, child: None, folder };
        for _ in 0..PORTS_TRIED_MAX {
            server.port = free_port()?;
            match server.restart().await {
                // Somebody took the port since it was looked at.
                Err(_) if server.folder.log().contains("Address already in use") => {
                    server.folder.clear_log()?;
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(server),
            }
        }
        bail!("no free port in {PORTS_TRIED_MAX} tries")
    }

    /// Starts it again on its data and its port.
    ///
    /// # Errors
    /// When it runs, or as [`Postgres::start`].
    pub async fn restart(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "it runs");
        let mut command = self.folder.command("postgres")?;
        command.arg("-D").arg(self.folder.data()).arg("-p").arg(self.port.to_string());
        for setting in self.all_settings() {
            command.arg("-c").arg(setting);
        }
        self.child = Some(command.spawn().context("starting postgres")?);
        let answers = async {
            loop {
                if let Some(status) = self.child.as_mut().context("gone")?.try_wait()? {
                    self.child = None;
                    bail!("postgres ended with {status}:\n{}", self.folder.log());
                }
                // Over TCP: that is how everybody else comes.
                if Client::connect(&self.url(USER)).await.is_ok() {
                    return Ok(());
                }
                sleep(POLL).await;
            }
        };
        let in_time = timeout(READY_MAX, answers).await;
        in_time.with_context(|| format!("no answer:\n{}", self.folder.log()))?
    }

    fn all_settings(&self) -> Vec<String> {
        let mut settings: Vec<String> = [
            "listen_addresses=127.0.0.1",
            "fsync=on",
            "shared_buffers=32MB",
            "max_connections=120",
            "max_wal_size=256MB",
            // Its files are then in the data folder, and go with it.
            "dynamic_shared_memory_type=mmap",
            "autovacuum_naptime=5s",
            "log_min_messages=warning",
        ]
        .map(str::to_owned)
        .into();
        settings.push(format!("unix_socket_directories={}", self.folder.path().display()));
        if self.setup.has_tls {
            settings.push("ssl=on".to_owned());
        }
        settings.extend(self.setup.settings.iter().cloned());
        settings
    }

    /// Where `database` is, over TCP.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD_IN_URL}@127.0.0.1:{}/{database}", self.port)
    }

    /// Where `database` is, over the socket in the server's folder, which asks for no password.
    pub fn socket_url(&self, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://{USER}@{folder}:{}/{database}", self.port)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority that signed its certificate, as a PEM file. Only with [`Setup::tls`].
    pub fn authority(&self) -> std::path::PathBuf {
        self.folder.path().join(certificate::AUTHORITY)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.folder.log()
    }

    /// A new, empty database. It goes when the value is dropped.
    ///
    /// # Errors
    /// When the server does not make one.
    pub async fn database(&self) -> Result<Database> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("story_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        // `template0` has no connections, so that many can be made at once.
        let sql = format!("CREATE DATABASE {name} TEMPLATE template0");
        Client::connect(&self.url(USER)).await?.batch(&sql).await?;
        Ok(Database::new(self.url(&name), self.url(USER), name))
    }

    /// Stops it as its administrator would: connections are cut, what is committed is on disk.
    ///
    /// # Errors
    /// When it does not run, or does not end in time.
    pub async fn stop(&mut self) -> Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        process::signal("INT", &[child.id()])?;
        process::wait(&mut child, READY_MAX).await
    }

    /// The power goes off: SIGKILL for the server and all its processes.
    ///
    /// # Errors
    /// When it does not run, or does not end in time.
    pub async fn kill_9(&mut self) -> Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        // It must not start others while they are counted.
        process::signal("STOP", &[child.id()])?;
        let mut all = process::children(child.id())?;
        all.push(child.id());
        process::signal("KILL", &all)?;
        process::wait(&mut child, READY_MAX).await
    }

    /// Stops every process of the server where it stands, as a machine that hangs would; `false`
    /// lets them go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn hang(&self, hangs: bool) -> Result<()> {
        let id = self.child.as_ref().context("it does not run")?.id();
        let signal = if hangs { "STOP" } else { "CONT" };
        process::signal(signal, &[id])?;
        process::signal(signal, &process::children(id)?)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // At once and without a word to its clients: its data goes anyway. A server that hangs
            // hears of it once it is let go on.
            let _ = process::signal("CONT", &[child.id()]);
            let _ = process::signal("QUIT", &[child.id()]);
            let _ = child.wait();
        }
    }
}

/// A port of 127.0.0.1 that nobody listens on.
fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let ports = PORTS.end - PORTS.start;
    // Test programs side by side begin in different places.
    let first = (std::process::id().wrapping_mul(7_919) % u32::from(ports)) as u16;
    for _ in 0..ports {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % ports;
        let port = PORTS.start + (first + step) % ports;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port from {} to {}", PORTS.start, PORTS.end)
}

/// A program as the user that PostgreSQL runs as.
fn program(name: &str, user: Option<folder::User>) -> Result<Command> {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(folder::programs()?.join(name));
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").process_group(0);
    Ok(command)
}
