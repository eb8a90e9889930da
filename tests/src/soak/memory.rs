//! Many events through one process: it must not grow with what it has done.

use super::{Options, Page};
use crate::bench::flow::load::Load;
use crate::bench::flow::setup;
use crate::bench::flow::sink::Sink;
use crate::exchange::BOUND;
use crate::gateway::Gateway;
use anyhow::Result;

/// Events between two looks, at most.
const ROUND_EVENTS_MAX: usize = 2_000;
/// Growth past the first tenth of the run, in MiB: room for what an allocator keeps, far less than
/// the events have bytes.
const GROWTH_MIB_MAX: u64 = 32;
const MIB: u64 = 1_024 * 1_024;
/// Lines of progress.
const LINES: usize = 10;

/// Sends so many events to an instant receiver and watches the memory.
///
/// # Errors
/// When an event is refused or not delivered in time.
pub async fn run(options: &Options, page: &mut Page<'_>) -> Result<()> {
    if options.events == 0 {
        return Ok(());
    }
    page.line(format_args!("\n{} events through one process", options.events))?;
    let sink = Sink::start().await?;
    let mut gateway = Gateway::start(&setup(sink.address(), 1), BOUND).await?;
    let mut load = Load::new(sink, 1);
    let (mut done, mut warm, mut told, mut most) = (0, None, 0, 0);
    while done < options.events {
        let count = ROUND_EVENTS_MAX.min(options.events - done);
        load.round(gateway.address(), count, None).await?;
        done += count;
        let mib = gateway.resident_bytes()? / MIB;
        if warm.is_none() && done * LINES >= options.events {
            warm = Some(mib);
        }
        most = most.max(mib);
        if done * LINES / options.events > told || done == options.events {
            told = done * LINES / options.events;
            page.line(format_args!("    {done:>9} events, {mib} MiB resident"))?;
        }
    }
    let warm = warm.unwrap_or(most);
    gateway.terminate(BOUND).await?;
    if most > warm + GROWTH_MIB_MAX {
        page.violation(format!("memory grew from {warm} to {most} MiB over {done} events"))?;
    }
    page.row("events through one process", done, "");
    page.row("resident after a tenth of them, MiB", warm, "");
    let limit = format!("at most {GROWTH_MIB_MAX} more");
    page.row("resident at most, MiB", most, &limit);
    Ok(())
}
