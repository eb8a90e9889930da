//! Fixtures shared by the end-to-end stories.

pub mod bench;
pub mod envoy;
pub mod upstream;
pub mod judge;
pub mod gateway;
pub mod livekit;
pub mod receiver;
