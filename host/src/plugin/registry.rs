//! A plugin that is loaded: its component linked, its exports found, its configuration checked.
//!
//! It is shared by every event that uses it and never changes; another version is another
//! [`Plugin`], and the one before lives until its last call has ended.

use super::call::Queue;
use super::convert::Exports;
use super::engine::{Engine, Kind, Machine};
use super::gate::{Door, Secret};
use super::instance::{Config, State};
use super::learn::Learner;
use super::limits::Limits;
use super::log::Minute;
use super::manifest::Manifest;
use super::manifest::secret::Secrets;
use super::outside::Outside;
use super::permission::Permissions;
use super::warm::{self, Instances};
use super::{Interface, load};
use crate::metrics::own::Own;
use bytes::Bytes;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasmtime::component::InstancePre;

/// Of linear memory.
const PAGE_BYTES: u64 = 64 * 1024;

/// What follows a fault that the guest did not decide itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The delivery is a dead letter at once, with the fault in its note.
    Fail,
    /// The event goes on as if the plugin were not there.
    Pass,
    /// The event ends here.
    Drop,
}

/// How the operator wants a plugin to be run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The configuration, a JSON value. Empty stands for `{}`.
    pub config: Bytes,
    /// What it may use.
    pub limits: Limits,
    /// What follows a fault, whatever the manifest says. A component that exports `filter` must have
    /// it from one of them: nobody else can know whether an event that could not be judged may pass.
    /// Any other plugin's default is [`OnError::Fail`].
    pub on_error: Option<OnError>,
    /// What it may reach, as far as its manifest asks for it.
    pub grant: Permissions,
    /// Secrets it may use, by name.
    pub secrets: BTreeMap<String, Secret>,
    /// What there is to reach.
    pub outside: Option<Outside>,
    /// Whether instances are used again.
    pub instances: Instances,
    /// Who notes what it uses: then grant it all that it asks for.
    pub learn: Option<Arc<Learner>>,
    /// Where its numbers go. Without more it is by itself, and nobody is shown them.
    pub own: Arc<Own>,
}

/// A component, ready to be called.
pub struct Plugin {
    pub(super) name: Arc<str>,
    pub(super) machine: Machine,
    pub(super) pre: InstancePre<State>,
    pub(super) exports: Exports,
    pub(super) manifest: Option<Arc<Manifest>>,
    pub(super) config: Arc<Config>,
    /// What of the configuration nobody is told.
    pub(super) hidden: Secrets,
    pub(super) limits: Limits,
    pub(super) own: Arc<Own>,
    pub(super) queue: Queue,
    pub(super) minute: Arc<Minute>,
    pub(super) warm: Option<Arc<warm::Pool>>,
    pub(super) on_error: OnError,
    pub(super) door: Arc<Door>,
}

// === impl OnError ===

impl OnError {
    /// All of them, by their word.
    pub const ALL: [(&'static str, Self); 3] =
        [("fail", Self::Fail), ("pass", Self::Pass), ("drop", Self::Drop)];

    /// As in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Pass => "pass",
            Self::Drop => "drop",
        }
    }
}

// === impl Plugin ===

impl Plugin {
    /// Compiles and links `wasm`, and lets it check its configuration.
    ///
    /// Where and how long it may compile is the engine's: see [`super::compile`].
    ///
    /// # Errors
    /// In words for the one who wrote the plugin or its configuration: see [`load::Error`].
    ///
    /// # Cancel safety
    /// Safe: a plugin that is not returned is dropped.
    pub async fn load(
        engine: &Engine,
        name: &str,
        wasm: Bytes,
        options: Options,
    ) -> Result<Arc<Self>, load::Error> {
        load::load(engine, name, wasm, options).await.map(Arc::new)
    }

    /// As configured.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its component exports, in the order of a call. Never empty.
    pub fn interfaces(&self) -> Vec<Interface> {
        self.exports.interfaces()
    }

    /// What it says of itself.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_deref()
    }

    /// Whether it checks its configuration.
    pub fn has_lifecycle(&self) -> bool {
        self.exports.has_lifecycle()
    }

    /// What follows a fault.
    pub fn on_error(&self) -> OnError {
        self.on_error
    }

    /// What it may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Memory it begins with, in bytes: at most this much, over all of its memories. `None` when the
    /// engine cannot tell.
    pub fn memory_bytes(&self) -> Option<u64> {
        let needs = self.pre.component().resources_required()?;
        let pages = needs.max_initial_memory_size.unwrap_or_default();
        Some(u64::from(needs.num_memories).saturating_mul(pages).saturating_mul(PAGE_BYTES))
    }

    /// Instances that are kept for the next call.
    pub fn kept(&self) -> usize {
        self.warm.as_ref().map_or(0, |warm| warm.len())
    }

    /// What its code was compiled for.
    pub fn kind(&self) -> Kind {
        self.machine.kind()
    }

    /// The numbers it keeps.
    pub fn own(&self) -> &Own {
        &self.own
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.name)
            .field("interfaces", &self.interfaces())
            .finish_non_exhaustive()
    }
}
