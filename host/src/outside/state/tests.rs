//! Over the memory store; what a store must do is asked in its conformance suite.

use super::*;
use crate::clock::ManualClock;
use crate::store::memory::MemoryStore;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn state(limits: Limits) -> (Arc<MemoryStore>, ManualClock, StoredState) {
    let (store, clock) = (Arc::new(MemoryStore::new(1_000)), ManualClock::at(START));
    let state = StoredState::new(store.clone(), Arc::new(clock.clone()), limits);
    (store, clock, state)
}

fn space() -> outside::Space {
    outside::Space { plugin: "session".to_owned(), source: "prod".to_owned() }
}

fn value(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[tokio::test]
async fn a_value_lives_as_long_as_it_was_given() {
    let (_, clock, state) = state(Limits::default());
    let ttl = Some(Duration::from_millis(10));
    let version = state.set(&space(), "k", None, value("v"), ttl).await.unwrap().unwrap();
    assert_eq!(state.get(&space(), "k").await.unwrap(), Some((value("v"), version)));
    clock.advance(10);
    assert_eq!(state.get(&space(), "k").await.unwrap(), None);
    let ever = Some(Duration::MAX);
    state.set(&space(), "k", None, value("v"), ever).await.unwrap().unwrap();
    clock.advance(i64::MAX / 4);
    assert!(state.get(&space(), "k").await.unwrap().is_some());
}

#[tokio::test]
async fn a_swap_tells_whether_it_was_first() {
    let (_, _, state) = state(Limits::default());
    let swap =
        async |expected| state.set(&space(), "k", Some(expected), value("v"), None).await.unwrap();
    let version = swap(None).await;
    assert!(version.is_some());
    assert_eq!(swap(None).await, None);
    assert!(swap(version).await.is_some());
    assert_eq!(swap(version).await, None);
    assert!(state.delete(&space(), "k").await.unwrap());
    assert!(!state.delete(&space(), "k").await.unwrap());
}

#[tokio::test]
async fn sums_and_keys_pass_through() {
    let (_, _, state) = state(Limits::default());
    assert_eq!(state.add(&space(), "n", 5, None).await.unwrap(), 5);
    assert_eq!(state.add(&space(), "n", -7, None).await.unwrap(), -2);
    for number in 0..KEYS_PAGE + 5 {
        state.set(&space(), &format!("k{number:04}"), None, value(""), None).await.unwrap();
    }
    let page = state.keys(&space(), "k", None).await.unwrap();
    assert_eq!(page.len(), KEYS_PAGE);
    let rest = state.keys(&space(), "k", page.last().map(String::as_str)).await.unwrap();
    assert_eq!(rest.len(), 5);
}

#[tokio::test]
async fn each_refusal_says_what_follows() {
    let (store, _, state) = state(Limits { keys_max: 1, bytes_max: 100 });
    state.set(&space(), "k", None, value("text"), None).await.unwrap();
    let full = state.set(&space(), "l", None, value(""), None).await;
    assert_eq!(full, Err(StateError::Full("no more than 1 keys".to_owned())));
    let full = state.set(&space(), "k", None, vec![0; 100].into(), None).await;
    assert!(matches!(full, Err(StateError::Full(_))), "{full:?}");
    let no_number = state.add(&space(), "k", 1, None).await;
    assert!(matches!(no_number, Err(StateError::Invalid(_))), "{no_number:?}");
    let long = state.set(&space(), &"k".repeat(257), None, value(""), None).await;
    assert!(matches!(long, Err(StateError::Invalid(_))), "{long:?}");
    store.fail_next(1);
    let away = state.delete(&space(), "k").await;
    assert!(matches!(away, Err(StateError::Unavailable(_))), "{away:?}");
}
