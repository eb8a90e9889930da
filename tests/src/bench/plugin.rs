//! What isolation costs: `redact` on a 2 KB event, with a fresh instance for each event and with
//! one that is reused.
//!
//! Four cases, interleaved by round, so that whatever the machine does meanwhile happens to all of
//! them: the host's own `Plugin::call`; the same component in a fresh store of bare wasmtime with
//! the same engine settings; bare wasmtime with one instance for all events; and the host's call
//! with a warm instance. The second and the first differ by what the host adds (limits, log,
//! accounting), the third and the second by the price of a fresh instance. `plugin/threads.rs` does
//! the same on two threads, `plugin/rest.rs` has the other rows.

pub mod rest;
mod threads;

use super::table::Table;
use anyhow::Context as _;
use bytes::Bytes;
use livekit_webhook::plugin::Input;
use livekit_webhook::plugin::engine::Engine;
use livekit_webhook::plugin::registry::{Options, Plugin};
use livekit_webhook::plugin::warm::Instances;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::{Component, HasSelf, Linker, Resource};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

/// Size of the event, in bytes.
pub const EVENT_BYTES: usize = 2048;
/// Calls of one case in one round.
pub const CALLS_A_ROUND: u32 = 64;
/// Calls of each case before anything is measured.
const WARM_UP_CALLS: u32 = 256;

mod contract {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "livekit-webhook:plugin/transform-plugin",
        exports: { default: async },
        with: { "livekit-webhook:plugin/types.event": super::EventHandle },
    });
}

use contract::livekit_webhook::plugin::{config, log, metrics, types};
use contract::{TransformPlugin, TransformPluginPre};

/// Stands for the one event there is.
#[derive(Debug)]
pub struct EventHandle;

/// Measures `rounds` rounds of `component`, which is `redact`, and writes the section.
///
/// # Errors
/// When the component cannot be loaded, a call fails, or the table cannot be written.
pub async fn run(component: &Path, rounds: usize, table: &mut Table<'_>) -> anyhow::Result<()> {
    let wasm = std::fs::read(component)
        .with_context(|| format!("{}: run `make guests` first", component.display()))?;
    let body = event();
    let engine = Engine::new()?;
    let options = Options::default();
    let host = Plugin::load(&engine, "redact", Bytes::from(wasm.clone()), options).await?;
    let options = Options { instances: Instances::warm(), ..Options::default() };
    let warm = Plugin::load(&engine, "redact", Bytes::from(wasm.clone()), options).await?;
    let raw = Arc::new(Raw::new(&wasm, body.clone()).map_err(engine_error)?);
    let (mut reused_store, reused) = raw.instance().await.map_err(engine_error)?;
    let input = input(body);

    let mut samples: [Vec<f64>; 4] = Default::default();
    // Round 0 warms up and is not counted.
    for round in 0..=rounds {
        let calls = if round == 0 { WARM_UP_CALLS } else { CALLS_A_ROUND };
        let started = Instant::now();
        fresh_calls(host.clone(), input.clone(), calls).await?;
        let host_fresh = started.elapsed();
        let started = Instant::now();
        raw_calls(raw.clone(), calls).await?;
        let raw_fresh = started.elapsed();
        let started = Instant::now();
        for _ in 0..calls {
            Raw::call(&mut reused_store, &reused).await.map_err(engine_error)?;
        }
        let raw_reused = started.elapsed();
        let started = Instant::now();
        fresh_calls(warm.clone(), input.clone(), calls).await?;
        let host_warm = started.elapsed();
        if round > 0 {
            let took = [host_fresh, raw_fresh, raw_reused, host_warm];
            for (sample, took) in samples.iter_mut().zip(took) {
                sample.push(took.as_secs_f64() * 1e6 / f64::from(calls));
            }
        }
    }
    tell(rounds, &samples, table)?;
    threads::run(&host, &raw, &input, table).await
}

/// The event that everything is measured with.
fn input(body: Bytes) -> Input {
    Input {
        id: "ev_bench".to_owned(),
        kind: "room_started".to_owned(),
        attempt: 1,
        body,
        ..Input::default()
    }
}

fn tell(rounds: usize, samples: &[Vec<f64>; 4], table: &mut Table<'_>) -> anyhow::Result<()> {
    let [host_fresh, raw_fresh, raw_reused, host_warm] = samples;
    let overhead: Vec<_> = host_fresh.iter().zip(raw_fresh).map(|(host, raw)| host - raw).collect();
    let how = format!("{EVENT_BYTES} bytes, {rounds} rounds of {CALLS_A_ROUND} calls a case");
    table.section("Run a plugin: redact on one event", how)?;
    table.value("host, a fresh instance for each event", host_fresh, "us", "<= 25")?;
    table.value("bare wasmtime, fresh instance", raw_fresh, "us", "")?;
    table.value("bare wasmtime, one instance reused", raw_reused, "us", "")?;
    table.value("host, a warm instance", host_warm, "us", "")?;
    table.value("the host's own part", &overhead, "us", "<= 3")?;
    table.ratio("host fresh / reused", host_fresh, raw_reused, "<= 1.6")?;
    Ok(())
}

async fn raw_calls(raw: Arc<Raw>, calls: u32) -> anyhow::Result<()> {
    for _ in 0..calls {
        let (mut store, instance) = raw.instance().await.map_err(engine_error)?;
        Raw::call(&mut store, &instance).await.map_err(engine_error)?;
    }
    Ok(())
}

async fn fresh_calls(host: Arc<Plugin>, input: Input, calls: u32) -> anyhow::Result<()> {
    for _ in 0..calls {
        host.call(input.clone()).await?;
    }
    Ok(())
}

/// The engine's error is not a standard one; its chain of causes becomes one line.
fn engine_error(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

/// A `room_started` with a secret in it, padded with metadata.
fn event() -> Bytes {
    let head = r#"{"event":"room_started","room":{"sid":"RM_hycBMAjmt6Ub","name":"demo-room","emptyTimeout":300,"departureTimeout":20,"creationTime":"1795435135","turnPassword":"FAKE0turnPassword0FAKE","enabledCodecs":[{"mime":"audio/opus"},{"mime":"audio/red"},{"mime":"video/VP8"},{"mime":"video/H264"},{"mime":"video/VP9"},{"mime":"video/AV1"}],"metadata":""#;
    let tail = r#""},"id":"EV_dca79e4774de","createdAt":"1795435195"}"#;
    let padding = EVENT_BYTES.saturating_sub(head.len() + tail.len());
    Bytes::from(format!("{head}{}{tail}", "m".repeat(padding)))
}

/// Bare wasmtime with the engine settings of the host.
struct Raw {
    engine: wasmtime::Engine,
    pre: TransformPluginPre<State>,
    body: Bytes,
}

struct State(Bytes);

impl Raw {
    fn new(wasm: &[u8], body: Bytes) -> wasmtime::Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(16)
            .max_memory_size(256 << 20)
            .linear_memory_keep_resident(1 << 20)
            .table_keep_resident(64 << 10)
            .async_stack_keep_resident(64 << 10)
            .pagemap_scan(Enabled::Auto);
        let mut config = Config::new();
        config
            .concurrency_support(false)
            .epoch_interruption(true)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = wasmtime::Engine::new(&config)?;
        let component = Component::new(&engine, wasm)?;
        let mut linker = Linker::new(&engine);
        TransformPlugin::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
        let pre = TransformPluginPre::new(linker.instantiate_pre(&component)?)?;
        Ok(Self { engine, pre, body })
    }

    async fn instance(&self) -> wasmtime::Result<(Store<State>, TransformPlugin)> {
        let mut store = Store::new(&self.engine, State(self.body.clone()));
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = self.pre.instantiate_async(&mut store).await?;
        Ok((store, instance))
    }

    async fn call(store: &mut Store<State>, instance: &TransformPlugin) -> wasmtime::Result<()> {
        let event = Resource::<EventHandle>::new_borrow(0);
        let guest = instance.livekit_webhook_plugin_transform();
        let drafts = guest.call_transform(store, event).await?;
        let drafts = drafts
            .map_err(|failure| wasmtime::Error::msg(format!("the plugin failed: {failure:?}")))?;
        std::hint::black_box(drafts);
        Ok(())
    }
}

impl types::Host for State {}

impl types::HostEvent for State {
    fn id(&mut self, _: Resource<EventHandle>) -> String {
        "ev_bench".to_owned()
    }

    fn kind(&mut self, _: Resource<EventHandle>) -> String {
        "room_started".to_owned()
    }

    fn source(&mut self, _: Resource<EventHandle>) -> String {
        String::new()
    }

    fn created_at_ms(&mut self, _: Resource<EventHandle>) -> u64 {
        0
    }

    fn attempt(&mut self, _: Resource<EventHandle>) -> u32 {
        1
    }

    fn room_name(&mut self, _: Resource<EventHandle>) -> Option<String> {
        None
    }

    fn participant_identity(&mut self, _: Resource<EventHandle>) -> Option<String> {
        None
    }

    fn attribute(&mut self, _: Resource<EventHandle>, _: String) -> Option<String> {
        None
    }

    fn field(&mut self, _: Resource<EventHandle>, _: String) -> Option<String> {
        None
    }

    fn json(&mut self, _: Resource<EventHandle>) -> Vec<u8> {
        self.0.to_vec()
    }

    fn drop(&mut self, _: Resource<EventHandle>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl log::Host for State {
    fn log(&mut self, _: u8, _: String, _: Vec<(String, String)>) {}
}

impl config::Host for State {
    fn get(&mut self, _: String) -> Option<String> {
        None
    }

    fn json(&mut self) -> Vec<u8> {
        b"{}".to_vec()
    }
}

impl metrics::Host for State {
    fn count(&mut self, _: String, _: u64, _: Vec<(String, String)>) {}

    fn observe(&mut self, _: String, _: f64, _: Vec<(String, String)>) {}
}
