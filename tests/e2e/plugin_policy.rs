//! Stories of versions: what an operator uploads, what serves, and what follows faults.
//!
//! Two components that make different bodies of one event (`redact`, `slack`) stand for two
//! versions of one plugin where a story has to see which one served; a custom section more makes
//! another version of the same behaviour.

mod failing;
mod numbers;
mod trials;
mod uploads;

use super::delivery::with_source;
use anyhow::{Context as _, Result, ensure};
use livekit_webhook_tests::exchange::{BOUND, event, post_as, token_at};
use livekit_webhook_tests::gateway::setup::component;
use livekit_webhook_tests::gateway::{self, Ended, Gateway, Setup};
use livekit_webhook_tests::receiver::{Receiver, Seen};
use std::path::{Path, PathBuf};

/// So much CPU that a busy machine stops nothing.
const PATIENT: &str = "limits = { cpu_pure_ms = 1000, wall_pure_ms = 5000, cpu_init_ms = 5000 }";

/// A gateway with one plugin, `mine`, in front of one receiver.
struct Scene {
    /// Holds what is uploaded.
    folder: tempfile::TempDir,
    gateway: Gateway,
    receiver: Receiver,
}

/// The bytes of a component that was built.
fn wasm(name: &str) -> Result<Vec<u8>> {
    Ok(std::fs::read(component(name)?)?)
}

/// The same with a custom section more.
fn marked(wasm: &[u8], mark: u8) -> Vec<u8> {
    [wasm, &[0, 3, 1, b'v', mark]].concat()
}

/// Whether `slack` made it.
fn is_slack(seen: &Seen) -> bool {
    serde_json::from_slice::<serde_json::Value>(&seen.body)
        .is_ok_and(|body| body["text"].is_string())
}

impl Scene {
    /// `wasm` serves; `more` is TOML of the plugin.
    async fn start(wasm: &[u8], more: &str) -> Result<Self> {
        let (folder, receiver) = (tempfile::tempdir()?, Receiver::start().await?);
        upload(&folder.path().join("mine.wasm"), wasm)?;
        let setup = setup(folder.path(), &receiver, more).movable_clock();
        let gateway = Gateway::start(&setup, BOUND).await?;
        Ok(Self { folder, gateway, receiver })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("mine.wasm")
    }

    fn upload(&self, wasm: &[u8]) -> Result<()> {
        upload(&self.file(), wasm)
    }

    fn with(&self, more: &str) -> Setup {
        setup(self.folder.path(), &self.receiver, more).movable_clock()
    }

    /// One event from LiveKit.
    async fn send(&self, room: &str, id: &str) -> Result<()> {
        let body = event("room_started", room, id);
        let token = token_at(&body, self.gateway.now_s());
        let reply = post_as(self.gateway.address(), &token, &body).await?;
        ensure!(reply.status == 200, "{id}: {reply:?}");
        Ok(())
    }

    /// Sends one, and waits until so many have arrived in all; gives the last.
    async fn arrives(&self, room: &str, id: &str, count: usize) -> Result<Seen> {
        self.send(room, id).await?;
        let seen = self.receiver.wait_for(count, BOUND).await?;
        ensure!(seen.len() == count, "{id}: {} instead of {count}", seen.len());
        seen.last().cloned().context("nothing arrived")
    }

    async fn reloads(&self, result: &str, least: u32) -> Result<()> {
        let name = format!(r#"plugin_reloads_total{{plugin="mine",result="{result}"}}"#);
        self.gateway.wait_metric(&name, f64::from(least), BOUND).await
    }

    async fn run(&self, verb: &str, more: &[&str]) -> Result<Ended> {
        let mut arguments = vec!["plugin", verb, "--config", "gateway.toml"];
        arguments.extend(more);
        let environment = self.gateway.setup().environment();
        gateway::run(self.gateway.folder(), &arguments, environment, BOUND).await
    }

    /// The folder of what is kept.
    fn kept(&self) -> PathBuf {
        self.gateway.folder().join("livekit-webhook-plugins/mine")
    }
}

fn setup(folder: &Path, receiver: &Receiver, more: &str) -> Setup {
    with_source()
        .plugin("mine", &folder.join("mine.wasm"), &format!("{more}\n{PATIENT}"))
        .endpoint("all", &receiver.url("/"), "")
        .subscription("all", r#"plugins = ["mine"]"#)
}

/// As a careful operator does: written beside, then renamed.
fn upload(file: &Path, wasm: &[u8]) -> Result<()> {
    let beside = file.with_extension("new");
    std::fs::write(&beside, wasm)?;
    Ok(std::fs::rename(beside, file)?)
}
