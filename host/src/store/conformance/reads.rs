//! What the command line and the gauges see.

use super::*;

pub async fn events_by_page(store: &dyn Store) {
    for number in 1..=5 {
        store.append(event(number)).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut before = None;
    for expect in [2, 2, 1, 0] {
        let page =
            store.events(EventFilter { before, limit: 2, ..EventFilter::default() }).await.unwrap();
        assert_eq!(page.len(), expect);
        before = page.last().map(|last| last.event.id);
        seen.extend(page.into_iter().map(|stored| stored.event));
    }
    assert_eq!(seen, [event(5), event(4), event(3), event(2), event(1)]);
}

pub async fn deliveries_by_filter(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a"), delivery(2, "b")]).await;
    planned(store, 2, vec![delivery(3, "a"), delivery(4, "b")]).await;
    planned(store, 3, vec![delivery(5, "a")]).await;
    let claims = claim_due(store, later(0), "a", 2).await;
    record(store, later(1), result(&claims[0], 500, DEAD)).await;
    record(store, later(1), result(&claims[1], 200, Next::Delivered)).await;

    let all = DeliveryFilter { limit: 100, ..DeliveryFilter::default() };
    check(store, all.clone(), &[5, 4, 3, 2, 1]).await;
    check(store, DeliveryFilter { limit: 2, ..all.clone() }, &[5, 4]).await;
    let before = Some(delivery(4, "b").id);
    check(store, DeliveryFilter { before, limit: 2, ..all.clone() }, &[3, 2]).await;
    let of_a = DeliveryFilter { endpoint: Some("a".to_owned()), ..all.clone() };
    check(store, of_a.clone(), &[5, 3, 1]).await;
    check(store, DeliveryFilter { endpoint: Some("x".to_owned()), ..all.clone() }, &[]).await;
    check(store, DeliveryFilter { event: Some(event(2).id), ..all.clone() }, &[4, 3]).await;
    for (status, expect) in
        [(Status::Pending, &[5, 4, 2][..]), (Status::Delivered, &[3]), (Status::Dead, &[1])]
    {
        check(store, DeliveryFilter { status: Some(status), ..all.clone() }, expect).await;
    }
    let status = Some(Status::Pending);
    check(store, DeliveryFilter { status, before, ..of_a.clone() }, &[]).await;
    check(store, DeliveryFilter { status, ..of_a }, &[5]).await;
}

async fn check(store: &dyn Store, filter: DeliveryFilter, expect: &[u32]) {
    let found = store.deliveries(filter.clone()).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|delivery| delivery.id).collect();
    let expect: Vec<_> = expect.iter().map(|number| delivery(*number, "a").id).collect();
    assert_eq!(found, expect, "{filter:?}");
}

pub async fn depth_follows(store: &dyn Store) {
    let depth = |unplanned, pending, dead| Depth { unplanned, pending, dead, quarantined: 0 };
    assert_eq!(store.depth().await.unwrap(), depth(0, 0, 0));
    store.append(event(1)).await.unwrap();
    assert_eq!(store.depth().await.unwrap(), depth(1, 0, 0));
    let claim = claim_event(store).await;
    let deliveries = vec![delivery(1, "a"), delivery(2, "a"), delivery(3, "a")];
    store.record_plans(START, vec![plan(&claim, deliveries)]).await.unwrap();
    assert_eq!(store.depth().await.unwrap(), depth(0, 3, 0));
    let claims = claim_due(store, later(0), "a", 3).await;
    record(store, later(1), result(&claims[0], 200, Next::Delivered)).await;
    assert_eq!(store.depth().await.unwrap(), depth(0, 2, 0));
    record(store, later(1), result(&claims[1], 500, DEAD)).await;
    assert_eq!(store.depth().await.unwrap(), depth(0, 1, 1));
    record(store, later(1), result(&claims[2], 500, Next::RetryAt(later(2)))).await;
    assert_eq!(store.depth().await.unwrap(), depth(0, 1, 1));
}

pub async fn closed(store: &dyn Store) {
    store.append(event(1)).await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.append(event(2)).await, Err(Error::Closed)));
    assert!(matches!(store.event(event(1).id).await, Err(Error::Closed)));
    assert!(matches!(store.claim_unplanned(later(9), 1, 1).await, Err(Error::Closed)));
    assert!(matches!(store.record_plans(START, vec![]).await, Err(Error::Closed)));
    assert!(matches!(store.depth().await, Err(Error::Closed)));
    store.close().await.unwrap();
}

pub async fn pending_by_endpoint(store: &dyn Store) {
    assert_eq!(store.pending_by_endpoint().await.unwrap(), []);
    let dead = NewDelivery { state: State::Dead(DeadReason::Plugin), ..delivery(3, "a") };
    planned(store, 1, vec![delivery(1, "b"), delivery(2, "a"), dead, delivery(4, "b")]).await;
    let found = store.pending_by_endpoint().await.unwrap();
    assert_eq!(found, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
    let claims = claim_due(store, later(0), "a", 1).await;
    record(store, later(0), result(&claims[0], 200, Next::Delivered)).await;
    assert_eq!(store.pending_by_endpoint().await.unwrap(), [("b".to_owned(), 2)]);
}

pub async fn oldest(store: &dyn Store) {
    let oldest = |due_at, dead_at| Oldest { due_at, dead_at };
    assert_eq!(store.oldest(later(0)).await.unwrap(), Oldest::default());
    let due = |number, millis| NewDelivery { due_at: later(millis), ..delivery(number, "a") };
    planned(store, 1, vec![due(1, 300), due(2, 100), due(3, 900)]).await;
    assert_eq!(store.oldest(later(99)).await.unwrap(), Oldest::default());
    assert_eq!(store.oldest(later(500)).await.unwrap(), oldest(Some(later(100)), None));
    let claims = claim_due(store, later(500), "a", 9).await;
    // It is owed while it is under way.
    assert_eq!(store.oldest(later(500)).await.unwrap(), oldest(Some(later(100)), None));
    record(store, later(600), result(&claims[1], 500, DEAD)).await;
    record(store, later(700), result(&claims[0], 500, DEAD)).await;
    assert_eq!(store.oldest(later(800)).await.unwrap(), oldest(None, Some(later(600))));
    assert_eq!(store.oldest(later(900)).await.unwrap(), oldest(Some(later(900)), Some(later(600))));
}
