//! Replays: what there is to send again, and what was planned again.

use super::connect::{execute, query};
use super::counters::{DELIVERY_BYTES, Delta};
use super::fault::Fault;
use super::lane;
use super::rows::{self, unknown};
use super::types::{Id, big, count, decode, encode, maybe, maybe_text, maybe_time, text, time};
use crate::store::{PAGE_MAX, Recorded, ReplayState, ReplayStep, StoredReplay};
use deadpool_postgres::{GenericClient, Transaction};
use livekit_webhook_core::delivery::DeadReason;
use livekit_webhook_core::id::{DeliveryId, EventId, ReplayId};
use livekit_webhook_core::replay::{Candidate, Fate, ReplayStatus, Selection};
use livekit_webhook_core::time::Timestamp;
use livekit_webhook_wire::glob::Glob;
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::Row;

/// What [`replay`] reads, in its order.
pub const REPLAY: &str = "SELECT r.id, r.events, r.since, r.until, r.kinds, r.rooms, r.source, \
     r.endpoint, r.status, r.reason, r.to_endpoint, r.include_succeeded, r.rate_milli, \
     r.created_at, r.updated_at, r.state, r.position, r.planned, r.skipped, r.note FROM replays r";

/// Events after `after`, in order of arrival, with the fate of their deliveries.
pub async fn candidates(
    client: &impl GenericClient,
    selection: &Selection,
    after: Option<EventId>,
    limit: usize,
) -> Result<(Vec<Candidate>, Option<EventId>), Fault> {
    let limit = limit.clamp(1, PAGE_MAX);
    let is_after = if after.is_some() { ">" } else { ">=" };
    let after = after.map_or([0; 16], EventId::to_bytes);
    // One more than is asked for tells whether there is more.
    let sql = format!(
        "SELECT e.id, e.source, e.kind, e.room, e.received_at FROM events e \
         WHERE e.id {is_after} $1 ORDER BY e.id LIMIT $2"
    );
    let mut rows = query(client, &sql, &[&Id(after), &big(limit + 1)]).await?;
    let is_more = rows.len() > limit;
    rows.truncate(limit);
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.push(Candidate {
            event: EventId::from_bytes(rows::id(row, 0)?),
            source: text(row, 1)?,
            kind: text(row, 2)?,
            room: maybe_text(row, 3)?,
            received_at: time(row, 4)?,
            deliveries: Vec::new(),
        });
    }
    let go_on = found.last().map(|last| last.event).filter(|_| is_more);
    found.retain(|candidate| selection.matches(candidate));
    let ids: Vec<Id> = found.iter().map(|candidate| Id(candidate.event.to_bytes())).collect();
    let mut fates = fates(client, &ids).await?;
    for candidate in &mut found {
        candidate.deliveries = fates.remove(&candidate.event).unwrap_or_default();
    }
    Ok((found, go_on))
}

async fn fates(
    client: &impl GenericClient,
    events: &[Id],
) -> Result<HashMap<EventId, Vec<Fate>>, Fault> {
    let sql = "SELECT d.event, d.id, n.name, d.webhook_id, d.status, d.dead_reason \
         FROM deliveries d JOIN endpoints n ON n.id = d.endpoint WHERE d.event = ANY ($1) \
         ORDER BY d.id";
    let mut fates: HashMap<EventId, Vec<Fate>> = HashMap::new();
    for row in query(client, sql, &[&events]).await? {
        let fate = Fate {
            id: DeliveryId::from_bytes(rows::id(&row, 1)?),
            endpoint: text(&row, 2)?,
            webhook_id: text(&row, 3)?,
            state: rows::state(row.try_get(4)?, row.try_get(5)?)?,
        };
        fates.entry(EventId::from_bytes(rows::id(&row, 0)?)).or_default().push(fate);
    }
    Ok(fates)
}

/// Keeps a replay; one that is here is left as it is. Tells whether it was new.
pub async fn create(client: &impl GenericClient, replay: &StoredReplay) -> Result<bool, Fault> {
    let selection = &replay.selection;
    let events: Vec<Id> = selection.events.iter().map(|id| Id(id.to_bytes())).collect();
    let globs = |globs: &[Glob]| -> Vec<String> {
        globs.iter().map(|glob| encode(glob.as_str()).into_owned()).collect()
    };
    let millis = |at: Option<Timestamp>| at.map(Timestamp::as_millis);
    let status = selection.status.map(|status| match status {
        ReplayStatus::Delivered => "delivered",
        ReplayStatus::Dead => "dead",
    });
    let sql = "INSERT INTO replays (id, events, since, until, kinds, rooms, source, endpoint, \
         status, reason, to_endpoint, include_succeeded, rate_milli, created_at, updated_at, \
         state, position, planned, skipped, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, \
         $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) ON CONFLICT (id) DO NOTHING";
    let new = execute(
        client,
        sql,
        &[
            &Id(replay.id.to_bytes()),
            &events,
            &millis(selection.since),
            &millis(selection.until),
            &globs(&selection.kinds),
            &globs(&selection.rooms),
            &maybe(selection.source.as_ref()),
            &maybe(selection.endpoint.as_ref()),
            &status,
            &selection.reason.map(|reason| reason.as_str()),
            &maybe(selection.to.as_ref()),
            &selection.include_succeeded,
            &i64::from(replay.rate_milli),
            &replay.created_at.as_millis(),
            &replay.updated_at.as_millis(),
            &replay.state.as_str(),
            &replay.cursor.map(|event| Id(event.to_bytes())),
            &i64::try_from(replay.planned).unwrap_or(i64::MAX),
            &i64::try_from(replay.skipped).unwrap_or(i64::MAX),
            &maybe(replay.note.as_ref()),
        ],
    )
    .await?;
    Ok(new == 1)
}

pub async fn list(client: &impl GenericClient, limit: usize) -> Result<Vec<StoredReplay>, Fault> {
    let sql = format!("{REPLAY} ORDER BY r.id DESC LIMIT $1");
    let rows = query(client, &sql, &[&big(limit.clamp(1, PAGE_MAX))]).await?;
    rows.iter().map(replay).collect()
}

pub fn replay(row: &Row) -> Result<StoredReplay, Fault> {
    let events: Vec<Id> = row.try_get(1)?;
    let status = match row.try_get::<_, Option<&str>>(8)? {
        None => None,
        Some("delivered") => Some(ReplayStatus::Delivered),
        Some("dead") => Some(ReplayStatus::Dead),
        Some(other) => return Err(unknown(other)),
    };
    let reason = row.try_get::<_, Option<&str>>(9)?;
    let reason =
        reason.map(|word| DeadReason::parse(word).ok_or_else(|| unknown(word))).transpose()?;
    let word: &str = row.try_get(15)?;
    let selection = Selection {
        events: events.into_iter().map(|id| EventId::from_bytes(id.0)).collect(),
        since: maybe_time(row, 2)?,
        until: maybe_time(row, 3)?,
        kinds: globs(row.try_get(4)?)?,
        rooms: globs(row.try_get(5)?)?,
        source: maybe_text(row, 6)?,
        endpoint: maybe_text(row, 7)?,
        status,
        reason,
        to: maybe_text(row, 10)?,
        include_succeeded: row.try_get(11)?,
    };
    Ok(StoredReplay {
        id: ReplayId::from_bytes(rows::id(row, 0)?),
        selection,
        rate_milli: u32::try_from(row.try_get::<_, i64>(12)?).unwrap_or(u32::MAX),
        created_at: time(row, 13)?,
        updated_at: time(row, 14)?,
        state: ReplayState::parse(word).ok_or_else(|| unknown(word))?,
        cursor: row.try_get::<_, Option<Id>>(16)?.map(|id| EventId::from_bytes(id.0)),
        planned: count(row, 17)?,
        skipped: count(row, 18)?,
        note: maybe_text(row, 19)?,
    })
}

fn globs(texts: Vec<&str>) -> Result<Vec<Glob>, Fault> {
    let parse = |text: &str| Glob::parse(&decode(text)).map_err(|_| unknown(text));
    texts.into_iter().map(parse).collect()
}

/// Plans one step, if the replay still stands where it began. `endpoints` are the numbers of all
/// that are named.
pub async fn record(
    tx: &Transaction<'_>,
    endpoints: &HashMap<String, i32>,
    now: Timestamp,
    step: &ReplayStep,
    delta: &mut Delta,
) -> Result<Recorded, Fault> {
    let (id, from) = (Id(step.replay.to_bytes()), step.from.map(|event| Id(event.to_bytes())));
    let sql = "SELECT FROM replays WHERE id = $1 AND state = 'running' \
         AND position IS NOT DISTINCT FROM $2 FOR UPDATE";
    if query(tx, sql, &[&id, &from]).await?.is_empty() {
        return Ok(Recorded::Stale);
    }
    let planned = plan_again(tx, endpoints, now, step, delta).await?;
    let state = if step.is_done { ReplayState::Done } else { ReplayState::Running };
    let sql = "UPDATE replays SET position = $2, planned = planned + $3, skipped = skipped + $4, \
         updated_at = $5, state = $6 WHERE id = $1";
    let to = step.to.map(|event| Id(event.to_bytes()));
    let skipped = i64::try_from(step.skipped).unwrap_or(i64::MAX);
    execute(tx, sql, &[&id, &to, &planned, &skipped, &now.as_millis(), &state.as_str()]).await?;
    Ok(Recorded::Done)
}

/// Copies what is to be sent again, with the bodies and headers that plugins made. What retention
/// has taken is left out.
async fn plan_again(
    tx: &Transaction<'_>,
    endpoints: &HashMap<String, i32>,
    now: Timestamp,
    step: &ReplayStep,
    delta: &mut Delta,
) -> Result<i64, Fault> {
    let new = &step.deliveries;
    let ids: Vec<Id> = new.iter().map(|delivery| Id(delivery.id.to_bytes())).collect();
    let of: Vec<Id> = new.iter().map(|delivery| Id(delivery.of.to_bytes())).collect();
    let numbers: Vec<Option<i32>> =
        new.iter().map(|delivery| endpoints.get(&delivery.endpoint).copied()).collect();
    let ordered: Vec<bool> = new.iter().map(|delivery| delivery.is_ordered).collect();
    let due: Vec<i64> = new.iter().map(|delivery| delivery.due_at.as_millis()).collect();
    // As `store::lane` writes it.
    let sql = "INSERT INTO deliveries (id, event, endpoint, webhook_id, kind, status, due_at, \
         lane, sequence, is_held, replay, created_at, updated_at, headers) \
         SELECT a.id, d.event, a.endpoint, d.webhook_id, d.kind, 0, a.due_at, \
         CASE WHEN a.is_ordered AND e.lane IS NOT NULL \
         THEN $7 || '/' || e.source || '/' || e.lane END, \
         d.sequence, a.is_ordered AND e.lane IS NOT NULL, $8, $6, $6, d.headers \
         FROM unnest($1::UUID[], $2::UUID[], $3::INT[], $4::BOOL[], $5::BIGINT[]) \
         AS a(id, of, endpoint, is_ordered, due_at) \
         JOIN deliveries d ON d.id = a.of JOIN events e ON e.id = d.event \
         RETURNING lane, coalesce(octet_length(headers), 0)";
    let values = (now.as_millis(), step.replay.to_string(), Id(step.replay.to_bytes()));
    let rows =
        query(tx, sql, &[&ids, &of, &numbers, &ordered, &due, &values.0, &values.1, &values.2])
            .await?;
    let mut lanes = BTreeSet::new();
    for row in &rows {
        lanes.extend(maybe_text(row, 0)?);
        delta.bytes += i64::from(row.try_get::<_, i32>(1)?);
    }
    let sql = "INSERT INTO bodies (delivery, bytes) SELECT a.id, b.bytes \
         FROM unnest($1::UUID[], $2::UUID[]) AS a(id, of) JOIN bodies b ON b.delivery = a.of \
         JOIN deliveries d ON d.id = a.id RETURNING octet_length(bytes)";
    for row in query(tx, sql, &[&ids, &of]).await? {
        delta.bytes += i64::from(row.try_get::<_, i32>(0)?);
    }
    let planned = big(rows.len());
    delta.pending += planned;
    delta.bytes += planned * DELIVERY_BYTES;
    lane::lock(tx, &lanes).await?;
    lane::let_go(tx, &lanes).await?;
    Ok(planned)
}

/// Changes a replay's state, if it is in `from`.
pub async fn change(
    client: &impl GenericClient,
    now: Timestamp,
    replay: ReplayId,
    from: ReplayState,
    to: ReplayState,
) -> Result<Recorded, Fault> {
    let sql = "UPDATE replays SET state = $3, updated_at = $4 WHERE id = $1 AND state = $2";
    let id = Id(replay.to_bytes());
    let values = (from.as_str(), to.as_str(), now.as_millis());
    let changed = execute(client, sql, &[&id, &values.0, &values.1, &values.2]).await?;
    Ok(if changed == 1 { Recorded::Done } else { Recorded::Stale })
}
