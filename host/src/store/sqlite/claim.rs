//! Claims: what is due and nobody holds.
//!
//! A claim reads and takes leases under one lock, and a lease ends only after its record is
//! committed, under the same lock. So whatever a claim sees as owed is owed: either the record is
//! in its snapshot, or its lease still stands. The cost is that of the rows returned and of the
//! leases stepped over, whatever the backlog.
//!
//! First the requests are chosen, from indexes; then the rows are read, outside the lock. Health is
//! read with the endpoint's number, from the same snapshot, so there is no copy of it that could be
//! stale when a command beside the owner writes it.

use super::flight::{Flight, Flights};
use super::{Shared, rows};
use crate::store::limits::{CLAIM_MAX, ClaimBytes};
use crate::store::{Claim, Due, DueDelivery, Fence, Quota, StoredEvent};
use livekit_webhook_core::health::{Gate, Health};
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::rate::RateState;
use livekit_webhook_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, params};
use std::sync::Arc;

pub mod waiting;

/// The index alone answers it: without a plan, oldest first.
pub const UNPLANNED: &str = "SELECT plan_at, id FROM events INDEXED BY events_unplanned \
     WHERE plan = 0 AND plan_at <= ?1 ORDER BY plan_at, id";

/// An endpoint as a claim sees it.
pub struct Place<'a> {
    quota: &'a Quota,
    number: i64,
    health: Health,
}

/// What an endpoint may get now.
struct Room {
    requests: usize,
    /// When it may get more, if it is time alone that keeps it from it.
    opens_at: Option<Timestamp>,
}

/// Deliveries that go together, under leases already.
struct Taken {
    place: usize,
    members: Vec<(DeliveryId, Fence)>,
}

/// What was charged for one place, to be undone when its bodies turn out too many.
struct Charge {
    place: usize,
    before: RateState,
    after: RateState,
}

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
    let mut claims = Vec::with_capacity(claimed.len());
    let result = read_events(&tx, &claimed, &mut claims);
    let cut_off = if result.is_ok() { claims.len() } else { 0 };
    claimed.into_iter().skip(cut_off).for_each(|(_, fence)| shared.events().release(fence));
    result.map(|()| claims)
}

/// Reads what was claimed until its bodies are too many for one claim; the rest is for the caller
/// to give back. A body has to be read to be weighed, so one more than fits is in memory for a
/// moment.
fn read_events(
    tx: &Connection,
    claimed: &[(EventId, Fence)],
    claims: &mut Vec<Claim<StoredEvent>>,
) -> Result<()> {
    let mut bytes = ClaimBytes::default();
    let mut statement = tx.prepare_cached(EVENT_BY_ID.as_str())?;
    for &(id, fence) in claimed {
        let item = statement.query_row([id.to_bytes()], rows::event)?;
        if !bytes.fits(item.event.body.len()) {
            break;
        }
        claims.push(Claim { fence, item });
    }
    Ok(())
}

pub fn due(
    conn: &mut Connection,
    shared: &Shared,
    now: Timestamp,
    lease_ms: i64,
    quotas: &[Quota],
) -> Result<Due> {
    let tx = conn.transaction()?;
    let (mut taken, mut charges) = (Vec::new(), Vec::new());
    let mut flights = shared.flights();
    flights.expire(now);
    let places = places(&tx, quotas)?;
    let mut count = 0;
    for (index, place) in places.iter().enumerate() {
        let room = place.room(&flights, now);
        let requests = waiting::ready(&tx, &flights, place, now, room.requests)?;
        let mut is_full = false;
        let mut used = 0;
        for request in requests.into_iter().take(room.requests) {
            is_full = count + request.len() > CLAIM_MAX;
            if is_full {
                break;
            }
            count += request.len();
            used += 1;
            let expires_at = now.plus_millis(lease_ms);
            let members = take(&mut flights, shared, place.number, request, expires_at);
            taken.push(Taken { place: index, members });
        }
        charges.extend(place.charge(&mut flights, index, now, used));
        if is_full {
            break;
        }
    }
    if taken.is_empty() {
        return Ok(Due { claims: Vec::new(), next_at: next_at(&tx, &flights, &places, now)? });
    }
    drop(flights);
    let mut claims = Vec::with_capacity(count);
    let result = read_due(&tx, &places, &taken, &mut claims);
    let kept = if result.is_ok() { claims.len() } else { 0 };
    give_back(shared, &places, &taken, &charges, kept, now);
    result.map(|()| Due { claims, next_at: None })
}

/// The endpoints that were ever planned for. Of the others nothing is owed.
fn places<'a>(tx: &Connection, quotas: &'a [Quota]) -> Result<Vec<Place<'a>>> {
    let mut statement = tx.prepare_cached(ENDPOINT.as_str())?;
    let mut places = Vec::with_capacity(quotas.len());
    for quota in quotas.iter().filter(|quota| quota.slots > 0) {
        let found = statement
            .query_row([&quota.endpoint], |row| Ok((row.get(0)?, rows::health(row)?.health)));
        if let Some((number, health)) = found.optional()? {
            places.push(Place { quota, number, health });
        }
    }
    Ok(places)
}

fn take(
    flights: &mut Flights,
    shared: &Shared,
    endpoint: i64,
    request: Vec<waiting::Member>,
    expires_at: Timestamp,
) -> Vec<(DeliveryId, Fence)> {
    let mut members = Vec::with_capacity(request.len());
    let mut first = None;
    for (id, lane) in request {
        let fence = shared.next_fence();
        let request = *first.get_or_insert(fence);
        flights.claim(id, fence, Flight { endpoint, request, lane, expires_at });
        members.push((id, fence));
    }
    members
}

/// Reads the rows of whole requests until their bodies are too many for one claim.
fn read_due(
    tx: &Connection,
    places: &[Place<'_>],
    taken: &[Taken],
    claims: &mut Vec<Claim<DueDelivery>>,
) -> Result<()> {
    let mut bytes = ClaimBytes::default();
    let mut statement = tx.prepare_cached(DUE_BY_ID)?;
    for (request, taken) in (0..).zip(taken) {
        let Some(place) = places.get(taken.place) else { continue };
        let (whole, mut weight) = (claims.len(), 0);
        for &(id, fence) in &taken.members {
            let values = params![id.to_bytes(), place.quota.endpoint];
            let item = statement.query_row(values, |row| due_delivery(row, request))?;
            weight += item.body.len();
            claims.push(Claim { fence, item });
        }
        if !bytes.fits(weight) {
            claims.truncate(whole);
            break;
        }
    }
    Ok(())
}

/// Everything behind the first `kept` claims. A rate is only turned back if nobody has moved it
/// since: else some requests are lost to it, which keeps its promise.
fn give_back(
    shared: &Shared,
    places: &[Place<'_>],
    taken: &[Taken],
    charges: &[Charge],
    kept: usize,
    now: Timestamp,
) {
    let all = taken.iter().flat_map(|taken| &taken.members);
    if all.clone().count() == kept {
        return;
    }
    let mut flights = shared.flights();
    all.skip(kept).for_each(|&(id, fence)| flights.release(id, fence));
    let mut passed = 0;
    let is_kept = |taken: &&Taken| {
        passed += taken.members.len();
        passed <= kept
    };
    let kept: Vec<_> = taken.iter().take_while(is_kept).map(|taken| taken.place).collect();
    for charge in charges {
        let Some(place) = places.get(charge.place) else { continue };
        if let Some(rate) = place.quota.rate
            && flights.rate(place.number) == charge.after
        {
            let used = kept.iter().filter(|place| **place == charge.place).count();
            let state = rate.grant(charge.before, now, used).state;
            flights.set_rate(place.number, state);
        }
    }
}

/// When the same claim may bring more, if nothing is written before.
fn next_at(
    tx: &Connection,
    flights: &Flights,
    places: &[Place<'_>],
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let mut next = None;
    for place in places {
        let Some(opens_at) = place.room(flights, now).opens_at else { continue };
        if let Some(ready_at) = waiting::first_ready_at(tx, flights, place, now)? {
            let at = Some(ready_at.max(opens_at)).filter(|at| *at > now);
            next = next.into_iter().chain(at).min();
        }
    }
    Ok(next)
}

static EVENT_BY_ID: std::sync::LazyLock<String> =
    std::sync::LazyLock::new(|| format!("{} WHERE e.id = ?1", rows::EVENT));

static ENDPOINT: std::sync::LazyLock<String> =
    std::sync::LazyLock::new(|| format!("{} WHERE name = ?1", rows::HEALTH));

const DUE_BY_ID: &str = concat!(
    "SELECT ",
    rows::delivery_columns!("?2"),
    ", e.received_at, b.bytes FROM deliveries d JOIN events e ON e.id = d.event \
     JOIN bodies b ON b.id = coalesce(d.body, e.body) WHERE d.id = ?1"
);

fn due_delivery(row: &rusqlite::Row<'_>, request: u32) -> Result<DueDelivery> {
    Ok(DueDelivery {
        delivery: rows::delivery(row)?,
        received_at: rows::time(row, rows::DELIVERY_WIDTH)?,
        body: rows::bytes(row, rows::DELIVERY_WIDTH + 1)?,
        request,
    })
}

// === impl Place ===

impl Place<'_> {
    /// What is left of every limit of the endpoint.
    fn room(&self, flights: &Flights, now: Timestamp) -> Room {
        let quota = self.quota;
        let (in_flight_max, mut opens_at) = match self.health.gate(now) {
            Gate::Open => (quota.in_flight_max, now),
            Gate::Probe => (quota.in_flight_max.min(1), now),
            Gate::Closed(Some(until)) => (0, until),
            Gate::Closed(None) => return Room { requests: 0, opens_at: None },
        };
        let is_closed = opens_at > now;
        let free = in_flight_max.saturating_sub(flights.in_flight(self.number));
        let mut requests = free.min(quota.slots);
        if requests == 0 && !is_closed {
            // A record makes room, not time.
            return Room { requests, opens_at: None };
        }
        if let Some(rate) = quota.rate {
            let state = flights.rate(self.number);
            requests = rate.grant(state, now, requests).requests;
            opens_at = opens_at.max(rate.next_at(state, now));
        }
        Room { requests, opens_at: Some(opens_at) }
    }

    fn charge(
        &self,
        flights: &mut Flights,
        place: usize,
        now: Timestamp,
        requests: usize,
    ) -> Option<Charge> {
        let rate = self.quota.rate.filter(|_| requests > 0)?;
        let before = flights.rate(self.number);
        let after = rate.grant(before, now, requests).state;
        flights.set_rate(self.number, after);
        Some(Charge { place, before, after })
    }
}

/// A lane's name, shared by the leases.
fn lane(row: &rusqlite::Row<'_>, column: usize) -> Result<Option<Arc<str>>> {
    row.get(column)
}
