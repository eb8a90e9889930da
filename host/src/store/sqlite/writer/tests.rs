//! What the disk does to us.

use super::*;
use crate::store::sqlite::open::{shared, writable};
use crate::store::sqlite::{Options, SqliteStore};
use rusqlite::OpenFlags;
use std::path::Path;
use std::sync::mpsc;
use tokio::sync::Semaphore;

const MARKER: &str = "written-and-not-synced";

/// A writer whose log cannot be synced.
fn writer(path: &Path) -> Writer {
    drop(SqliteStore::open(path, &Options::default()).unwrap());
    let conn = writable(path, OpenFlags::empty()).unwrap();
    conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;").unwrap();
    let shared = Arc::new(shared(&Options::default(), 0, [0; 4]));
    let (_, queue) = mpsc::channel();
    Writer::new(conn, shared, queue, File::open("/dev/null").unwrap(), None)
}

fn queued(kind: Written, sql: &'static str) -> (Queued, oneshot::Receiver<Result<(), Error>>) {
    let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let run = move |scope: &mut Scope<'_>| scope.conn.execute_batch(sql);
    match Command::queued(kind, 0, place, run) {
        (Message::Write(queued), answer) => (queued, answer),
        (Message::Vacuum(_), _) => unreachable!("a command is a write"),
    }
}

fn is_in_the_database(path: &Path) -> bool {
    let bytes = std::fs::read(path).unwrap();
    bytes.windows(MARKER.len()).any(|window| window == MARKER.as_bytes())
}

#[test]
fn after_a_failed_sync_the_log_is_copied_before_anything_is_acknowledged_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut writer = writer(&path);
    let sql = "CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('written-and-not-synced')";
    let (plan, answer) = queued(Written::Plan, sql);
    writer.write(plan);
    answer.blocking_recv().unwrap().unwrap();
    writer.sync();
    assert!(!is_in_the_database(&path));

    // While somebody reads what is in doubt, nothing is acknowledged.
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM t").unwrap();
    writer.conn.busy_timeout(Duration::from_millis(1)).unwrap();
    let (append, answer) = queued(Written::Append, "INSERT INTO t VALUES ('refused')");
    writer.write(append);
    assert!(matches!(answer.blocking_recv().unwrap(), Err(Error::Unavailable(_))));
    drop(reader);

    let (append, answer) = queued(Written::Append, "INSERT INTO t VALUES ('acknowledged')");
    writer.write(append);
    answer.blocking_recv().unwrap().unwrap();
    assert!(is_in_the_database(&path));
}
