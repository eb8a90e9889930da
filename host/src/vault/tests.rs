//! Sealing, rotating and keeping, over the memory store.

use super::rotate::{self, Kind};
use super::*;
use crate::clock::ManualClock;
use crate::entropy::Entropy;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::store::conformance::later;
use crate::store::memory::MemoryStore;
use crate::tasks::{Bell, Tasks, stop};
use livekit_webhook_core::signature::{Signed, Signing};
use std::collections::BTreeSet;
use std::time::Duration;

const DAY_MS: i64 = 24 * 3_600_000;

fn key(id: &str, byte: u8) -> SealingKey {
    SealingKey::new(id, &[byte; KEY_BYTES]).unwrap()
}

fn vault() -> Vault {
    Vault::new(vec![key("k1", 1)])
}

fn sealed(vault: &Vault, endpoint: &str, number: u128) -> SealedSecret {
    let id = SecretId::new(1, number);
    let (key_id, sealed) = vault.seal(endpoint, id, &StandardSecret::generate([7; 32])).unwrap();
    let endpoint = endpoint.to_owned();
    SealedSecret { id, endpoint, key_id, sealed, created_at: later(0), expires_at: None }
}

#[test]
fn what_was_sealed_opens_with_its_key_only() {
    let row = sealed(&vault(), "billing", 1);
    assert_eq!(vault().open(&row).unwrap(), StandardSecret::generate([7; 32]));
    assert_eq!(row.key_id, "k1");
    let plain = StandardSecret::generate([7; 32]).reveal();
    let holds = |needle: &[u8]| row.sealed.windows(needle.len()).any(|part| part == needle);
    assert!(!holds(plain.as_bytes()) && !holds(&[7; 8]), "the secret is in the open");
    let rotated = Vault::new(vec![key("k2", 2), key("k1", 1)]);
    assert!(rotated.open(&row).is_ok(), "any key opens");
    let without = Vault::new(vec![key("k2", 2)]).open(&row);
    assert!(matches!(without, Err(Error::UnknownKey { .. })));
    let other = Vault::new(vec![key("k1", 3)]).open(&row);
    assert!(matches!(other, Err(Error::Sealed { .. })));
    assert!(matches!(
        Vault::default().seal("a", row.id, &StandardSecret::generate([1; 32])),
        Err(Error::NoKey)
    ));
}

#[test]
fn a_row_that_was_changed_or_moved_does_not_open() {
    let row = sealed(&vault(), "billing", 1);
    let refuses = |row: SealedSecret| {
        assert!(matches!(vault().open(&row), Err(Error::Sealed { .. })), "{row:?}");
    };
    refuses(SealedSecret { endpoint: "billing2".to_owned(), ..row.clone() });
    refuses(SealedSecret { id: SecretId::new(1, 2), ..row.clone() });
    for at in 0..row.sealed.len() {
        let mut sealed = row.sealed.to_vec();
        sealed[at] ^= 1;
        refuses(SealedSecret { sealed: sealed.into(), ..row.clone() });
    }
    for length in 0..row.sealed.len() {
        refuses(SealedSecret { sealed: row.sealed.slice(..length), ..row.clone() });
    }
}

#[test]
fn the_same_secret_is_sealed_differently_each_time() {
    let (one, two) = (sealed(&vault(), "a", 1), sealed(&vault(), "a", 1));
    assert_ne!(one.sealed, two.sealed, "a nonce was used twice");
}

#[test]
fn keys_are_checked_and_print_nothing() {
    assert!(matches!(SealingKey::new("k", &[1; 31]), Err(Error::Key)));
    assert!(matches!(SealingKey::new("", &[1; 32]), Err(Error::KeyId)));
    assert!(matches!(SealingKey::new("a b", &[1; 32]), Err(Error::KeyId)));
    assert_eq!(format!("{:?}", vault()), "Vault([k1 [redacted]])");
}

struct Keys {
    store: MemoryStore,
    entropy: Entropy,
}

impl Keys {
    fn new() -> Self {
        Self { store: MemoryStore::new(1_000), entropy: Entropy::seeded(1) }
    }

    async fn rotate(&self, at_ms: i64, overlap_ms: i64) -> Result<rotate::Rotated, rotate::Error> {
        let (now, kind) = (later(at_ms), Kind::Shared);
        rotate::rotate(&self.store, &vault(), &self.entropy, now, "a", overlap_ms, kind).await
    }

    /// Ids and ends, newest first.
    async fn ends(&self) -> Vec<(SecretId, Option<i64>)> {
        let rows = self.store.secrets().await.unwrap();
        let end = |row: &SealedSecret| row.expires_at.map(|at| at.millis_since(later(0)));
        rows.iter().map(|row| (row.id, end(row))).collect()
    }
}

#[tokio::test]
async fn the_old_secret_signs_until_the_overlap_is_over() {
    let keys = Keys::new();
    let one = keys.rotate(0, DAY_MS).await.unwrap();
    assert_eq!(one.retired, []);
    let two = keys.rotate(1_000, DAY_MS).await.unwrap();
    assert_ne!(one.secret, two.secret);
    assert_eq!(two.retired, [(one.id, later(1_000 + DAY_MS))]);
    assert_eq!(keys.ends().await, [(two.id, None), (one.id, Some(1_000 + DAY_MS))]);
    // A longer overlap later does not give the first a longer life.
    let three = keys.rotate(2_000, 2 * DAY_MS).await.unwrap();
    let expected =
        [(three.id, None), (two.id, Some(2_000 + 2 * DAY_MS)), (one.id, Some(1_000 + DAY_MS))];
    assert_eq!(keys.ends().await, expected);
    // What is over goes with the next rotation.
    keys.rotate(2 * DAY_MS, DAY_MS).await.unwrap();
    assert!(keys.ends().await.iter().all(|(id, _)| *id != one.id));
}

#[tokio::test]
async fn without_an_overlap_only_the_new_one_is_left() {
    let keys = Keys::new();
    keys.rotate(0, DAY_MS).await.unwrap();
    let two = keys.rotate(1_000, 0).await.unwrap();
    assert_eq!(keys.ends().await, [(two.id, None)]);
}

#[tokio::test]
async fn four_secrets_are_live_at_most() {
    let keys = Keys::new();
    for at_ms in 0..4 {
        keys.rotate(at_ms, DAY_MS).await.unwrap();
    }
    let refused = keys.rotate(5, DAY_MS).await;
    assert!(matches!(refused, Err(rotate::Error::TooMany(endpoint)) if endpoint == "a"));
    assert_eq!(keys.ends().await.len(), 4);
    // When the first three are over, there is room again.
    keys.rotate(DAY_MS + 3, DAY_MS).await.unwrap();
    let last = keys.rotate(DAY_MS + 4, 0).await.unwrap();
    assert_eq!(keys.ends().await, [(last.id, None)]);
    assert!(matches!(keys.rotate(0, -1).await, Err(rotate::Error::Overlap(-1))));
    assert!(matches!(keys.rotate(0, 8 * DAY_MS).await, Err(rotate::Error::Overlap(_))));
}

#[tokio::test]
async fn a_crash_in_a_rotation_leaves_more_live_secrets_and_never_none() {
    let keys = Keys::new();
    let one = keys.rotate(0, DAY_MS).await.unwrap();
    // The new one is written; what follows is not.
    keys.store.lose_next_answers(1);
    assert!(keys.rotate(1_000, 0).await.is_err());
    let ends = keys.ends().await;
    assert_eq!(ends.len(), 2);
    assert_eq!(ends[1], (one.id, None));
    let last = keys.rotate(2_000, 0).await.unwrap();
    assert_eq!(keys.ends().await, [(last.id, None)]);
}

#[tokio::test]
async fn a_revoked_secret_is_gone_at_once() {
    let keys = Keys::new();
    let one = keys.rotate(0, DAY_MS).await.unwrap();
    let two = keys.rotate(1, DAY_MS).await.unwrap();
    let left = rotate::revoke(&keys.store, later(2), two.id).await.unwrap();
    assert_eq!(left, ("a".to_owned(), 1));
    let left = rotate::revoke(&keys.store, later(2), one.id).await.unwrap();
    assert_eq!(left, ("a".to_owned(), 0));
    let again = rotate::revoke(&keys.store, later(2), one.id).await;
    assert!(matches!(again, Err(rotate::Error::Unknown(id)) if id == one.id));
}

#[tokio::test]
async fn resealed_under_the_first_key_the_others_can_go() {
    let keys = Keys::new();
    let made = keys.rotate(0, DAY_MS).await.unwrap();
    let both = Vault::new(vec![key("k2", 2), key("k1", 1)]);
    assert_eq!(rotate::reseal(&keys.store, &both).await.unwrap(), 1);
    assert_eq!(rotate::reseal(&keys.store, &both).await.unwrap(), 0, "it is done");
    let row = keys.store.secrets().await.unwrap().remove(0);
    assert_eq!(row.key_id, "k2");
    assert_eq!(Vault::new(vec![key("k2", 2)]).open(&row).unwrap(), made.secret);
    let gone = rotate::reseal(&keys.store, &Vault::new(vec![key("k3", 3)])).await;
    assert!(matches!(gone, Err(rotate::Error::Vault(Error::UnknownKey { .. }))));
}

fn signatures(live: &Live, now_ms: i64) -> usize {
    let Some(signing) = live.signing("a", later(now_ms)) else { return 0 };
    let signed = Signed { webhook_id: "wh", now: later(now_ms), body: b"{}" };
    let headers = signing.headers(&signed).unwrap();
    assert!(matches!(signing, Signing::Standard(_)));
    headers[2].value.split(' ').count()
}

#[tokio::test(start_paused = true)]
async fn hosts_sign_with_what_is_live_and_follow_within_seconds() {
    let keys = Keys::new();
    let store = Arc::new(keys.store);
    let (clock, live) = (ManualClock::at(later(0)), Live::default());
    let keeper = Keeper {
        endpoints: BTreeSet::from(["a".to_owned()]),
        vault: vault(),
        store: store.clone(),
        clock: Arc::new(clock.clone()),
        live: live.clone(),
        deliver: Bell::new(),
        metrics: Arc::new(Metrics::new()),
    };
    let metrics = keeper.metrics.clone();
    let (stopper, stop) = stop();
    let tasks = Tasks::new();
    tasks.spawn(crate::tasks::Kind::Worker, "secrets", Arc::new(keeper).run(stop));
    let wait = || tokio::time::sleep(Duration::from_secs(3));
    wait().await;
    assert_eq!((signatures(&live, 0), metrics.endpoints_without_secret.get()), (0, 1));
    let rotate = async |now_ms, overlap_ms| {
        let (now, kind) = (later(now_ms), Kind::Shared);
        rotate::rotate(&*store, &vault(), &keys.entropy, now, "a", overlap_ms, kind).await.unwrap()
    };
    rotate(0, DAY_MS).await;
    wait().await;
    assert_eq!((signatures(&live, 0), metrics.endpoints_without_secret.get()), (1, 0));
    rotate(1, DAY_MS).await;
    wait().await;
    assert_eq!(signatures(&live, 1), 2);
    assert_eq!(signatures(&live, 1 + DAY_MS), 1, "the overlap is over, whatever was read");
    // A store in trouble takes no secret away.
    store.fail_next(10);
    wait().await;
    assert_eq!(signatures(&live, 1), 2);
    tasks.begin_shutdown();
    stopper.stop();
    assert!(tasks.idle(crate::tasks::Kind::Worker, Duration::from_secs(5)).await);
}
