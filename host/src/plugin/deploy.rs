//! What serves under a plugin's name: its versions, and what follows their faults.
//!
//! Mechanism: a [`Slot`] stands in every chain in a plugin's place and asks, call by call, which
//! [`Version`] serves. A version is a component by its digest, loaded once; swapping it is changing
//! a pointer, and the one before lives until its last call has ended. Each version has a breaker
//! (`core::plugin`); each event that makes faults is counted until it is given up.
//!
//! Guarantee: no call fails because a version is swapped. One event cannot open a breaker. While a
//! breaker is open the plugin is not called, and what waits for it uses up none of the event's
//! [faults](livekit_webhook_core::plugin::EVENT_FAULTS_MAX). Non-guarantee: counts are one host's,
//! and in memory; a restart begins them anew.

pub mod capsule;
mod events;
mod eye;
pub mod folder;
mod follow;
pub mod prove;
pub mod shadow;
mod trials;
mod turns;
pub mod upgrade;
mod version;
pub mod watch;

pub use follow::{Ended, Follows};
pub use version::{Digest, Version};

use self::capsule::Capsule;
use self::events::Events;
use self::folder::{Folder, Why};
use super::registry::{OnError, Options};
use super::witness::{Seen, Witness};
use super::{Fault, Input, Output, Usage};
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::metrics::plugin::{CallLabel, ResultLabel};
use crate::tasks::{Bell, Tasks};
use livekit_webhook_core::plugin::{Admission, Call, EVENT_FAULTS_MAX};
use livekit_webhook_core::time::Timestamp;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::Semaphore;
use tracing::warn;

/// What a plugin is to be, as configured.
#[derive(Clone)]
pub struct Spec {
    /// As subscriptions call it.
    pub name: String,
    /// The component.
    pub file: PathBuf,
    /// How it is run.
    pub options: Options,
    /// Called in its place for some rooms, and for how many percent of them.
    pub canary: Option<(PathBuf, u8)>,
    /// Called beside it to be compared.
    pub shadow: Option<PathBuf>,
}

/// What every slot of a host is given.
#[derive(Clone)]
pub struct Ground {
    /// Periods, and what is young.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Runs what goes on beside.
    pub tasks: Tasks,
    /// Wakes whoever writes down what changed.
    pub bell: Bell,
    /// Where plugins keep things on disk.
    pub folder: PathBuf,
}

/// The part that a version plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It serves.
    Stable,
    /// It serves some rooms, on trial.
    Canary,
    /// It is called beside and not listened to.
    Shadow,
}

/// What serves now. Cheap to clone.
#[derive(Clone)]
pub struct Serving {
    /// What serves.
    pub stable: Arc<Version>,
    /// What served before, for a way back.
    pub before: Option<Arc<Version>>,
    /// On trial, for so many percent of rooms.
    pub canary: Option<(Arc<Version>, u8)>,
    /// To be compared.
    pub shadow: Option<Arc<Version>>,
}

/// A plugin's place in a chain.
pub struct Slot {
    name: String,
    ground: Ground,
    serving: RwLock<Serving>,
    events: Mutex<Events>,
    /// What must not serve any more and is not written down yet.
    fallen: Mutex<Vec<(Digest, Why)>>,
    shadows: Arc<Semaphore>,
}

/// A call on its way: gives a probe back when it is dropped without an answer.
struct Ticket<'a> {
    version: &'a Version,
    call: Call,
    answered: bool,
}

// === impl Slot ===

impl Slot {
    /// A slot in which `version` serves.
    pub fn new(name: &str, version: Arc<Version>, ground: Ground) -> Self {
        let serving = Serving { stable: version, before: None, canary: None, shadow: None };
        let slot = Self {
            name: name.to_owned(),
            ground,
            serving: RwLock::new(serving),
            events: Mutex::new(Events::default()),
            fallen: Mutex::default(),
            shadows: Self::shadow_places(),
        };
        slot.show();
        slot
    }

    /// As configured.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What serves now.
    pub fn serving(&self) -> Serving {
        self.serving.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows an event to the version that serves its room.
    ///
    /// # Errors
    /// [`Ended`]: why there is no output, and what follows for the event.
    ///
    /// # Cancel safety
    /// Safe: a call that is dropped counts as none.
    pub async fn call(&self, input: &Input) -> Result<Vec<Output>, Ended> {
        let serving = self.serving();
        let now = self.ground.clock.now();
        let (is_first, is_suspect) = self.lock_events().meet(input);
        let (version, role, admission) = self.choose(&serving, input, is_suspect, now);
        let is_probe = match admission {
            Admission::Go => false,
            Admission::Probe => true,
            Admission::Wait(until) => return Err(self.shut(version, Some(until), input, now)),
            Admission::Never => return Err(self.shut(version, None, input, now)),
        };
        let call = Call { is_probe, is_suspect: is_suspect || (!is_probe && !is_first) };
        let mut ticket = Ticket { version, call, answered: false };
        let witness = self.witness(input, role, &serving);
        let (result, usage) = version.plugin().watched(input.clone(), &witness).await;
        self.ground.metrics.plugins.used(&self.name, usage.cpu, usage.memory_bytes);
        if let (Some(shadow), Role::Stable) = (&serving.shadow, role) {
            self.shadow(shadow, input, &result, &witness);
        }
        let fault = match result {
            Ok(outputs) => {
                self.count(role, "ok");
                self.answered(&mut ticket, role, false);
                return Ok(outputs);
            }
            Err(fault) => fault,
        };
        let outcome = follow::label(&fault);
        self.count(role, outcome);
        let (plugin, digest) = (&self.name, version.digest().short());
        let cpu_us = usage.cpu.as_micros();
        warn!(plugin, digest, event_id = input.id, outcome, cpu_us, fault = %fault, "plugin failed");
        match fault {
            // It was not called, so this says nothing of it.
            Fault::Unavailable => {}
            _ => self.answered(&mut ticket, role, follow::is_fault(&fault)),
        }
        let faults = match follow::is_fault(&fault) {
            true => self.lock_events().fault(input),
            false => 0,
        };
        let mut note = format!("{}: {fault}", self.name);
        let follows = follow::follows(&fault, version.plugin().on_error(), faults);
        if let (Follows::Fail, 1.., Some(seen)) = (follows, faults, witness.seen()) {
            let kept = self.encapsulate(version, input, &fault, (seen, usage)).await;
            note.extend(kept.map(|path| format!(" (see {})", path.display())));
        }
        Err(Ended { note, follows })
    }

    /// A room sees one version. A canary that must not be called leaves its rooms to the other.
    fn choose<'a>(
        &self,
        serving: &'a Serving,
        input: &Input,
        is_suspect: bool,
        now: Timestamp,
    ) -> (&'a Version, Role, Admission) {
        if let (Some((canary, percent)), Some(room)) = (&serving.canary, &input.room_name)
            && follow::share(&self.name, room) < *percent
        {
            let admission = canary.admit(is_suspect, now);
            if matches!(admission, Admission::Go | Admission::Probe) {
                return (canary, Role::Canary, admission);
            }
        }
        (&serving.stable, Role::Stable, serving.stable.admit(is_suspect, now))
    }

    /// Who watches a call: somebody where a capsule or a comparison may come of it.
    fn witness(&self, input: &Input, role: Role, serving: &Serving) -> Witness {
        let is_last = self.lock_events().faults(input) + 1 >= EVENT_FAULTS_MAX;
        let is_compared = role == Role::Stable && serving.shadow.is_some();
        if is_last || is_compared { Witness::looking() } else { Witness::default() }
    }

    /// Writes a capsule of an event that is given up. A disk that is full costs the capsule only.
    async fn encapsulate(
        &self,
        version: &Version,
        input: &Input,
        fault: &Fault,
        seen: (&Seen, Usage),
    ) -> Option<PathBuf> {
        let now = self.ground.clock.now();
        let capsule = Capsule::new(version, input, fault, seen, now);
        let folder = Folder::new(&self.ground.folder, &self.name);
        let written = tokio::task::spawn_blocking(move || capsule.write(&folder)).await;
        let (result, path) = match written {
            Ok(Ok(Some(path))) => ("written", Some(path)),
            Ok(Ok(None)) => ("full", None),
            Ok(Err(error)) => {
                warn!(plugin = self.name, event_id = input.id, %error, "no capsule was written");
                ("failed", None)
            }
            Err(_) => ("failed", None),
        };
        let label = ResultLabel { plugin: self.name.clone(), result };
        self.ground.metrics.plugins.capsules.get_or_create(&label).inc();
        path
    }

    /// What follows for an event while the version must not be called.
    fn shut(
        &self,
        version: &Version,
        until: Option<Timestamp>,
        input: &Input,
        now: Timestamp,
    ) -> Ended {
        self.count(Role::Stable, "shut");
        let what = if until.is_some() { "rests after many faults" } else { "is quarantined" };
        let note = format!("{}: version {} {what}", self.name, version.digest().short());
        let follows = match version.plugin().on_error() {
            OnError::Pass => Follows::Pass,
            OnError::Drop => Follows::Drop,
            OnError::Fail => Follows::Wait { after_ms: follow::wait_ms(until, now, input.attempt) },
        };
        Ended { note, follows }
    }

    fn answered(&self, ticket: &mut Ticket<'_>, role: Role, is_fault: bool) {
        let now = self.ground.clock.now();
        ticket.answered = true;
        let change = ticket.version.after(ticket.call, is_fault, now);
        if let Some(change) = change {
            self.changed(ticket.version, role, change, now);
        }
    }

    fn count(&self, role: Role, outcome: &'static str) {
        let label = CallLabel { plugin: self.name.clone(), outcome, role: role.as_str() };
        self.ground.metrics.plugins.calls.get_or_create(&label).inc();
    }

    fn lock_events(&self) -> std::sync::MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Slot").field("name", &self.name).finish_non_exhaustive()
    }
}

// === impl Ticket ===

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if self.call.is_probe && !self.answered {
            self.version.abandon();
        }
    }
}

// === impl Role ===

impl Role {
    /// As in the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Canary => "canary",
            Self::Shadow => "shadow",
        }
    }
}

#[cfg(test)]
mod tests;
