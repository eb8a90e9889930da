//! Events and quarantined bodies coming in.

use super::*;

pub async fn new_duplicate_and_conflict(store: &dyn Store) {
    let first = event(1);
    let of = first.id;
    assert_eq!(store.append(first.clone()).await.unwrap(), Appended::Stored);
    let again = NewEvent { id: event(2).id, ..first.clone() };
    assert_eq!(store.append(again).await.unwrap(), Appended::Duplicate { of });

    let body = Bytes::from_static(b"another");
    let other = NewEvent { id: event(3).id, body_sha256: fake_hash(&body), body, ..first.clone() };
    assert_eq!(store.append(other.clone()).await.unwrap(), Appended::Conflict { of });
    let repeated = NewEvent { id: event(4).id, ..other.clone() };
    assert_eq!(store.append(repeated).await.unwrap(), Appended::Duplicate { of: other.id });

    let found = store.event(of).await.unwrap().unwrap();
    let expect = StoredEvent {
        sequence: None,
        event: first,
        plan: PlanState::Unplanned,
        plan_attempts: 0,
        settled: Vec::new(),
        note: None,
    };
    assert_eq!(found, expect);
    let conflict = store.event(other.id).await.unwrap().unwrap();
    assert_eq!((conflict.event, conflict.plan), (other, PlanState::Conflict));
    assert_eq!(store.event(event(2).id).await.unwrap(), None);
    assert_eq!(
        store.events(EventFilter { limit: 10, ..EventFilter::default() }).await.unwrap().len(),
        2
    );
    // A conflict is never planned.
    assert_eq!(claim_event(store).await.item.event.id, of);
}

pub async fn the_window_ends(store: &dyn Store) {
    let first = event(1);
    let of = first.id;
    assert_eq!(store.append(first.clone()).await.unwrap(), Appended::Stored);
    let at = |number, millis| NewEvent {
        id: event(number).id,
        received_at: first.received_at.plus_millis(millis),
        ..first.clone()
    };
    let inside = store.append(at(2, WINDOW_MS - 1)).await.unwrap();
    assert_eq!(inside, Appended::Duplicate { of });
    assert_eq!(store.append(at(3, WINDOW_MS)).await.unwrap(), Appended::Stored);
    let of = event(3).id;
    assert_eq!(store.append(at(4, WINDOW_MS + 1)).await.unwrap(), Appended::Duplicate { of });
}

pub async fn sources_are_apart(store: &dyn Store) {
    assert_eq!(store.append(event(1)).await.unwrap(), Appended::Stored);
    let other = NewEvent { id: event(2).id, source: "test".to_owned(), ..event(1) };
    assert_eq!(store.append(other).await.unwrap(), Appended::Stored);
}

/// Of many that bring the same event at once, one is the first.
pub async fn many_at_once(store: &dyn Store) {
    let append = |number| {
        let event = NewEvent { id: event(number).id, received_at: START, ..event(1) };
        store.append(event)
    };
    let (a, b, c, d) = tokio::join!(append(1), append(2), append(3), append(4));
    let answers = [a, b, c, d].map(Result::unwrap);
    let first = answers.iter().position(|answer| *answer == Appended::Stored).unwrap();
    let of = event(first as u32 + 1).id;
    let duplicates = answers.iter().filter(|answer| **answer == Appended::Duplicate { of });
    assert_eq!(duplicates.count(), 3, "{answers:?}");
}

pub async fn quarantine(store: &dyn Store) {
    let item = |number: u32, source: Option<&str>| Quarantined {
        id: event(number).id,
        source: source.map(str::to_owned),
        reason: "not_an_object".to_owned(),
        received_at: START,
        body: Bytes::from(format!("[{number}]")),
    };
    for (number, source) in [(1, Some("prod")), (2, None), (3, Some("prod"))] {
        store.quarantine(item(number, source)).await.unwrap();
    }
    let found = store.quarantined(2).await.unwrap();
    assert_eq!(found, [item(3, Some("prod")), item(2, None)]);
    assert_eq!(store.depth().await.unwrap().quarantined, 3);
}

/// Each lane of each source counts from 1; what is not planned has no place.
pub async fn sequences_count_in_each_lane(store: &dyn Store) {
    let of_test = |number| NewEvent { source: "test".to_owned(), ..laned(number, "r1") };
    let again = NewEvent { id: event(7).id, ..laned(1, "r1") };
    let body = Bytes::from_static(b"another");
    let conflict =
        NewEvent { id: event(8).id, body_sha256: fake_hash(&body), body, ..laned(2, "r1") };
    let appended = [
        (laned(1, "r1"), Some(1)),
        (laned(2, "r1"), Some(2)),
        (laned(3, "r2"), Some(1)),
        (of_test(4), Some(1)),
        (event(5), None),
        (laned(6, "r2"), Some(2)),
        (again, None),
        (conflict, None),
        (laned(9, "r1"), Some(3)),
    ];
    for (event, expect) in appended {
        store.append(event.clone()).await.unwrap();
        let found = store.event(event.id).await.unwrap();
        assert_eq!(found.and_then(|found| found.sequence), expect, "{event:?}");
    }
}

/// Also when they come in one write.
pub async fn sequences_of_many_at_once(store: &dyn Store) {
    let append = |number| store.append(laned(number, "r"));
    let answers = tokio::join!(append(1), append(2), append(3), append(4));
    assert_eq!(answers.0.unwrap(), Appended::Stored);
    let filter = EventFilter { limit: 9, ..EventFilter::default() };
    let found = store.events(filter).await.unwrap();
    let mut sequences: Vec<_> = found.iter().map(|stored| stored.sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, [Some(1), Some(2), Some(3), Some(4)]);
}
