//! What only a file can show: restarts, kills, locks, query plans, failing commands.

use super::*;
use crate::store::conformance::{START, claim_due, claim_event, delivery, event, later, planned};
use crate::store::{Appended, NewDelivery, NewEvent, Recorded, Store};
use std::path::{Path, PathBuf};

mod beside;
mod cost;
mod kill;
mod migrate;
mod upkeep;

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
        .send(Written::Upkeep, |scope| {
            let pages: i64 = scope.conn.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            Ok(pages)
        })
        .await
        .unwrap();
    store.send(Written::Upkeep, page_limit(pages)).await.unwrap();
    let large = NewEvent { body: vec![b'x'; 1 << 20].into(), ..event(2) };
    assert!(matches!(store.append(large.clone()).await, Err(Error::Unavailable(_))));
    // The plan that fails keeps its claim: the same fence records it once there is room.
    store.send(Written::Upkeep, page_limit(1 << 30)).await.unwrap();
    store.append(event(3)).await.unwrap();
    let unplanned = claim_event(&store).await;
    store.send(Written::Upkeep, page_limit(pages)).await.unwrap();
    let body = Some(vec![b'x'; 1 << 20].into());
    let wide = NewDelivery { body, ..delivery(9, "a") };
    let plans = vec![crate::store::conformance::plan(&unplanned, vec![wide])];
    let failed = store.record_plans(later(1), plans.clone()).await;
    assert!(matches!(failed, Err(Error::Unavailable(_))));
    store.send(Written::Upkeep, page_limit(1 << 30)).await.unwrap();
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
fn every_write_has_its_crash_points() {
    let points: Vec<_> = Written::ALL.into_iter().flat_map(Written::points).collect();
    assert_eq!(points, crate::crash::POINTS);
}
