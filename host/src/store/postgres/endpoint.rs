//! Endpoints: their numbers, and the health that all hosts share.

use super::connect::{execute, query};
use super::fault::Fault;
use super::types::{encode, int, maybe_text, maybe_time, text};
use crate::store::{EndpointHealth, Recorded};
use deadpool_postgres::GenericClient;
use livekit_webhook_core::health::{Breaker, Disabled, DisabledReason, Failing, Health};
use livekit_webhook_core::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokio_postgres::Row;

/// Names to numbers. Endpoints are few and stay, so what was seen once is kept at hand.
#[derive(Debug, Default)]
pub struct Endpoints(Mutex<HashMap<String, i32>>);

/// What [`health`] reads from the column it is told, in this order.
pub const HEALTH: &str = "n.open_until, n.open_periods, n.open_successes, n.paused_until, \
     n.disabled_reason, n.disabled_at, n.failing_since, n.failing_last, n.failing_attempts";

// === impl Endpoints ===

impl Endpoints {
    /// The numbers of `names`, which are given one when they have none. Not inside a transaction: a
    /// rollback would take back what others have been told.
    pub async fn numbers(
        &self,
        client: &impl GenericClient,
        names: impl IntoIterator<Item = &str>,
    ) -> Result<HashMap<String, i32>, Fault> {
        let mut wanted: Vec<&str> = names.into_iter().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let missing: Vec<&str> = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.iter().copied().filter(|name| !known.contains_key(*name)).collect()
        };
        if !missing.is_empty() {
            let names: Vec<_> = missing.iter().map(|name| encode(name)).collect();
            let sql = "INSERT INTO endpoints (name) \
                 SELECT w.name FROM unnest($1::TEXT[]) AS w(name) \
                 WHERE NOT EXISTS (SELECT 1 FROM endpoints n WHERE n.name = w.name) \
                 ORDER BY w.name ON CONFLICT (name) DO NOTHING";
            execute(client, sql, &[&names]).await?;
            let sql = "SELECT id, name FROM endpoints WHERE name = ANY($1)";
            let rows = query(client, sql, &[&names]).await?;
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            for row in rows {
                known.insert(text(&row, 1)?, row.try_get(0)?);
            }
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = |name: &str| Some((name.to_owned(), *known.get(name)?));
        Ok(wanted.into_iter().filter_map(number).collect())
    }
}

/// The health in `row`, from column `at` on.
pub fn health(row: &Row, at: usize) -> Result<Health, Fault> {
    let breaker = match maybe_time(row, at)? {
        None => Breaker::Closed,
        Some(until) => Breaker::Open {
            until,
            periods: row.try_get::<_, i32>(at + 1)?.unsigned_abs(),
            successes: row.try_get::<_, i32>(at + 2)?.unsigned_abs(),
        },
    };
    let disabled = match (maybe_text(row, at + 4)?, maybe_time(row, at + 5)?) {
        (Some(word), Some(since)) => {
            let reason = DisabledReason::parse(&word);
            let reason = reason.ok_or_else(|| Fault::Damaged(format!("unknown word `{word}`")))?;
            Some(Disabled { reason, at: since })
        }
        _ => None,
    };
    let failing = match (maybe_time(row, at + 6)?, maybe_time(row, at + 7)?) {
        (Some(since), Some(last)) => {
            let attempts = row.try_get::<_, i32>(at + 8)?.unsigned_abs();
            Some(Failing { since, last, attempts })
        }
        _ => None,
    };
    Ok(Health { breaker, paused_until: maybe_time(row, at + 3)?, disabled, failing })
}

/// All that was ever written.
pub async fn healths(client: &impl GenericClient) -> Result<Vec<EndpointHealth>, Fault> {
    let sql = format!(
        "SELECT {HEALTH}, n.name, n.version FROM endpoints n WHERE n.version > 0 ORDER BY n.name"
    );
    let rows = query(client, &sql, &[]).await?;
    rows.iter().map(endpoint_health).collect()
}

fn endpoint_health(row: &Row) -> Result<EndpointHealth, Fault> {
    let version = row.try_get::<_, i64>(10)?.unsigned_abs();
    Ok(EndpointHealth { endpoint: text(row, 9)?, health: health(row, 0)?, version })
}

/// The compare-and-set. `as_it_is` is for copies: the version is then written, not counted up.
pub async fn record(
    client: &impl GenericClient,
    endpoint: i32,
    written: &EndpointHealth,
    as_it_is: bool,
) -> Result<Recorded, Fault> {
    let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
    let health = &written.health;
    let (open_until, periods, successes) = match health.breaker {
        Breaker::Closed => (None, 0, 0),
        Breaker::Open { until, periods, successes } => (Some(until), periods, successes),
    };
    let version = i64::try_from(written.version).unwrap_or(i64::MAX);
    let (from, to) = match as_it_is {
        true => (0, version),
        false => (version, version.saturating_add(1)),
    };
    let sql = "UPDATE endpoints SET version = $3, open_until = $4, open_periods = $5, \
         open_successes = $6, paused_until = $7, disabled_reason = $8, disabled_at = $9, \
         failing_since = $10, failing_last = $11, failing_attempts = $12 \
         WHERE id = $1 AND version = $2";
    let changed = execute(
        client,
        sql,
        &[
            &endpoint,
            &from,
            &to,
            &millis(open_until),
            &int(periods),
            &int(successes),
            &millis(health.paused_until),
            &health.disabled.map(|disabled| disabled.reason.as_str()),
            &health.disabled.map(|disabled| disabled.at.as_millis()),
            &health.failing.map(|failing| failing.since.as_millis()),
            &health.failing.map(|failing| failing.last.as_millis()),
            &int(health.failing.map_or(0, |failing| failing.attempts)),
        ],
    )
    .await?;
    Ok(if changed == 1 { Recorded::Done } else { Recorded::Stale })
}
