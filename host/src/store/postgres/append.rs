//! Events in: duplicates found, places in lanes given.
//!
//! Two hosts may be given the same event at the same moment. The unique index over the first event
//! under each key decides between them: whoever inserts second waits for the other's commit, finds
//! it, and compares. Keys and lanes are taken in order, so that two batches never wait for each
//! other in a ring.

use super::connect::{execute, query};
use super::counters::{Delta, EVENT_BYTES, QUARANTINED_BYTES};
use super::fault::Fault;
use super::places;
use super::types::{Id, big, encode, maybe};
use crate::store::{Appended, NewEvent, Quarantined, lane};
use deadpool_postgres::Transaction;
use livekit_webhook_core::id::EventId;
use livekit_webhook_core::time::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use tokio_postgres::Row;

/// What one key is known by: its source and itself.
type Key<'a> = (&'a str, &'a str);

/// Writes a batch. One answer each, in order.
pub async fn events(
    tx: &Transaction<'_>,
    window_ms: i64,
    events: &[&NewEvent],
    delta: &mut Delta,
) -> Result<Vec<Appended>, Fault> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let mut firsts: BTreeMap<Key<'_>, &NewEvent> = BTreeMap::new();
    for event in events {
        firsts.entry((&event.source, &event.dedupe_key)).or_insert(event);
    }
    let firsts: Vec<&NewEvent> = firsts.into_values().collect();
    let inserted = insert(tx, &firsts, true).await?;
    let mut answers: HashMap<EventId, Appended> = HashMap::new();
    for id in &inserted {
        answers.insert(*id, Appended::Stored);
    }
    let mut known: Vec<&NewEvent> =
        events.iter().copied().filter(|event| !inserted.contains(&event.id)).collect();
    known.sort_by_key(|event| (&event.source, &event.dedupe_key));
    let duplicates = duplicates(tx, window_ms, &known).await?;
    for event in known {
        let answer = match duplicates.get(&event.id) {
            Some(of) => Appended::Duplicate { of: *of },
            None => compare(tx, window_ms, event).await?,
        };
        answers.insert(event.id, answer);
    }
    let answer = |event: &&NewEvent| answers.get(&event.id).copied().unwrap_or(Appended::Stored);
    let answers: Vec<Appended> = events.iter().map(answer).collect();
    plans(tx, events, &answers, delta).await?;
    Ok(answers)
}

/// Inserts events with distinct keys in the order given; tells which were new.
async fn insert(
    tx: &Transaction<'_>,
    events: &[&NewEvent],
    is_first: bool,
) -> Result<HashSet<EventId>, Fault> {
    let column = |get: fn(&NewEvent) -> &str| -> Vec<_> {
        events.iter().map(|event| encode(get(event))).collect()
    };
    let ids: Vec<Id> = events.iter().map(|event| Id(event.id.to_bytes())).collect();
    let rooms: Vec<_> = events.iter().map(|event| maybe(event.room.as_ref())).collect();
    let lanes: Vec<_> = events.iter().map(|event| maybe(event.lane.as_ref())).collect();
    let created: Vec<_> =
        events.iter().map(|event| event.created_at.map(Timestamp::as_millis)).collect();
    let received: Vec<_> = events.iter().map(|event| event.received_at.as_millis()).collect();
    let bodies: Vec<&[u8]> = events.iter().map(|event| &*event.body).collect();
    let hashes: Vec<&[u8]> = events.iter().map(|event| &event.body_sha256[..]).collect();
    let sql = "INSERT INTO events (id, source, dedupe_key, kind, room, lane, created_at, \
         received_at, api_key, body, body_sha256, is_first) \
         SELECT id, source, dedupe_key, kind, room, lane, created_at, received_at, api_key, body, \
         body_sha256, $12 FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[], $4::TEXT[], \
         $5::TEXT[], $6::TEXT[], $7::BIGINT[], $8::BIGINT[], $9::TEXT[], $10::BYTEA[], \
         $11::BYTEA[]) WITH ORDINALITY AS e(id, source, dedupe_key, kind, room, lane, created_at, \
         received_at, api_key, body, body_sha256, place) ORDER BY place \
         ON CONFLICT (source, dedupe_key) WHERE is_first DO NOTHING RETURNING id";
    let rows = query(
        tx,
        sql,
        &[
            &ids,
            &column(|event| &event.source),
            &column(|event| &event.dedupe_key),
            &column(|event| &event.kind),
            &rooms,
            &lanes,
            &created,
            &received,
            &column(|event| &event.api_key),
            &bodies,
            &hashes,
            &is_first,
        ],
    )
    .await?;
    rows.iter().map(|row| event_id(row, 0)).collect()
}

/// The events whose bodies are here already under the same key and within the window. Most of what
/// is known is that: LiveKit's next attempt.
async fn duplicates(
    tx: &Transaction<'_>,
    window_ms: i64,
    events: &[&NewEvent],
) -> Result<HashMap<EventId, EventId>, Fault> {
    if events.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<Id> = events.iter().map(|event| Id(event.id.to_bytes())).collect();
    let sources: Vec<_> = events.iter().map(|event| encode(&event.source)).collect();
    let keys: Vec<_> = events.iter().map(|event| encode(&event.dedupe_key)).collect();
    let hashes: Vec<&[u8]> = events.iter().map(|event| &event.body_sha256[..]).collect();
    let since: Vec<_> = events.iter().map(|event| since(event, window_ms)).collect();
    let same = |which| {
        format!(
            "(SELECT e.id FROM events e WHERE e.source = k.source AND e.dedupe_key = k.key \
             AND {which} AND e.received_at > k.since AND e.body_sha256 = k.hash \
             ORDER BY e.id LIMIT 1)"
        )
    };
    let sql = format!(
        "SELECT k.id, least({}, {}) FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[], \
         $4::BYTEA[], $5::BIGINT[]) AS k(id, source, key, hash, since)",
        same("e.is_first"),
        same("NOT e.is_first"),
    );
    let mut found: HashMap<EventId, EventId> = HashMap::new();
    for row in query(tx, &sql, &[&ids, &sources, &keys, &hashes, &since]).await? {
        if let Some(Id(of)) = row.try_get::<_, Option<Id>>(1)? {
            found.insert(event_id(&row, 0)?, EventId::from_bytes(of));
        }
    }
    Ok(found)
}

/// What becomes of an event whose key is known with another body, or was known before the window.
/// Under the lock of the key's first event, so that a conflict is stored once.
async fn compare(
    tx: &Transaction<'_>,
    window_ms: i64,
    event: &NewEvent,
) -> Result<Appended, Fault> {
    let (source, key) = (encode(&event.source), encode(&event.dedupe_key));
    let sql = "SELECT id FROM events WHERE source = $1 AND dedupe_key = $2 AND is_first FOR UPDATE";
    query(tx, sql, &[&source, &key]).await?;
    // An event of this very transaction has no plan yet: it is a proper one.
    let known = |which| {
        format!(
            "SELECT e.id, e.body_sha256, coalesce(p.state, 0)::SMALLINT \
             FROM events e LEFT JOIN plans p ON p.event = e.id WHERE e.source = $1 \
             AND e.dedupe_key = $2 AND {which} AND e.received_at > $3"
        )
    };
    // Written out, so that the partial indexes apply.
    let sql = format!("{} UNION ALL {} ORDER BY 1", known("e.is_first"), known("NOT e.is_first"));
    let mut answer = Appended::Stored;
    for row in query(tx, &sql, &[&source, &key, &since(event, window_ms)]).await? {
        let of = event_id(&row, 0)?;
        if row.try_get::<_, &[u8]>(1)? == event.body_sha256 {
            return Ok(Appended::Duplicate { of });
        }
        if answer == Appended::Stored && row.try_get::<_, i16>(2)? != 2 {
            answer = Appended::Conflict { of };
        }
    }
    let is_first = answer == Appended::Stored;
    if is_first {
        let sql = "UPDATE events SET is_first = false \
             WHERE source = $1 AND dedupe_key = $2 AND is_first";
        execute(tx, sql, &[&source, &key]).await?;
    }
    insert(tx, &[event], is_first).await?;
    Ok(answer)
}

/// Gives what was stored its place in its lane and in the queue for planning.
async fn plans(
    tx: &Transaction<'_>,
    events: &[&NewEvent],
    answers: &[Appended],
    delta: &mut Delta,
) -> Result<(), Fault> {
    let of = |wanted: fn(&Appended) -> bool| -> Vec<&NewEvent> {
        let pairs = events.iter().zip(answers);
        pairs.filter(|(_, answer)| wanted(answer)).map(|(event, _)| *event).collect()
    };
    let stored = of(|answer| matches!(answer, Appended::Stored));
    let conflicts = of(|answer| matches!(answer, Appended::Conflict { .. }));
    let mut next = places::give(tx, &stored).await?;
    let (mut ids, mut states, mut times) = (Vec::new(), Vec::new(), Vec::new());
    let (mut lanes, mut places) = (Vec::new(), Vec::new());
    for (event, state) in
        stored.iter().map(|event| (event, 0_i16)).chain(conflicts.iter().map(|event| (event, 2)))
    {
        let key = event.lane.as_deref().filter(|_| state == 0);
        let place = key.and_then(|key| next.get_mut(&(&*event.source, key)));
        places.push(place.map(|place| {
            *place += 1;
            *place
        }));
        lanes.push(key.map(|key| encode(&lane(None, &event.source, key)).into_owned()));
        ids.push(Id(event.id.to_bytes()));
        states.push(state);
        times.push(event.received_at.as_millis());
        delta.bytes += big(event.body.len()) + EVENT_BYTES;
    }
    delta.unplanned += big(stored.len());
    if ids.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO plans (event, state, plan_at, lane, sequence, is_bare) \
         SELECT *, true FROM unnest($1::UUID[], $2::SMALLINT[], $3::BIGINT[], $4::TEXT[], \
         $5::BIGINT[])";
    execute(tx, sql, &[&ids, &states, &times, &lanes, &places]).await?;
    Ok(())
}

/// Keeps an event of a copy. Of several under one key the one that came last is the first to be
/// found.
pub async fn insert_copy(
    tx: &Transaction<'_>,
    event: &NewEvent,
    is_conflict: bool,
) -> Result<(), Fault> {
    let mut is_first = !is_conflict;
    if is_first {
        let (source, key) = (encode(&event.source), encode(&event.dedupe_key));
        let received_at = event.received_at.as_millis();
        let sql = "UPDATE events SET is_first = false WHERE source = $1 AND dedupe_key = $2 \
             AND is_first AND received_at <= $3";
        execute(tx, sql, &[&source, &key, &received_at]).await?;
        let sql = "SELECT FROM events WHERE source = $1 AND dedupe_key = $2 AND is_first";
        is_first = query(tx, sql, &[&source, &key]).await?.is_empty();
    }
    insert(tx, &[event], is_first).await?;
    Ok(())
}

/// Keeps what cannot become an event.
pub async fn quarantine(
    tx: &Transaction<'_>,
    items: &[&Quarantined],
    delta: &mut Delta,
) -> Result<(), Fault> {
    for item in items {
        let sql = "INSERT INTO quarantine (id, source, reason, received_at, body) \
             VALUES ($1, $2, $3, $4, $5)";
        let (id, source) = (Id(item.id.to_bytes()), maybe(item.source.as_ref()));
        let received_at = item.received_at.as_millis();
        let reason = encode(&item.reason);
        execute(tx, sql, &[&id, &source, &reason, &received_at, &&*item.body]).await?;
        delta.quarantined += 1;
        delta.bytes += big(item.body.len()) + QUARANTINED_BYTES;
    }
    Ok(())
}

fn since(event: &NewEvent, window_ms: i64) -> i64 {
    event.received_at.plus_millis(-window_ms).as_millis()
}

fn event_id(row: &Row, column: usize) -> Result<EventId, Fault> {
    Ok(EventId::from_bytes(row.try_get::<_, Id>(column)?.0))
}
