//! Claims: what is due and nobody holds.
//!
//! A claim reads and takes leases under one lock, and a lease ends only after its record is committed, under the same
//! lock. So whatever a claim sees as owed is owed: either the record is in its snapshot, or its lease still stands.
//! The cost is that of the rows returned and of the leases stepped over, whatever the backlog.

use super::{Shared, rows};
use crate::store::{Claim, DueDelivery, Fence, Quota, StoredEvent};
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, params};

/// Most events or deliveries of one claim.
pub const CLAIM_MAX: usize = 1_024;

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
    let result = claimed.iter().map(|(id, fence)| {
        let mut statement = tx.prepare_cached(EVENT_BY_ID.as_str())?;
        let item = statement.query_row([id.to_bytes()], rows::event)?;
        Ok(Claim { fence: *fence, item })
    });
    let result: Result<Vec<_>> = result.collect();
    if result.is_err() {
        claimed.into_iter().for_each(|(_, fence)| shared.events().release(fence));
    }
    result
}

pub fn due(
    conn: &mut Connection,
    shared: &Shared,
    now: Timestamp,
    lease_ms: i64,
    quotas: &[Quota],
) -> Result<Vec<Claim<DueDelivery>>> {
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
    let result = claimed.iter().map(|&(id, fence)| {
        let mut statement = tx.prepare_cached(DUE_BY_ID.as_str())?;
        let item = statement.query_row([id.to_bytes()], due_delivery)?;
        Ok(Claim { fence, item })
    });
    let result: Result<Vec<_>> = result.collect();
    if result.is_err() {
        claimed.into_iter().for_each(|(_, fence)| shared.deliveries().release(fence));
    }
    result
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
    })
}

/// When the first thing falls due that nobody holds, or the first lease ends.
pub fn next_due(conn: &mut Connection, shared: &Shared) -> Result<Option<Timestamp>> {
    let tx = conn.transaction()?;
    let latest = Timestamp::from_millis(i64::MAX);
    let events = shared.events();
    let unplanned = first_free(&tx, UNPLANNED, &[latest.as_millis()], |id| {
        events.has(EventId::from_bytes(id))
    })?;
    let mut next = [unplanned, events.next_expiry()].into_iter().flatten().min();
    drop(events);
    let endpoints: Vec<i64> = tx
        .prepare_cached("SELECT id FROM endpoints")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_>>()?;
    let deliveries = shared.deliveries();
    for endpoint in endpoints {
        let due = first_free(&tx, DUE, &[endpoint, latest.as_millis()], |id| {
            deliveries.has(DeliveryId::from_bytes(id))
        })?;
        next = [next, due].into_iter().flatten().min();
    }
    Ok([next, deliveries.next_expiry()].into_iter().flatten().min())
}

fn first_free(
    conn: &Connection,
    sql: &str,
    values: &[i64],
    is_held: impl Fn([u8; 16]) -> bool,
) -> Result<Option<Timestamp>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut found = statement.query(rusqlite::params_from_iter(values))?;
    while let Some(row) = found.next()? {
        if !is_held(row.get(1)?) {
            return rows::time(row, 0).map(Some);
        }
    }
    Ok(None)
}
