//! What a story does to a running gateway beside stopping it: another configuration, another time,
//! a look at its memory, another folder.

use super::{Gateway, Setup};
use crate::exchange;
use anyhow::{Context as _, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tokio::process::Command;

/// File of the clock in a gateway's folder.
const CLOCK: &str = "clock";

// === impl Setup ===

impl Setup {
    /// The gateway's clock can be moved: see [`Gateway::set_clock`].
    #[must_use]
    pub fn movable_clock(self) -> Self {
        self.variable("LIVEKIT_WEBHOOK_CLOCK", CLOCK)
    }

    /// Listens at an address of the loopback network that nobody else uses, on a port that the
    /// system gives. A gateway that comes back finds it free: no outgoing connection takes its port
    /// there.
    #[must_use]
    pub fn own_address(self) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let [_, _, high, low] = std::process::id().to_be_bytes();
        // Test programs side by side differ in the middle bytes, gateways of one in the last.
        let last = NEXT.fetch_add(1, Ordering::Relaxed) % 250 + 1;
        let address = Ipv4Addr::new(127, 64 | (high & 0x3f), low, last as u8);
        self.listen(SocketAddr::from((address, 0)))
    }
}

// === impl Gateway ===

impl Gateway {
    /// Starts the binary in a folder that has a configuration and, perhaps, a store.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub async fn start_in(
        folder: tempfile::TempDir,
        setup: &Setup,
        bound: Duration,
    ) -> Result<Self> {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let (setup, log) = (setup.clone(), Arc::default());
        let mut gateway =
            Self { folder, setup, child: None, address: nowhere, admin: nowhere, log };
        gateway.start_again(bound).await?;
        Ok(gateway)
    }

    /// What it was configured with.
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Its process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn process_id(&self) -> Result<u32> {
        self.child.as_ref().and_then(tokio::process::Child::id).context("it does not run")
    }

    /// How it ended by itself; `None` when it runs after `bound`, and goes on.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn died(&mut self, bound: Duration) -> Result<Option<ExitStatus>> {
        let child = self.child.as_mut().context("it does not run")?;
        match tokio::time::timeout(bound, child.wait()).await {
            Ok(status) => {
                self.child = None;
                Ok(Some(status?))
            }
            Err(_) => Ok(None),
        }
    }

    /// Sends a signal by its name without `SIG`; does not wait.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn signal(&self, name: &str) -> Result<()> {
        // The standard library sends no signal but SIGKILL; the shell's own `kill` is on every
        // machine.
        let script = format!("kill -{name} {}", self.process_id()?);
        let sent = Command::new("sh").arg("-c").arg(script).status().await?;
        anyhow::ensure!(sent.success(), "cannot send SIG{name}");
        Ok(())
    }

    /// Writes another configuration, for the next start or reload. The address of ingest stays.
    ///
    /// # Errors
    /// The file system's.
    pub fn configure(&mut self, setup: &Setup) -> Result<()> {
        self.setup = setup.clone().listen(self.address);
        std::fs::write(self.folder().join("gateway.toml"), self.setup.to_toml())?;
        Ok(())
    }

    /// Waits until none of its attempts is under way.
    ///
    /// # Errors
    /// When one is after `bound`.
    pub async fn wait_idle(&self, bound: Duration) -> Result<()> {
        let idle = async {
            while self.metric("attempts_in_flight").await? > 0.0 {
                tokio::time::sleep(super::POLL).await;
            }
            Ok(())
        };
        tokio::time::timeout(bound, idle).await.context("attempts are under way")?
    }

    /// From now on its clock is so many seconds away from the machine's. Only with
    /// [`Setup::movable_clock`].
    ///
    /// # Errors
    /// The file system's.
    pub fn set_clock(&self, moved_s: i64) -> Result<()> {
        // By a rename, so that nobody reads half a number.
        let (file, new) = (self.folder().join(CLOCK), self.folder().join("clock.new"));
        std::fs::write(&new, format!("{}", moved_s * 1_000))?;
        Ok(std::fs::rename(new, file)?)
    }

    /// Unix time by its clock, in seconds.
    pub fn now_s(&self) -> i64 {
        let text = std::fs::read_to_string(self.folder().join(CLOCK)).unwrap_or_default();
        exchange::now_s() + text.parse::<i64>().unwrap_or(0) / 1_000
    }

    /// Bytes of memory that it holds (`VmRSS`).
    ///
    /// # Errors
    /// When it does not run, or this is no Linux.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.memory_bytes("VmRSS:")
    }

    /// The most memory that it ever held, in bytes (`VmHWM`).
    ///
    /// # Errors
    /// As [`Gateway::resident_bytes`].
    pub fn peak_memory_bytes(&self) -> Result<u64> {
        self.memory_bytes("VmHWM:")
    }

    fn memory_bytes(&self, name: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process_id()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next());
        Ok(kib.with_context(|| format!("no {name}"))?.parse::<u64>()? * 1_024)
    }
}
