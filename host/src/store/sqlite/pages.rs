//! Pages of events and deliveries, newest first, by filters. Each filter is read along the index
//! that narrows it most; what the index cannot tell is compared row by row.

use super::{read, rows};
use crate::store::{DeliveryFilter, EventFilter, Status, StoredDelivery, StoredEvent};
use rusqlite::{Connection, Result, Row, ToSql, params_from_iter};

/// A query under construction. Values stand in the order of their question marks.
pub struct Query {
    pub sql: String,
    pub values: Vec<Box<dyn ToSql>>,
}

/// What a delivery waits for decides which index has it.
const PENDING: [&str; 2] = [
    "INDEXED BY deliveries_due WHERE d.status = 0 AND d.held = 0",
    "INDEXED BY deliveries_held WHERE d.status = 0 AND d.held = 1",
];

pub fn events(conn: &Connection, filter: &EventFilter) -> Result<Vec<StoredEvent>> {
    run(conn, event_query(filter), rows::event)
}

pub fn deliveries(conn: &Connection, filter: &DeliveryFilter) -> Result<Vec<StoredDelivery>> {
    let mut found = Vec::new();
    for query in delivery_queries(filter) {
        found.extend(run(conn, query, rows::delivery)?);
    }
    found.sort_unstable_by_key(|delivery| std::cmp::Reverse(delivery.id));
    found.truncate(usize::try_from(read::page(filter.limit)).unwrap_or(1));
    Ok(found)
}

fn run<T>(conn: &Connection, query: Query, read: fn(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut statement = conn.prepare_cached(&query.sql)?;
    let values = query.values.iter().map(|value| value.to_sql()).collect::<Result<Vec<_>>>()?;
    statement.query_map(params_from_iter(values), read)?.collect()
}

pub fn event_query(filter: &EventFilter) -> Query {
    let mut query = Query { sql: format!("{} WHERE TRUE", rows::EVENT), values: Vec::new() };
    query.and("e.source = ?", filter.source.clone());
    query.and("e.kind = ?", filter.kind.clone());
    query.and("e.room = ?", filter.room.clone());
    query.and("e.received_at >= ?", filter.since.map(|at| at.as_millis()));
    query.and("e.id >= ?", filter.since.map(read::id_from));
    query.and("e.received_at < ?", filter.until.map(|at| at.as_millis()));
    query.and("e.id < ?", filter.until.map(read::id_until));
    query.and("e.id < ?", filter.before.map(|id| id.to_bytes()));
    query.newest_first("e.id", filter.limit)
}

/// One query, or two whose answers have to be merged.
pub fn delivery_queries(filter: &DeliveryFilter) -> Vec<Query> {
    let status = |status| format!(" AND d.status = {}", rows::status_column(status));
    let any = filter.status.map(status).unwrap_or_default();
    let from = match filter {
        DeliveryFilter { event: Some(_), .. } => {
            vec![format!("INDEXED BY deliveries_event WHERE TRUE{any}")]
        }
        DeliveryFilter { replay: Some(_), .. } => {
            vec![format!("INDEXED BY deliveries_replay WHERE d.replay IS NOT NULL{any}")]
        }
        DeliveryFilter { status: Some(Status::Pending), .. } => PENDING.map(str::to_owned).to_vec(),
        DeliveryFilter { status: Some(Status::Dead), .. }
        | DeliveryFilter { reason: Some(_), .. } => {
            vec![format!("INDEXED BY deliveries_dead WHERE d.status = 2{any}")]
        }
        DeliveryFilter { endpoint: Some(_), .. } => {
            vec![format!("INDEXED BY deliveries_endpoint WHERE TRUE{any}")]
        }
        _ => vec![format!("WHERE TRUE{any}")],
    };
    from.into_iter().map(|from| delivery_query(&from, filter)).collect()
}

fn delivery_query(from: &str, filter: &DeliveryFilter) -> Query {
    let sql = concat!(
        "SELECT ",
        rows::delivery_columns!("(SELECT name FROM endpoints WHERE id = d.endpoint)"),
        " FROM deliveries d "
    );
    let mut query = Query { sql: format!("{sql}{from}"), values: Vec::new() };
    let named = "d.endpoint = (SELECT id FROM endpoints WHERE name = ?)";
    query.and(named, filter.endpoint.clone());
    query.and("d.event = ?", filter.event.map(|id| id.to_bytes()));
    query.and("d.replay = ?", filter.replay.map(|id| id.to_bytes()));
    query.and("d.dead_reason = ?", filter.reason.map(|reason| reason.as_str()));
    query.and("d.kind = ?", filter.kind.clone());
    let of_event = |column: &str| {
        format!("EXISTS (SELECT 1 FROM events e WHERE e.id = d.event AND e.{column} = ?)")
    };
    query.and(&of_event("source"), filter.source.clone());
    query.and(&of_event("room"), filter.room.clone());
    query.and("d.created_at >= ?", filter.since.map(|at| at.as_millis()));
    query.and("d.id >= ?", filter.since.map(read::id_from));
    query.and("d.created_at < ?", filter.until.map(|at| at.as_millis()));
    query.and("d.id < ?", filter.until.map(read::id_until));
    query.and("d.id < ?", filter.before.map(|id| id.to_bytes()));
    query.newest_first("d.id", filter.limit)
}

// === impl Query ===

impl Query {
    fn and(&mut self, condition: &str, value: Option<impl ToSql + 'static>) {
        if let Some(value) = value {
            self.sql.push_str(" AND ");
            self.sql.push_str(condition);
            self.values.push(Box::new(value));
        }
    }

    fn newest_first(mut self, id: &str, limit: usize) -> Self {
        self.sql.push_str(&format!(" ORDER BY {id} DESC LIMIT ?"));
        self.values.push(Box::new(read::page(limit)));
        self
    }
}
