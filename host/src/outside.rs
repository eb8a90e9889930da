//! What plugins reach, when they are granted it: the adapters of the ports in
//! [`crate::plugin::outside`].
//!
//! An adapter asks nothing about grants or secrets; the gate of the plugin host did that before.
//! What it adds is its own guard: [`fetch`] dials what the address policy of deliveries allows, and
//! nothing else; [`livekit`] asks the servers that sources name; [`state`] keeps what plugins keep.

mod absent;
pub mod fetch;
pub mod livekit;
pub mod state;

use crate::plugin::outside::Outside;
use absent::Absent;
use fetch::HyperFetch;
use std::sync::Arc;

impl Outside {
    /// HTTP only: state and LiveKit answer that they are not there. Another adapter is put into its
    /// field.
    pub fn http(fetch: HyperFetch) -> Self {
        Self { fetch: Arc::new(fetch), state: Arc::new(Absent), livekit: Arc::new(Absent) }
    }
}
