//! The counters of lanes: places given, events that have one, and their end.
//!
//! A counter counts the events that have a place in its lane and are stored, each in the
//! transaction that brings or removes it. So it goes only when there is none, and two that are
//! stored never have the same place, though a lane that begins again begins at 1. Whoever changes
//! several locks them in their order, after events and before the sums of all rows, so that nobody
//! waits in a ring.

use super::connect::{execute, query};
use super::fault::Fault;
use super::types::encode;
use crate::store::NewEvent;
use deadpool_postgres::Transaction;
use livekit_webhook_core::time::Timestamp;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// A source and a key.
type Lane<'a> = (&'a str, &'a str);

/// Places given to events of one lane.
struct Given {
    events: i64,
    used_at: Timestamp,
}

/// Events that are gone, of each lane they had a place in.
#[derive(Default)]
pub struct Gone(BTreeMap<(String, String), i64>);

/// A counter of a copy.
struct Copied {
    sequence: i64,
    used_at: Timestamp,
    events: i64,
    /// Whether the counter itself was copied, and not only events of its lane.
    is_whole: bool,
}

/// Counters of a copy.
#[derive(Default)]
pub struct Copy(BTreeMap<(String, String), Copied>);

/// The last sequence before these events, of each lane they are in. The lane is locked until the
/// commit: its sequences are committed in order, and none is used twice.
pub async fn give<'a>(
    tx: &Transaction<'_>,
    events: &[&'a NewEvent],
) -> Result<HashMap<Lane<'a>, i64>, Fault> {
    let mut lanes: BTreeMap<Lane<'a>, Given> = BTreeMap::new();
    for event in events {
        if let Some(key) = &event.lane {
            let first = Given { events: 0, used_at: event.received_at };
            let given = lanes.entry((&event.source, key)).or_insert(first);
            given.events += 1;
            given.used_at = given.used_at.max(event.received_at);
        }
    }
    if lanes.is_empty() {
        return Ok(HashMap::new());
    }
    let (sources, keys) = columns(lanes.keys().copied());
    let added: Vec<i64> = lanes.values().map(|given| given.events).collect();
    let used_at: Vec<i64> = lanes.values().map(|given| given.used_at.as_millis()).collect();
    let sql = "INSERT INTO lanes (source, key, sequence, used_at, events) \
         SELECT source, key, added, used_at, added \
         FROM unnest($1::TEXT[], $2::TEXT[], $3::BIGINT[], $4::BIGINT[]) WITH ORDINALITY \
         AS l(source, key, added, used_at, place) ORDER BY place \
         ON CONFLICT (source, key) DO UPDATE SET sequence = lanes.sequence + excluded.sequence, \
         used_at = greatest(lanes.used_at, excluded.used_at), \
         events = lanes.events + excluded.events RETURNING sequence";
    let rows = query(tx, sql, &[&sources, &keys, &added, &used_at]).await?;
    let mut before = HashMap::new();
    // Returned in the order of insertion.
    for ((lane, added), row) in lanes.keys().zip(added).zip(&rows) {
        before.insert(*lane, row.try_get::<_, i64>(0)? - added);
    }
    Ok(before)
}

/// Removes at most `most` counters of lanes that nothing is stored of and that were last used until
/// `used_by`. One that is being used again is left to whoever has it.
pub async fn prune(tx: &Transaction<'_>, used_by: i64, most: i64) -> Result<u64, Fault> {
    let sql = "WITH idle AS (SELECT source, key FROM lanes WHERE idle_since <= $1 \
         ORDER BY idle_since LIMIT $2 FOR UPDATE SKIP LOCKED) \
         DELETE FROM lanes l USING idle WHERE l.source = idle.source AND l.key = idle.key";
    execute(tx, sql, &[&used_by, &most]).await
}

fn columns<'a>(
    lanes: impl Iterator<Item = Lane<'a>> + Clone,
) -> (Vec<Cow<'a, str>>, Vec<Cow<'a, str>>) {
    let sources = lanes.clone().map(|(source, _)| encode(source)).collect();
    (sources, lanes.map(|(_, key)| encode(key)).collect())
}

// === impl Gone ===

impl Gone {
    /// An event of this lane.
    pub fn add(&mut self, source: String, key: String) {
        *self.0.entry((source, key)).or_default() += 1;
    }

    /// Counts them no more.
    pub async fn write(self, tx: &Transaction<'_>) -> Result<(), Fault> {
        if self.0.is_empty() {
            return Ok(());
        }
        let lanes = self.0.keys().map(|(source, key)| (source.as_str(), key.as_str()));
        let (sources, keys) = columns(lanes);
        let counts: Vec<i64> = self.0.values().copied().collect();
        let sql = "SELECT FROM unnest($1::TEXT[], $2::TEXT[]) WITH ORDINALITY \
             AS g(source, key, place) JOIN lanes l ON l.source = g.source AND l.key = g.key \
             ORDER BY g.place FOR UPDATE OF l";
        query(tx, sql, &[&sources, &keys]).await?;
        let sql = "UPDATE lanes l SET events = l.events - g.count \
             FROM unnest($1::TEXT[], $2::TEXT[], $3::BIGINT[]) AS g(source, key, count) \
             WHERE l.source = g.source AND l.key = g.key";
        execute(tx, sql, &[&sources, &keys, &counts]).await?;
        Ok(())
    }
}

// === impl Copy ===

impl Copy {
    /// A counter.
    pub fn counter(&mut self, source: &str, key: &str, sequence: i64, used_at: Timestamp) {
        let whole = Copied { sequence, used_at, events: 0, is_whole: true };
        self.add(source, key, whole);
    }

    /// An event with a place.
    pub fn event(&mut self, event: &NewEvent, sequence: Option<i64>) {
        if let (Some(key), Some(sequence)) = (&event.lane, sequence) {
            let used_at = event.received_at;
            let part = Copied { sequence, used_at, events: 1, is_whole: false };
            self.add(&event.source, key, part);
        }
    }

    fn add(&mut self, source: &str, key: &str, more: Copied) {
        let lane = (source.to_owned(), key.to_owned());
        let Some(known) = self.0.get_mut(&lane) else {
            self.0.insert(lane, more);
            return;
        };
        known.sequence = known.sequence.max(more.sequence);
        known.used_at = known.used_at.max(more.used_at);
        known.events += more.events;
        known.is_whole |= more.is_whole;
    }

    /// Writes them, none back: of two that are stored none may get the same place. Tells how many
    /// counters that were copied were new.
    pub async fn write(self, tx: &Transaction<'_>) -> Result<u64, Fault> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let lanes = self.0.keys().map(|(source, key)| (source.as_str(), key.as_str()));
        let (sources, keys) = columns(lanes);
        let column = |get: fn(&Copied) -> i64| -> Vec<i64> { self.0.values().map(get).collect() };
        let sequences = column(|copied| copied.sequence);
        let used_at = column(|copied| copied.used_at.as_millis());
        let events = column(|copied| copied.events);
        let sql = "INSERT INTO lanes (source, key, sequence, used_at, events) \
             SELECT source, key, sequence, used_at, events FROM unnest($1::TEXT[], $2::TEXT[], \
             $3::BIGINT[], $4::BIGINT[], $5::BIGINT[]) WITH ORDINALITY \
             AS l(source, key, sequence, used_at, events, place) ORDER BY place \
             ON CONFLICT (source, key) DO UPDATE \
             SET sequence = greatest(lanes.sequence, excluded.sequence), \
             used_at = greatest(lanes.used_at, excluded.used_at), \
             events = lanes.events + excluded.events RETURNING xmax = 0";
        let rows = query(tx, sql, &[&sources, &keys, &sequences, &used_at, &events]).await?;
        let mut new = 0;
        // Returned in the order of insertion.
        for (copied, row) in self.0.values().zip(&rows) {
            new += u64::from(copied.is_whole && row.try_get(0)?);
        }
        Ok(new)
    }
}
