//! Between a guest and the [`super::outside`] world: grants, limits and secrets.
//!
//! A plugin's [`Door`] holds what does not change from call to call; the [`Gate`] is the door during
//! one call. It opens when three things hold: `enrich` or `action` runs, something is granted, and
//! there is something outside. Then [`http`], [`state`] and [`livekit`] check each request against
//! the grant and the limits before a port is asked, whichever interface of the contract it came by:
//! [`wasi`] brings WASI's HTTP to the same place.
//!
//! Guarantee: no port is asked for what is not granted; a [`stand_in`] becomes its secret only in a
//! request that may carry it, and what comes back is searched for the secret. Non-guarantee: a host
//! that is given a secret can tell it in a form that nobody recognises.

mod count;
mod header;
pub(super) mod http;
pub(super) mod livekit;
mod observe;
mod path;
pub(super) mod stand_in;
pub(super) mod state;
mod wasi;

#[cfg(test)]
mod tests;

use super::learn::Learner;
use super::limits::{self, Limits, Row};
use super::outside::{Outside, Space};
use super::permission::Permissions;
use super::tape::Tape;
use super::{Input, Interface};
use crate::metrics::own::Own;
use stand_in::StandIns;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// What is kept back of a call's time, at most: so much is left to a guest whose request came to
/// nothing, to say what follows.
const RESERVE_MAX: Duration = Duration::from_millis(100);

/// Tells doors apart, so that no two plugins, versions or grants share connections.
static DOORS: AtomicU64 = AtomicU64::new(0);

/// A plugin's door: what holds for every call of one version with one grant.
#[derive(Clone, Debug)]
pub struct Door {
    plugin: String,
    /// What holds: the plugin's wish and the operator's grant.
    permissions: Permissions,
    secrets: BTreeMap<String, Secret>,
    outside: Option<Outside>,
    limits: Limits,
    /// Who notes what it uses, while it is learned what it needs.
    learner: Option<Arc<Learner>>,
    /// Where requests are counted.
    own: Arc<Own>,
    /// The name of its connections.
    pool: String,
}

/// A secret of a plugin. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<[u8]>);

/// The door during one call.
#[derive(Debug)]
pub struct Gate {
    /// Which interface runs: only `enrich` and `action` may pass.
    pub interface: Option<Interface>,
    /// There is none where the door leads nowhere.
    pass: Option<Arc<Pass>>,
    own: Arc<Own>,
}

/// The gate while it is open. Requests share it, so that several may be under way.
#[derive(Debug)]
pub(super) struct Pass {
    door: Arc<Door>,
    event: String,
    source: String,
    /// Of the whole call.
    deadline: Instant,
    requests: AtomicU64,
    state_operations: AtomicU64,
    questions: AtomicU64,
    in_flight: Semaphore,
    stand_ins: OnceLock<StandIns>,
}

// === impl Door ===

impl Door {
    /// What is both asked and granted. It is still to be told whose door it is: [`Door::of`].
    pub fn new(
        asked: &Permissions,
        granted: &Permissions,
        secrets: BTreeMap<String, Secret>,
        outside: Option<Outside>,
    ) -> Self {
        let permissions = asked.both(granted);
        let (plugin, pool, limits) = (String::new(), String::new(), Limits::default());
        let (learner, own) = (None, Arc::default());
        Self { plugin, permissions, secrets, outside, limits, learner, own, pool }
    }

    /// The door of this plugin, within these limits.
    #[must_use]
    pub fn of(self, plugin: &str, limits: &Limits) -> Self {
        let number = DOORS.fetch_add(1, Ordering::Relaxed);
        let (plugin, pool) = (plugin.to_owned(), format!("{plugin} {number}"));
        Self { plugin, pool, limits: limits.clone(), ..self }
    }

    /// What holds.
    pub fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// The same, with somebody who notes every use that passes.
    #[must_use]
    pub fn learning(self, learner: Option<Arc<Learner>>) -> Self {
        Self { learner, ..self }
    }

    /// The same, with everything that is asked counted there.
    #[must_use]
    pub fn counting(self, own: Arc<Own>) -> Self {
        Self { own, ..self }
    }

    /// The same, with everything that passes it on `tape`; `None` when nothing can.
    pub fn recorded(&self, tape: &Tape) -> Option<Self> {
        let outside = self.outside.as_ref().map(|outside| tape.record(outside, &self.secrets))?;
        Some(self.leading_to(outside))
    }

    /// The same, leading to what is on `tape` and nowhere else.
    #[must_use]
    pub fn playing(&self, tape: &Tape) -> Self {
        self.leading_to(tape.play(&self.secrets))
    }

    fn leading_to(&self, outside: Outside) -> Self {
        Self { outside: Some(outside), ..self.clone() }
    }

    fn leads_somewhere(&self) -> bool {
        self.outside.is_some() && !self.permissions.is_none()
    }
}

// === impl Gate ===

impl Gate {
    /// The door during a call about `input`, which ends at `deadline`. A door that leads nowhere
    /// costs nothing.
    pub fn new(door: &Arc<Door>, input: &Input, deadline: Instant) -> Self {
        let pass = door.leads_somewhere().then(|| {
            Arc::new(Pass {
                door: door.clone(),
                event: input.id.clone(),
                source: input.source.clone(),
                deadline,
                requests: AtomicU64::new(0),
                state_operations: AtomicU64::new(0),
                questions: AtomicU64::new(0),
                in_flight: Semaphore::new(door.limits.size(limits::HTTP_CONCURRENT)),
                stand_ins: OnceLock::new(),
            })
        });
        Self { interface: None, pass, own: door.own.clone() }
    }

    /// The way out, or why there is none.
    pub(super) fn pass(&self) -> Result<&Arc<Pass>, String> {
        match self.interface {
            Some(Interface::Enrich | Interface::Action) => {}
            Some(other) => {
                let name = other.as_str();
                return Err(format!("{name} may not reach outside: only enrich and action may"));
            }
            None => return Err("nothing outside can be reached at load".to_owned()),
        }
        self.pass.as_ref().ok_or_else(|| {
            "nothing is granted to this plugin: it asks in plugin.toml, and its operator grants"
                .to_owned()
        })
    }

    /// [`Gate::pass`] for a request to `interface`, which is counted when there is no way.
    pub(super) fn pass_to(&self, interface: &'static str) -> Result<&Arc<Pass>, String> {
        self.pass().inspect_err(|_| self.own.asked(interface, count::DENIED))
    }

    /// Text that stands for the secret of this name during this call.
    pub fn stand_in(&self, name: &str) -> Option<String> {
        let pass = self.pass().ok()?;
        pass.stand_ins().text(name).map(str::to_owned)
    }
}

// === impl Pass ===

impl Pass {
    /// What is left of the call's time for a request.
    fn left(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        left.saturating_sub((left / 10).min(RESERVE_MAX))
    }

    /// Counts one use. What is refused counts too, so that nobody can try for ever.
    fn count(&self, used: &AtomicU64, row: Row) -> Result<(), String> {
        let max = self.door.limits.get(row);
        if used.fetch_add(1, Ordering::Relaxed) < max {
            return Ok(());
        }
        Err(format!("at most {max} for one event ({})", row.name))
    }

    fn stand_ins(&self) -> &StandIns {
        let door = &self.door;
        self.stand_ins.get_or_init(|| StandIns::new(&door.plugin, &self.event, &door.secrets))
    }

    fn space(&self) -> Space {
        Space { plugin: self.door.plugin.clone(), source: self.source.clone() }
    }
}

// === impl Secret ===

impl Secret {
    /// Takes the bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }

    /// For the one who puts it into a request.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
