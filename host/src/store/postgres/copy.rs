//! From one store to another, row by row, in an order in which nothing points ahead.
//!
//! A cursor is the kind of row, then the last key. A page holds rows of one kind, so the two lists
//! of kinds below are the format.

use super::connect::{execute, query};
use super::counters::{DELIVERY_BYTES, Delta, EVENT_BYTES};
use super::fault::Fault;
use super::types::{Id, big, encode, int, maybe, text, time};
use super::{append, endpoint, lane, places, plugin_state, record, replay, rows, upkeep};
use crate::store::limits::{CLAIM_MAX, ClaimBytes};
use crate::store::{CopyCursor, Quarantined, Record, StoredDelivery, StoredEvent};
use bytes::Bytes;
use deadpool_postgres::{GenericClient, Transaction};
use livekit_webhook_core::delivery::State;
use livekit_webhook_core::id::DeliveryId;
use std::collections::{BTreeSet, HashMap};
use tokio_postgres::Row;

/// Kinds of rows, in the order of a copy.
const KINDS: [Kind; 9] = [
    // Before the events, which they count.
    Kind::Lane,
    Kind::Event,
    Kind::Replay,
    Kind::Delivery,
    Kind::Attempt,
    Kind::Quarantined,
    Kind::Health,
    Kind::Secret,
    Kind::PluginState,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Event,
    Lane,
    Replay,
    Delivery,
    Attempt,
    Quarantined,
    Health,
    Secret,
    PluginState,
}

/// A row on its way out.
struct Exported {
    record: Record,
    /// Sorts as the copy goes, within its kind.
    key: Vec<u8>,
    body_bytes: usize,
}

/// A page of rows after `after`; `None`: that was the end.
pub async fn export(
    client: &impl GenericClient,
    after: Option<&CopyCursor>,
) -> Result<(Vec<Record>, Option<CopyCursor>), Fault> {
    let (mut place, mut key) = match after.and_then(|cursor| cursor.0.split_first()) {
        Some((place, key)) => (usize::from(*place), key.to_vec()),
        None => (0, Vec::new()),
    };
    while let Some(kind) = KINDS.get(place) {
        let page = page(client, *kind, &key).await?;
        if !page.is_empty() {
            return Ok(cut(page, place));
        }
        place += 1;
        key.clear();
    }
    Ok((Vec::new(), None))
}

/// As many as one page may hold, and the cursor behind them.
fn cut(page: Vec<Exported>, place: usize) -> (Vec<Record>, Option<CopyCursor>) {
    let mut bytes = ClaimBytes::default();
    let mut cursor = None;
    let mut records = Vec::with_capacity(page.len());
    for exported in page {
        if !bytes.fits(exported.body_bytes) {
            break;
        }
        let mut last = vec![u8::try_from(place).unwrap_or(u8::MAX)];
        last.extend_from_slice(&exported.key);
        cursor = Some(CopyCursor(last));
        records.push(exported.record);
    }
    (records, cursor)
}

/// Reads a row of one kind.
type Read = fn(&Row) -> Result<Exported, Fault>;

/// Rows of one kind after `key`. Those with bodies are read few at a time.
async fn page(client: &impl GenericClient, kind: Kind, key: &[u8]) -> Result<Vec<Exported>, Fault> {
    let (sql, get): (String, Read) = match kind {
        Kind::Event => (after_id(rows::EVENT, "e.id", key, 64), event),
        Kind::Lane => return lanes(client, key).await,
        Kind::Replay => (after_id(replay::REPLAY, "r.id", key, CLAIM_MAX), replay_row),
        Kind::Delivery => {
            let columns = rows::DELIVERY.replace(
                " FROM deliveries d",
                ", (SELECT b.bytes FROM bodies b WHERE b.delivery = d.id) FROM deliveries d",
            );
            (after_id(&columns, "d.id", key, 64), delivery)
        }
        Kind::Attempt => return attempts(client, key).await,
        Kind::Quarantined => (after_id(rows::QUARANTINED, "q.id", key, 64), quarantined),
        Kind::Health => return healths(client, key).await,
        Kind::PluginState => return plugin_states(client, key).await,
        Kind::Secret => (after_id(rows::SECRET, "s.id", key, CLAIM_MAX), secret),
    };
    let rows = query(client, &sql, &[&id_of(key)]).await?;
    rows.iter().map(get).collect()
}

/// Without a key from the first on, whatever its id.
fn after_id(select: &str, column: &str, key: &[u8], limit: usize) -> String {
    let is_after = if key.is_empty() { ">=" } else { ">" };
    format!("{select} WHERE {column} {is_after} $1 ORDER BY {column} LIMIT {limit}")
}

/// The id that a key begins with; the least when there is none.
fn id_of(key: &[u8]) -> Id {
    Id(key.get(..16).and_then(|id| id.try_into().ok()).unwrap_or_default())
}

fn exported(row: &Row, record: Record, body_bytes: usize) -> Result<Exported, Fault> {
    Ok(Exported { record, key: rows::id(row, 0)?.to_vec(), body_bytes })
}

fn event(row: &Row) -> Result<Exported, Fault> {
    let StoredEvent { event, sequence, plan, plan_attempts, settled, note } = rows::event(row)?;
    let (plan_at, bytes) = (time(row, 16)?, event.body.len());
    let record = Record::Event { event, sequence, plan, plan_at, plan_attempts, settled, note };
    exported(row, record, bytes)
}

fn delivery(row: &Row) -> Result<Exported, Fault> {
    let body = row.try_get::<_, Option<&[u8]>>(rows::DELIVERY_COLUMNS)?;
    let body = body.map(Bytes::copy_from_slice);
    let bytes = body.as_ref().map_or(0, Bytes::len);
    exported(row, Record::Delivery { delivery: rows::delivery(row)?, body }, bytes)
}

fn replay_row(row: &Row) -> Result<Exported, Fault> {
    exported(row, Record::Replay(replay::replay(row)?), 0)
}

fn quarantined(row: &Row) -> Result<Exported, Fault> {
    let item = rows::quarantined(row)?;
    let bytes = item.body.len();
    exported(row, Record::Quarantined(item), bytes)
}

fn secret(row: &Row) -> Result<Exported, Fault> {
    exported(row, Record::Secret(rows::secret(row)?), 0)
}

async fn attempts(client: &impl GenericClient, key: &[u8]) -> Result<Vec<Exported>, Fault> {
    let number = key.get(16..20).and_then(|number| number.try_into().ok());
    let number = i32::from_be_bytes(number.unwrap_or_default());
    let sql = format!(
        "{} WHERE (a.delivery, a.number) > ($1, $2) ORDER BY a.delivery, a.number LIMIT 64",
        rows::ATTEMPT
    );
    let mut found = Vec::new();
    for row in query(client, &sql, &[&id_of(key), &number]).await? {
        let (delivery, attempt) = (rows::id(&row, 16)?, rows::attempt(&row)?);
        let key = [&delivery[..], &int(attempt.number).to_be_bytes()].concat();
        let body_bytes = attempt.response_start.len();
        let delivery = DeliveryId::from_bytes(delivery);
        found.push(Exported { record: Record::Attempt { delivery, attempt }, key, body_bytes });
    }
    Ok(found)
}

async fn lanes(client: &impl GenericClient, key: &[u8]) -> Result<Vec<Exported>, Fault> {
    // Source and key with a NUL between them, which neither has as it is stored.
    let last = String::from_utf8_lossy(key).into_owned();
    let (source, name) = last.split_once('\0').unwrap_or_default();
    let sql = "SELECT source, key, sequence, used_at FROM lanes \
         WHERE (source, key) > ($1, $2) ORDER BY source, key LIMIT 1024";
    let mut found = Vec::new();
    for row in query(client, sql, &[&source, &name]).await? {
        let key = format!("{}\0{}", row.try_get::<_, &str>(0)?, row.try_get::<_, &str>(1)?);
        let (sequence, used_at) = (row.try_get(2)?, time(&row, 3)?);
        let record =
            Record::Lane { source: text(&row, 0)?, key: text(&row, 1)?, sequence, used_at };
        found.push(Exported { record, key: key.into_bytes(), body_bytes: 0 });
    }
    Ok(found)
}

async fn healths(client: &impl GenericClient, key: &[u8]) -> Result<Vec<Exported>, Fault> {
    let found = endpoint::healths(client).await?;
    let behind = found.into_iter().filter(|health| health.endpoint.as_bytes() > key);
    let exported = behind.map(|health| {
        let key = health.endpoint.clone().into_bytes();
        Exported { record: Record::Health(health), key, body_bytes: 0 }
    });
    Ok(exported.take(CLAIM_MAX).collect())
}

async fn plugin_states(client: &impl GenericClient, key: &[u8]) -> Result<Vec<Exported>, Fault> {
    // The space's number, then the key.
    let (space, name) = key.split_at(key.len().min(4));
    let space = space.try_into().map_or(i32::MIN, i32::from_be_bytes);
    let found = plugin_state::export(client, (space, name)).await?;
    let exported = found.into_iter().map(|(number, space, name, stored)| {
        let key = [&number.to_be_bytes(), name.as_bytes()].concat();
        let body_bytes = stored.entry.value.len();
        let record = Record::PluginState { space, key: name, stored };
        Exported { record, key, body_bytes }
    });
    Ok(exported.collect())
}

/// Names whose endpoints must have numbers before [`import`].
pub fn endpoints(records: &[Record]) -> Vec<&str> {
    let names = records.iter().filter_map(|record| match record {
        Record::Delivery { delivery, .. } => Some(delivery.endpoint.as_str()),
        Record::Health(health) => Some(health.endpoint.as_str()),
        _ => None,
    });
    names.collect()
}

/// Writes rows; what is here already is left as it is. Tells how many were new.
pub async fn import(
    tx: &Transaction<'_>,
    endpoints: &HashMap<String, i32>,
    records: &[Record],
    delta: &mut Delta,
) -> Result<u64, Fault> {
    let mut lanes: BTreeSet<String> = BTreeSet::new();
    for record in records {
        match record {
            Record::Event { event, sequence: Some(_), .. } => {
                let key = event.lane.as_deref().unwrap_or_default();
                lanes.insert(crate::store::lane(None, &event.source, key));
            }
            Record::Delivery { delivery, .. } => lanes.extend(delivery.lane.clone()),
            _ => {}
        }
    }
    lane::lock(tx, &lanes).await?;
    let (mut new, mut counters) = (0, places::Copy::default());
    for record in records {
        new += u64::from(import_one(tx, endpoints, record, &mut counters, delta).await?);
    }
    lane::let_go(tx, &lanes).await?;
    Ok(new + counters.write(tx).await?)
}

async fn import_one(
    tx: &Transaction<'_>,
    endpoints: &HashMap<String, i32>,
    row: &Record,
    counters: &mut places::Copy,
    delta: &mut Delta,
) -> Result<bool, Fault> {
    match row {
        Record::Event { event, sequence, .. } => {
            let is_new = import_event(tx, row, delta).await?;
            if is_new {
                counters.event(event, *sequence);
            }
            Ok(is_new)
        }
        Record::Delivery { delivery, body } => {
            import_delivery(tx, endpoints, delivery, body.as_ref(), delta).await
        }
        Record::Attempt { delivery, attempt } => {
            Ok(record::records(tx, &[(*delivery, attempt)], delta).await? == 1)
        }
        Record::Quarantined(item) => import_quarantined(tx, item, delta).await,
        Record::Health(health) => {
            let Some(number) = endpoints.get(&health.endpoint) else { return Ok(false) };
            let recorded = endpoint::record(tx, *number, health, true).await?;
            Ok(recorded == crate::store::Recorded::Done && health.version > 0)
        }
        Record::Replay(replay) => replay::create(tx, replay).await,
        Record::Secret(secret) => upkeep::put_secret(tx, secret, false).await,
        Record::PluginState { space, key, stored } => {
            plugin_state::import(tx, space, key, stored).await
        }
        Record::Lane { source, key, sequence, used_at } => {
            // Told with all others at the end.
            counters.counter(source, key, *sequence, *used_at);
            Ok(false)
        }
    }
}

async fn import_event(
    tx: &Transaction<'_>,
    row: &Record,
    delta: &mut Delta,
) -> Result<bool, Fault> {
    let Record::Event { event, sequence, plan, plan_at, plan_attempts, settled, note } = row else {
        return Ok(false);
    };
    let id = Id(event.id.to_bytes());
    if !query(tx, "SELECT FROM events WHERE id = $1", &[&id]).await?.is_empty() {
        return Ok(false);
    }
    let state = rows::plan_column(*plan);
    append::insert_copy(tx, event, state == 2).await?;
    let key = event.lane.as_deref().filter(|_| sequence.is_some());
    let lane = key.map(|key| crate::store::lane(None, &event.source, key));
    let sql = "INSERT INTO plans (event, state, plan_at, attempts, settled, note, lane, sequence, \
         is_bare) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, true)";
    let attempts = int(*plan_attempts);
    let settled = settled.join(",");
    let (note, lane) = (maybe(note.as_ref()), maybe(lane.as_ref()));
    let plan_at = plan_at.as_millis();
    execute(tx, sql, &[&id, &state, &plan_at, &attempts, &settled, &note, &lane, sequence]).await?;
    delta.unplanned += i64::from(state == 0);
    delta.bytes += big(event.body.len()) + EVENT_BYTES;
    Ok(true)
}

async fn import_delivery(
    tx: &Transaction<'_>,
    endpoints: &HashMap<String, i32>,
    delivery: &StoredDelivery,
    body: Option<&Bytes>,
    delta: &mut Delta,
) -> Result<bool, Fault> {
    let (status, reason) = rows::state_columns(delivery.state);
    let sql = "INSERT INTO deliveries (id, event, endpoint, webhook_id, kind, status, dead_reason, \
         due_at, attempts, lane, sequence, is_held, batch, replay, created_at, updated_at, note, \
         headers) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
         ON CONFLICT (id) DO NOTHING";
    let (id, headers) = (Id(delivery.id.to_bytes()), delivery.headers.to_text());
    let new = execute(
        tx,
        sql,
        &[
            &id,
            &Id(delivery.event.to_bytes()),
            &endpoints.get(&delivery.endpoint),
            &encode(&delivery.webhook_id),
            &encode(&delivery.kind),
            &status,
            &reason,
            &delivery.due_at.as_millis(),
            &int(delivery.attempts),
            &maybe(delivery.lane.as_ref()),
            &delivery.sequence,
            &(delivery.lane.is_some() && delivery.state == State::Pending),
            &delivery.batch.map(|batch| Id(batch.0)),
            &delivery.replay.map(|replay| Id(replay.to_bytes())),
            &delivery.created_at.as_millis(),
            &delivery.updated_at.as_millis(),
            &maybe(delivery.note.as_ref()),
            &headers,
        ],
    )
    .await?;
    if new == 0 {
        return Ok(false);
    }
    delta.bytes += DELIVERY_BYTES + big(headers.map_or(0, |text| text.len()));
    match delivery.state {
        State::Pending => delta.pending += 1,
        State::Dead(_) => delta.dead += 1,
        State::Delivered => {}
    }
    let sql = "UPDATE plans SET is_bare = false WHERE event = $1 AND is_bare";
    execute(tx, sql, &[&Id(delivery.event.to_bytes())]).await?;
    if let Some(body) = body {
        let sql = "INSERT INTO bodies (delivery, bytes) VALUES ($1, $2)";
        execute(tx, sql, &[&id, &&**body]).await?;
        delta.bytes += big(body.len());
    }
    Ok(true)
}

async fn import_quarantined(
    tx: &Transaction<'_>,
    item: &Quarantined,
    delta: &mut Delta,
) -> Result<bool, Fault> {
    let id = Id(item.id.to_bytes());
    if !query(tx, "SELECT FROM quarantine WHERE id = $1", &[&id]).await?.is_empty() {
        return Ok(false);
    }
    append::quarantine(tx, &[item], delta).await?;
    Ok(true)
}
