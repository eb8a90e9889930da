//! End-to-end stories.

mod delivery;
mod doubles;
mod edge;
mod refusals;
mod retries;
mod wire;
