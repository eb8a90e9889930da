//! Several deliveries in one request.

use super::*;
use livekit_webhook_core::batch::{BODY_BYTES_MAX, BatchId, Batching};

const WAIT_MS: i64 = 1_000;

/// Batches of up to three.
fn batched(slots: usize) -> Quota {
    Quota { batching: Some(Batching::new(3, WAIT_MS).unwrap()), ..quota("a", slots) }
}

/// A first attempt that waits for others until `millis`.
fn due(number: u32, millis: i64) -> NewDelivery {
    NewDelivery { due_at: later(millis), ..delivery(number, "a") }
}

async fn claim(store: &dyn Store, now: i64, quota: Quota) -> Due {
    store.claim_due(later(now), LEASE_MS, vec![quota]).await.unwrap()
}

/// The members of each request, in the order of the claim.
fn requests(due: &Due) -> Vec<Vec<u32>> {
    let mut requests: Vec<(u32, Vec<u32>)> = Vec::new();
    for claim in &due.claims {
        let number = number(claim.item.delivery.id);
        match requests.last_mut() {
            Some((request, members)) if *request == claim.item.request => members.push(number),
            _ => requests.push((claim.item.request, vec![number])),
        }
    }
    let names: std::collections::BTreeSet<_> = requests.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), requests.len(), "members of a request stand together");
    requests.into_iter().map(|(_, members)| members).collect()
}

pub async fn without_batching_each_goes_alone(store: &dyn Store) {
    planned(store, 1, vec![due(1, 0), due(2, 0), due(3, 0)]).await;
    let found = claim(store, 0, quota("a", 9)).await;
    assert_eq!(requests(&found), [[1], [2], [3]]);
}

pub async fn a_batch_goes_when_its_oldest_is_due(store: &dyn Store) {
    planned(store, 1, vec![due(1, 1_000), due(2, 1_400)]).await;
    let none = Due { claims: vec![], next_at: Some(later(1_000)) };
    assert_eq!(claim(store, 600, batched(9)).await, none);
    assert_eq!(claim(store, 999, batched(9)).await, none);
    // The second is not due, and goes along.
    assert_eq!(requests(&claim(store, 1_000, batched(9)).await), [[1, 2]]);
}

pub async fn a_full_batch_does_not_wait(store: &dyn Store) {
    let deliveries = (1..=8).map(|number| due(number, 900 + i64::from(number)));
    planned(store, 1, deliveries.collect()).await;
    let found = claim(store, 500, batched(9)).await;
    assert_eq!(requests(&found), [[1, 2, 3], [4, 5, 6]]);
    // Two are not enough.
    let found = claim(store, 500, batched(9)).await;
    assert_eq!(found, Due { claims: vec![], next_at: Some(later(907)) });
    assert_eq!(requests(&claim(store, 907, batched(9)).await), [[7, 8]]);
}

/// What is due later than the wait for a batch is not waiting for a batch.
pub async fn only_those_near_fill_a_batch(store: &dyn Store) {
    planned(store, 1, vec![due(1, 0), due(2, WAIT_MS), due(3, WAIT_MS + 1)]).await;
    assert_eq!(requests(&claim(store, 0, batched(9)).await), [[1, 2]]);
    let none = Due { claims: vec![], next_at: Some(later(WAIT_MS + 1)) };
    assert_eq!(claim(store, 0, batched(9)).await, none);
}

/// The oldest go first, and stand by id, so that the body is the same on the next attempt.
pub async fn the_oldest_fill_a_batch(store: &dyn Store) {
    planned(store, 1, vec![due(1, 40), due(2, 30), due(3, 20), due(4, 10)]).await;
    let found = claim(store, 100, batched(9)).await;
    assert_eq!(requests(&found), [vec![2, 3, 4], vec![1]]);
}

pub async fn a_batch_is_one_request(store: &dyn Store) {
    planned(store, 1, (1..=9).map(|number| due(number, 0)).collect()).await;
    assert_eq!(requests(&claim(store, 0, batched(1)).await), [[1, 2, 3]]);
    // One in flight of two.
    let two = Quota { in_flight_max: 2, ..batched(9) };
    let found = claim(store, 0, two.clone()).await;
    assert_eq!(requests(&found), [[4, 5, 6]]);
    assert_eq!(claim(store, 0, two.clone()).await, Due::default());
    // It is under way until its last member is recorded.
    for (index, expect) in [(0, 0), (1, 0), (2, 1)] {
        record(store, later(0), result(&found.claims[index], 200, Next::Delivered)).await;
        assert_eq!(requests(&claim(store, 0, two.clone()).await).len(), expect);
    }
}

pub async fn a_batch_takes_one_of_the_rate(store: &dyn Store) {
    planned(store, 1, (1..=9).map(|number| due(number, 0)).collect()).await;
    let rate = Some(Rate::new(10.0, 2).unwrap());
    let found = claim(store, 0, Quota { rate, ..batched(9) }).await;
    assert_eq!(requests(&found), [[1, 2, 3], [4, 5, 6]]);
    let found = claim(store, 0, Quota { rate, ..batched(9) }).await;
    assert_eq!(found, Due { claims: vec![], next_at: Some(later(100)) });
}

pub async fn the_bytes_of_a_batch_have_a_limit(store: &dyn Store) {
    let sized = |number, bytes| NewDelivery {
        body: Some(Bytes::from(vec![b' '; bytes])),
        ..due(number, 0)
    };
    let half = BODY_BYTES_MAX / 2;
    let deliveries =
        vec![sized(1, half), sized(2, half), sized(3, 9), sized(4, 2 * half), sized(5, 1)];
    planned(store, 1, deliveries).await;
    let found = claim(store, 0, batched(9)).await;
    assert_eq!(requests(&found), [vec![1], vec![2, 3], vec![4], vec![5]]);
}

/// A failed batch comes back whole, with nothing else in it.
pub async fn a_batch_is_tried_again_whole(store: &dyn Store) {
    planned(store, 1, vec![due(1, 0), due(2, 0)]).await;
    let first = claim(store, 0, batched(9)).await;
    assert_eq!(requests(&first), [[1, 2]]);
    let batch = Some(BatchId::of(["wh_1", "wh_2"]));
    let bound = |claim| AttemptResult { batch, ..result(claim, 500, Next::RetryAt(later(500))) };
    let results = first.claims.iter().map(bound).collect();
    let recorded = store.record_attempts(later(1), results).await.unwrap();
    assert_eq!(recorded, [Recorded::Done, Recorded::Done]);
    assert_eq!(stored(store, delivery(2, "a").id).await.batch, batch);

    planned(store, 2, vec![due(3, 400), due(4, 600)]).await;
    let found = claim(store, 400, batched(1)).await;
    assert_eq!(requests(&found), [[3, 4]]);
    planned(store, 3, vec![due(5, 450)]).await;
    let found = claim(store, 500, batched(9)).await;
    assert_eq!(requests(&found), [vec![5], vec![1, 2]]);
    // One member under a claim holds the others.
    let released = Claimed::Delivery(found.claims[1].item.delivery.id, found.claims[1].fence);
    store.release(vec![released]).await.unwrap();
    assert_eq!(claim(store, 500, batched(9)).await, Due::default());
    let released = Claimed::Delivery(found.claims[2].item.delivery.id, found.claims[2].fence);
    store.release(vec![released]).await.unwrap();
    let again = claim(store, 500, batched(9)).await;
    assert_eq!(requests(&again), [[1, 2]]);
    // Bound no more.
    let free = |claim| result(claim, 500, Next::RetryAt(later(900)));
    let results = again.claims.iter().map(free).collect();
    store.record_attempts(later(501), results).await.unwrap();
    planned(store, 4, vec![due(6, 950)]).await;
    assert_eq!(requests(&claim(store, 900, batched(9)).await), [[1, 2, 6]]);
}

/// A failed attempt that is bound to nobody does not wait for company, and does not go early.
pub async fn one_that_failed_alone_goes_when_it_is_due(store: &dyn Store) {
    planned(store, 1, vec![due(1, 0)]).await;
    let first = claim(store, 0, batched(9)).await;
    let failed = result(&first.claims[0], 500, Next::RetryAt(later(500)));
    record(store, later(1), failed).await;
    planned(store, 2, vec![due(2, 400)]).await;
    assert_eq!(requests(&claim(store, 400, batched(9)).await), [[2]]);
    assert_eq!(requests(&claim(store, 500, batched(9)).await), [[1]]);
}

/// The endpoint is batched no more.
pub async fn what_was_bound_goes_alone_without_batching(store: &dyn Store) {
    planned(store, 1, vec![due(1, 0), due(2, 0)]).await;
    let first = claim(store, 0, batched(9)).await;
    let batch = Some(BatchId::of(["wh_1", "wh_2"]));
    let bound = |claim| AttemptResult { batch, ..result(claim, 500, Next::RetryAt(later(5))) };
    store.record_attempts(later(1), first.claims.iter().map(bound).collect()).await.unwrap();
    assert_eq!(requests(&claim(store, 5, quota("a", 9)).await), [[1], [2]]);
}

/// Lanes hold in batches too: of each lane the head.
pub async fn a_batch_has_the_heads_of_lanes(store: &dyn Store) {
    for (number, key) in [(1, "r1"), (2, "r1"), (3, "r2")] {
        store.append(laned(number, key)).await.unwrap();
        let claim = claim_event(store).await;
        let plan = plan(&claim, vec![in_lane(number, "a", key)]);
        store.record_plans(START, vec![plan]).await.unwrap();
    }
    assert_eq!(requests(&claim(store, 0, batched(9)).await), [[1, 3]]);
}

/// A probe of a batched endpoint is a batch.
pub async fn a_probe_may_be_a_batch(store: &dyn Store) {
    use livekit_webhook_core::health::{Breaker, Health};
    planned(store, 1, (1..=9).map(|number| due(number, 0)).collect()).await;
    let breaker = Breaker::Open { until: later(0), periods: 1, successes: 0 };
    let health = Health { breaker, ..Health::default() };
    let health = EndpointHealth { endpoint: "a".to_owned(), health, version: 0 };
    assert_eq!(store.record_health(health).await.unwrap(), Recorded::Done);
    assert_eq!(requests(&claim(store, 0, batched(9)).await), [[1, 2, 3]]);
}
