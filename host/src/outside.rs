//! What plugins reach, when they are granted it: the adapters of the ports in
//! [`crate::plugin::outside`].
//!
//! An adapter asks nothing about grants or secrets; the gate of the plugin host did that before.

pub mod livekit;
pub mod state;
