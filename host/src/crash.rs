//! Places at which a test can make the process die, in debug builds only.
//!
//! What a kill -9 leaves behind depends on where it strikes; a test that kills from outside hits
//! the same wide places again and again. So every boundary of a write has a name here, and a
//! process that was [armed](arm) aborts when it passes that name for the given time: no
//! destructor, no flush, no answer. Without `debug_assertions` a point is nothing at all.

/// Every name, in the order of a write: before its transaction begins, before it is committed, and
/// after that but before anybody is told.
pub const POINTS: [&str; 24] = [
    "append.begin.before",
    "append.commit.before",
    "append.commit.after",
    "quarantine.begin.before",
    "quarantine.commit.before",
    "quarantine.commit.after",
    "plan.begin.before",
    "plan.commit.before",
    "plan.commit.after",
    "attempt.begin.before",
    "attempt.commit.before",
    "attempt.commit.after",
    "replay.begin.before",
    "replay.commit.before",
    "replay.commit.after",
    "upkeep.begin.before",
    "upkeep.commit.before",
    "upkeep.commit.after",
    "claim.begin.before",
    "claim.commit.before",
    "claim.commit.after",
    "state.begin.before",
    "state.commit.before",
    "state.commit.after",
];

/// What a transaction writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// An event.
    Append,
    /// What cannot become one.
    Quarantine,
    /// Plans.
    Plan,
    /// Attempts and what follows them.
    Attempt,
    /// A step of a replay.
    Replay,
    /// All that nobody waits for on the way of an event.
    Upkeep,
    /// Claims, where they are rows.
    Claim,
    /// A plugin's state.
    State,
}

// === impl Written ===

impl Written {
    /// All of them, in the order of [`POINTS`].
    pub const ALL: [Self; 8] = [
        Self::Append,
        Self::Quarantine,
        Self::Plan,
        Self::Attempt,
        Self::Replay,
        Self::Upkeep,
        Self::Claim,
        Self::State,
    ];

    /// Its names of [`POINTS`]: before the transaction, before and after its commit.
    pub const fn points(self) -> [&'static str; 3] {
        match self {
            Self::Append => ["append.begin.before", "append.commit.before", "append.commit.after"],
            Self::Quarantine => {
                ["quarantine.begin.before", "quarantine.commit.before", "quarantine.commit.after"]
            }
            Self::Plan => ["plan.begin.before", "plan.commit.before", "plan.commit.after"],
            Self::Attempt => {
                ["attempt.begin.before", "attempt.commit.before", "attempt.commit.after"]
            }
            Self::Replay => ["replay.begin.before", "replay.commit.before", "replay.commit.after"],
            Self::Upkeep => ["upkeep.begin.before", "upkeep.commit.before", "upkeep.commit.after"],
            Self::Claim => ["claim.begin.before", "claim.commit.before", "claim.commit.after"],
            Self::State => ["state.begin.before", "state.commit.before", "state.commit.after"],
        }
    }

    /// Passes one of its points: 0 before the transaction, 1 before its commit, 2 after it.
    pub fn pass(self, boundary: usize) {
        if let Some(name) = self.points().get(boundary) {
            point(name);
        }
    }
}

/// Why a process cannot be armed.
#[cfg(debug_assertions)]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such point.
    #[error("there is no crash point {0:?}, only {list}", list = POINTS.join(", "))]
    Name(String),
    /// Not a number from 1 on.
    #[error("{0:?} is no count: must be 1 or more")]
    Count(String),
    /// A process dies once.
    #[error("a crash point is set already")]
    Twice,
}

#[cfg(debug_assertions)]
struct Armed {
    name: &'static str,
    left: std::sync::atomic::AtomicU32,
}

#[cfg(debug_assertions)]
static ARMED: std::sync::OnceLock<Armed> = std::sync::OnceLock::new();

/// Lets the process die at `NAME` or `NAME:COUNT`: the point and at which pass, the first unless
/// told.
///
/// # Errors
/// [`Error`]; nothing is armed then.
#[cfg(debug_assertions)]
pub fn arm(text: &str) -> Result<(), Error> {
    ARMED.set(parse(text)?).map_err(|_| Error::Twice)
}

#[cfg(debug_assertions)]
fn parse(text: &str) -> Result<Armed, Error> {
    let (name, count) = text.split_once(':').unwrap_or((text, "1"));
    let known = POINTS.into_iter().find(|point| *point == name);
    let name = known.ok_or_else(|| Error::Name(name.to_owned()))?;
    let parsed = count.parse().ok().filter(|count| *count > 0);
    let left = parsed.ok_or_else(|| Error::Count(count.to_owned()))?;
    Ok(Armed { name, left: std::sync::atomic::AtomicU32::new(left) })
}

/// Here the process dies if it was armed for `name`.
#[cfg(debug_assertions)]
pub fn point(name: &'static str) {
    debug_assert!(POINTS.contains(&name), "{name} is not in the list");
    let Some(armed) = ARMED.get().filter(|armed| armed.name == name) else {
        return;
    };
    if armed.left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 1 {
        std::process::abort();
    }
}

/// Nothing, in a build that people run.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_name: &'static str) {}

#[cfg(all(test, debug_assertions))]
mod tests;
