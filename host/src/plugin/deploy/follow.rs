//! What follows for an event when its plugin gave no output. Decisions only.

use crate::plugin::Fault;
use crate::plugin::registry::OnError;
use livekit_webhook_core::plugin::EVENT_FAULTS_MAX;
use livekit_webhook_core::time::Timestamp;
use sha2::{Digest as _, Sha256};

/// Wait before an event is planned again when the plugin named none, in milliseconds.
const AGAIN_MS: i64 = 1_000;
/// Waits after an event's first fault and its second, in milliseconds.
const FAULT_MS: [i64; 2] = [1_000, 5_000];
/// First wait for a version in quarantine, in milliseconds. It doubles up to [`QUARANTINE_MS_MAX`].
const QUARANTINE_MS: i64 = 60_000;
/// The longest of them.
const QUARANTINE_MS_MAX: i64 = 600_000;

/// A call that gave no output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Who and why.
    pub note: String,
    /// For the event.
    pub follows: Follows,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// It is planned again: the plugin asked for it, or is overloaded.
    Again {
        /// Not before.
        after_ms: i64,
    },
    /// It is planned again: the plugin failed, or rests.
    Wait {
        /// Not before.
        after_ms: i64,
    },
    /// It is a dead letter.
    Fail,
    /// It goes on as if the plugin were not there.
    Pass,
    /// It ends here.
    Drop,
}

/// Whether a fault is the component's: what the guest says in words of its own is none.
pub fn is_fault(fault: &Fault) -> bool {
    match fault {
        Fault::Trap(_)
        | Fault::CpuExceeded { .. }
        | Fault::DeadlineExceeded { .. }
        | Fault::MemoryExceeded { .. }
        | Fault::OutputExceeded { .. } => true,
        Fault::Rejected(_) | Fault::Retry { .. } | Fault::Failed(_) | Fault::Unavailable => false,
    }
}

/// The policy decides, but not over a plugin's own wish to be tried again. `faults` is how many the
/// event has made, this one included.
pub fn follows(fault: &Fault, on_error: OnError, faults: u32) -> Follows {
    match (fault, on_error) {
        (Fault::Retry { after_ms }, _) => {
            Follows::Again { after_ms: after_ms.map_or(AGAIN_MS, i64::from) }
        }
        (Fault::Unavailable, _) => Follows::Again { after_ms: AGAIN_MS },
        (_, OnError::Pass) => Follows::Pass,
        (_, OnError::Drop) => Follows::Drop,
        (fault, OnError::Fail) if is_fault(fault) && faults < EVENT_FAULTS_MAX => {
            let place = usize::try_from(faults.saturating_sub(1)).unwrap_or_default();
            Follows::Wait { after_ms: FAULT_MS.get(place).copied().unwrap_or(AGAIN_MS) }
        }
        (_, OnError::Fail) => Follows::Fail,
    }
}

/// How long an event waits for a version that must not be called.
pub fn wait_ms(until: Option<Timestamp>, now: Timestamp, attempt: u32) -> i64 {
    match until {
        Some(until) => until.millis_since(now).max(1),
        None => (QUARANTINE_MS << attempt.saturating_sub(1).min(8)).min(QUARANTINE_MS_MAX),
    }
}

/// Where a room stands between 0 and 99: the same on every host, and another for each plugin.
pub fn share(plugin: &str, room: &str) -> u8 {
    let digest = Sha256::new().chain_update(plugin).chain_update([0]).chain_update(room).finalize();
    let first = digest.iter().take(4).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    u8::try_from(first % 100).unwrap_or_default()
}

/// As in the metrics.
pub fn label(fault: &Fault) -> &'static str {
    match fault {
        Fault::Rejected(_) => "rejected",
        Fault::Retry { .. } => "retry",
        Fault::Failed(_) => "failed",
        Fault::Trap(_) => "trap",
        Fault::CpuExceeded { .. } => "cpu_exceeded",
        Fault::DeadlineExceeded { .. } => "deadline_exceeded",
        Fault::MemoryExceeded { .. } => "memory_exceeded",
        Fault::OutputExceeded { .. } => "output_exceeded",
        Fault::Unavailable => "unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_for_quarantine_doubles_up_to_its_limit() {
        let now = Timestamp::from_millis(1_000);
        for (attempt, expect_ms) in
            [(0, 60_000), (1, 60_000), (2, 120_000), (4, 480_000), (5, 600_000), (99, 600_000)]
        {
            assert_eq!(wait_ms(None, now, attempt), expect_ms, "attempt {attempt}");
        }
        assert_eq!(wait_ms(Some(now.plus_millis(7)), now, 1), 7);
        assert_eq!(wait_ms(Some(now.plus_millis(-7)), now, 1), 1, "never in the past");
    }

    #[test]
    fn a_rooms_share_is_even_and_another_for_each_plugin() {
        let shares = |plugin: &str| -> Vec<u8> {
            (0..1_000).map(|room| share(plugin, &format!("room-{room}"))).collect()
        };
        let (one, two) = (shares("one"), shares("two"));
        assert_eq!(one, shares("one"));
        assert!(one.iter().all(|share| *share < 100));
        let canary = one.iter().filter(|share| **share < 5).count();
        assert!((20..100).contains(&canary), "{canary} of 1,000 rooms are in the first 5 %");
        let same = one.iter().zip(&two).filter(|(one, two)| one == two).count();
        assert!(same < 50, "{same} rooms stand at the same place for two plugins");
    }
}
