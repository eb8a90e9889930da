//! End-to-end stories.

mod addresses;
mod bad_input;
mod configuration;
mod crash;
mod delivery;
mod doubles;
mod edge;
mod plugins;
mod refusals;
mod retries;
mod server;
mod shutdown;
mod storage;
mod wire;
