//! End-to-end stories.

mod doubles;
mod edge;
mod wire;
