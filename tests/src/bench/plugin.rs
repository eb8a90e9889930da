//! What isolation costs: `redact` on a 2 KB event, with a fresh instance for each event and with
//! one that is reused.
//!
//! Three cases, interleaved by round, so that whatever the machine does meanwhile happens to all of
//! them: the host's own `Plugin::call`; the same component in a fresh store of bare wasmtime with
//! the same engine settings; and bare wasmtime with one instance for all events. The second and the
//! first differ by what the host adds (limits, log, accounting), the third and the second by the
//! price of a fresh instance.

use anyhow::Context as _;
use bytes::Bytes;
use livekit_webhook::plugin::Input;
use livekit_webhook::plugin::engine::Engine;
use livekit_webhook::plugin::registry::{Options, Plugin};
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};
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

/// Medians over all rounds, in nanoseconds a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How many rounds.
    pub rounds: usize,
    /// `Plugin::call`: a fresh instance, with everything the host does.
    pub host_fresh_ns: u64,
    /// Bare wasmtime: a fresh instance.
    pub raw_fresh_ns: u64,
    /// Bare wasmtime: one instance for all calls.
    pub raw_reused_ns: u64,
}

/// Measures `rounds` rounds of `component`, which is `redact`.
///
/// # Errors
/// When the component cannot be loaded or a call fails.
pub async fn run(component: &Path, rounds: usize) -> anyhow::Result<Report> {
    let wasm = std::fs::read(component)
        .with_context(|| format!("{}: run `make guests` first", component.display()))?;
    let body = event();
    let engine = Engine::new()?;
    let options = Options::default();
    let host = Plugin::load(&engine, "redact", Bytes::from(wasm.clone()), options).await?;
    let raw = Raw::new(&wasm, body.clone()).map_err(engine_error)?;
    let (mut reused_store, reused) = raw.instance().await.map_err(engine_error)?;
    let input = Input {
        id: "ev_bench".to_owned(),
        kind: "room_started".to_owned(),
        attempt: 1,
        body,
        ..Input::default()
    };

    let mut samples: [Vec<Duration>; 3] = Default::default();
    // Round 0 warms up and is not counted.
    for round in 0..=rounds {
        let calls = if round == 0 { WARM_UP_CALLS } else { CALLS_A_ROUND };
        let started = Instant::now();
        for _ in 0..calls {
            host.call(input.clone()).await?;
        }
        let host_fresh = started.elapsed();
        let started = Instant::now();
        for _ in 0..calls {
            let (mut store, instance) = raw.instance().await.map_err(engine_error)?;
            Raw::call(&mut store, &instance).await.map_err(engine_error)?;
        }
        let raw_fresh = started.elapsed();
        let started = Instant::now();
        for _ in 0..calls {
            Raw::call(&mut reused_store, &reused).await.map_err(engine_error)?;
        }
        let raw_reused = started.elapsed();
        if round > 0 {
            for (sample, took) in samples.iter_mut().zip([host_fresh, raw_fresh, raw_reused]) {
                sample.push(took / calls);
            }
        }
    }
    let [host_fresh_ns, raw_fresh_ns, raw_reused_ns] = samples.map(median_ns);
    Ok(Report { rounds, host_fresh_ns, raw_fresh_ns, raw_reused_ns })
}

/// The engine's error is not a standard one; its chain of causes becomes one line.
fn engine_error(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

fn median_ns(mut sample: Vec<Duration>) -> u64 {
    sample.sort_unstable();
    let median = sample.get(sample.len() / 2).copied().unwrap_or_default();
    u64::try_from(median.as_nanos()).unwrap_or(u64::MAX)
}

/// A `room_started` with a secret in it, padded with metadata.
fn event() -> Bytes {
    let head = r#"{"event":"room_started","room":{"sid":"RM_hycBMAjmt6Ub","name":"demo-room","emptyTimeout":300,"departureTimeout":20,"creationTime":"1795435135","turnPassword":"FAKE0turnPassword0FAKE","enabledCodecs":[{"mime":"audio/opus"},{"mime":"audio/red"},{"mime":"video/VP8"},{"mime":"video/H264"},{"mime":"video/VP9"},{"mime":"video/AV1"}],"metadata":""#;
    let tail = r#""},"id":"EV_dca79e4774de","createdAt":"1795435195"}"#;
    let padding = EVENT_BYTES.saturating_sub(head.len() + tail.len());
    Bytes::from(format!("{head}{}{tail}", "m".repeat(padding)))
}

impl Report {
    /// The design's goal is at most 1.6.
    pub fn fresh_to_reused(&self) -> f64 {
        self.host_fresh_ns as f64 / self.raw_reused_ns.max(1) as f64
    }

    /// The design's goal is at most 3,000.
    pub fn host_overhead_ns(&self) -> i64 {
        let signed = |ns: u64| i64::try_from(ns).unwrap_or(i64::MAX);
        signed(self.host_fresh_ns) - signed(self.raw_fresh_ns)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, host_fresh_ns, raw_fresh_ns, raw_reused_ns } = self;
        let micros = |ns: u64| ns as f64 / 1000.0;
        writeln!(
            f,
            "plugin: redact on {EVENT_BYTES} bytes, {rounds} rounds of {CALLS_A_ROUND} calls, medians"
        )?;
        writeln!(f, "  host, fresh instance      {:8.1} us", micros(*host_fresh_ns))?;
        writeln!(f, "  wasmtime, fresh instance  {:8.1} us", micros(*raw_fresh_ns))?;
        writeln!(f, "  wasmtime, reused          {:8.1} us", micros(*raw_reused_ns))?;
        writeln!(f, "  host fresh / reused       {:8.2}", self.fresh_to_reused())?;
        write!(f, "  host's own overhead       {:8.1} us", self.host_overhead_ns() as f64 / 1000.0)
    }
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
