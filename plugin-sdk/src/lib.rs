#![doc = include_str!("../README.md")]
//!
//! # Guarantees
//!
//! Guarantee: a panic's text reaches the gateway's log and the event's fault before the trap.
//! Non-guarantee: nothing in memory outlives the call; every event gets a fresh instance, unless the
//! operator keeps instances warm.

#[cfg(any(test, target_arch = "wasm32"))]
mod arena;
mod bindings;
mod config;
mod event;
mod failure;
pub mod http;
pub mod kinds;
pub mod livekit;
mod log;
pub mod metrics;
pub mod native;
pub mod outcome;
pub mod secrets;
pub mod state;
pub mod story;
pub mod time;

pub use config::config;
pub use event::{Draft, Error, Event};
pub use failure::Failure;
pub use livekit_webhook_plugin_macros::{action, configure, enrich, filter, route, transform};
pub use livekit_webhook_wire::event as wire;
pub use log::{Level, log};

/// Bytes of the arena of every plugin.
#[cfg(target_arch = "wasm32")]
const ARENA_BYTES: usize = 1024 * 1024;

#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ARENA: arena::Arena<std::alloc::System, ARENA_BYTES> = arena::Arena::new(std::alloc::System);

/// Everything a plugin uses, for one `use`.
pub mod prelude {
    pub use crate::{Draft, Event, Failure, config, metrics};
    pub use crate::{action, configure, enrich, filter, route, transform};
    pub use crate::{debug, error, info, trace, warn};
}

/// What the attributes expand to. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    #[cfg(target_arch = "wasm32")]
    pub use crate::bindings::{action, base, enrich, filter, lifecycle, route, transform};
    #[cfg(target_arch = "wasm32")]
    pub use crate::event::from_host;
    #[cfg(target_arch = "wasm32")]
    pub use crate::log::install_panic_hook;

    /// Parses a configuration for `#[configure]`.
    ///
    /// # Errors
    /// In serde's words.
    pub fn parse_config<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// What `#[configure]` functions may return.
    pub trait IntoChecked {
        /// As the contract wants it.
        fn into_checked(self) -> Result<(), String>;
    }

    impl IntoChecked for () {
        fn into_checked(self) -> Result<(), String> {
            Ok(())
        }
    }

    impl<E: std::fmt::Display> IntoChecked for Result<(), E> {
        fn into_checked(self) -> Result<(), String> {
            self.map_err(|error| error.to_string())
        }
    }
}
