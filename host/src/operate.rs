//! What an operator looks at and changes beside replays and secrets: endpoints and dead letters.

use crate::store::{
    self, DeliveryFilter, EndpointHealth, PAGE_MAX, Recorded, Status, Store, StoredDelivery,
};
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_core::health::{Breaker, Disabled, DisabledReason, Gate, Health};
use livekit_webhook_core::time::Timestamp;
use std::collections::BTreeMap;

/// Longest pause an operator may ask for, in milliseconds: 30 days.
pub const PAUSE_MS_MAX: i64 = 30 * 24 * 3_600_000;
/// Dead letters that a summary counts; there may be more.
pub const SUMMARY_ROWS_MAX: u64 = 1_000_000;
/// How often a change of health is tried against the hosts that change it too.
const TRIES_MAX: usize = 10;

/// An endpoint, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// Its name.
    pub name: String,
    /// As configured. `None`: there is no such endpoint in the configuration.
    pub url: Option<String>,
    /// Deliveries owed to it.
    pub pending: u64,
    /// How it does.
    pub health: EndpointHealth,
}

/// What to do with an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Send again, whatever disabled it: its breaker closes and its time without success begins
    /// anew.
    Enable,
    /// Send nothing until it is enabled.
    Disable,
    /// Send nothing for so long, in milliseconds.
    Pause(i64),
    /// End a pause.
    Resume,
}

/// Dead letters of one endpoint with one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Configured name.
    pub endpoint: String,
    /// Why they are dead.
    pub reason: DeadReason,
    /// How many.
    pub count: u64,
    /// The first of them that was planned.
    pub oldest_at: Timestamp,
    /// The last.
    pub newest_at: Timestamp,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store's.
    #[error("the store did not do it")]
    Store(#[from] store::Error),
    /// Hosts changed it all the time.
    #[error("the hosts change the endpoint {0} all the time: try again")]
    Busy(String),
    /// Longer than anybody remembers.
    #[error("a pause of {0} ms: must be 1 ms to 30 days; `endpoint disable` lasts for ever")]
    Pause(i64),
}

/// Every endpoint that is configured, owed to, or has a health, by name.
///
/// # Errors
/// The store's.
pub async fn endpoints(
    store: &dyn Store,
    configured: &[(String, String)],
) -> Result<Vec<Overview>, Error> {
    let mut found: BTreeMap<String, Overview> = BTreeMap::new();
    let new = |name: &str| Overview {
        name: name.to_owned(),
        url: None,
        pending: 0,
        health: EndpointHealth { endpoint: name.to_owned(), ..EndpointHealth::default() },
    };
    for (name, url) in configured {
        found.entry(name.clone()).or_insert_with(|| new(name)).url = Some(url.clone());
    }
    for (name, pending) in store.pending_by_endpoint().await? {
        found.entry(name.clone()).or_insert_with(|| new(&name)).pending = pending;
    }
    for health in store.healths().await? {
        let name = health.endpoint.clone();
        found.entry(name.clone()).or_insert_with(|| new(&name)).health = health;
    }
    Ok(found.into_values().collect())
}

/// Changes an endpoint's health by compare-and-set, again and again while hosts change it too.
///
/// # Errors
/// [`Error::Busy`], [`Error::Pause`], the store's.
pub async fn change(
    store: &dyn Store,
    now: Timestamp,
    endpoint: &str,
    change: Change,
) -> Result<EndpointHealth, Error> {
    if let Change::Pause(wait_ms) = change
        && !(1..=PAUSE_MS_MAX).contains(&wait_ms)
    {
        return Err(Error::Pause(wait_ms));
    }
    for _ in 0..TRIES_MAX {
        let healths = store.healths().await?;
        let mut health = healths.into_iter().find(|health| health.endpoint == endpoint);
        let health = health.get_or_insert_with(|| EndpointHealth {
            endpoint: endpoint.to_owned(),
            ..EndpointHealth::default()
        });
        apply(&mut health.health, now, change);
        if store.record_health(health.clone()).await? == Recorded::Done {
            return Ok(health.clone());
        }
    }
    Err(Error::Busy(endpoint.to_owned()))
}

fn apply(health: &mut Health, now: Timestamp, change: Change) {
    match change {
        Change::Enable => {
            health.disabled = None;
            health.failing = None;
            health.breaker = Breaker::Closed;
        }
        Change::Disable => {
            health.disabled = Some(Disabled { reason: DisabledReason::Operator, at: now });
        }
        Change::Pause(wait_ms) => health.paused_until = Some(now.plus_millis(wait_ms)),
        Change::Resume => health.paused_until = None,
    }
}

/// A health in a word: `ok`, `failing`, `probing`, `open`, `paused` or `disabled`.
pub fn state(health: &Health, now: Timestamp) -> &'static str {
    let is_paused = health.paused_until.is_some_and(|until| until > now);
    match health.gate(now) {
        Gate::Closed(_) if health.disabled.is_some() => "disabled",
        Gate::Closed(_) if is_paused => "paused",
        Gate::Closed(_) => "open",
        Gate::Probe => "probing",
        Gate::Open if health.failing.is_some() => "failing",
        Gate::Open => "ok",
    }
}

/// Counts the dead letters that `filter` finds, by endpoint and reason, most first. The second
/// value tells whether all were counted.
///
/// # Errors
/// The store's.
pub async fn summary(
    store: &dyn Store,
    filter: &DeliveryFilter,
) -> Result<(Vec<Dead>, bool), Error> {
    let mut groups: BTreeMap<(String, &'static str), Dead> = BTreeMap::new();
    let (mut before, mut seen) = (filter.before, 0);
    let is_whole = loop {
        let status = Some(Status::Dead);
        let page = DeliveryFilter { status, before, limit: PAGE_MAX, ..filter.clone() };
        let rows = store.deliveries(page).await?;
        rows.iter().for_each(|row| count(&mut groups, row));
        seen += rows.len() as u64;
        before = rows.last().map(|row| row.id);
        if rows.len() < PAGE_MAX {
            break true;
        }
        if seen >= SUMMARY_ROWS_MAX {
            break false;
        }
    };
    let mut groups: Vec<Dead> = groups.into_values().collect();
    groups.sort_by_key(|dead| std::cmp::Reverse(dead.count));
    Ok((groups, is_whole))
}

fn count(groups: &mut BTreeMap<(String, &'static str), Dead>, row: &StoredDelivery) {
    let State::Dead(reason) = row.state else { return };
    let at = row.created_at;
    let group = groups.entry((row.endpoint.clone(), reason.as_str()));
    let group = group.or_insert_with(|| Dead {
        endpoint: row.endpoint.clone(),
        reason,
        count: 0,
        oldest_at: at,
        newest_at: at,
    });
    group.count += 1;
    group.oldest_at = group.oldest_at.min(at);
    group.newest_at = group.newest_at.max(at);
}

#[cfg(test)]
mod tests;
