//! Sealed secrets.

use super::*;

fn secret(number: u32, endpoint: &str) -> SealedSecret {
    SealedSecret {
        id: SecretId::new(START.as_millis(), number.into()),
        endpoint: endpoint.to_owned(),
        key_id: "2026-01".to_owned(),
        sealed: Bytes::from(vec![0, 255, number as u8]),
        created_at: later(i64::from(number) * 10),
        expires_at: None,
    }
}

pub async fn newest_first(store: &dyn Store) {
    assert_eq!(store.secrets().await.unwrap(), []);
    let old = SealedSecret { expires_at: Some(later(99)), ..secret(1, "a") };
    // The one with the largest id is not the newest.
    let oldest = SealedSecret { created_at: later(1), ..secret(3, "a") };
    for secret in [secret(2, "b"), old.clone(), oldest.clone()] {
        store.put_secret(secret).await.unwrap();
    }
    assert_eq!(store.secrets().await.unwrap(), [secret(2, "b"), old, oldest]);
}

pub async fn replaced_and_removed(store: &dyn Store) {
    store.put_secret(secret(1, "a")).await.unwrap();
    store.put_secret(secret(2, "a")).await.unwrap();
    let sealed_again = SealedSecret {
        key_id: "2026-02".to_owned(),
        sealed: Bytes::from_static(b"other"),
        expires_at: Some(later(5)),
        ..secret(1, "a")
    };
    store.put_secret(sealed_again.clone()).await.unwrap();
    assert_eq!(store.secrets().await.unwrap(), [secret(2, "a"), sealed_again.clone()]);
    assert_eq!(store.remove_secret(secret(2, "a").id).await.unwrap(), Recorded::Done);
    assert_eq!(store.remove_secret(secret(2, "a").id).await.unwrap(), Recorded::Stale);
    assert_eq!(store.secrets().await.unwrap(), [sealed_again]);
}
