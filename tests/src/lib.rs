//! Fixtures shared by the end-to-end stories.

pub mod bench;
pub mod demo;
pub mod edge;
pub mod envoy;
pub mod exchange;
pub mod gateway;
pub mod interrupt;
pub mod judge;
pub mod ledger;
pub mod livekit;
pub mod receiver;
pub mod upstream;
