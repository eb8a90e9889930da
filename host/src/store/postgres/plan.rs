//! Planning: events that wait are claimed, and their deliveries written.

use super::connect::{execute, query};
use super::counters::{DELIVERY_BYTES, Delta};
use super::fault::Fault;
use super::types::{Id, big, encode, maybe};
use super::{lane, rows};
use crate::store::limits::{CLAIM_MAX, ClaimBytes};
use crate::store::{Claim, Fence, NewDelivery, Plan, PlanNext, Recorded, StoredEvent};
use deadpool_postgres::Transaction;
use livekit_webhook_core::delivery::State;
use livekit_webhook_core::id::{EventId, ReplayId};
use livekit_webhook_core::time::Timestamp;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Events without a plan that nobody holds, oldest first.
pub const UNPLANNED: &str = "SELECT p.event, octet_length(e.body) FROM plans p \
     JOIN events e ON e.id = p.event WHERE p.state = 0 AND p.plan_at <= $1 \
     AND (p.leased_until IS NULL OR p.leased_until <= $1) \
     ORDER BY p.plan_at, p.event LIMIT $2 FOR UPDATE OF p SKIP LOCKED";

pub async fn claim(
    tx: &Transaction<'_>,
    now: Timestamp,
    lease_ms: i64,
    limit: usize,
) -> Result<Vec<Claim<StoredEvent>>, Fault> {
    let limit = big(limit.min(CLAIM_MAX));
    let mut ids: Vec<Id> = Vec::new();
    let mut bytes = ClaimBytes::default();
    for row in query(tx, UNPLANNED, &[&now.as_millis(), &limit]).await? {
        let weight: i32 = row.try_get(1)?;
        if !bytes.fits(usize::try_from(weight).unwrap_or(0)) {
            break;
        }
        ids.push(row.try_get(0)?);
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let until = now.plus_millis(lease_ms).as_millis();
    let sql = "UPDATE plans SET fence = nextval('fences'), leased_until = $2 \
         WHERE event = ANY ($1) RETURNING event, fence";
    let mut fences = HashMap::new();
    for row in query(tx, sql, &[&ids, &until]).await? {
        fences.insert(row.try_get::<_, Id>(0)?, row.try_get::<_, i64>(1)?);
    }
    let sql = format!(
        "{} JOIN unnest($1::UUID[]) WITH ORDINALITY AS c(id, place) ON c.id = e.id ORDER BY place",
        rows::EVENT
    );
    let mut claims = Vec::with_capacity(ids.len());
    for row in query(tx, &sql, &[&ids]).await? {
        let item = rows::event(&row)?;
        let fence = fences.get(&Id(item.event.id.to_bytes())).copied().unwrap_or_default();
        claims.push(Claim { fence: Fence(fence.unsigned_abs()), item });
    }
    Ok(claims)
}

/// Writes plans. One result each, in order. `endpoints` are the numbers of all that are named.
pub async fn record(
    tx: &Transaction<'_>,
    endpoints: &HashMap<String, i32>,
    now: Timestamp,
    plans: &[Plan],
    delta: &mut Delta,
) -> Result<Vec<Recorded>, Fault> {
    let places = places(tx, plans).await?;
    let mut lanes: BTreeSet<String> =
        places.values().filter_map(|(lane, _)| lane.clone()).collect();
    for delivery in plans.iter().flat_map(|plan| deliveries(&plan.next)) {
        lanes.extend(delivery.lane.clone());
    }
    lane::lock(tx, &lanes).await?;
    let mut recorded = Vec::with_capacity(plans.len());
    let mut rows = Vec::new();
    let done = compare_and_set(tx, plans).await?;
    let mut used = BTreeSet::new();
    for plan in plans {
        if !done.contains(&(plan.event, plan.fence)) || !used.insert(plan.event) {
            recorded.push(Recorded::Stale);
            continue;
        }
        recorded.push(Recorded::Done);
        delta.unplanned -= i64::from(matches!(plan.next, PlanNext::Planned { .. }));
        let sequence = places.get(&plan.event).and_then(|(_, sequence)| *sequence);
        for delivery in deliveries(&plan.next) {
            rows.push(NewRow { delivery, event: plan.event, sequence, replay: None });
        }
    }
    insert(tx, endpoints, now, &rows, delta).await?;
    lane::let_go(tx, &lanes).await?;
    Ok(recorded)
}

fn deliveries(next: &PlanNext) -> &[NewDelivery] {
    match next {
        PlanNext::Planned { deliveries, .. } | PlanNext::Again { deliveries, .. } => deliveries,
    }
}

/// The lane of each event and its place in it. They never change, so nothing is locked.
async fn places(
    tx: &Transaction<'_>,
    plans: &[Plan],
) -> Result<HashMap<EventId, (Option<String>, Option<i64>)>, Fault> {
    let ids: Vec<Id> = plans.iter().map(|plan| Id(plan.event.to_bytes())).collect();
    let sql = "SELECT event, lane, sequence FROM plans WHERE event = ANY ($1)";
    let mut places = HashMap::new();
    for row in query(tx, sql, &[&ids]).await? {
        let place = (super::types::maybe_text(&row, 1)?, row.try_get(2)?);
        places.insert(EventId::from_bytes(rows::id(&row, 0)?), place);
    }
    Ok(places)
}

/// Changes the events whose fences are current; tells which.
async fn compare_and_set(
    tx: &Transaction<'_>,
    plans: &[Plan],
) -> Result<HashSet<(EventId, Fence)>, Fault> {
    let ids: Vec<Id> = plans.iter().map(|plan| Id(plan.event.to_bytes())).collect();
    let fences: Vec<i64> = plans.iter().map(|plan| fence_column(plan.fence)).collect();
    let bare: Vec<bool> = plans.iter().map(|plan| deliveries(&plan.next).is_empty()).collect();
    let (mut again, mut notes, mut settled) = (Vec::new(), Vec::new(), Vec::new());
    for plan in plans {
        match &plan.next {
            PlanNext::Planned { note, .. } => {
                again.push(None);
                notes.push(maybe(note.as_ref()));
                settled.push(None);
            }
            PlanNext::Again { at, note, settled: names, .. } => {
                again.push(Some(at.as_millis()));
                notes.push(Some(encode(note)));
                settled.push(Some(names.join(",")));
            }
        }
    }
    let sql = "UPDATE plans p SET state = CASE WHEN n.at IS NULL THEN 1 ELSE 0 END, \
         plan_at = coalesce(n.at, p.plan_at), attempts = p.attempts + (n.at IS NOT NULL)::INT, \
         note = n.note, settled = coalesce(n.settled, p.settled), \
         is_bare = p.is_bare AND n.is_bare, fence = NULL, leased_until = NULL \
         FROM unnest($1::UUID[], $2::BIGINT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::BOOL[]) \
         AS n(event, fence, at, note, settled, is_bare) \
         WHERE p.event = n.event AND p.fence = n.fence AND p.state + 0 = 0 \
         RETURNING p.event, n.fence";
    let mut done = HashSet::new();
    for row in query(tx, sql, &[&ids, &fences, &again, &notes, &settled, &bare]).await? {
        let event = EventId::from_bytes(rows::id(&row, 0)?);
        done.insert((event, Fence(row.try_get::<_, i64>(1)?.unsigned_abs())));
    }
    Ok(done)
}

/// A fence that PostgreSQL never gave is none.
pub fn fence_column(fence: Fence) -> i64 {
    i64::try_from(fence.0).unwrap_or(-1)
}

/// One for each place of the lists.
const INSERT: &str = "INSERT INTO deliveries (id, event, endpoint, webhook_id, kind, status, \
     dead_reason, due_at, lane, sequence, is_held, replay, created_at, updated_at, note, headers) \
     SELECT id, event, endpoint, webhook_id, kind, status, dead_reason, due_at, lane, \
     sequence, lane IS NOT NULL AND status = 0, replay, $14, $14, note, headers \
     FROM unnest($1::UUID[], $2::UUID[], $3::INT[], $4::TEXT[], $5::TEXT[], $6::SMALLINT[], \
     $7::TEXT[], $8::BIGINT[], $9::TEXT[], $10::BIGINT[], $11::UUID[], $12::TEXT[], $13::TEXT[]) \
     AS d(id, event, endpoint, webhook_id, kind, status, dead_reason, due_at, lane, sequence, \
     replay, note, headers)";

/// A delivery about to be written.
pub struct NewRow<'a> {
    pub delivery: &'a NewDelivery,
    pub event: EventId,
    pub sequence: Option<i64>,
    pub replay: Option<ReplayId>,
}

/// Writes deliveries. What is in a lane is held until [`lane::let_go`].
pub async fn insert(
    tx: &Transaction<'_>,
    endpoints: &HashMap<String, i32>,
    now: Timestamp,
    new: &[NewRow<'_>],
    delta: &mut Delta,
) -> Result<(), Fault> {
    if new.is_empty() {
        return Ok(());
    }
    let ids: Vec<Id> = new.iter().map(|row| Id(row.delivery.id.to_bytes())).collect();
    let events: Vec<Id> = new.iter().map(|row| Id(row.event.to_bytes())).collect();
    let numbers: Vec<Option<i32>> =
        new.iter().map(|row| endpoints.get(&row.delivery.endpoint).copied()).collect();
    let webhook_ids: Vec<_> = new.iter().map(|row| encode(&row.delivery.webhook_id)).collect();
    let kinds: Vec<_> = new.iter().map(|row| encode(&row.delivery.kind)).collect();
    let states: Vec<_> = new.iter().map(|row| rows::state_columns(row.delivery.state)).collect();
    let statuses: Vec<i16> = states.iter().map(|state| state.0).collect();
    let reasons: Vec<Option<&str>> = states.iter().map(|state| state.1).collect();
    let due: Vec<i64> = new.iter().map(|row| row.delivery.due_at.as_millis()).collect();
    let lanes: Vec<_> = new.iter().map(|row| maybe(row.delivery.lane.as_ref())).collect();
    let sequences: Vec<Option<i64>> = new.iter().map(|row| row.sequence).collect();
    let replays: Vec<Option<Id>> =
        new.iter().map(|row| row.replay.map(|id| Id(id.to_bytes()))).collect();
    let notes: Vec<_> = new.iter().map(|row| maybe(row.delivery.note.as_ref())).collect();
    let headers: Vec<_> = new.iter().map(|row| row.delivery.headers.to_text()).collect();
    execute(
        tx,
        INSERT,
        &[
            &ids,
            &events,
            &numbers,
            &webhook_ids,
            &kinds,
            &statuses,
            &reasons,
            &due,
            &lanes,
            &sequences,
            &replays,
            &notes,
            &headers,
            &now.as_millis(),
        ],
    )
    .await?;
    delta.bytes += big(headers.iter().flatten().map(String::len).sum());
    for row in new {
        delta.bytes += DELIVERY_BYTES;
        match row.delivery.state {
            State::Pending => delta.pending += 1,
            State::Dead(_) => delta.dead += 1,
            State::Delivered => {}
        }
    }
    bodies(tx, new, delta).await
}

/// Keeps what plugins made of events.
async fn bodies(tx: &Transaction<'_>, new: &[NewRow<'_>], delta: &mut Delta) -> Result<(), Fault> {
    let with_body =
        new.iter().filter_map(|row| Some((row.delivery.id, row.delivery.body.as_ref()?)));
    let (ids, bodies): (Vec<Id>, Vec<&[u8]>) =
        with_body.map(|(id, body)| (Id(id.to_bytes()), &**body)).unzip();
    if ids.is_empty() {
        return Ok(());
    }
    delta.bytes += big(bodies.iter().map(|body| body.len()).sum());
    let sql = "INSERT INTO bodies (delivery, bytes) SELECT * FROM unnest($1::UUID[], $2::BYTEA[])";
    execute(tx, sql, &[&ids, &bodies]).await?;
    Ok(())
}
