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
use livekit_webhook_tests::gateway::run;
use livekit_webhook_tests::gateway::setup::component;
use serde_json::json;
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

/// A configuration and a capsule beside the component `redact.wasm`.
fn ground() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    let wasm = component("redact")?;
    std::fs::copy(&wasm, folder.path().join("redact.wasm"))?;
    let config = "[[source]]\nname = \"prod\"\nkeys = [{ api_key = \"APIx\", secret = \"a secret of thirty two characters\" }]\n\
        [[plugin]]\nname = \"redact\"\nfile = \"redact.wasm\"\n";
    std::fs::write(folder.path().join("gateway.toml"), config)?;
    let capsule = json!({
        "schema": 1, "plugin": "redact", "digest": "0", "written_ms": 0,
        "fault": { "kind": "trap", "text": "", "last_words": null, "frames": [], "log": [], "cpu_us": 0, "memory_bytes": 0 },
        "event": { "id": "EV_1", "kind": "room_started", "source": "prod", "created_at_ms": 0, "attempt": 1, "room_name": null, "participant_identity": null, "attributes": [], "body": "{}" },
        "config": {}, "config_digest": "0", "limits": {}, "grant": {}, "outside": [],
    });
    std::fs::write(folder.path().join("capsule.json"), capsule.to_string())?;
    Ok(folder)
}

/// The process that `parent` started as `livekit-webhook plugin compile`.
fn compiler_of(parent: u32) -> Option<u32> {
    let processes = std::fs::read_dir("/proc").ok()?;
    let mut ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.find(|id: &u32| {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{id}/{name}"));
        let is_child = read("stat").is_ok_and(|stat| {
            let after_name = stat.rsplit(')').next().unwrap_or_default();
            after_name.split_whitespace().nth(1) == Some(&parent.to_string())
        });
        is_child && read("cmdline").is_ok_and(|line| line.contains("\0plugin\0compile\0"))
    })
}

/// Kills the compiler of a command, as the system does to one that takes too much memory.
async fn without_its_compiler(folder: &Path, arguments: &[&str]) -> Result<String> {
    let child = tokio::process::Command::new(gateway::binary()?)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let parent = child.id().context("it has ended")?;
    let killed = async {
        loop {
            if let Some(id) = compiler_of(parent) {
                let mut kill = tokio::process::Command::new("kill");
                return anyhow::Ok(kill.args(["-KILL", &id.to_string()]).status().await?);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(BOUND, killed).await.context("it started no compiler")??;
    let ended = tokio::time::timeout(BOUND, child.wait_with_output()).await??;
    let said = [ended.stdout, ended.stderr].concat();
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// What a command says whose compiler was killed.
const KILLED: &str = "the compiler ended with signal: 9";
/// A busy machine may kill too late, when the code is there already.
const KILLS_MAX: usize = 20;

#[tokio::test]
async fn every_command_compiles_in_a_child_and_survives_its_death() -> Result<()> {
    let ground = ground()?;
    let config = ["--config", "gateway.toml"];
    let commands: [&[&str]; 7] = [
        &["check", config[0], config[1]],
        &["plugin", "check", "redact.wasm"],
        &["plugin", "run", "redact.wasm", "--event", "room_started"],
        &["plugin", "test", "redact.wasm"],
        &["plugin", "torture", "redact.wasm"],
        &["plugin", "replay", "capsule.json", "--plugin", "redact.wasm"],
        &["plugin", "deploy", config[0], config[1], "redact", "redact.wasm"],
    ];
    for command in commands {
        let mut said = String::new();
        for _ in 0..KILLS_MAX {
            said = without_its_compiler(ground.path(), command).await?;
            if said.contains(KILLED) {
                break;
            }
        }
        ensure!(said.contains(KILLED), "{command:?}: {said}");
    }
    let checked = run(ground.path(), &["check", config[0], config[1]], &[], BOUND).await?;
    ensure!(checked.code == Some(0), "{checked:?}");
    Ok(())
}
