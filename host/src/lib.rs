//! livekit-webhook: a durable webhook gateway for LiveKit.
//!
//! An event's way is the reading order: [`ingest`] receives, verifies, parses, dedupes and commits
//! → [`route`] matches subscriptions, runs plugins and plans deliveries → [`deliver`] claims, sends
//! and records. Stages meet in the [`store`], never in a call. Around them: [`plugin`] is the
//! sandbox, [`app`] wires once, [`tasks`] spawns and stops, [`config`] reads what was typed,
//! [`cli`] is the command line, [`admin`] is what an operator looks at, [`crash`] is for tests.

pub mod admin;
pub mod app;
pub mod causes;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connector;
pub mod crash;
pub mod deliver;
pub mod entropy;
pub mod ingest;
pub mod log;
pub mod metrics;
pub mod operate;
pub mod outside;
pub mod plugin;
pub mod replay;
pub mod retain;
pub mod route;
pub mod spelling;
pub mod store;
pub mod tasks;
pub mod tls;
pub mod transfer;
pub mod vault;
pub mod view;

#[cfg(test)]
mod simulation;
