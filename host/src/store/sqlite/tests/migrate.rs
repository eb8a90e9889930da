//! Files of older versions.

use super::*;
use crate::store::Retention;
use crate::store::conformance::{claim_due, stored};
use livekit_webhook_core::attempt::Outcome;
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_core::time::Timestamp;

/// A file as version 1 left it: three events of one lane and one of none, planned, unplanned and a
/// conflict, with deliveries in all three states.
fn version_1(path: &Path) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(include_str!("../schema/1.sql")).unwrap();
    conn.pragma_update(None, "user_version", 1).unwrap();
    for (number, plan, lane) in [(1, 1, "r"), (2, 2, "r"), (3, 0, "r"), (4, 1, "")] {
        let event = event(number);
        let sql = "INSERT INTO bodies VALUES (?1, ?2)";
        conn.execute(sql, rusqlite::params![number, &event.body[..]]).unwrap();
        let sql = "INSERT INTO events VALUES (?1, 'prod', ?2, 'room_started', NULL, \
             nullif(?3, ''), NULL, ?4, 'APIabc', ?5, ?6, ?7, ?4, 0, '', NULL)";
        let received_at = event.received_at.as_millis();
        let (id, hash) = (event.id.to_bytes(), event.body_sha256);
        let values = rusqlite::params![id, number, lane, received_at, number, hash, plan];
        conn.execute(sql, values).unwrap();
    }
    conn.execute("INSERT INTO endpoints VALUES (1, 'a')", []).unwrap();
    for (number, of, status, reason) in [(1, 1, 1, None), (2, 4, 0, None), (3, 4, 2, Some("gone"))]
    {
        let (id, of) = (delivery(number, "a").id.to_bytes(), event(of).id.to_bytes());
        let sql = "INSERT INTO deliveries VALUES (?1, ?2, 1, ?3, 'room_started', NULL, ?4, ?5, ?6, \
             ?7, 0, 0, NULL)";
        let attempts = i64::from(status > 0);
        let start = START.as_millis();
        let values = rusqlite::params![id, of, number, status, reason, start, attempts];
        conn.execute(sql, values).unwrap();
        if attempts > 0 {
            let sql =
                "INSERT INTO attempts VALUES (?1, 1, ?2, 12, 200, NULL, NULL, NULL, x'', NULL)";
            conn.execute(sql, rusqlite::params![id, start]).unwrap();
        }
    }
}

#[tokio::test]
async fn a_file_of_version_1_is_brought_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    version_1(&path);
    let command = SqliteStore::open_reader(&path);
    assert!(matches!(command, Err(OpenError::Older { found: 1, known: schema::VERSION })));

    let store = open(&path);
    let depth = store.depth().await.unwrap();
    assert_eq!((depth.unplanned, depth.pending, depth.dead), (1, 1, 1));
    let mut sequences = Vec::new();
    for number in 1..=4 {
        sequences.push(store.event(event(number).id).await.unwrap().unwrap().sequence);
    }
    assert_eq!(sequences, [Some(1), None, Some(2), None]);
    assert_eq!(stored(&store, delivery(1, "a").id).await.sequence, Some(1));
    let dead = stored(&store, delivery(3, "a").id).await;
    assert_eq!(dead.state, State::Dead(DeadReason::Gone));
    assert!(dead.headers.is_empty());
    let attempts = store.attempts(dead.id).await.unwrap();
    assert_eq!(attempts[0].outcome, Outcome::Answered { status: 200, retry_after_ms: None });
    assert_eq!(claim_due(&store, START, "a", 9).await.len(), 1);
    // Places go on where they were.
    let next = NewEvent { lane: Some("r".to_owned()), ..event(5) };
    store.append(next).await.unwrap();
    assert_eq!(store.event(event(5).id).await.unwrap().unwrap().sequence, Some(3));
    assert_eq!(store.check().await.unwrap(), []);
    drop(store);
    // A second time there is nothing to do.
    assert_eq!(open(&path).check().await.unwrap(), []);
}

/// What is in use is counted; what is not in use by now is kept from now on.
#[tokio::test]
async fn counters_of_lanes_come_along() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    version_1(&path);
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch(include_str!("../schema/2.sql")).unwrap();
    conn.execute_batch(include_str!("../schema/3.sql")).unwrap();
    conn.execute_batch("INSERT INTO lanes VALUES ('prod', 'gone', 7)").unwrap();
    conn.pragma_update(None, "user_version", 3).unwrap();
    drop(conn);
    let store = open(&path);
    assert_eq!(store.check().await.unwrap(), []);
    let counters = |conn: &mut Connection| {
        let sql = "SELECT key, last, used_at, events FROM lanes ORDER BY key";
        let mut statement = conn.prepare(sql)?;
        let rows = statement.query_map([], |row| {
            Ok((row.get(0)?, row.get(1)?, Timestamp::from_millis(row.get(2)?), row.get(3)?))
        });
        rows?.collect::<rusqlite::Result<Vec<(String, i64, Timestamp, i64)>>>()
    };
    let found = store.read(counters).await.unwrap();
    let migrated_at = found[0].2;
    let in_use = ("r".to_owned(), 2, event(3).received_at, 2);
    assert_eq!(found, [("gone".to_owned(), 7, migrated_at, 0), in_use]);
    assert!(migrated_at > later(365 * 24 * 3_600_000), "{migrated_at:?}");
    let retention = Retention { delivered_ms: i64::MAX, ..Retention::default() };
    for (kept_ms, expect) in [(retention.lanes_ms - 1, 0), (retention.lanes_ms, 1)] {
        let now = migrated_at.plus_millis(kept_ms);
        assert_eq!(store.prune(now, &retention, 9).await.unwrap().lanes, expect);
    }
    let next = NewEvent { lane: Some("r".to_owned()), ..event(5) };
    store.append(next).await.unwrap();
    assert_eq!(store.event(event(5).id).await.unwrap().unwrap().sequence, Some(3));
    assert_eq!(store.check().await.unwrap(), []);
}

/// A step that fails leaves the file at the version it had.
#[test]
fn a_step_is_whole_or_not_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    version_1(&path);
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("CREATE TABLE secrets (in_the_way INTEGER)").unwrap();
    let failed = SqliteStore::open(&path, &Options::default());
    assert!(matches!(failed, Err(OpenError::Sqlite(_))));
    let columns = "SELECT count(*) FROM pragma_table_info('events') WHERE name = 'sequence'";
    assert_eq!(conn.query_row(columns, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    conn.execute_batch("DROP TABLE secrets").unwrap();
    drop(open(&path));
}
