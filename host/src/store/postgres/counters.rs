//! Sums that are asked for often: kept as rows are written, so that asking costs the same whatever
//! is stored.

use super::connect::{execute, one};
use super::fault::Fault;
use super::plugin_state;
use super::types::count;
use crate::store::Depth;
use deadpool_postgres::GenericClient;

/// What an event weighs beside its body, in bytes: row, plan and index entries, about.
pub const EVENT_BYTES: i64 = 600;
/// What a delivery weighs beside a body of its own.
pub const DELIVERY_BYTES: i64 = 500;
/// What an attempt weighs beside its texts.
pub const ATTEMPT_BYTES: i64 = 200;
/// What a quarantined body weighs beside its bytes.
pub const QUARANTINED_BYTES: i64 = 150;

/// What a transaction changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    pub unplanned: i64,
    pub pending: i64,
    pub dead: i64,
    pub quarantined: i64,
    pub bytes: i64,
}

/// The sums.
pub const SUMS: &str = "SELECT coalesce(sum(unplanned), 0)::BIGINT, \
     coalesce(sum(pending), 0)::BIGINT, coalesce(sum(dead), 0)::BIGINT, \
     coalesce(sum(quarantined), 0)::BIGINT, coalesce(sum(bytes), 0)::BIGINT FROM counters";

/// Adds to one of the shares: connections are spread over them. The last statement of its
/// transaction, so that nothing is waited for while it is locked.
pub async fn add(client: &impl GenericClient, delta: Delta) -> Result<(), Fault> {
    if delta == Delta::default() {
        return Ok(());
    }
    let sql = "UPDATE counters SET unplanned = unplanned + $1, pending = pending + $2, \
         dead = dead + $3, quarantined = quarantined + $4, bytes = bytes + $5 \
         WHERE share = pg_backend_pid() % 32";
    let Delta { unplanned, pending, dead, quarantined, bytes } = delta;
    execute(client, sql, &[&unplanned, &pending, &dead, &quarantined, &bytes]).await?;
    Ok(())
}

pub async fn depth(client: &impl GenericClient) -> Result<Depth, Fault> {
    let row = one(client, SUMS, &[]).await?;
    Ok(Depth {
        unplanned: count(&row, 0)?,
        pending: count(&row, 1)?,
        dead: count(&row, 2)?,
        quarantined: count(&row, 3)?,
    })
}

/// Of all that is stored.
pub async fn bytes(client: &impl GenericClient) -> Result<u64, Fault> {
    let rows = count(&one(client, SUMS, &[]).await?, 4)?;
    Ok(rows.saturating_add(plugin_state::bytes(client).await?))
}
