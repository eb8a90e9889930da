//! End-to-end stories.

mod bench;
mod delivery;
mod demo;
mod doubles;
mod edge;
mod refusals;
mod retries;
mod wire;
