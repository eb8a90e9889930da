//! Who gets what, and until when.

use super::*;
use limits::CLAIM_BYTES_MAX;

fn ids(claims: &[Claim<DueDelivery>]) -> Vec<DeliveryId> {
    claims.iter().map(|claim| claim.item.delivery.id).collect()
}

pub async fn unplanned_oldest_first(store: &dyn Store) {
    for number in [1, 2, 3] {
        store.append(event(number)).await.unwrap();
    }
    let numbers = |claims: Vec<Claim<StoredEvent>>| -> Vec<EventId> {
        claims.into_iter().map(|claim| claim.item.event.id).collect()
    };
    assert_eq!(store.claim_unplanned(later(0), LEASE_MS, 9).await.unwrap(), []);
    let first = store.claim_unplanned(later(9), LEASE_MS, 2).await.unwrap();
    assert_ne!(first[0].fence, first[1].fence);
    assert_eq!(numbers(first), [event(1).id, event(2).id]);
    let second = store.claim_unplanned(later(9), LEASE_MS, 2).await.unwrap();
    assert_eq!(numbers(second), [event(3).id]);
    assert_eq!(store.claim_unplanned(later(9), LEASE_MS, 2).await.unwrap(), []);
}

pub async fn a_lease_ends(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a")]).await;
    let first = claim_due(store, later(0), "a", 1).await;
    assert_eq!(ids(&first), [delivery(1, "a").id]);
    assert_eq!(claim_due(store, later(LEASE_MS - 1), "a", 1).await, []);
    let second = claim_due(store, later(LEASE_MS), "a", 1).await;
    assert_eq!(ids(&second), ids(&first));
    assert_ne!(second[0].fence, first[0].fence);

    store.append(event(2)).await.unwrap();
    let event = claim_event(store).await;
    let ended = later(60_000 + LEASE_MS);
    assert_eq!(store.claim_unplanned(ended.plus_millis(-1), LEASE_MS, 1).await.unwrap(), []);
    let again = store.claim_unplanned(ended, LEASE_MS, 1).await.unwrap();
    assert_eq!(again[0].item, event.item);
}

pub async fn released(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a")]).await;
    let first = claim_due(store, later(0), "a", 1).await;
    store
        .release(vec![
            due_claim(&first[0]),
            Claimed::Delivery(first[0].item.delivery.id, Fence(u64::MAX)),
        ])
        .await
        .unwrap();
    let second = claim_due(store, later(0), "a", 1).await;
    assert_eq!(ids(&second), ids(&first));
    // The old fence is stale: it neither releases nor records.
    store.release(vec![due_claim(&first[0])]).await.unwrap();
    assert_eq!(claim_due(store, later(0), "a", 1).await, []);
    let late = result(&first[0], 200, Next::Delivered);
    assert_eq!(record(store, later(1), late).await, Recorded::Stale);

    store.append(event(2)).await.unwrap();
    let event = claim_event(store).await;
    store.release(vec![Claimed::Event(event.item.event.id, event.fence)]).await.unwrap();
    assert_eq!(claim_event(store).await.item, event.item);
}

pub async fn due_by_quota_in_order(store: &dyn Store) {
    let due = |number, endpoint, millis| NewDelivery {
        due_at: later(millis),
        ..delivery(number, endpoint)
    };
    let deliveries = vec![
        due(1, "a", 50),
        due(2, "a", 10),
        due(3, "a", 30),
        due(4, "b", 40),
        due(5, "b", 20),
        due(6, "b", 999),
        due(7, "c", 0),
    ];
    planned(store, 1, deliveries).await;
    let quotas = vec![quota("a", 2), quota("b", 9), quota("c", 0), quota("unknown", 9)];
    let claims = store.claim_due(later(100), LEASE_MS, quotas).await.unwrap().claims;
    let id = |number| delivery(number, "a").id;
    assert_eq!(ids(&claims), [id(2), id(3), id(5), id(4)]);
    assert_eq!(ids(&claim_due(store, later(100), "a", 9).await), [id(1)]);
    assert_eq!(ids(&claim_due(store, later(998), "b", 9).await), []);
    assert_eq!(ids(&claim_due(store, later(999), "b", 9).await), [id(6)]);

    let first = &claims[0].item;
    assert_eq!(first.body, event(1).body);
    assert_eq!(first.received_at, event(1).received_at);
    assert_eq!(first.delivery.webhook_id, "wh_2");
}

fn due_claim(claim: &Claim<DueDelivery>) -> Claimed {
    Claimed::Delivery(claim.item.delivery.id, claim.fence)
}

pub async fn a_claim_steps_over_the_leased(store: &dyn Store) {
    planned(store, 1, (1..=20).map(|number| delivery(number, "a")).collect()).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.extend(ids(&claim_due(store, later(0), "a", 5).await));
    }
    let expect: Vec<_> = (1..=20).map(|number| delivery(number, "a").id).collect();
    assert_eq!(seen, expect);
    assert_eq!(claim_due(store, later(0), "a", 5).await, []);
}

pub async fn bodies_of_one_claim_have_a_limit(store: &dyn Store) {
    let large = |number, bytes| {
        let body = Bytes::from(vec![b' '; bytes]);
        NewEvent { body_sha256: [number as u8; 32], body, ..event(number) }
    };
    let half = CLAIM_BYTES_MAX / 2;
    for (number, bytes) in [(1, half), (2, half), (3, 1), (4, CLAIM_BYTES_MAX + 1), (5, 0)] {
        store.append(large(number, bytes)).await.unwrap();
    }
    let mut plans = Vec::new();
    // What fits, in order; one that alone is too large comes alone. Nothing cut off is left under a
    // lease.
    for count in [2, 1, 1, 1] {
        let claims = store.claim_unplanned(later(60_000), LEASE_MS, 9).await.unwrap();
        assert_eq!(claims.len(), count, "after {} events", plans.len());
        for claim in &claims {
            let number = plans.len() as u32 + 1;
            assert_eq!(claim.item.event.id, event(number).id);
            let endpoint = if number % 2 == 1 { "a" } else { "b" };
            plans.push(plan(claim, vec![delivery(number, endpoint)]));
        }
    }
    store.record_plans(START, plans).await.unwrap();
    for expect in [vec![1, 3, 5], vec![2], vec![4]] {
        let expect: Vec<_> = expect.into_iter().map(|number| delivery(number, "a").id).collect();
        let quotas = vec![quota("a", 9), quota("b", 9)];
        let claims = store.claim_due(START, LEASE_MS, quotas).await.unwrap().claims;
        assert_eq!(ids(&claims)[..], expect[..]);
    }
}

pub async fn in_flight_is_counted_over_all_claims(store: &dyn Store) {
    let deliveries = (1..=9).map(|number| delivery(number, "a")).chain([delivery(10, "b")]);
    planned(store, 1, deliveries.collect()).await;
    let claim = async |now, slots| {
        let quotas = vec![Quota { in_flight_max: 3, ..quota("a", slots) }];
        store.claim_due(now, LEASE_MS, quotas).await.unwrap().claims
    };
    let first = claim(later(0), 2).await;
    assert_eq!(numbers(&first), [1, 2]);
    assert_eq!(numbers(&claim(later(0), 9).await), [3]);
    assert_eq!(claim(later(0), 9).await, []);
    assert_eq!(numbers(&claim_due(store, later(0), "b", 9).await), [10]);
    record(store, later(1), result(&first[0], 500, Next::RetryAt(later(90_000)))).await;
    store.release(vec![due_claim(&first[1])]).await.unwrap();
    assert_eq!(numbers(&claim(later(2), 9).await), [2, 4]);
    // A lease that ends frees its place.
    assert_eq!(numbers(&claim(later(LEASE_MS), 9).await), [3]);
}

pub async fn rate_is_shared_by_all_claims(store: &dyn Store) {
    planned(store, 1, (1..=9).map(|number| delivery(number, "a")).collect()).await;
    let rate = Some(Rate::new(10.0, 3).unwrap());
    let claim = async |now, slots| {
        let quotas = vec![Quota { rate, ..quota("a", slots) }];
        let due = store.claim_due(now, LEASE_MS, quotas).await.unwrap();
        (numbers(&due.claims), due.next_at)
    };
    // What is not taken is not charged.
    assert_eq!(claim(later(0), 1).await, (vec![1], None));
    assert_eq!(claim(later(0), 9).await, (vec![2, 3], None));
    assert_eq!(claim(later(0), 9).await, (vec![], Some(later(100))));
    assert_eq!(claim(later(99), 9).await, (vec![], Some(later(100))));
    assert_eq!(claim(later(100), 9).await, (vec![4], None));
    assert_eq!(claim(later(350), 9).await, (vec![5, 6], None));
    assert_eq!(claim(later(10_000), 9).await, (vec![7, 8, 9], None));
}

pub async fn a_rate_is_not_charged_for_nothing(store: &dyn Store) {
    let rate = Some(Rate::new(1.0, 2).unwrap());
    let quotas = || vec![Quota { rate, ..quota("a", 9) }];
    assert_eq!(store.claim_due(later(0), LEASE_MS, quotas()).await.unwrap(), Due::default());
    planned(store, 1, vec![delivery(1, "a"), delivery(2, "a"), delivery(3, "a")]).await;
    let due = store.claim_due(later(0), LEASE_MS, quotas()).await.unwrap();
    assert_eq!(numbers(&due.claims), [1, 2]);
}

/// When to look again; never a time that has passed, and nothing when only a write can help.
pub async fn next_at(store: &dyn Store) {
    let next_at = async |now, quotas| {
        let due = store.claim_due(now, LEASE_MS, quotas).await.unwrap();
        assert_eq!(due.claims, []);
        due.next_at
    };
    assert_eq!(next_at(later(0), vec![quota("a", 9)]).await, None);
    let due = |number, endpoint, millis| NewDelivery {
        due_at: later(millis),
        ..delivery(number, endpoint)
    };
    let deliveries = vec![due(1, "a", 500), due(2, "a", 300), due(3, "b", 200), due(4, "c", 0)];
    planned(store, 1, deliveries).await;
    assert_eq!(next_at(later(0), vec![quota("a", 9)]).await, Some(later(300)));
    let both = vec![quota("a", 9), quota("b", 9)];
    assert_eq!(next_at(later(0), both.clone()).await, Some(later(200)));
    assert_eq!(next_at(later(299), vec![quota("a", 9)]).await, Some(later(300)));
    // What has no place here, or elsewhere, waits for a write.
    assert_eq!(next_at(later(0), vec![quota("c", 0)]).await, None);
    assert_eq!(numbers(&claim_due(store, later(0), "c", 9).await), [4]);
    assert_eq!(next_at(later(1), vec![quota("c", 9)]).await, None);
    // What was brought hides what waits.
    let due = store.claim_due(later(250), LEASE_MS, both).await.unwrap();
    assert_eq!((numbers(&due.claims), due.next_at), (vec![3], None));
}

pub async fn next_at_with_no_place_in_flight(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a"), delivery(2, "a")]).await;
    let quotas = || vec![Quota { in_flight_max: 1, ..quota("a", 9) }];
    let due = store.claim_due(later(0), LEASE_MS, quotas()).await.unwrap();
    assert_eq!(numbers(&due.claims), [1]);
    let due = store.claim_due(later(0), LEASE_MS, quotas()).await.unwrap();
    assert_eq!(due, Due::default());
}
