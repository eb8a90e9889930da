//! livekit-webhook: a durable webhook gateway for LiveKit.

pub mod cli;
pub mod clock;
pub mod entropy;
pub mod plugin;
pub mod store;
