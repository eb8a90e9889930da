//! That calls read what they return, along an index, whatever else is stored.

use super::*;
use crate::store::conformance::quota;
use crate::store::{DeliveryFilter, EventFilter, Quota, Status};
use livekit_webhook_core::batch::Batching;
use livekit_webhook_core::delivery::DeadReason;
use livekit_webhook_core::id::ReplayId;
use rusqlite::params;

/// The steps of SQLite's plan for `sql`.
fn plan(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let values = vec![rusqlite::types::Value::Null; statement.parameter_count()];
    let steps = statement.query_map(rusqlite::params_from_iter(values), |row| row.get(3));
    steps.unwrap().map(Result::unwrap).collect()
}

#[test]
fn the_way_of_an_event_reads_indexes_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    drop(open(&path));
    let conn = Connection::open(&path).unwrap();
    for (sql, expect) in [
        (claim::waiting::DUE, "deliveries USING COVERING INDEX deliveries_due (endpoint=? AND due"),
        (claim::waiting::BATCH, "deliveries USING INDEX deliveries_batch (batch=?)"),
        (claim::UNPLANNED, "events USING COVERING INDEX events_unplanned (plan_at<?)"),
        (
            lanes::OWED,
            "deliveries USING COVERING INDEX deliveries_lane (lane=? AND endpoint=? AND h",
        ),
        (
            lanes::ENDPOINTS,
            "deliveries USING COVERING INDEX deliveries_lane (lane=? AND endpoint>?",
        ),
        (write::prune::DELIVERED, "deliveries USING INDEX deliveries_delivered (updated_at<?)"),
        (write::prune::DEAD, "deliveries USING INDEX deliveries_dead (updated_at<?)"),
        (write::prune::IDLE, "lanes USING COVERING INDEX lanes_idle (used_at<?)"),
        (candidates::EVENTS, "events USING PRIMARY KEY (id>? AND id<?)"),
        (
            read::STATE_KEYS,
            "plugin_state USING INDEX sqlite_autoindex_plugin_state_1 (space=? AND key>? AND key<?)",
        ),
        (
            write::plugin_state::EXPIRED,
            "plugin_state USING COVERING INDEX plugin_state_expiry (space=? AND expires_at>? AND ex",
        ),
    ] {
        let steps = plan(&conn, sql);
        assert_eq!(steps.len(), 1, "{sql}: {steps:?}");
        assert!(steps[0].starts_with(&format!("SEARCH {expect}")), "{sql}: {steps:?}");
    }
    for sql in [claim::waiting::WEIGHT, candidates::FATES, lanes::BLOCKED] {
        let steps = plan(&conn, sql);
        let scans = steps.iter().filter(|step| step.starts_with("SCAN ") && *step != CONSTANT);
        assert_eq!(scans.count(), 0, "{sql}: {steps:?}");
    }
}

/// Of each endpoint the first row, however many there are.
#[tokio::test]
async fn a_backlog_costs_a_gauge_nothing() {
    let (_folder, store) = backlog().await;
    let run = |conn: &mut Connection| {
        let oldest = read::oldest(conn, later(1 << 30))?;
        let statement = conn.prepare_cached(read::OLDEST)?;
        Ok((oldest.due_at, statement.get_status(rusqlite::StatementStatus::VmStep)))
    };
    let (due_at, count) = store.read(run).await.unwrap();
    assert_eq!(due_at, Some(later(1 - 200_000)));
    assert!(count < 200, "{count} steps");
}

/// A row of no table.
const CONSTANT: &str = "SCAN CONSTANT ROW";

#[test]
fn pages_are_read_along_the_index_that_narrows_most() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    drop(open(&path));
    let conn = Connection::open(&path).unwrap();
    let any = DeliveryFilter { limit: 9, ..DeliveryFilter::default() };
    let of_a = DeliveryFilter { endpoint: Some("a".to_owned()), ..any.clone() };
    let dead = DeliveryFilter { status: Some(Status::Dead), ..of_a.clone() };
    let reason = Some(DeadReason::Gone);
    let ranged = DeliveryFilter { since: Some(START), until: Some(later(9)), ..any.clone() };
    let event = DeliveryFilter { event: Some(event(1).id), ..dead.clone() };
    let replay = DeliveryFilter { replay: Some(ReplayId::new(1, 1)), ..of_a.clone() };
    for (filter, expect) in [
        (any.clone(), "SCAN d"),
        (ranged, "SEARCH d USING PRIMARY KEY (id>? AND id<?)"),
        (of_a, "SEARCH d USING INDEX deliveries_endpoint (endpoint=?)"),
        (dead, "SCAN d USING INDEX deliveries_dead"),
        (DeliveryFilter { reason, ..any }, "SCAN d USING INDEX deliveries_dead"),
        (event, "SEARCH d USING INDEX deliveries_event (event=?"),
        (replay, "SEARCH d USING INDEX deliveries_replay (replay=?"),
    ] {
        let queries = pages::delivery_queries(&filter);
        assert_eq!(queries.len(), 1);
        let steps = plan(&conn, &queries[0].sql);
        assert!(steps[0].starts_with(expect), "{filter:?}: {steps:?}");
    }
    let pending = Some(Status::Pending);
    let pending = DeliveryFilter { status: pending, limit: 9, ..DeliveryFilter::default() };
    for (query, index) in pages::delivery_queries(&pending).iter().zip(["due", "held"]) {
        let steps = plan(&conn, &query.sql);
        assert_eq!(steps[0], format!("SCAN d USING INDEX deliveries_{index}"), "{steps:?}");
    }
    let ranged = EventFilter { since: Some(START), limit: 9, ..EventFilter::default() };
    let steps = plan(&conn, &pages::event_query(&ranged).sql);
    assert!(steps[0].starts_with("SEARCH e USING PRIMARY KEY (id>?"), "{steps:?}");
}

/// A hundred thousand that wait, and as many behind each other in one lane.
async fn backlog() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&file(&folder));
    planned(&store, 1, vec![delivery(1, "a")]).await;
    let event = event(1).id.to_bytes();
    let fill = move |scope: &mut Scope<'_>| {
        let sql = "WITH RECURSIVE n(i) AS \
             (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
             INSERT INTO deliveries (id, event, endpoint, webhook_id, kind, status, due_at, \
             attempts, created_at, updated_at, lane, sequence, held) \
             SELECT randomblob(16), ?1, 1, 'wh', 'k', 0, ?2 + i, 0, 0, 0, ?3, i, ?3 IS NOT NULL \
             FROM n";
        let start = START.as_millis();
        scope.conn.execute(sql, params![event, start, None::<String>])?;
        scope.effects.lanes.delivery("prod/r", 1);
        scope.conn.execute(sql, params![event, start - 200_000, "prod/r"])
    };
    assert_eq!(store.send(Written::Upkeep, fill).await.unwrap(), 100_000);
    (folder, store)
}

/// Claims with `quota` and counts the steps of SQLite's machine that `sql` took.
async fn steps(store: &SqliteStore, quota: Quota, sql: &'static str) -> (usize, i32) {
    let shared = Arc::clone(&store.shared);
    let run = move |conn: &mut Connection| {
        let claims = claim::due(conn, &shared, later(1 << 30), 30_000, &[quota])?;
        let statement = conn.prepare_cached(sql)?;
        let steps = statement.get_status(rusqlite::StatementStatus::VmStep);
        statement.reset_status(rusqlite::StatementStatus::VmStep);
        Ok((claims.claims.len(), steps))
    };
    store.read(run).await.unwrap()
}

#[tokio::test]
async fn a_backlog_costs_a_claim_nothing() {
    let (_folder, store) = backlog().await;
    let (claims, count) = steps(&store, quota("a", 64), claim::waiting::DUE).await;
    assert_eq!(claims, 64);
    assert!(count < 64 * 20, "{count} steps");
    let batching = Batching::new(10, 1_000).ok();
    let batched = Quota { batching, ..quota("a", 4) };
    let (claims, count) = steps(&store, batched, claim::waiting::DUE).await;
    assert_eq!(claims, 40);
    assert!(count < (64 + 40) * 20, "{count} steps");
}

/// Putting a lane in order looks at its head only.
#[tokio::test]
async fn a_long_lane_costs_a_record_nothing() {
    let (_folder, store) = backlog().await;
    let head = claim_due(&store, later(-1), "a", 9).await;
    assert_eq!(head.len(), 1, "only the head of the lane is due so early");
    assert_eq!(head[0].item.delivery.sequence, Some(1));
    let done = crate::store::conformance::result(
        &head[0],
        200,
        livekit_webhook_core::delivery::Next::Delivered,
    );
    let count = store
        .send(Written::Attempt, move |scope| {
            write::attempts(scope, START, std::slice::from_ref(&done))?;
            lanes::put_in_order(scope)?;
            let statement = scope.conn.prepare_cached(lanes::OWED)?;
            Ok(statement.get_status(rusqlite::StatementStatus::VmStep))
        })
        .await
        .unwrap();
    assert!(count < 200, "{count} steps");
    let next = claim_due(&store, later(-1), "a", 9).await;
    assert_eq!(next[0].item.delivery.sequence, Some(2));
}
