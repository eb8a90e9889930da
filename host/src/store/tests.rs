//! The conformance suite on the adapters that need nothing but this process.

use super::conformance::{self, WINDOW_MS};
use super::memory::MemoryStore;
use super::sqlite::{Options, SqliteStore};
use super::{Error, Store};
use std::sync::Arc;

#[tokio::test]
async fn memory_conforms() {
    conformance::run(async || Arc::new(MemoryStore::new(WINDOW_MS)) as Arc<dyn Store>).await;
}

#[tokio::test]
async fn sqlite_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { dedupe_window_ms: WINDOW_MS };
    let mut count = 0;
    let open = async || {
        count += 1;
        let path = folder.path().join(format!("{count}.db"));
        Arc::new(SqliteStore::open(&path, &options).unwrap()) as Arc<dyn Store>
    };
    conformance::run(open).await;
}

#[tokio::test]
async fn memory_fails_when_told() {
    let store = MemoryStore::new(WINDOW_MS);
    let event = conformance::event(1);
    store.fail_next(1);
    assert!(matches!(store.append(event.clone()).await, Err(Error::Unavailable(_))));
    assert_eq!(store.event(event.id).await.unwrap(), None);
    store.lose_next_answers(1);
    assert!(matches!(store.append(event.clone()).await, Err(Error::Unavailable(_))));
    assert!(store.event(event.id).await.unwrap().is_some());
}
