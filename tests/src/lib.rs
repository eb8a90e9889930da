//! Fixtures shared by the end-to-end stories.

pub mod bench;
pub mod demo;
pub mod envoy;
pub mod gateway;
pub mod judge;
pub mod livekit;
pub mod receiver;
pub mod upstream;
