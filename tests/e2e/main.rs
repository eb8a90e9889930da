//! End-to-end stories.

mod addresses;
mod bad_input;
mod bench;
mod configuration;
mod crash;
mod delivery;
mod demo;
mod doubles;
mod edge;
mod plugins;
mod refusals;
mod retries;
mod server;
mod shutdown;
mod storage;
mod wire;
