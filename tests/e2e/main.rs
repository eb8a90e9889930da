//! End-to-end stories.

mod edge;
mod wire;
