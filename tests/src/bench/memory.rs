//! What a host has in memory after a million events.

use super::flow::load::Load;
use super::flow::sink::Sink;
use super::flow::{START_MAX, setup};
use super::table::Table;
use crate::gateway::Gateway;

/// Events of one round: the load signs them beforehand.
const ROUND: usize = 25_000;
/// Events after which memory is looked at.
const LOOKS: [usize; 4] = [25_000, 100_000, 500_000, 1_000_000];

/// Sends them all, waits for every delivery, and writes the section.
///
/// # Errors
/// When an event is lost, or the table cannot be written.
pub async fn run(table: &mut Table<'_>) -> anyhow::Result<()> {
    let sink = Sink::start().await?;
    let mut gateway = Gateway::start(&setup(sink.address(), 1), START_MAX).await?;
    let mut load = Load::new(sink, 1);
    let how = "one host, embedded store, one endpoint; every event delivered";
    table.section("Resident memory over a million events", how)?;
    let mut sent = 0;
    for look in LOOKS {
        while sent < look {
            load.round(gateway.address(), ROUND, None).await?;
            sent += ROUND;
        }
        let resident = gateway.resident_bytes()? as f64 / f64::from(1 << 20);
        table.value(&format!("after {look} events"), &[resident], "MiB", "")?;
    }
    gateway.terminate(START_MAX).await?;
    Ok(())
}
