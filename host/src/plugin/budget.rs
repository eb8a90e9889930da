//! Memory of all instances together.
//!
//! Each instance has its own limit; many instances at their limit at once would still be more than
//! a machine has. So what they all have is counted too, and a growth past the sum is refused as one
//! past the instance's own limit is. Who is refused here did nothing wrong: the call is told to be
//! unavailable, not at fault.
//!
//! Non-guarantee: this counts what guests were given, not what the kernel gave for it. Pages a
//! guest never touched are counted and cost nothing.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// The part of the machine's memory that instances may have together, in percent.
pub const MEMORY_PERCENT: u64 = 25;
/// At least this much, in bytes: one instance at its cap.
const MEMORY_BYTES_MIN: u64 = super::limits::MEMORY_BYTES.cap;
/// When the machine does not say how much it has, in bytes.
const MACHINE_BYTES_UNKNOWN: u64 = 4 << 30;

/// What there is, and what is taken of it, in bytes.
#[derive(Debug)]
pub struct Budget {
    max: u64,
    taken: AtomicU64,
}

// === impl Budget ===

impl Budget {
    /// So many bytes.
    pub fn new(max: u64) -> Self {
        Self { max, taken: AtomicU64::new(0) }
    }

    /// [`MEMORY_PERCENT`] of what this machine, or the control group we run in, has.
    pub fn of_this_machine() -> Self {
        let total = machine_bytes(Path::new("/proc/meminfo"));
        let group = group_bytes(Path::new("/sys/fs/cgroup/memory.max"));
        let all = total.into_iter().chain(group).min().unwrap_or(MACHINE_BYTES_UNKNOWN);
        Self::new((all / 100 * MEMORY_PERCENT).max(MEMORY_BYTES_MIN))
    }

    /// Takes `bytes`, or nothing when there are not that many left.
    pub fn take(&self, bytes: u64) -> bool {
        let left = |taken: u64| taken.checked_add(bytes).filter(|sum| *sum <= self.max);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }

    /// Gives back what was taken.
    pub fn give_back(&self, bytes: u64) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that are taken now.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Bytes there are.
    pub fn max(&self) -> u64 {
        self.max
    }
}

/// `MemTotal:       16384 kB`
fn machine_bytes(file: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// A number, or `max`.
fn group_bytes(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
