//! Claims: what is due and nobody holds.
//!
//! A claim reads and takes leases under one lock, and a lease ends only after its record is
//! committed, under the same lock. So whatever a claim sees as owed is owed: either the record is
//! in its snapshot, or its lease still stands. The cost is that of the rows returned and of the
//! leases stepped over, whatever the backlog.

use super::{Shared, rows};
use crate::store::limits::{CLAIM_MAX, ClaimBytes};
use crate::store::{Claim, Due, DueDelivery, Fence, Quota, StoredEvent};
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, params};

/// The index alone answers it: owed to one endpoint, oldest due first.
pub const DUE: &str = "SELECT due_at, id FROM deliveries INDEXED BY deliveries_due \
     WHERE endpoint = ?1 AND status = 0 AND due_at <= ?2 ORDER BY due_at, id";

/// The index alone answers it: without a plan, oldest first.
pub const UNPLANNED: &str = "SELECT plan_at, id FROM events INDEXED BY events_unplanned \
     WHERE plan = 0 AND plan_at <= ?1 ORDER BY plan_at, id";

const ENDPOINT: &str = "SELECT id FROM endpoints WHERE name = ?1";

pub fn unplanned(
    conn: &mut Connection,
    shared: &Shared,
    now: Timestamp,
    lease_ms: i64,
    limit: usize,
) -> Result<Vec<Claim<StoredEvent>>> {
    let tx = conn.transaction()?;
    let mut claimed: Vec<(EventId, Fence)> = Vec::new();
    {
        let mut leases = shared.events();
        let mut statement = tx.prepare_cached(UNPLANNED)?;
        let mut found = statement.query([now.as_millis()])?;
        while claimed.len() < limit.min(CLAIM_MAX)
            && let Some(row) = found.next()?
        {
            let id = EventId::from_bytes(row.get(1)?);
            if leases.is_free(id, now) {
                let fence = shared.next_fence();
                leases.claim(id, fence, now.plus_millis(lease_ms));
                claimed.push((id, fence));
            }
        }
    }
    let result = fill(&claimed, |id| {
        let mut statement = tx.prepare_cached(EVENT_BY_ID.as_str())?;
        let item = statement.query_row([id.to_bytes()], rows::event)?;
        Ok((item.event.body.len(), item))
    });
    let kept = result.as_ref().map_or(0, Vec::len);
    claimed.into_iter().skip(kept).for_each(|(_, fence)| shared.events().release(fence));
    result
}

pub fn due(
    conn: &mut Connection,
    shared: &Shared,
    now: Timestamp,
    lease_ms: i64,
    quotas: &[Quota],
) -> Result<Due> {
    let tx = conn.transaction()?;
    let mut claimed: Vec<(DeliveryId, Fence)> = Vec::new();
    {
        let mut leases = shared.deliveries();
        for quota in quotas {
            let room = quota.slots.min(CLAIM_MAX - claimed.len());
            let endpoint: Option<i64> = tx
                .prepare_cached(ENDPOINT)?
                .query_row([&quota.endpoint], |row| row.get(0))
                .optional()?;
            let Some(endpoint) = endpoint.filter(|_| room > 0) else {
                continue;
            };
            let last = claimed.len() + room;
            let mut statement = tx.prepare_cached(DUE)?;
            let mut found = statement.query(params![endpoint, now.as_millis()])?;
            while claimed.len() < last
                && let Some(row) = found.next()?
            {
                let id = DeliveryId::from_bytes(row.get(1)?);
                if leases.is_free(id, now) {
                    let fence = shared.next_fence();
                    leases.claim(id, fence, now.plus_millis(lease_ms));
                    claimed.push((id, fence));
                }
            }
        }
    }
    let result = fill(&claimed, |id| {
        let mut statement = tx.prepare_cached(DUE_BY_ID.as_str())?;
        let item = statement.query_row([id.to_bytes()], due_delivery)?;
        Ok((item.body.len(), item))
    });
    let kept = result.as_ref().map_or(0, Vec::len);
    claimed.into_iter().skip(kept).for_each(|(_, fence)| shared.deliveries().release(fence));
    let claims = result?;
    drop(tx);
    let names: Vec<_> = quotas.iter().map(|quota| quota.endpoint.clone()).collect();
    let next_at = if claims.is_empty() { next_due(conn, shared, &names)? } else { None };
    Ok(Due { claims, next_at })
}

/// Reads what was claimed until its bodies are too many for one claim; the rest is for the caller
/// to give back. A body has to be read to be weighed, so one more than fits is in memory for a
/// moment.
fn fill<I: Copy, T>(
    claimed: &[(I, Fence)],
    read: impl Fn(I) -> Result<(usize, T)>,
) -> Result<Vec<Claim<T>>> {
    let mut bytes = ClaimBytes::default();
    let mut claims = Vec::with_capacity(claimed.len());
    for &(id, fence) in claimed {
        let (weight, item) = read(id)?;
        if !bytes.fits(weight) {
            break;
        }
        claims.push(Claim { fence, item });
    }
    Ok(claims)
}

static EVENT_BY_ID: std::sync::LazyLock<String> =
    std::sync::LazyLock::new(|| format!("{} WHERE e.id = ?1", rows::EVENT));

static DUE_BY_ID: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    let columns =
        rows::DELIVERY.replace(" FROM deliveries", ", e.received_at, b.bytes FROM deliveries");
    format!(
        "{columns} JOIN events e ON e.id = d.event \
         JOIN bodies b ON b.id = coalesce(d.body, e.body) WHERE d.id = ?1"
    )
});

fn due_delivery(row: &rusqlite::Row<'_>) -> Result<DueDelivery> {
    Ok(DueDelivery {
        delivery: rows::delivery(row)?,
        received_at: rows::time(row, 12)?,
        body: rows::bytes(row, 13)?,
        request: 0,
    })
}

/// When the first delivery to one of `endpoints` falls due that nobody holds.
pub fn next_due(
    conn: &mut Connection,
    shared: &Shared,
    endpoints: &[String],
) -> Result<Option<Timestamp>> {
    let tx = conn.transaction()?;
    let leases = shared.deliveries();
    let mut next = None;
    for name in endpoints {
        let mut statement = tx.prepare_cached(ENDPOINT)?;
        let endpoint: Option<i64> = statement.query_row([name], |row| row.get(0)).optional()?;
        let Some(endpoint) = endpoint else { continue };
        let mut statement = tx.prepare_cached(DUE)?;
        let mut found = statement.query(params![endpoint, i64::MAX])?;
        while let Some(row) = found.next()? {
            if !leases.has(DeliveryId::from_bytes(row.get(1)?)) {
                next = [next, Some(rows::time(row, 0)?)].into_iter().flatten().min();
                break;
            }
        }
    }
    Ok(next)
}
