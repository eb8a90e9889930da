//! Fixtures shared by the end-to-end stories.

pub mod gateway;
pub mod livekit;
pub mod receiver;
