//! End-to-end stories.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on says so by panicking")]

mod acceptance;
mod addresses;
mod attributes;
mod authoring;
mod bad_input;
mod bench;
mod compiled;
mod configuration;
mod crash;
mod credentials;
mod delivery;
mod demo;
mod doubles;
mod edge;
mod hostile;
mod livekit_api;
mod many_hosts;
mod operator;
mod plugin_policy;
mod plugins;
mod postgres;
mod reach;
mod receivers;
mod refusals;
mod reload;
mod replay;
mod retries;
mod secrets;
mod server;
mod shelf;
mod shutdown;
mod storage;
mod wire;
