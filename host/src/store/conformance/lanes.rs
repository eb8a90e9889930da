//! Order, where it is asked for.

use super::*;

/// Event `number` in lane `key`, with a delivery of the same number in the same lane of `a`.
async fn owed(store: &dyn Store, number: u32, key: &str) {
    store.append(laned(number, key)).await.unwrap();
    let claim = claim_event(store).await;
    let plan = plan(&claim, vec![in_lane(number, "a", key)]);
    assert_eq!(store.record_plans(START, vec![plan]).await.unwrap(), [Recorded::Done]);
}

pub async fn only_the_head_goes(store: &dyn Store) {
    for number in 1..=4 {
        owed(store, number, "r").await;
    }
    let first = claim_due(store, later(0), "a", 9).await;
    assert_eq!(numbers(&first), [1]);
    assert_eq!(first[0].item.delivery.sequence, Some(1));
    assert_eq!(first[0].item.delivery.lane.as_deref(), Some("prod/r"));
    assert_eq!(claim_due(store, later(1), "a", 9).await, []);
    // It blocks its lane until it is delivered …
    record(store, later(2), result(&first[0], 500, Next::RetryAt(later(5_000)))).await;
    let quotas = vec![quota("a", 9)];
    let due = store.claim_due(later(4_999), LEASE_MS, quotas).await.unwrap();
    assert_eq!(due, Due { claims: vec![], next_at: Some(later(5_000)) });
    let again = claim_due(store, later(5_000), "a", 9).await;
    assert_eq!(numbers(&again), [1]);
    record(store, later(5_001), result(&again[0], 200, Next::Delivered)).await;
    let second = claim_due(store, later(5_001), "a", 9).await;
    assert_eq!(numbers(&second), [2]);
    // … or dead.
    record(store, later(5_002), result(&second[0], 500, DEAD)).await;
    let third = claim_due(store, later(5_002), "a", 9).await;
    assert_eq!(numbers(&third), [3]);
    // A lease that ends, or a claim given back, does not let the next one pass.
    let third = claim_due(store, later(5_002 + LEASE_MS), "a", 9).await;
    assert_eq!(numbers(&third), [3]);
    let delivery = third[0].item.delivery.id;
    store.release(vec![Claimed::Delivery(delivery, third[0].fence)]).await.unwrap();
    assert_eq!(numbers(&claim_due(store, later(5_002 + LEASE_MS), "a", 9).await), [3]);
}

pub async fn lanes_do_not_wait_for_each_other(store: &dyn Store) {
    for (number, key) in [(1, "r1"), (2, "r1"), (3, "r2"), (4, "r2")] {
        store.append(laned(number, key)).await.unwrap();
        let claim = claim_event(store).await;
        let deliveries = vec![
            in_lane(number, "a", key),
            in_lane(number + 10, "b", key),
            delivery(number + 20, "a"),
        ];
        store.record_plans(START, vec![plan(&claim, deliveries)]).await.unwrap();
    }
    let of_a = claim_due(store, later(0), "a", 99).await;
    assert_eq!(sorted(&of_a), [1, 3, 21, 22, 23, 24]);
    let first = of_a.iter().find(|claim| number(claim.item.delivery.id) == 1).unwrap();
    record(store, later(1), result(first, 200, Next::Delivered)).await;
    assert_eq!(numbers(&claim_due(store, later(1), "a", 99).await), [2]);
    assert_eq!(sorted(&claim_due(store, later(1), "b", 99).await), [11, 13]);
}

/// The source is part of a lane.
pub async fn sources_have_lanes_of_their_own(store: &dyn Store) {
    let of_test = NewEvent { source: "test".to_owned(), ..laned(1, "r") };
    store.append(of_test.clone()).await.unwrap();
    // Not planned, and in nobody's way but its own.
    let claims = store.claim_unplanned(later(9), 1_000_000, 9).await.unwrap();
    owed(store, 2, "r").await;
    assert_eq!(numbers(&claim_due(store, later(0), "a", 9).await), [2]);
    let lane = Some(lane(None, "test", "r"));
    let deliveries = vec![NewDelivery { lane, ..delivery(1, "a") }];
    store.record_plans(START, vec![plan(&claims[0], deliveries)]).await.unwrap();
    assert_eq!(numbers(&claim_due(store, later(0), "a", 9).await), [1]);
}

/// The order of arrival decides, not when something falls due.
pub async fn the_first_is_waited_for(store: &dyn Store) {
    store.append(laned(1, "r")).await.unwrap();
    let claim = claim_event(store).await;
    let late = NewDelivery { due_at: later(700), ..in_lane(9, "a", "r") };
    store.record_plans(START, vec![plan(&claim, vec![late])]).await.unwrap();
    owed(store, 2, "r").await;
    let due = store.claim_due(later(0), LEASE_MS, vec![quota("a", 9)]).await.unwrap();
    assert_eq!(due, Due { claims: vec![], next_at: Some(later(700)) });
    assert_eq!(numbers(&claim_due(store, later(700), "a", 9).await), [9]);
}

pub async fn parts_of_an_event_go_by_id(store: &dyn Store) {
    store.append(laned(1, "r")).await.unwrap();
    let claim = claim_event(store).await;
    let parts = [3, 1, 2].map(|number| in_lane(number, "a", "r"));
    store.record_plans(START, vec![plan(&claim, parts.into())]).await.unwrap();
    for expect in [1, 2, 3] {
        let claims = claim_due(store, later(0), "a", 9).await;
        assert_eq!(numbers(&claims), [expect]);
        record(store, later(0), result(&claims[0], 200, Next::Delivered)).await;
    }
}

/// An earlier event that may still get a delivery to the endpoint holds the lane there.
pub async fn an_event_without_a_plan_holds_its_lane(store: &dyn Store) {
    let body = Bytes::from_static(b"another");
    let conflict =
        NewEvent { id: event(3).id, body_sha256: fake_hash(&body), body, ..laned(1, "r") };
    for event in [laned(1, "r"), conflict, laned(4, "r"), laned(5, "r")] {
        store.append(event).await.unwrap();
    }
    let claims = store.claim_unplanned(later(9), 1_000_000, 9).await.unwrap();
    assert_eq!(claims.len(), 3);
    let of_both = |first| vec![in_lane(first, "a", "r"), in_lane(first + 1, "b", "r")];
    let plans = vec![plan(&claims[2], of_both(31)), plan(&claims[1], of_both(21))];
    store.record_plans(START, plans).await.unwrap();
    assert_eq!(claim_due(store, later(0), "a", 9).await, []);
    assert_eq!(claim_due(store, later(0), "b", 9).await, []);
    // It is settled for one of them: nothing will come there.
    let next = PlanNext::Again {
        at: later(50),
        note: "busy".to_owned(),
        deliveries: Vec::new(),
        settled: vec!["a".to_owned()],
    };
    let begun = Plan { event: claims[0].item.event.id, fence: claims[0].fence, next };
    store.record_plans(START, vec![begun]).await.unwrap();
    assert_eq!(numbers(&claim_due(store, later(0), "a", 9).await), [21]);
    assert_eq!(claim_due(store, later(0), "b", 9).await, []);
    let again = store.claim_unplanned(later(50), LEASE_MS, 9).await.unwrap();
    let late = vec![in_lane(11, "b", "r")];
    store.record_plans(later(51), vec![plan(&again[0], late)]).await.unwrap();
    for expect in [11, 22, 32] {
        let claims = claim_due(store, later(60), "b", 9).await;
        assert_eq!(numbers(&claims), [expect]);
        record(store, later(60), result(&claims[0], 200, Next::Delivered)).await;
    }
}

/// What is in no lane does not wait, and holds up nobody.
pub async fn without_a_lane_nothing_waits(store: &dyn Store) {
    store.append(laned(1, "r")).await.unwrap();
    store.append(laned(2, "r")).await.unwrap();
    let claims = store.claim_unplanned(later(9), 1_000_000, 9).await.unwrap();
    let plans = vec![plan(&claims[1], vec![delivery(2, "a")])];
    store.record_plans(START, plans).await.unwrap();
    let claims = claim_due(store, later(0), "a", 9).await;
    assert_eq!(numbers(&claims), [2]);
    assert_eq!(claims[0].item.delivery.sequence, Some(2));
}

pub async fn a_lane_goes_on_without_what_leaves_it(store: &dyn Store) {
    for number in 1..=3 {
        owed(store, number, "r").await;
    }
    let first = claim_due(store, later(0), "a", 9).await;
    let left =
        AttemptResult { leaves_lane: true, ..result(&first[0], 500, Next::RetryAt(later(5_000))) };
    assert_eq!(record(store, later(1), left).await, Recorded::Done);
    let row = stored(store, delivery(1, "a").id).await;
    assert_eq!((row.lane, row.sequence), (None, Some(1)));
    let second = claim_due(store, later(1), "a", 9).await;
    assert_eq!(numbers(&second), [2]);
    // It comes again beside the lane, and does not get its place back.
    let again = claim_due(store, later(5_000), "a", 9).await;
    assert_eq!(numbers(&again), [1]);
    record(store, later(5_001), result(&again[0], 500, Next::RetryAt(later(9_000)))).await;
    record(store, later(5_001), result(&second[0], 200, Next::Delivered)).await;
    let rest = claim_due(store, later(9_000), "a", 9).await;
    assert_eq!(sorted(&rest), [1, 3]);
    // Only what will be tried again can leave.
    let last = rest.iter().find(|claim| number(claim.item.delivery.id) == 3).unwrap();
    let done = AttemptResult { leaves_lane: true, ..result(last, 200, Next::Delivered) };
    record(store, later(9_001), done).await;
    assert_eq!(stored(store, delivery(3, "a").id).await.lane.as_deref(), Some("prod/r"));
}
