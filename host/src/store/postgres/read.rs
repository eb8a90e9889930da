//! What people ask for: pages, newest first.

use super::connect::{one, query};
use super::fault::Fault;
use super::types::{Id, big, count, encode, maybe_time, text};
use super::{rows, types};
use crate::store::{
    AttemptRecord, DeliveryFilter, EventFilter, Oldest, PAGE_MAX, Quarantined, StoredDelivery,
    StoredEvent,
};
use deadpool_postgres::GenericClient;
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;
use std::fmt::Write as _;
use tokio_postgres::types::ToSql;

/// A statement that grows by conditions.
struct Sql {
    text: String,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

// === impl Sql ===

impl Sql {
    fn new(text: &str) -> Self {
        Self { text: format!("{text} WHERE true"), values: Vec::new() }
    }

    /// A condition whose `?` is `value`, if there is one.
    fn and<T: ToSql + Sync + Send + 'static>(&mut self, condition: &str, value: Option<T>) {
        if let Some(value) = value {
            self.values.push(Box::new(value));
            let place = format!("${}", self.values.len());
            // Writing to a text does not fail.
            let _ = write!(self.text, " AND {}", condition.replace('?', &place));
        }
    }

    async fn page(
        mut self,
        client: &impl GenericClient,
        order: &str,
        limit: usize,
    ) -> Result<Vec<tokio_postgres::Row>, Fault> {
        let limit = big(limit.clamp(1, PAGE_MAX));
        let _ = write!(self.text, " ORDER BY {order} DESC LIMIT {limit}");
        let values: Vec<&(dyn ToSql + Sync)> =
            self.values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect();
        // Not kept prepared: there are as many as there are questions.
        Ok(client.query(&self.text, &values).await?)
    }
}

fn owned(text: Option<&String>) -> Option<String> {
    text.map(|text| encode(text).into_owned())
}

pub async fn pending_by_endpoint(client: &impl GenericClient) -> Result<Vec<(String, u64)>, Fault> {
    let sql = "SELECT n.name, p.count FROM endpoints n CROSS JOIN LATERAL (SELECT count(*) \
         FROM deliveries d WHERE d.endpoint = n.id AND d.status = 0) p WHERE p.count > 0 \
         ORDER BY n.name COLLATE \"C\"";
    let rows = query(client, sql, &[]).await?;
    rows.iter().map(|row| Ok((text(row, 0)?, count(row, 1)?))).collect()
}

/// What has waited for the longest, by the first row of each endpoint. What is held in a lane waits
/// for the first of the lane, and is told by it.
pub async fn oldest(client: &impl GenericClient, now: Timestamp) -> Result<Oldest, Fault> {
    let sql = "SELECT (SELECT min(f.due_at) FROM endpoints n CROSS JOIN LATERAL ( \
         SELECT d.due_at FROM deliveries d WHERE d.endpoint = n.id AND d.status = 0 \
         AND NOT d.is_held AND d.due_at <= $1 ORDER BY d.due_at LIMIT 1) f), \
         (SELECT min(d.updated_at) FROM deliveries d WHERE d.status = 2)";
    let row = one(client, sql, &[&now.as_millis()]).await?;
    Ok(Oldest { due_at: maybe_time(&row, 0)?, dead_at: maybe_time(&row, 1)? })
}

pub async fn event(client: &impl GenericClient, id: EventId) -> Result<Option<StoredEvent>, Fault> {
    let sql = format!("{} WHERE e.id = $1", rows::EVENT);
    let rows = query(client, &sql, &[&Id(id.to_bytes())]).await?;
    rows.first().map(rows::event).transpose()
}

pub async fn events(
    client: &impl GenericClient,
    filter: &EventFilter,
) -> Result<Vec<StoredEvent>, Fault> {
    let mut sql = Sql::new(rows::EVENT);
    sql.and("e.id < ?", filter.before.map(|id| Id(id.to_bytes())));
    sql.and("e.source = ?", owned(filter.source.as_ref()));
    sql.and("e.kind = ?", owned(filter.kind.as_ref()));
    sql.and("e.room = ?", owned(filter.room.as_ref()));
    sql.and("e.received_at >= ?", filter.since.map(|at| at.as_millis()));
    sql.and("e.received_at < ?", filter.until.map(|at| at.as_millis()));
    let page = sql.page(client, "e.id", filter.limit).await?;
    page.iter().map(rows::event).collect()
}

pub async fn deliveries(
    client: &impl GenericClient,
    filter: &DeliveryFilter,
) -> Result<Vec<StoredDelivery>, Fault> {
    let needs_event = filter.source.is_some() || filter.room.is_some();
    let events = if needs_event { " JOIN events e ON e.id = d.event" } else { "" };
    let mut sql = Sql::new(&format!("{}{events}", rows::DELIVERY));
    sql.and("d.id < ?", filter.before.map(|id| Id(id.to_bytes())));
    sql.and("n.name = ?", owned(filter.endpoint.as_ref()));
    sql.and("d.event = ?", filter.event.map(|id| Id(id.to_bytes())));
    sql.and("d.status = ?", filter.status.map(rows::status_column));
    sql.and("d.status = 2 AND d.dead_reason = ?", filter.reason.map(|reason| reason.as_str()));
    sql.and("d.kind = ?", owned(filter.kind.as_ref()));
    sql.and("e.source = ?", owned(filter.source.as_ref()));
    sql.and("e.room = ?", owned(filter.room.as_ref()));
    sql.and("d.replay = ?", filter.replay.map(|id| Id(id.to_bytes())));
    sql.and("d.created_at >= ?", filter.since.map(|at| at.as_millis()));
    sql.and("d.created_at < ?", filter.until.map(|at| at.as_millis()));
    let page = sql.page(client, "d.id", filter.limit).await?;
    page.iter().map(rows::delivery).collect()
}

pub async fn attempts(
    client: &impl GenericClient,
    delivery: DeliveryId,
) -> Result<Vec<AttemptRecord>, Fault> {
    let sql = format!("{} WHERE a.delivery = $1 ORDER BY a.number", rows::ATTEMPT);
    let rows = query(client, &sql, &[&Id(delivery.to_bytes())]).await?;
    rows.iter().map(rows::attempt).collect()
}

pub async fn quarantined(
    client: &impl GenericClient,
    limit: usize,
) -> Result<Vec<Quarantined>, Fault> {
    let sql = format!("{} ORDER BY q.id DESC LIMIT $1", rows::QUARANTINED);
    let limit = types::big(limit.clamp(1, PAGE_MAX));
    let rows = query(client, &sql, &[&limit]).await?;
    rows.iter().map(rows::quarantined).collect()
}
