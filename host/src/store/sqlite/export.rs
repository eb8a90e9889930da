//! Pages of a copy. A cursor is a kind of row, one byte, and the key of the last one read; kinds go
//! in an order in which nothing points ahead.

use super::rows;
use crate::store::limits::{CLAIM_MAX, ClaimBytes};
use crate::store::plugin_state::Space;
use crate::store::{CopyCursor, Record, StoredEvent};
use bytes::Bytes;
use livekit_webhook_core::id::DeliveryId;
use rusqlite::{Connection, Params, Result, Row, params};

// Before the events, which they count.
const LANES: u8 = 0;
const EVENTS: u8 = 1;
const REPLAYS: u8 = 2;
const DELIVERIES: u8 = 3;
const ATTEMPTS: u8 = 4;
const QUARANTINE: u8 = 5;
const HEALTHS: u8 = 6;
const SECRETS: u8 = 7;
const PLUGIN_STATE: u8 = 8;

/// A page under way.
struct Page<'a> {
    conn: &'a Connection,
    records: Vec<Record>,
    bytes: ClaimBytes,
    last: Option<CopyCursor>,
}

/// Reads on behind `after`. The second is where to go on, `None` at the end.
pub fn export(
    conn: &mut Connection,
    after: Option<&CopyCursor>,
) -> Result<(Vec<Record>, Option<CopyCursor>)> {
    let tx = conn.transaction()?;
    let (from, key) = after.and_then(|cursor| cursor.0.split_first()).unwrap_or((&LANES, &[]));
    let mut page =
        Page { conn: &tx, records: Vec::new(), bytes: ClaimBytes::default(), last: after.cloned() };
    for kind in *from..=PLUGIN_STATE {
        let key = if kind == *from { key } else { &[] };
        if !page.read(kind, key)? {
            return Ok((page.records, page.last));
        }
    }
    Ok((page.records, None))
}

// === impl Page ===

impl Page<'_> {
    /// Rows of one kind behind `key`. False: the page is full.
    fn read(&mut self, kind: u8, key: &[u8]) -> Result<bool> {
        match kind {
            EVENTS => {
                let sql = rows::EVENT.replace(" FROM ", ", e.plan_at FROM ");
                let sql = format!("{sql} WHERE e.id > ?1 ORDER BY e.id");
                self.rows(kind, &sql, [key], event)
            }
            LANES => {
                let (source, key) = two_texts(key);
                let sql = "SELECT source, key, last, used_at FROM lanes \
                     WHERE (source, key) > (?1, ?2) ORDER BY source, key";
                self.rows(kind, sql, [source, key], lane)
            }
            REPLAYS => {
                let sql = format!("{} WHERE id > ?1 ORDER BY id", rows::REPLAY);
                self.rows(kind, &sql, [key], |row| {
                    let replay = rows::replay(row)?;
                    Ok((replay.id.to_bytes().to_vec(), 0, Record::Replay(replay)))
                })
            }
            DELIVERIES => self.rows(kind, DELIVERY, [key], delivery),
            ATTEMPTS => {
                let (id, number) = key.split_at(key.len().min(16));
                let number = number.try_into().map_or(-1, i64::from_be_bytes);
                let sql = rows::ATTEMPT.replace(" FROM ", ", delivery FROM ");
                let sql =
                    format!("{sql} WHERE (delivery, number) > (?1, ?2) ORDER BY delivery, number");
                self.rows(kind, &sql, params![id, number], attempt)
            }
            QUARANTINE => {
                let sql = format!("{} WHERE q.id > ?1 ORDER BY q.id", rows::QUARANTINED);
                self.rows(kind, &sql, [key], |row| {
                    let item = rows::quarantined(row)?;
                    Ok((item.id.to_bytes().to_vec(), item.body.len(), Record::Quarantined(item)))
                })
            }
            HEALTHS => {
                let number = key.try_into().map_or(-1, i64::from_be_bytes);
                let sql = format!("{} WHERE id > ?1 AND version > 0 ORDER BY id", rows::HEALTH);
                self.rows(kind, &sql, [number], |row| {
                    let number: i64 = row.get(0)?;
                    Ok((number.to_be_bytes().to_vec(), 0, Record::Health(rows::health(row)?)))
                })
            }
            SECRETS => {
                let sql = format!("{} WHERE id > ?1 ORDER BY id", rows::SECRET);
                self.rows(kind, &sql, [key], |row| {
                    let secret = rows::secret(row)?;
                    Ok((secret.id.to_bytes().to_vec(), secret.sealed.len(), Record::Secret(secret)))
                })
            }
            _ => {
                let (space, name) = key.split_at(key.len().min(8));
                let space = space.try_into().map_or(-1, i64::from_be_bytes);
                self.rows(kind, STATE, params![space, name], plugin_state)
            }
        }
    }

    fn rows(
        &mut self,
        kind: u8,
        sql: &str,
        values: impl Params,
        read: impl Fn(&Row<'_>) -> Result<(Vec<u8>, usize, Record)>,
    ) -> Result<bool> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut found = statement.query(values)?;
        while let Some(row) = found.next()? {
            let (key, weight, record) = read(row)?;
            if self.records.len() == CLAIM_MAX || !self.bytes.fits(weight) {
                return Ok(false);
            }
            self.records.push(record);
            self.last = Some(CopyCursor([&[kind], &key[..]].concat()));
        }
        Ok(true)
    }
}

const DELIVERY: &str = concat!(
    "SELECT ",
    rows::delivery_columns!("(SELECT name FROM endpoints WHERE id = d.endpoint)"),
    ", (SELECT bytes FROM bodies WHERE id = d.body) FROM deliveries d WHERE d.id > ?1 ORDER BY d.id"
);

fn event(row: &Row<'_>) -> Result<(Vec<u8>, usize, Record)> {
    let StoredEvent { event, sequence, plan, plan_attempts, settled, note } = rows::event(row)?;
    let plan_at = rows::time(row, rows::EVENT_WIDTH)?;
    let (key, weight) = (event.id.to_bytes().to_vec(), event.body.len());
    let record = Record::Event { event, sequence, plan, plan_at, plan_attempts, settled, note };
    Ok((key, weight, record))
}

const STATE: &str = "SELECT s.space, s.key, s.value, s.version, s.expires_at, p.plugin, p.source \
     FROM plugin_state s JOIN plugin_spaces p ON p.id = s.space \
     WHERE (s.space, s.key) > (?1, ?2) ORDER BY s.space, s.key";

fn plugin_state(row: &Row<'_>) -> Result<(Vec<u8>, usize, Record)> {
    let (number, key, stored) =
        (row.get::<_, i64>(0)?, rows::state_key(row, 1)?, rows::stored_state(row, 2)?);
    let space = Space { plugin: row.get(5)?, source: row.get(6)? };
    let place = [&number.to_be_bytes(), key.as_bytes()].concat();
    let weight = stored.entry.value.len();
    Ok((place, weight, Record::PluginState { space, key, stored }))
}

fn lane(row: &Row<'_>) -> Result<(Vec<u8>, usize, Record)> {
    let (source, key): (String, String) = (row.get(0)?, row.get(1)?);
    let place = [source.as_bytes(), &[0], key.as_bytes()].concat();
    let (sequence, used_at) = (row.get(2)?, rows::time(row, 3)?);
    Ok((place, 0, Record::Lane { source, key, sequence, used_at }))
}

fn delivery(row: &Row<'_>) -> Result<(Vec<u8>, usize, Record)> {
    let delivery = rows::delivery(row)?;
    let body: Option<Vec<u8>> = row.get(rows::DELIVERY_WIDTH)?;
    let (key, weight) = (delivery.id.to_bytes().to_vec(), body.as_ref().map_or(0, Vec::len));
    Ok((key, weight, Record::Delivery { delivery, body: body.map(Bytes::from) }))
}

fn attempt(row: &Row<'_>) -> Result<(Vec<u8>, usize, Record)> {
    let attempt = rows::attempt(row)?;
    let delivery: [u8; 16] = row.get(rows::ATTEMPT_WIDTH)?;
    let key = [&delivery[..], &i64::from(attempt.number).to_be_bytes()].concat();
    let delivery = DeliveryId::from_bytes(delivery);
    Ok((key, attempt.response_start.len(), Record::Attempt { delivery, attempt }))
}

/// The two names of a lane's key. A name has no zero byte.
fn two_texts(key: &[u8]) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let end = key.iter().position(|byte| *byte == 0).unwrap_or(key.len());
    (text(&key[..end]), text(key.get(end + 1..).unwrap_or_default()))
}
