//! End-to-end stories.

mod delivery;
mod doubles;
mod edge;
mod wire;
