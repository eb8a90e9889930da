//! What only a file can show: restarts, kills, locks, query plans, failing commands.

use super::*;
use crate::store::conformance::{START, claim_due, claim_event, delivery, event, later, planned};
use crate::store::{Appended, NewDelivery, NewEvent, Quota, Recorded, Store};
use rusqlite::params;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};

/// Where the child of a kill test appends.
const CHILD_FILE: &str = "LIVEKIT_WEBHOOK_TEST_CHILD_FILE";
/// The point at which it dies by itself.
const CHILD_CRASH: &str = "LIVEKIT_WEBHOOK_TEST_CHILD_CRASH";

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, &Options::default()).unwrap()
}

fn file(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("store.db")
}

#[tokio::test]
async fn dropped_without_close_keeps_all() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&file(&folder));
    planned(&store, 1, vec![delivery(1, "a")]).await;
    let before = claim_due(&store, START, "a", 1).await.remove(0);
    store.append(event(2)).await.unwrap();
    let depth = store.depth().await.unwrap();
    drop(store);

    let store = open(&file(&folder));
    assert_eq!(store.depth().await.unwrap(), depth);
    assert_eq!(claim_event(&store).await.item.event, event(2));
    // The claim is released, and its fence is stale for ever.
    let after = claim_due(&store, START, "a", 1).await.remove(0);
    assert_eq!(after.item, before.item);
    assert!(after.fence.0 > before.fence.0);
}

#[tokio::test]
async fn a_file_has_one_owner_and_readers_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let owner = open(&path);
    let second = SqliteStore::open(&path, &Options::default());
    assert!(matches!(second, Err(OpenError::InUse(_))));

    owner.append(event(1)).await.unwrap();
    let reader = SqliteStore::open_reader(&path).unwrap();
    assert!(reader.event(event(1).id).await.unwrap().is_some());
    assert_eq!(reader.depth().await.unwrap().unplanned, 1);
    assert!(matches!(reader.append(event(2)).await, Err(Error::Unavailable(_))));
    let claims = reader.claim_unplanned(later(9), 1, 1).await;
    assert!(matches!(claims, Err(Error::Unavailable(_))));
    owner.append(event(2)).await.unwrap();
    assert_eq!(reader.depth().await.unwrap().unplanned, 2);
    owner.close().await.unwrap();
    drop(open(&path));
}

#[test]
fn a_newer_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    drop(open(&path));
    let conn = Connection::open(&path).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    for found in [SqliteStore::open(&path, &Options::default()), SqliteStore::open_reader(&path)] {
        assert!(matches!(found, Err(OpenError::Newer { found: 99, known: schema::VERSION })));
    }
}

/// A command that fails takes nobody with it, and leaves its claim as it was.
#[tokio::test]
async fn one_bad_command_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&file(&folder));
    store.append(event(1)).await.unwrap();
    let same_id = NewEvent { dedupe_key: "other".to_owned(), ..event(1) };
    let (a, bad, b) =
        tokio::join!(store.append(event(2)), store.append(same_id), store.append(event(3)));
    assert_eq!((a.unwrap(), b.unwrap()), (Appended::Stored, Appended::Stored));
    assert!(matches!(bad, Err(Error::Damaged(_))));
    assert_eq!(store.depth().await.unwrap().unplanned, 3);
}

#[tokio::test]
async fn a_full_disk_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&file(&folder));
    planned(&store, 1, vec![delivery(1, "a")]).await;
    let claim = claim_due(&store, START, "a", 1).await.remove(0);
    let pages = store
        .send(Kind::Upkeep, |scope| {
            let pages: i64 = scope.conn.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            Ok(pages)
        })
        .await
        .unwrap();
    store.send(Kind::Upkeep, page_limit(pages)).await.unwrap();
    let large = NewEvent { body: vec![b'x'; 1 << 20].into(), ..event(2) };
    assert!(matches!(store.append(large.clone()).await, Err(Error::Unavailable(_))));
    // The plan that fails keeps its claim: the same fence records it once there is room.
    store.send(Kind::Upkeep, page_limit(1 << 30)).await.unwrap();
    store.append(event(3)).await.unwrap();
    let unplanned = claim_event(&store).await;
    store.send(Kind::Upkeep, page_limit(pages)).await.unwrap();
    let body = Some(vec![b'x'; 1 << 20].into());
    let wide = NewDelivery { body, ..delivery(9, "a") };
    let plans = vec![crate::store::conformance::plan(&unplanned, vec![wide])];
    let failed = store.record_plans(later(1), plans.clone()).await;
    assert!(matches!(failed, Err(Error::Unavailable(_))));
    store.send(Kind::Upkeep, page_limit(1 << 30)).await.unwrap();
    assert_eq!(store.record_plans(later(1), plans).await.unwrap(), [Recorded::Done]);
    assert_eq!(store.append(large).await.unwrap(), Appended::Stored);
    let done = crate::store::conformance::result(
        &claim,
        200,
        livekit_webhook_core::delivery::Next::Delivered,
    );
    let recorded = store.record_attempts(later(1), vec![done]).await.unwrap();
    assert_eq!(recorded, [Recorded::Done]);
}

fn page_limit(pages: i64) -> impl FnMut(&mut Scope<'_>) -> rusqlite::Result<()> + Send + 'static {
    move |scope| scope.conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
}

#[test]
fn claims_read_an_index_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    drop(open(&path));
    let conn = Connection::open(&path).unwrap();
    let plan = |sql: &str, values: &[i64]| -> Vec<String> {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let values = rusqlite::params_from_iter(values);
        statement.query_map(values, |row| row.get(3)).unwrap().map(Result::unwrap).collect()
    };
    let due = "SEARCH deliveries USING COVERING INDEX deliveries_due (endpoint=? AND due_at<?)";
    assert_eq!(plan(claim::waiting::DUE, &[1, 1]), [due]);
    let unplanned = "SEARCH events USING COVERING INDEX events_unplanned (plan_at<?)";
    assert_eq!(plan(claim::UNPLANNED, &[1]), [unplanned]);
}

/// Steps of SQLite's machine, counted by its progress handler, do not grow with the backlog.
#[tokio::test]
async fn a_backlog_costs_a_claim_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&file(&folder));
    planned(&store, 1, vec![delivery(1, "a")]).await;
    let event = event(1).id.to_bytes();
    let fill = move |scope: &mut Scope<'_>| {
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) \
             INSERT INTO deliveries (id, event, endpoint, webhook_id, kind, status, due_at, attempts, \
             created_at, updated_at) \
             SELECT randomblob(16), ?1, 1, 'wh', 'k', 0, ?2 + i, 0, 0, 0 FROM n";
        scope.conn.execute(sql, params![event, START.as_millis()])
    };
    assert_eq!(store.send(Kind::Upkeep, fill).await.unwrap(), 200_000);
    let shared = Arc::clone(&store.shared);
    let rows = store
        .read(move |conn| {
            let quota = Quota {
                endpoint: "a".to_owned(),
                slots: 64,
                in_flight_max: 1_000,
                rate: None,
                batching: None,
            };
            let claims = claim::due(conn, &shared, later(1 << 30), 30_000, &[quota])?;
            let statement = conn.prepare_cached(claim::waiting::DUE)?;
            let steps = statement.get_status(rusqlite::StatementStatus::VmStep);
            statement.reset_status(rusqlite::StatementStatus::VmStep);
            Ok((claims.claims.len(), steps))
        })
        .await
        .unwrap();
    assert_eq!(rows.0, 64);
    assert!(rows.1 < 64 * 20, "{} steps", rows.1);
}

/// Appends without end and prints each number once it is acknowledged. Runs only as the child of
/// the tests below.
#[tokio::test]
async fn child_that_appends() {
    #[expect(clippy::disallowed_methods, reason = "how a parent test tells its child what to do")]
    let (path, point) = (std::env::var(CHILD_FILE), std::env::var(CHILD_CRASH));
    let Ok(path) = path else {
        return;
    };
    if let Ok(point) = point {
        crate::crash::arm(&point).unwrap();
    }
    let store = open(Path::new(&path));
    for number in 1..1_000_000 {
        store.append(event(number)).await.unwrap();
        println!("acknowledged {number}");
    }
}

/// Runs the child until it dies by itself, or by our hand once `enough` events are acknowledged.
/// What it acknowledged.
fn run_child(path: &Path, point: Option<&str>, enough: usize) -> Vec<u32> {
    let mut command = Process::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "store::sqlite::tests::child_that_appends", "--nocapture"])
        .env(CHILD_FILE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(point) = point {
        command.env(CHILD_CRASH, point);
    }
    let mut child = command.spawn().unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        // The test runner may print its own words before the first.
        if let Some((_, number)) = line.split_once("acknowledged ") {
            acknowledged.push(number.parse::<u32>().unwrap());
        }
        if acknowledged.len() == enough {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    acknowledged
}

#[tokio::test]
async fn kill_9_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let acknowledged = run_child(&path, None, 50);
    assert!(acknowledged.len() >= 50);
    let store = open(&path);
    for number in acknowledged {
        let stored = store.event(event(number).id).await.unwrap().unwrap();
        assert_eq!(stored.event, event(number));
    }
}

/// Two events are acknowledged; whether the third is there depends on the side of the commit.
#[tokio::test]
async fn a_crash_is_on_one_side_of_the_commit() {
    for (point, is_stored) in [
        ("append.begin.before:3", false),
        ("append.commit.before:3", false),
        ("append.commit.after:3", true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        assert_eq!(run_child(&path, Some(point), 9), [1, 2], "{point}");
        let store = open(&path);
        for (number, is_here) in [(1, true), (2, true), (3, is_stored)] {
            let found = store.event(event(number).id).await.unwrap();
            assert_eq!(found.is_some(), is_here, "{point}, event {number}");
        }
    }
}

#[test]
fn every_write_has_its_crash_points() {
    let points: Vec<_> = Kind::ALL.into_iter().flat_map(Kind::points).collect();
    assert_eq!(points, crate::crash::POINTS);
}
