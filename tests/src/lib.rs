//! Fixtures shared by the end-to-end stories.

pub mod envoy;
pub mod upstream;
