//! Space, and what a damaged file is told to be.

use super::*;
use crate::store::conformance::plan;
use crate::store::{Finding, Retention};

const ALL: Retention =
    Retention { delivered_ms: 0, dead_ms: 0, quarantined_ms: 0, lanes_ms: 0, bytes_max: None };

#[tokio::test]
async fn what_is_pruned_gives_its_space_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let store = open(&path);
    let empty = store.size_bytes().await.unwrap();
    for number in 1..=20 {
        let body = vec![b'x'; 100_000];
        store.append(NewEvent { body: body.into(), ..event(number) }).await.unwrap();
        let claim = claim_event(&store).await;
        store.record_plans(START, vec![plan(&claim, vec![])]).await.unwrap();
    }
    let full = store.size_bytes().await.unwrap();
    assert!(full >= empty + 2_000_000, "{empty} to {full}");
    let mut steps = 0;
    while store.prune(later(1_000), &ALL, 3).await.unwrap().is_more {
        steps += 1;
        assert!(steps < 20);
    }
    assert!(steps > 3, "in steps of three");
    let pruned = store.size_bytes().await.unwrap();
    assert!(pruned < empty + 100_000, "{pruned} after {empty}");
    let file_bytes = || std::fs::metadata(&path).unwrap().len();
    store.vacuum().await.unwrap();
    assert!(file_bytes() < empty + 100_000, "{} after {empty}", file_bytes());
    assert_eq!(store.check().await.unwrap(), []);
    store.append(event(30)).await.unwrap();
}

/// Each is broken by hand, and each is found.
#[tokio::test]
async fn damage_is_told() {
    let breaks = [
        ("DELETE FROM bodies", "1 events have no body"),
        ("DELETE FROM events", "1 deliveries have no event"),
        ("DELETE FROM endpoints", "1 deliveries have no endpoint"),
        ("INSERT INTO bodies (bytes) VALUES (x'00')", "1 bodies belong to nobody"),
        ("UPDATE deliveries SET held = 1", "1 deliveries are held outside of a lane"),
        (
            "UPDATE deliveries SET held = 1, lane = 'prod/r'",
            "1 lanes stand still with nothing before them",
        ),
        (
            "INSERT INTO lanes (source, key, last, used_at, events) VALUES ('prod', 'r', 1, 0, 1)",
            "1 lanes count other events than there are",
        ),
        ("UPDATE deliveries SET status = 1", "1 deliveries were delivered without an attempt"),
        ("UPDATE store SET pending = 7", "6 deliveries that are owed are counted wrong"),
    ];
    for (sql, words) in breaks {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&file(&folder));
        planned(&store, 1, vec![delivery(1, "a")]).await;
        assert_eq!(store.check().await.unwrap(), []);
        store.send(Written::Upkeep, move |scope| scope.conn.execute(sql, [])).await.unwrap();
        let found = store.check().await.unwrap();
        assert!(found.contains(&Finding(words.to_owned())), "{sql}: {found:?}");
    }
}

/// A batch of attempts alone is not synced at once, and soon after.
#[tokio::test]
async fn a_commit_that_waits_for_its_sync_is_seen_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let store = open(&path);
    planned(&store, 1, vec![delivery(1, "a")]).await;
    let level = |conn: &Connection| conn.query_row("PRAGMA synchronous", [], |row| row.get(0));
    let of_plan: i64 = store.send(Written::Plan, move |scope| level(scope.conn)).await.unwrap();
    let of_append: i64 = store.send(Written::Append, move |scope| level(scope.conn)).await.unwrap();
    let of_upkeep: i64 = store.send(Written::Upkeep, move |scope| level(scope.conn)).await.unwrap();
    const NORMAL: i64 = 1;
    const FULL: i64 = 2;
    assert_eq!((of_plan, of_append, of_upkeep), (NORMAL, FULL, FULL));
    let reader = SqliteStore::open_reader(&path).unwrap();
    assert_eq!(reader.depth().await.unwrap().pending, 1);
}
