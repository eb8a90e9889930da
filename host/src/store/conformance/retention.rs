//! What is kept, and for how long.

use super::*;

const DAY_MS: i64 = 24 * 3_600_000;

const RETENTION: Retention = Retention {
    delivered_ms: 2 * DAY_MS,
    dead_ms: 5 * DAY_MS,
    quarantined_ms: 3 * DAY_MS,
    lanes_ms: 10 * DAY_MS,
    bytes_max: None,
};

/// Prunes until there is no more, and tells how much went in all.
async fn pruned(
    store: &dyn Store,
    now: Timestamp,
    retention: &Retention,
    limit: usize,
) -> [u64; 3] {
    let mut sum = [0; 3];
    for _ in 0..1_000 {
        let step = store.prune(now, retention, limit).await.unwrap();
        let counts = [step.events, step.deliveries, step.quarantined];
        assert!(counts.iter().all(|count| *count <= limit as u64), "{step:?}");
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        if !step.is_more {
            let rest = store.prune(now, retention, limit).await.unwrap();
            assert_eq!(rest, Pruned::default());
            return sum;
        }
    }
    assert_eq!(sum, [0; 3], "retention does not come to an end");
    sum
}

async fn events_left(store: &dyn Store) -> Vec<EventId> {
    let filter = EventFilter { limit: 100, ..EventFilter::default() };
    store.events(filter).await.unwrap().into_iter().map(|stored| stored.event.id).collect()
}

/// Event `number` with one delivery that has come to this.
async fn ended(store: &dyn Store, number: u32, next: Option<Next>) {
    planned(store, number, vec![delivery(number, "a")]).await;
    if let Some(next) = next {
        let claims = claim_due(store, later(0), "a", 1).await;
        assert_eq!(numbers(&claims), [number]);
        record(store, later(0), result(&claims[0], 500, next)).await;
    }
}

pub async fn each_kind_has_its_age(store: &dyn Store) {
    ended(store, 1, Some(Next::Delivered)).await;
    ended(store, 2, Some(DEAD)).await;
    ended(store, 3, Some(Next::RetryAt(later(99 * DAY_MS)))).await;
    let item = Quarantined {
        id: event(4).id,
        source: None,
        reason: "sha_mismatch".to_owned(),
        received_at: later(0),
        body: Bytes::from_static(b"?"),
    };
    store.quarantine(item).await.unwrap();
    planned(store, 5, vec![]).await;
    store.append(event(6)).await.unwrap();
    let body = Bytes::from_static(b"another");
    let conflict = NewEvent { id: event(7).id, body_sha256: fake_hash(&body), body, ..event(6) };
    assert_eq!(store.append(conflict).await.unwrap(), Appended::Conflict { of: event(6).id });

    let at = |days: i64| later(days * DAY_MS + 100);
    let nothing = later(2 * DAY_MS - 1);
    assert_eq!(pruned(store, nothing, &RETENTION, 10).await, [0; 3]);
    // Delivered, without a delivery, and a conflict; not what waits for a plan.
    assert_eq!(pruned(store, at(2), &RETENTION, 10).await, [3, 1, 0]);
    let left = [6, 3, 2].map(|number| event(number).id);
    assert_eq!(events_left(store).await, left);
    assert_eq!(store.attempts(delivery(1, "a").id).await.unwrap(), []);
    assert_eq!(pruned(store, at(3), &RETENTION, 10).await, [0, 0, 1]);
    assert_eq!(store.quarantined(9).await.unwrap(), []);
    assert_eq!(pruned(store, at(4), &RETENTION, 10).await, [0; 3]);
    assert_eq!(pruned(store, at(5), &RETENTION, 10).await, [1, 1, 0]);
    assert_eq!(store.event(event(2).id).await.unwrap(), None);
    // What is owed stays, however old, and so does what it needs.
    assert_eq!(pruned(store, at(500), &RETENTION, 10).await, [0; 3]);
    assert_eq!(
        store.depth().await.unwrap(),
        Depth { unplanned: 1, pending: 1, ..Depth::default() }
    );
    let claims = claim_due(store, at(500), "a", 1).await;
    assert_eq!(claims[0].item.body, event(3).body);
}

/// An age counts from the end, and an event waits for the last of its deliveries.
pub async fn an_event_goes_after_its_deliveries(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a"), delivery(2, "a")]).await;
    let claims = claim_due(store, later(0), "a", 2).await;
    record(store, later(0), result(&claims[0], 200, Next::Delivered)).await;
    record(store, later(DAY_MS), result(&claims[1], 200, Next::Delivered)).await;
    assert_eq!(pruned(store, later(2 * DAY_MS + 100), &RETENTION, 10).await, [0, 1, 0]);
    assert_eq!(events_left(store).await, [event(1).id]);
    assert_eq!(pruned(store, later(3 * DAY_MS), &RETENTION, 10).await, [1, 1, 0]);
}

pub async fn steps_have_a_limit(store: &dyn Store) {
    for number in 1..=7 {
        ended(store, number, Some(Next::Delivered)).await;
    }
    let now = later(2 * DAY_MS + 100);
    let step = store.prune(now, &RETENTION, 3).await.unwrap();
    assert_eq!((step.deliveries, step.is_more), (3, true));
    let rest = pruned(store, now, &RETENTION, 3).await;
    assert_eq!([rest[0] + step.events, rest[1]], [7, 4]);
    assert_eq!(events_left(store).await, []);
}

/// A lane goes on counting when nothing of it is left.
pub async fn sequences_are_never_used_twice(store: &dyn Store) {
    store.append(laned(1, "r")).await.unwrap();
    let claim = claim_event(store).await;
    store.record_plans(START, vec![plan(&claim, vec![])]).await.unwrap();
    assert_eq!(pruned(store, later(9 * DAY_MS), &RETENTION, 3).await, [1, 0, 0]);
    store.append(laned(2, "r")).await.unwrap();
    let found = store.event(event(2).id).await.unwrap().unwrap();
    assert_eq!(found.sequence, Some(2));
}

/// Event `number` of lane `key`, received so many days after the start, and its place.
async fn placed(store: &dyn Store, number: u32, key: &str, day: i64) -> Option<i64> {
    let event = NewEvent { received_at: later(day * DAY_MS), ..laned(number, key) };
    let id = event.id;
    assert_eq!(store.append(event).await.unwrap(), Appended::Stored);
    store.event(id).await.unwrap().unwrap().sequence
}

/// Gives all events that wait a plan without a delivery.
async fn unowed(store: &dyn Store, now: Timestamp) {
    let claims = store.claim_unplanned(now, LEASE_MS, 100).await.unwrap();
    let plans = claims.iter().map(|claim| plan(claim, vec![])).collect();
    store.record_plans(now, plans).await.unwrap();
}

async fn lanes_left(store: &dyn Store) -> Vec<(String, i64)> {
    let records = copy::exported(store).await.into_iter();
    let lanes = records.filter_map(|record| match record {
        Record::Lane { key, sequence, .. } => Some((key, sequence)),
        _ => None,
    });
    lanes.collect()
}

/// The counter of a lane goes when its time is over and no event of it is stored: one that waits
/// for its plan, is owed or dead keeps it, so no two that are stored have the same place.
pub async fn a_lane_that_is_not_used_begins_again(store: &dyn Store) {
    let at = |days: i64| later(days * DAY_MS);
    assert_eq!(placed(store, 1, "dead", 0).await, Some(1));
    let claim = claim_event(store).await;
    store.record_plans(START, vec![plan(&claim, vec![delivery(1, "a")])]).await.unwrap();
    assert_eq!(placed(store, 2, "gone", 0).await, Some(1));
    assert_eq!(placed(store, 3, "gone", 0).await, Some(2));
    assert_eq!(placed(store, 4, "used", 0).await, Some(1));
    unowed(store, at(1)).await;
    assert_eq!(placed(store, 5, "waits", 0).await, Some(1));
    assert_eq!(pruned(store, at(4), &RETENTION, 10).await, [3, 0, 0]);
    assert_eq!(placed(store, 6, "used", 4).await, Some(2));
    // A conflict has no place, and keeps no lane.
    let body = Bytes::from_static(b"another");
    let conflict = NewEvent { id: event(7).id, body_sha256: fake_hash(&body), body, ..event(6) };
    let conflict = NewEvent { received_at: at(4), lane: Some("gone".to_owned()), ..conflict };
    assert!(matches!(store.append(conflict).await.unwrap(), Appended::Conflict { .. }));

    let step = store.prune(at(10).plus_millis(-1), &RETENTION, 10).await.unwrap();
    assert_eq!(step.lanes, 0);
    let lane = |key: &str, last| (key.to_owned(), last);
    let step = store.prune(at(10), &RETENTION, 10).await.unwrap();
    assert_eq!(step.lanes, 1);
    assert_eq!(lanes_left(store).await, [lane("dead", 1), lane("used", 2), lane("waits", 1)]);
    assert_eq!(placed(store, 8, "gone", 10).await, Some(1));
    assert_eq!(placed(store, 9, "dead", 10).await, Some(2));
    let claims = claim_due(store, at(10), "a", 1).await;
    record(store, at(10), result(&claims[0], 500, DEAD)).await;
    assert_eq!(store.prune(at(14), &RETENTION, 10).await.unwrap().lanes, 0);

    // In steps, with the last event of a lane its counter if that is old enough.
    unowed(store, at(20)).await;
    let now = at(30);
    let mut lanes = 0;
    for _ in 0..20 {
        let step = store.prune(now, &RETENTION, 2).await.unwrap();
        assert!(step.lanes <= 2, "{step:?}");
        lanes += step.lanes;
        if !step.is_more {
            break;
        }
    }
    assert_eq!((lanes, lanes_left(store).await), (4, vec![]));
    appended_while_it_goes(store, now).await;
}

/// Whoever comes while the counter goes gets a place that nobody else has.
async fn appended_while_it_goes(store: &dyn Store, now: Timestamp) {
    for round in 0..10 {
        let (first, now) = (100 + round * 10, now.plus_millis(i64::from(round) * 20 * DAY_MS));
        for number in first..first + 2 {
            let event = NewEvent { received_at: now, ..laned(number, "r") };
            store.append(event).await.unwrap();
        }
        unowed(store, now).await;
        let now = now.plus_millis(15 * DAY_MS);
        let event = |number| NewEvent { received_at: now, ..laned(number, "r") };
        let (one, two, step) = tokio::join!(
            store.append(event(first + 2)),
            store.append(event(first + 3)),
            store.prune(now, &RETENTION, 10),
        );
        assert_eq!((one.unwrap(), two.unwrap()), (Appended::Stored, Appended::Stored));
        step.unwrap();
        assert_eq!(store.check().await.unwrap(), []);
        unowed(store, now).await;
    }
}

/// What cannot be compressed.
fn noise(number: u32, bytes: usize) -> Bytes {
    let mut dice = model::Dice::new(number.into());
    Bytes::from_iter((0..bytes).map(|_| dice.roll(256) as u8))
}

const NOISE_BYTES: usize = 100_000;

/// Events with large bodies.
async fn large(store: &dyn Store, number: u32, next: Option<Next>) {
    let body = noise(number, NOISE_BYTES);
    let event = NewEvent { body_sha256: fake_hash(&body), body, ..event(number) };
    store.append(event).await.unwrap();
    let claim = claim_event(store).await;
    let planned = plan(&claim, vec![delivery(number, "a")]);
    store.record_plans(START, vec![planned]).await.unwrap();
    if let Some(next) = next {
        let claims = claim_due(store, later(0), "a", 1).await;
        record(store, later(0), result(&claims[0], 500, next)).await;
    }
}

pub async fn size_follows_what_is_stored(store: &dyn Store) {
    let empty = store.size_bytes().await.unwrap();
    for number in 1..=10 {
        large(store, number, Some(Next::Delivered)).await;
    }
    let full = store.size_bytes().await.unwrap();
    assert!(full >= empty + 10 * NOISE_BYTES as u64, "{empty} {full}");
    pruned(store, later(9 * DAY_MS), &RETENTION, 3).await;
    let pruned = store.size_bytes().await.unwrap();
    assert!(pruned < empty + 5 * NOISE_BYTES as u64, "{empty} {full} {pruned}");
    store.vacuum().await.unwrap();
    assert!(store.size_bytes().await.unwrap() <= pruned + NOISE_BYTES as u64);
}

/// For want of space the oldest of what is delivered goes; never what is owed or dead.
pub async fn size_has_a_limit(store: &dyn Store) {
    let fates = [Some(Next::Delivered), Some(DEAD), Some(Next::Delivered), None];
    let fates = fates.into_iter().chain([Some(Next::Delivered); 6]);
    for (number, next) in (1..).zip(fates) {
        // What is owed must not be claimed in place of the next.
        if next.is_some() {
            large(store, number, next).await;
        }
    }
    large(store, 4, None).await;
    store.append(event(11)).await.unwrap();
    let full = store.size_bytes().await.unwrap();
    let spacious = Retention { bytes_max: Some(full + 1_000_000), ..RETENTION };
    assert_eq!(pruned(store, later(1), &spacious, 1).await, [0; 3]);

    let bytes_max = full - 2 * NOISE_BYTES as u64;
    let tight = Retention { bytes_max: Some(bytes_max), ..RETENTION };
    let gone = pruned(store, later(1), &tight, 1).await;
    assert!(store.size_bytes().await.unwrap() <= bytes_max);
    assert!((2..=4).contains(&gone[0]) && gone[0] == gone[1], "{gone:?}");
    let left = events_left(store).await;
    for number in [2, 4, 8, 9, 10, 11] {
        assert!(left.contains(&event(number).id), "event {number} went");
    }
    for number in [1, 3] {
        assert!(!left.contains(&event(number).id), "event {number} is there");
    }
    // It ends also when nothing more may go.
    let none = Retention { bytes_max: Some(0), ..RETENTION };
    pruned(store, later(1), &none, 2).await;
    assert_eq!(events_left(store).await, [11, 4, 2].map(|number| event(number).id));
    let claims = claim_due(store, later(1), "a", 9).await;
    assert_eq!(claims[0].item.body, noise(4, NOISE_BYTES));
}
