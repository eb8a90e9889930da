//! Claims of deliveries: what is due, and what all hosts together allow.
//!
//! A look without locks tells where anything is due. Then, in one short transaction, the rows of
//! those endpoints are locked (an endpoint that another host is claiming from is passed over), so
//! that what is in flight and what the rate allows are counted by one host at a time, and the
//! oldest due are taken under leases. Nothing is locked while a request is made.
//!
//! Guarantee: no more requests under unexpired leases than the endpoint's limit, over all hosts, by
//! the clocks they bring. The cost is that of the rows returned and of what is in flight at the
//! endpoint, whatever the backlog.

use super::connect::{Conn, execute, query};
use super::endpoint::{HEALTH, health};
use super::fault::Fault;
use super::plan::fence_column;
use super::rows::{DELIVERY, DELIVERY_COLUMNS, bytes, delivery, id};
use super::types::{Id, big, encode, time};
use super::waiting::{self, Waits};
use crate::crash::Written;
use crate::store::limits::{CLAIM_MAX, ClaimBytes};
use crate::store::requests::{self, Request};
use crate::store::{Claim, Claimed, Due, DueDelivery, Fence, Quota};
use deadpool_postgres::Transaction;
use livekit_webhook_core::health::{Gate, Health};
use livekit_webhook_core::rate::RateState;
use livekit_webhook_core::time::Timestamp;
use std::collections::HashMap;
use tokio_postgres::Row;

/// After how long an endpoint is looked at again that another host was claiming from, in
/// milliseconds.
const BUSY_MS: i64 = 5;

/// What an endpoint's row and its claims say.
struct Facts {
    number: i32,
    health: Health,
    rate: RateState,
    in_flight: usize,
}

/// An endpoint from which something may be claimed.
struct Open<'a> {
    quota: &'a Quota,
    number: i32,
    /// Places for requests, by all limits.
    requests: usize,
    rate: RateState,
}

/// What an endpoint may get now, as [`Open::requests`], and when it may get more if it is time
/// alone that keeps it from it.
struct Room {
    requests: usize,
    opens_at: Option<Timestamp>,
}

/// What one claim takes.
#[derive(Default)]
struct Taken {
    ids: Vec<Id>,
    endpoints: Vec<i32>,
    requests: Vec<i64>,
    /// Requests of each endpoint.
    of: HashMap<i32, usize>,
}

/// The earliest time at which something changes.
struct NextAt {
    now: Timestamp,
    at: Option<Timestamp>,
}

// === impl NextAt ===

impl NextAt {
    fn add(&mut self, at: Option<Timestamp>) {
        let at = at.filter(|at| *at > self.now);
        self.at = [self.at, at].into_iter().flatten().min();
    }
}

// === impl Facts ===

impl Facts {
    /// [`FACTS`] begins at column `at`.
    fn read(row: &Row, at: usize) -> Result<Self, Fault> {
        Ok(Self {
            health: health(row, at)?,
            number: row.try_get(at + 9)?,
            rate: RateState(row.try_get(at + 10)?),
            in_flight: usize::try_from(row.try_get::<_, i64>(at + 11)?).unwrap_or(usize::MAX),
        })
    }

    /// What is left of every limit of the endpoint.
    fn room(&self, quota: &Quota, now: Timestamp) -> Room {
        let (in_flight_max, mut opens_at) = match self.health.gate(now) {
            Gate::Open => (quota.in_flight_max, now),
            Gate::Probe => (quota.in_flight_max.min(1), now),
            Gate::Closed(Some(until)) => (0, until),
            Gate::Closed(None) => return Room { requests: 0, opens_at: None },
        };
        let mut requests = in_flight_max.saturating_sub(self.in_flight).min(quota.slots);
        if requests == 0 && opens_at <= now {
            return Room { requests, opens_at: None };
        }
        if let Some(rate) = quota.rate {
            requests = rate.grant(self.rate, now, requests).requests;
            opens_at = opens_at.max(rate.next_at(self.rate, now));
        }
        Room { requests, opens_at: Some(opens_at) }
    }
}

/// What [`Facts::read`] reads of endpoint `n` at time `$1`.
fn facts() -> String {
    format!(
        "{HEALTH}, n.id, n.rate_state, (SELECT count(DISTINCT c.request) FROM claims c \
         WHERE c.endpoint = n.id AND c.leased_until > $1)"
    )
}

pub async fn due(
    conn: &mut Conn,
    now: Timestamp,
    lease_ms: i64,
    quotas: &[Quota],
) -> Result<Due, Fault> {
    let mut next_at = NextAt { now, at: None };
    let worth = look(conn, now, quotas, &mut next_at).await?;
    if worth.is_empty() {
        return Ok(Due { claims: Vec::new(), next_at: next_at.at });
    }
    Written::Claim.pass(0);
    let tx = conn.begin().await?;
    let open = open(&tx, now, worth, &mut next_at).await?;
    let taken = choose(&tx, now, &open, &mut next_at).await?;
    charge(&tx, now, &open, &taken).await?;
    let claims = take(&tx, now.plus_millis(lease_ms), &taken).await?;
    Written::Claim.pass(1);
    tx.commit().await?;
    Written::Claim.pass(2);
    let next_at = next_at.at.filter(|_| claims.is_empty());
    Ok(Due { claims, next_at })
}

/// Where something is due and all limits leave room, without locks.
async fn look<'a>(
    conn: &Conn,
    now: Timestamp,
    quotas: &'a [Quota],
    next_at: &mut NextAt,
) -> Result<Vec<(&'a Quota, i32)>, Fault> {
    let wanted: Vec<&Quota> = quotas.iter().filter(|quota| quota.slots > 0).collect();
    let names: Vec<_> = wanted.iter().map(|quota| encode(&quota.endpoint)).collect();
    let members: Vec<i64> = wanted
        .iter()
        .map(|quota| quota.batching.map_or(0, |batching| big(batching.events_max())))
        .collect();
    let until: Vec<i64> = wanted.iter().map(|quota| waiting::until(quota, now)).collect();
    let sql = format!(
        "SELECT {}, q.place, f.due_at, {} FROM \
         unnest($2::TEXT[], $3::BIGINT[], $4::BIGINT[]) WITH ORDINALITY \
         AS q(name, members, until, place) JOIN endpoints n ON n.name = q.name \
         CROSS JOIN LATERAL ({}) f ORDER BY q.place",
        facts(),
        waiting::IS_FULL,
        waiting::FIRST
    );
    let mut worth = Vec::new();
    let values = (now.as_millis(), names, members, until);
    for row in query(conn.client()?, &sql, &[&values.0, &values.1, &values.2, &values.3]).await? {
        let facts = Facts::read(&row, 0)?;
        let place = usize::try_from(row.try_get::<_, i64>(12)? - 1).unwrap_or(usize::MAX);
        let Some(quota) = wanted.get(place).copied() else { continue };
        let is_full: bool = row.try_get(14)?;
        let due_at = if is_full { now } else { time(&row, 13)? };
        let room = facts.room(quota, now);
        let at = room.opens_at.map(|opens_at| due_at.max(opens_at));
        next_at.add(at);
        if room.requests > 0 && due_at <= now {
            worth.push((quota, facts.number));
        }
    }
    Ok(worth)
}

/// Locks the endpoints, then counts what their limits leave.
async fn open<'a>(
    tx: &Transaction<'_>,
    now: Timestamp,
    worth: Vec<(&'a Quota, i32)>,
    next_at: &mut NextAt,
) -> Result<Vec<Open<'a>>, Fault> {
    let numbers: Vec<i32> = worth.iter().map(|(_, number)| *number).collect();
    let sql = "SELECT id FROM endpoints WHERE id = ANY ($1) ORDER BY id \
         FOR NO KEY UPDATE SKIP LOCKED";
    let rows = query(tx, sql, &[&numbers]).await?;
    let locked: Vec<i32> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    if locked.len() < numbers.len() {
        next_at.add(Some(now.plus_millis(BUSY_MS)));
    }
    // A statement of its own: it sees what was committed before the locks were had.
    let sql = format!("SELECT {} FROM endpoints n WHERE n.id = ANY ($2)", facts());
    let mut found = HashMap::new();
    for row in query(tx, &sql, &[&now.as_millis(), &locked]).await? {
        let facts = Facts::read(&row, 0)?;
        found.insert(facts.number, facts);
    }
    let mut open = Vec::new();
    for (quota, number) in worth {
        let Some(facts) = found.get(&number) else { continue };
        let room = facts.room(quota, now);
        if room.requests == 0 {
            next_at.add(room.opens_at);
        } else {
            open.push(Open { quota, number, requests: room.requests, rate: facts.rate });
        }
    }
    Ok(open)
}

/// Locks the oldest due and takes as many requests as all limits allow.
async fn choose(
    tx: &Transaction<'_>,
    now: Timestamp,
    open: &[Open<'_>],
    next_at: &mut NextAt,
) -> Result<Taken, Fault> {
    let waits = open.iter().map(|open| Waits {
        endpoint: open.number,
        until: waiting::until(open.quota, now),
        most: waiting::most(open.quota, open.requests),
    });
    let found = waiting::lock(tx, now, waits.collect()).await?;
    let mut taken = Taken::default();
    let mut bytes = ClaimBytes::default();
    for (open, waiting) in open.iter().zip(found) {
        let waiting = match open.quota.batching {
            Some(_) => waiting::with_bound(tx, now, waiting).await?,
            None => waiting,
        };
        let requests = requests::group(waiting, open.quota.batching, now);
        next_at.add(requests.iter().map(|request| request.ready_at).min());
        let ready = requests.iter().filter(|request| request.ready_at <= now);
        for request in ready.take(open.requests) {
            let count = taken.ids.len() + request.members.len();
            // What does not fit any more must not be overtaken by what is smaller.
            if count > CLAIM_MAX || !bytes.fits(request.body_bytes) {
                return Ok(taken);
            }
            taken.add(open.number, request);
        }
    }
    Ok(taken)
}

// === impl Taken ===

impl Taken {
    fn add(&mut self, endpoint: i32, request: &Request) {
        let number = big(self.of.values().sum());
        *self.of.entry(endpoint).or_default() += 1;
        for member in &request.members {
            self.ids.push(Id(member.to_bytes()));
            self.endpoints.push(endpoint);
            self.requests.push(number);
        }
    }
}

/// Writes what was taken from the rates.
async fn charge(
    tx: &Transaction<'_>,
    now: Timestamp,
    open: &[Open<'_>],
    taken: &Taken,
) -> Result<(), Fault> {
    for open in open {
        if let (Some(rate), Some(&requests)) = (open.quota.rate, taken.of.get(&open.number)) {
            let state = rate.grant(open.rate, now, requests).state;
            let sql = "UPDATE endpoints SET rate_state = $2 WHERE id = $1";
            execute(tx, sql, &[&open.number, &state.0]).await?;
        }
    }
    Ok(())
}

/// Writes the leases, and reads what is to be sent.
async fn take(
    tx: &Transaction<'_>,
    until: Timestamp,
    taken: &Taken,
) -> Result<Vec<Claim<DueDelivery>>, Fault> {
    let Taken { ids, endpoints, requests, .. } = taken;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "WITH base AS MATERIALIZED (SELECT nextval('fences') AS number) \
         INSERT INTO claims (delivery, endpoint, request, fence, leased_until) \
         SELECT c.delivery, c.endpoint, base.number * 1024 + c.request, nextval('fences'), $4 \
         FROM base, unnest($1::UUID[], $2::INT[], $3::BIGINT[]) AS c(delivery, endpoint, request) \
         ON CONFLICT (delivery) DO UPDATE SET endpoint = excluded.endpoint, \
         request = excluded.request, fence = excluded.fence, \
         leased_until = excluded.leased_until RETURNING delivery, fence";
    let mut fences = HashMap::new();
    for row in query(tx, sql, &[ids, endpoints, requests, &until.as_millis()]).await? {
        fences.insert(id(&row, 0)?, row.try_get::<_, i64>(1)?.unsigned_abs());
    }
    let columns = DELIVERY.replace(
        " FROM deliveries d",
        ", e.received_at, coalesce(b.bytes, e.body), c.request FROM deliveries d",
    );
    let sql = format!(
        "{columns} JOIN unnest($1::UUID[], $2::BIGINT[]) WITH ORDINALITY AS c(id, request, place) \
         ON c.id = d.id JOIN events e ON e.id = d.event LEFT JOIN bodies b ON b.delivery = d.id \
         ORDER BY c.place"
    );
    let mut claims = Vec::with_capacity(ids.len());
    for row in query(tx, &sql, &[ids, requests]).await? {
        let request: i64 = row.try_get(DELIVERY_COLUMNS + 2)?;
        let item = DueDelivery {
            delivery: delivery(&row)?,
            received_at: time(&row, DELIVERY_COLUMNS)?,
            body: bytes(&row, DELIVERY_COLUMNS + 1)?,
            request: u32::try_from(request).unwrap_or(u32::MAX),
        };
        let fence = fences.get(&item.delivery.id.to_bytes()).copied().unwrap_or(u64::MAX);
        claims.push(Claim { fence: Fence(fence), item });
    }
    Ok(claims)
}

/// Gives claims back unused. A stale one is ignored.
pub async fn release(tx: &Transaction<'_>, claimed: &[Claimed]) -> Result<(), Fault> {
    let (mut deliveries, mut events) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for claim in claimed {
        let (columns, id, fence) = match claim {
            Claimed::Delivery(id, fence) => (&mut deliveries, id.to_bytes(), *fence),
            Claimed::Event(id, fence) => (&mut events, id.to_bytes(), *fence),
        };
        columns.0.push(Id(id));
        columns.1.push(fence_column(fence));
    }
    for (sql, (ids, fences)) in [
        (
            "DELETE FROM claims c USING unnest($1::UUID[], $2::BIGINT[]) AS r(id, fence) \
             WHERE c.delivery = r.id AND c.fence = r.fence",
            deliveries,
        ),
        (
            "UPDATE plans p SET fence = NULL, leased_until = NULL \
             FROM unnest($1::UUID[], $2::BIGINT[]) AS r(id, fence) \
             WHERE p.event = r.id AND p.fence = r.fence",
            events,
        ),
    ] {
        if !ids.is_empty() {
            execute(tx, sql, &[&ids, &fences]).await?;
        }
    }
    Ok(())
}
