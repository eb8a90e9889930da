//! What a host with plugins has besides the price of a call: how fast it starts, what a thousand of
//! them weigh, how soon a loop ends, what attacks leave behind, and guests of other languages.

use super::{fresh_calls, input};
use crate::bench::table::Table;
use crate::judge::guest;
use anyhow::Context as _;
use bytes::Bytes;
use livekit_webhook::plugin::Input;
use livekit_webhook::plugin::compile::Setup;
use livekit_webhook::plugin::engine::Engine;
use livekit_webhook::plugin::limits::{self, Limits};
use livekit_webhook::plugin::registry::{OnError, Options, Plugin};
use livekit_webhook::plugin::warm::Instances;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// How much of each is done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Starts of each guest.
    pub starts: usize,
    /// Plugins that are loaded at once.
    pub loaded: usize,
    /// Loops that are stopped.
    pub loops: usize,
    /// Attacks, after some that are not counted.
    pub attacks: usize,
}

/// What `make bench` does.
pub const FULL: Plan = Plan { starts: 15, loaded: 1000, loops: 50, attacks: 10_000 };
/// CPU of a loop that is stopped, in milliseconds.
const LOOP_MS: u64 = 50;
/// Attacks before anything is looked at.
const WARM_UP_ATTACKS: usize = 100;
/// What is tried, in turn. The loops get one millisecond.
const KINDS: [&str; 6] = ["trap", "panic", "loop", "memory", "recursion", "output"];
/// Rounds and calls of guests of other languages.
const GUEST_ROUNDS: usize = 15;
const GUEST_CALLS: u32 = 16;
/// Guests that `plugin new` and `plugin build` make, when somebody has: language and file.
const GUESTS: [(&str, &str); 3] =
    [("JavaScript", "hello-js.wasm"), ("Python", "hello-python.wasm"), ("C", "hello-c.wasm")];
const MIB: f64 = 1024.0 * 1024.0;

/// Measures all of it and writes the sections.
///
/// # Errors
/// When a component cannot be loaded, or the table cannot be written.
pub async fn run(plan: Plan, table: &mut Table<'_>) -> anyhow::Result<()> {
    cold_starts(plan.starts, table).await?;
    many(plan.loaded, table).await?;
    interrupts(plan.loops, table).await?;
    attacks(plan.attacks, table).await?;
    guests(table).await
}

/// A plugin as the gateway loads it: compiled code in `folder`, compiled in this process.
fn engine(folder: &Path) -> anyhow::Result<Engine> {
    Ok(Engine::serving(Setup { child: None, folder: Some(folder.to_owned()) })?)
}

fn roomy() -> anyhow::Result<Options> {
    let limits = Limits::default().with(limits::COMPONENT_BYTES, limits::COMPONENT_BYTES.cap)?;
    let limits = limits.with(limits::CPU_INIT_MS, limits::CPU_INIT_MS.cap)?;
    Ok(Options { limits, on_error: Some(OnError::Fail), ..Options::default() })
}

/// Those that are there, the others told.
fn found(table: &mut Table<'_>) -> anyhow::Result<Vec<(&'static str, Bytes)>> {
    let mut found = Vec::new();
    for (language, file) in GUESTS {
        match std::fs::read(guest(file)) {
            Ok(wasm) => found.push((language, Bytes::from(wasm))),
            Err(_) => table.line(format_args!(
                "    {language}: no target/wasm/{file}; make one with `plugin new` and `plugin build`"
            ))?,
        }
    }
    Ok(found)
}

async fn cold_starts(starts: usize, table: &mut Table<'_>) -> anyhow::Result<()> {
    let how = format!("{starts} loads each, with compiled code in the cache; the engine is there");
    table.section("Start a plugin", how)?;
    let redact = std::fs::read(guest("redact.wasm")).context("run `make guests` first")?;
    let mut all = vec![("Rust", Bytes::from(redact))];
    all.extend(found(table)?);
    for (language, wasm) in all {
        let folder = tempfile::tempdir()?;
        let began = Instant::now();
        Plugin::load(&engine(folder.path())?, "cold", wasm.clone(), roomy()?).await?;
        let compiled = began.elapsed().as_secs_f64() * 1e3;
        let mut sample = Vec::new();
        for _ in 0..starts {
            let engine = engine(folder.path())?;
            let began = Instant::now();
            Plugin::load(&engine, "cold", wasm.clone(), roomy()?).await?;
            sample.push(began.elapsed().as_secs_f64() * 1e3);
        }
        let size = wasm.len() as f64 / MIB;
        table.value(&format!("{language}, {size:.1} MiB, compiled"), &[compiled], "ms", "")?;
        table.value(&format!("{language}, from the cache"), &sample, "ms", "<= 5")?;
    }
    Ok(())
}

async fn many(count: usize, table: &mut Table<'_>) -> anyhow::Result<()> {
    let wasm = Bytes::from(std::fs::read(guest("redact.wasm"))?);
    let folder = tempfile::tempdir()?;
    let engine = engine(folder.path())?;
    Plugin::load(&engine, "first", wasm.clone(), roomy()?).await?;
    let before = resident_bytes()?;
    let mut loaded: Vec<Arc<Plugin>> = Vec::with_capacity(count);
    for number in 0..count {
        let name = format!("plugin-{number}");
        loaded.push(Plugin::load(&engine, &name, wasm.clone(), roomy()?).await?);
    }
    let resident = (resident_bytes()? - before) / MIB;
    table.section("Memory of loaded plugins", format_args!("{count} times redact"))?;
    table.value("resident memory of all of them", &[resident], "MiB", "< 1024")?;
    Ok(())
}

async fn evil(limits: Limits) -> anyhow::Result<(Engine, Arc<Plugin>)> {
    let wasm = std::fs::read(guest("evil.wasm")).context("run `make guests` first")?;
    let engine = Engine::new()?;
    let options = Options { limits, on_error: Some(OnError::Fail), ..Options::default() };
    let plugin = Plugin::load(&engine, "evil", Bytes::from(wasm), options).await?;
    Ok((engine, plugin))
}

fn attack(what: &str) -> Input {
    Input { room_name: Some(format!("evil:{what}")), ..input(Bytes::from_static(b"{}")) }
}

async fn interrupts(loops: usize, table: &mut Table<'_>) -> anyhow::Result<()> {
    let (_engine, evil) = evil(Limits::default().with(limits::CPU_PURE_MS, LOOP_MS)?).await?;
    let mut late = Vec::new();
    for _ in 0..loops {
        let began = Instant::now();
        anyhow::ensure!(evil.call(attack("loop")).await.is_err(), "a loop came to an end");
        late.push(began.elapsed().as_secs_f64() * 1e3 - LOOP_MS as f64);
    }
    table.section("Stop a loop", format_args!("{loops} loops with {LOOP_MS} ms of CPU each"))?;
    table.value("past its budget", &late, "ms", "<= 5")?;
    let worst = late.iter().copied().fold(f64::MIN, f64::max);
    table.value("past its budget, the worst", &[worst], "ms", "<= 5")?;
    Ok(())
}

async fn attacks(count: usize, table: &mut Table<'_>) -> anyhow::Result<()> {
    let limits = Limits::default().with(limits::CPU_PURE_MS, 1)?;
    let (engine, evil) = evil(limits.with(limits::MEMORY_BYTES, 8 << 20)?).await?;
    let run = async |count: usize| {
        for what in KINDS.into_iter().cycle().take(count) {
            anyhow::ensure!(evil.call(attack(what)).await.is_err(), "{what} did no harm");
        }
        anyhow::Ok(())
    };
    run(WARM_UP_ATTACKS).await?;
    let before = resident_bytes()?;
    run(count).await?;
    let after = resident_bytes()?;
    anyhow::ensure!(engine.budget().taken() == 0, "memory of instances is still taken");
    table.section("Attacks", format_args!("{count}: {}", KINDS.join(", ")))?;
    table.value("resident memory before", &[before / MIB], "MiB", "")?;
    table.value("resident memory after / before", &[after / before], "x", "<= 1.05")?;
    Ok(())
}

async fn guests(table: &mut Table<'_>) -> anyhow::Result<()> {
    let how = format!("{GUEST_ROUNDS} rounds of {GUEST_CALLS} calls; warm: the same instance");
    table.section("Run guests of other languages", how)?;
    for (language, wasm) in found(table)? {
        let engine = Engine::new()?;
        for (instances, how) in [(Instances::Fresh, "fresh"), (Instances::warm(), "warm")] {
            let options = Options { instances, ..roomy()? };
            let plugin = Plugin::load(&engine, "hello", wasm.clone(), options).await?;
            let mut sample = Vec::new();
            // Round 0 warms up and is not counted.
            for round in 0..=GUEST_ROUNDS {
                let began = Instant::now();
                fresh_calls(plugin.clone(), input(super::event()), GUEST_CALLS).await?;
                if round > 0 {
                    sample.push(began.elapsed().as_secs_f64() * 1e6 / f64::from(GUEST_CALLS));
                }
            }
            table.value(&format!("{language}, {how}"), &sample, "us", "")?;
        }
    }
    Ok(())
}

/// What this process has in memory now, in bytes.
fn resident_bytes() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    Ok(kib.context("/proc/self/status has no VmRSS")? * 1024.0)
}
