//! What the kernel knows of the gateway's process.

use super::Gateway;
use anyhow::Context as _;
use tokio::process::Child;

impl Gateway {
    /// The most memory it ever had resident, in KiB.
    ///
    /// # Errors
    /// When it does not run, or this is no Linux.
    pub fn peak_memory_kib(&self) -> anyhow::Result<u64> {
        let id = self.child.as_ref().and_then(Child::id).context("it does not run")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB")).context("VmHWM")?;
        Ok(number.trim().parse()?)
    }
}
