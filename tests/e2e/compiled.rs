//! Stories of compiling: by the real program as a child, and from what it kept.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use livekit_webhook::plugin::compile::Setup;
use livekit_webhook::plugin::engine::{Engine, Kind};
use livekit_webhook::plugin::limits::{self, Limits};
use livekit_webhook::plugin::registry::{OnError, Options, Plugin};
use livekit_webhook::plugin::{Input, load};
use livekit_webhook_tests::exchange::BOUND;
use livekit_webhook_tests::gateway;
use livekit_webhook_tests::gateway::setup::component;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

/// What defines `task.cancel`, for a component that the lean engine refuses.
const TASK_CANCEL: [u8; 4] = [8, 2, 1, 0x05];

fn options() -> Result<Options> {
    let limits = Limits::default().with(limits::COMPILE_MS, limits::COMPILE_MS.cap)?;
    let limits = limits.with(limits::CPU_PURE_MS, limits::CPU_PURE_MS.cap)?;
    let limits = limits.with(limits::WALL_PURE_MS, limits::WALL_PURE_MS.cap)?;
    Ok(Options { limits, on_error: Some(OnError::Fail), ..Options::default() })
}

async fn load(child: &Path, folder: &Path, wasm: Bytes) -> Result<Arc<Plugin>, load::Error> {
    let setup = Setup { child: Some(child.to_owned()), folder: Some(folder.to_owned()) };
    let engine = Engine::serving(setup).map_err(load::Error::Engine)?;
    Plugin::load(&engine, "story", wasm, options().unwrap()).await
}

#[tokio::test]
async fn a_child_compiles_for_both_engines_and_the_next_start_needs_none() -> Result<()> {
    let (program, nobody) = (gateway::binary()?, Path::new("/does/not/exist"));
    let folder = tempfile::tempdir()?;
    let redact = Bytes::from(std::fs::read(component("redact")?)?);
    let mut asynchronous = redact.to_vec();
    asynchronous.extend(TASK_CANCEL);
    for (wasm, kind) in [(redact, Kind::Lean), (Bytes::from(asynchronous), Kind::Full)] {
        ensure!(load(nobody, folder.path(), wasm.clone()).await.is_err(), "nobody compiled it");
        for child in [&*program, nobody] {
            let plugin = load(child, folder.path(), wasm.clone()).await?;
            ensure!(plugin.kind() == kind, "{kind:?}");
            let body = Bytes::from_static(b"{\"event\":\"room_started\"}");
            plugin.call(Input { body, ..Input::default() }).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_child_says_what_is_wrong_with_a_component() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let broken = Bytes::from_static(b"\0asm\x0d\0\x01\0\xff");
    match load(&gateway::binary()?, folder.path(), broken).await {
        Err(load::Error::Invalid(error)) => {
            ensure!(error.to_string().contains("section"), "{error:#}");
        }
        other => bail!("{other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn a_child_limits_itself_before_it_reads_anything() -> Result<()> {
    // Its input stays open, so it waits for a component for ever.
    let mut child = tokio::process::Command::new(gateway::binary()?)
        .args(["plugin", "compile", "--kind", "lean", "--cpu-seconds", "7"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let file = format!("/proc/{}/limits", child.id().context("it has ended")?);
    let limited = async {
        loop {
            let text = std::fs::read_to_string(&file)?;
            let row = |name: &str| text.lines().find(|line| line.starts_with(name));
            let is = |name, value| row(name).is_some_and(|row| row.contains(value));
            if is("Max data size", "1073741824") && is("Max cpu time", " 7 ") {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(BOUND, limited).await.context("it did not limit itself")??;
    child.kill().await?;
    Ok(())
}
