//! Fixtures shared by the end-to-end stories.

pub mod authority;
pub mod bench;
pub mod demo;
pub mod edge;
pub mod envoy;
pub mod exchange;
pub mod gateway;
pub mod hostile;
pub mod interrupt;
pub mod judge;
pub mod ledger;
pub mod livekit;
pub mod postgres;
pub mod published;
pub mod receiver;
pub mod soak;
pub mod upstream;
