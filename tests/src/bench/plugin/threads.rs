//! What a second thread adds: the cases of [`super`] by one task and by two at once.
//!
//! Each case runs long enough that waking a thread does not count, and begins when all its tasks
//! are there. Bare wasmtime with one reused instance for each task makes no system call and shares
//! nothing, so its ratio is what the machine has to give; the others stand beside it.

use super::super::table::Table;
use super::{Raw, engine_error, fresh_calls, raw_calls};
use livekit_webhook::plugin::Input;
use livekit_webhook::plugin::registry::Plugin;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Rounds that are counted.
const ROUNDS: usize = 20;
/// Calls of each task in a round: some 50 ms.
const CALLS: u32 = 2_500;
/// Tasks of a case with several threads.
const THREADS: u32 = 2;

/// What is called.
#[derive(Clone)]
enum Case {
    Host(Arc<Plugin>, Input),
    Fresh(Arc<Raw>),
    Reused(Arc<Raw>),
}

/// Measures the three cases and writes the section.
///
/// # Errors
/// When a call fails, or the table cannot be written.
pub async fn run(
    host: &Arc<Plugin>,
    raw: &Arc<Raw>,
    input: &Input,
    table: &mut Table<'_>,
) -> anyhow::Result<()> {
    let cases = [
        Case::Host(host.clone(), input.clone()),
        Case::Fresh(raw.clone()),
        Case::Reused(raw.clone()),
    ];
    let mut alone: [Vec<f64>; 3] = Default::default();
    let mut together: [Vec<f64>; 3] = Default::default();
    // Round 0 warms up and is not counted.
    for round in 0..=ROUNDS {
        for (at, case) in cases.iter().enumerate() {
            let one = call_us(case, 1).await?;
            let two = call_us(case, THREADS).await?;
            if round > 0 {
                alone[at].push(one);
                together[at].push(two);
            }
        }
    }
    let how = format!("{ROUNDS} rounds of {CALLS} calls a task");
    table.section("Run a plugin on two threads", how)?;
    let [host, fresh, reused] = &alone;
    let [host_two, fresh_two, reused_two] = &together;
    table.ratio("events/s on 2 threads / on 1", host, host_two, ">= 1.7")?;
    table.ratio("bare wasmtime, fresh instances", fresh, fresh_two, "")?;
    table.ratio("bare wasmtime, reused: the machine", reused, reused_two, "")?;
    Ok(())
}

/// Microseconds from one end of a call to the next, over all tasks.
async fn call_us(case: &Case, tasks: u32) -> anyhow::Result<f64> {
    let start = Arc::new(Barrier::new(tasks as usize));
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let (case, start) = (case.clone(), start.clone());
        running.spawn(async move {
            start.wait().await;
            let began = Instant::now();
            case.calls().await?;
            anyhow::Ok(began.elapsed())
        });
    }
    let mut longest = std::time::Duration::ZERO;
    while let Some(took) = running.join_next().await {
        longest = longest.max(took??);
    }
    Ok(longest.as_secs_f64() * 1e6 / f64::from(CALLS * tasks))
}

impl Case {
    async fn calls(self) -> anyhow::Result<()> {
        match self {
            Self::Host(host, input) => fresh_calls(host, input, CALLS).await,
            Self::Fresh(raw) => raw_calls(raw, CALLS).await,
            Self::Reused(raw) => {
                let (mut store, instance) = raw.instance().await.map_err(engine_error)?;
                for _ in 0..CALLS {
                    Raw::call(&mut store, &instance).await.map_err(engine_error)?;
                }
                Ok(())
            }
        }
    }
}
