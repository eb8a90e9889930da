//! The plugin host: users' WebAssembly components in a strict sandbox.
//!
//! Each component is linked once, on the engine it needs, and has a fresh store for every call,
//! unless its operator keeps its instances [`warm`]. What a guest says of its failure is told apart
//! from its faults, which are traps and limits used up. `convert.rs` alone knows both WIT and our
//! own types.
//!
//! A plugin is loaded ([`load`] makes a [`registry::Plugin`] on an [`engine`]) and then called once
//! an event ([`call`] makes an [`instance`] and runs it within its [`limits`], charged by a
//! [`meter`]). What a guest leaves behind is its answer, its [`log`] lines and its
//! [numbers](crate::metrics::own).
//!
//! What an `enrich` or `action` plugin reaches beyond its event goes through the [`gate`] to the
//! ports of [`outside`]. Which version of a plugin is called, and what follows its faults, is decided
//! in [`deploy`].
//!
//! Guarantee: a guest harms only its own event. It reaches no file, socket, clock, randomness or
//! environment, because none is linked or because [`wasi`] denies it; it has no memory, CPU or time
//! past its limits; nothing of it survives the call but what it was granted to send and to keep.
//! Non-guarantee: a side channel between guests on one machine is not closed.

pub mod budget;
mod cache;
mod call;
pub mod compile;
mod convert;
pub mod deploy;
pub mod engine;
pub mod fixture;
pub mod gate;
mod growth;
mod instance;
pub mod learn;
pub mod limits;
pub mod load;
mod log;
pub mod manifest;
mod meter;
pub mod names;
pub mod outside;
pub mod permission;
pub mod registry;
pub mod tape;
mod terms;
mod trap;
pub mod warm;
mod wasi;
pub mod witness;
mod world;

#[cfg(test)]
pub(crate) mod tests;

use bytes::Bytes;
use std::time::Duration;

/// Version of the contract in `wit/` that this host serves.
pub const CONTRACT_VERSION: &str = convert::VERSION;

/// What a component can be asked, in the order it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// Whether the event goes on.
    Filter,
    /// What is delivered in its place.
    Transform,
    /// Where it goes.
    Route,
    /// What is added to it.
    Enrich,
    /// What is done about it.
    Action,
}

impl Interface {
    /// All, in the order of a call.
    pub const ALL: [Self; 5] =
        [Self::Filter, Self::Transform, Self::Route, Self::Enrich, Self::Action];

    /// As in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Transform => "transform",
            Self::Route => "route",
            Self::Enrich => "enrich",
            Self::Action => "action",
        }
    }
}

/// What a plugin is shown of an event. Owned and cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// Our event id, printed.
    pub id: String,
    /// Event type.
    pub kind: String,
    /// Configured source.
    pub source: String,
    /// `createdAt`, else the time of arrival, in milliseconds.
    pub created_at_ms: u64,
    /// 1 for the first planning of this event.
    pub attempt: u32,
    /// Room name.
    pub room_name: Option<String>,
    /// Participant identity.
    pub participant_identity: Option<String>,
    /// Added by earlier plugins of the chain.
    pub attributes: Vec<(String, String)>,
    /// The body: as received, or as the plugin before left it.
    pub body: Bytes,
}

/// What a plugin made of it, by the interface its component exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// `filter`: whether the event goes on.
    Accept(bool),
    /// `transform`: none, one or several events in its place.
    Drafts(Vec<Draft>),
    /// `route`: the endpoints it goes to, of those the subscription allows.
    Destinations(Vec<String>),
    /// `enrich`: attributes to add.
    Attributes(Vec<(String, String)>),
    /// `action`: its result, for the log.
    Done(Bytes),
}

/// What a call took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU, to make the instance and to run it.
    pub cpu: Duration,
    /// Linear memory the instance had at its end, in bytes. It never shrinks, so this is the most.
    pub memory_bytes: u64,
    /// Fuel that was burned, on [`engine::Engine::metered`]: the same for the same work.
    pub fuel: Option<u64>,
}

/// An event a transform made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Another event type, or `None` to keep it.
    pub kind: Option<String>,
    /// The new body.
    pub body: Bytes,
    /// Attributes to add.
    pub attributes: Vec<(String, String)>,
}

/// Why there is no output. Which limit, whose fault, what follows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The guest says: this event will never work.
    #[error("the plugin rejects the event: {0}")]
    Rejected(String),
    /// The guest says: try again.
    #[error("the plugin asks to be tried again")]
    Retry {
        /// Not before this many milliseconds.
        after_ms: Option<u32>,
    },
    /// The guest says: some other failure.
    #[error("the plugin failed: {0}")]
    Failed(String),
    /// A wasm trap: unreachable, out of bounds, stack overflow, … With the guest's panic message if
    /// it left one.
    #[error("the plugin trapped: {0}")]
    Trap(String),
    /// Over its CPU budget.
    #[error("the plugin used more than {limit_ms} ms of CPU")]
    CpuExceeded {
        /// The budget.
        limit_ms: u64,
    },
    /// Over its wall-clock deadline.
    #[error("the plugin took more than {limit_ms} ms")]
    DeadlineExceeded {
        /// The deadline.
        limit_ms: u64,
    },
    /// Asked for more memory than it may have and then failed.
    #[error("the plugin wanted more than {limit_bytes} bytes of memory")]
    MemoryExceeded {
        /// The limit.
        limit_bytes: u64,
    },
    /// Returned more than is allowed.
    #[error("the plugin returned {what} of {value}, at most {max} is allowed")]
    OutputExceeded {
        /// Which limit.
        what: &'static str,
        /// What it returned.
        value: u64,
        /// What is allowed.
        max: u64,
    },
    /// Too many calls wait for this plugin.
    #[error("the plugin is overloaded")]
    Unavailable,
}
