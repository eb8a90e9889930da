//! Files and copies over the memory store.

use super::*;
use crate::store::conformance::{
    DEAD, claim_due, delivery, event, laned, later, planned, record, result,
};
use crate::store::memory::MemoryStore;
use crate::store::{EventFilter, Quarantined, SealedSecret};
use livekit_webhook_core::id::{EventId, SecretId};

/// Something of many kinds.
async fn full() -> MemoryStore {
    let store = MemoryStore::new(1_000);
    for number in 1..=3 {
        planned(&store, number, vec![delivery(number, "a"), delivery(number + 10, "b")]).await;
    }
    for claim in claim_due(&store, later(5_000), "a", 9).await {
        record(&store, later(5_000), result(&claim, 500, DEAD)).await;
    }
    store.append(laned(7, "room")).await.unwrap();
    let item = Quarantined {
        id: EventId::new(1, 1),
        source: None,
        reason: "not_json".to_owned(),
        received_at: later(0),
        body: bytes::Bytes::from_static(&[0, 255, b'\n']),
    };
    store.quarantine(item).await.unwrap();
    let secret = SealedSecret {
        id: SecretId::new(1, 1),
        endpoint: "a".to_owned(),
        key_id: "k1".to_owned(),
        sealed: bytes::Bytes::from_static(&[1, 2, 3]),
        created_at: later(0),
        expires_at: Some(later(9)),
    };
    store.put_secret(secret).await.unwrap();
    let change = crate::store::conformance::states::set("PA_1", b"\0\xff");
    store.change_plugin_state(later(0), change).await.unwrap();
    store
}

async fn exported(store: &MemoryStore) -> Vec<u8> {
    let mut file = Vec::new();
    export(store, later(0), &mut file).await.unwrap();
    file
}

#[tokio::test]
async fn what_was_exported_is_imported_the_same() {
    let store = full().await;
    let file = exported(&store).await;
    let text = String::from_utf8(file.clone()).unwrap();
    assert!(text.starts_with("{\"type\":\"livekit_webhook_export\",\"version\":1,"), "{text}");
    let other = MemoryStore::new(1_000);
    let moved = import(&other, &mut &file[..]).await.unwrap();
    assert_eq!(moved.new, moved.read.total());
    assert_eq!((moved.read.events, moved.read.deliveries, moved.read.attempts), (4, 6, 3));
    assert_eq!((moved.read.quarantined, moved.read.secrets, moved.read.lanes), (1, 1, 1));
    assert_eq!(moved.read.plugin_state, 1);
    assert_eq!(String::from_utf8(exported(&other).await).unwrap(), text);
    assert_eq!(other.event(event(1).id).await.unwrap(), store.event(event(1).id).await.unwrap());
    // Once more changes nothing.
    let again = import(&other, &mut &file[..]).await.unwrap();
    assert_eq!((again.new, again.read), (0, moved.read));
    assert_eq!(String::from_utf8(exported(&other).await).unwrap(), text);
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_told_and_can_be_read_again() {
    let store = full().await;
    let file = exported(&store).await;
    let lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
    let other = MemoryStore::new(1_000);
    for whole_lines in 1..lines.len() {
        let cut = lines[..whole_lines].concat();
        let refused = import(&other, &mut &cut[..]).await;
        assert!(
            matches!(refused, Err(Error::CutOff { found }) if found as usize == whole_lines - 1)
        );
        let half = &cut[..cut.len() - 5];
        assert!(import(&other, &mut &half[..]).await.is_err(), "half of line {whole_lines}");
    }
    import(&other, &mut &file[..]).await.unwrap();
    assert_eq!(exported(&other).await, file);
}

#[tokio::test]
async fn what_is_no_export_is_refused() {
    let store = MemoryStore::new(1_000);
    let first = "{\"type\":\"livekit_webhook_export\",\"version\":1,\"exported_at_ms\":0}\n";
    for (file, expected) in [
        (String::new(), "not an export"),
        ("hello\n".to_owned(), "not an export"),
        (first.replace(":1,", ":2,"), "not an export"),
        (format!("{first}{first}"), "line 2: a second first line"),
        (format!("{first}{{\"type\":\"elephant\"}}\n"), "line 2: unknown variant"),
        (
            format!("{first}{{\"type\":\"lane\",\"source\":\"s\",\"key\":\"k\"}}\n"),
            "line 2: missing field `sequence`",
        ),
        (
            format!(
                "{first}{{\"type\":\"lane\",\"source\":\"s\",\"key\":\"k\",\"sequence\":1,\"x\":1}}\n"
            ),
            "line 2: unknown field `x`",
        ),
        (format!("{first}{{\"type\":\"end\",\"records\":3}}\n"), "cut off or changed"),
        (format!("{first}{{\"type\":\"end\",\"records\":0}}\n{first}"), "cut off or changed"),
    ] {
        let refused = import(&store, &mut file.as_bytes()).await;
        let text = refused.map(|_| ()).unwrap_err().to_string();
        assert!(text.contains(expected), "{file}: {text}");
    }
}

#[tokio::test]
async fn a_copy_loses_nothing_and_can_be_begun_again() {
    let (source, target) = (full().await, MemoryStore::new(1_000));
    // What the target had before stays its own business.
    let theirs = crate::store::NewEvent { source: "other".to_owned(), ..event(500) };
    target.append(theirs).await.unwrap();
    target.lose_next_answers(1);
    let broken = copy(&source, &target, |_| {}).await;
    assert!(matches!(broken, Err(Error::Target(_))), "{broken:?}");
    let (moved, there) = copy(&source, &target, |_| {}).await.unwrap();
    assert_eq!((moved.read.events, there.events), (4, 5));
    assert_eq!(moved.read.attempts, there.attempts);
    let filter = EventFilter { source: Some("prod".to_owned()), limit: 9, ..Default::default() };
    let events = target.events(filter.clone()).await.unwrap();
    assert_eq!(events, source.events(filter).await.unwrap());
}

#[test]
fn fewer_rows_on_the_other_side_are_told() {
    let source = Counts { events: 3, deliveries: 2, ..Counts::default() };
    assert!(source.are_all_in(&Counts { events: 4, ..source }).is_ok());
    let missing = source.are_all_in(&Counts { deliveries: 1, ..source });
    assert!(matches!(missing, Err(Error::Missing { kind: "deliveries", .. })));
}
