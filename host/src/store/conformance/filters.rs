//! Pages by every field.

use super::*;

async fn check_events(store: &dyn Store, filter: EventFilter, expect: &[u32]) {
    let found = store.events(EventFilter { limit: 100, ..filter.clone() }).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|stored| stored.event.id).collect();
    let expect: Vec<_> = expect.iter().map(|number| event(*number).id).collect();
    assert_eq!(found, expect, "{filter:?}");
}

pub async fn of_events(store: &dyn Store) {
    let some = |text: &str| Some(text.to_owned());
    let test = NewEvent { source: "test".to_owned(), ..event(2) };
    let left = NewEvent { kind: "participant_left".to_owned(), ..event(3) };
    let no_room = NewEvent { room: None, ..event(4) };
    for event in [event(1), test, left, no_room, event(5)] {
        store.append(event).await.unwrap();
    }
    let all = EventFilter::default;
    check_events(store, all(), &[5, 4, 3, 2, 1]).await;
    check_events(store, EventFilter { source: some("test"), ..all() }, &[2]).await;
    check_events(store, EventFilter { source: some("tes"), ..all() }, &[]).await;
    check_events(store, EventFilter { kind: some("participant_left"), ..all() }, &[3]).await;
    check_events(store, EventFilter { kind: some("room_started"), ..all() }, &[5, 4, 2, 1]).await;
    check_events(store, EventFilter { room: some("room-5"), ..all() }, &[5]).await;
    check_events(store, EventFilter { since: Some(later(4)), ..all() }, &[5, 4]).await;
    check_events(store, EventFilter { until: Some(later(4)), ..all() }, &[3, 2, 1]).await;
    let before = Some(event(3).id);
    check_events(store, EventFilter { before, ..all() }, &[2, 1]).await;
    let both = EventFilter { kind: some("room_started"), source: some("prod"), ..all() };
    check_events(store, EventFilter { before, ..both.clone() }, &[1]).await;
    check_events(store, EventFilter { until: Some(later(1)), ..both }, &[]).await;
}

async fn check(store: &dyn Store, filter: DeliveryFilter, expect: &[u32]) {
    let found = store.deliveries(DeliveryFilter { limit: 100, ..filter.clone() }).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|delivery| number(delivery.id)).collect();
    assert_eq!(found, expect, "{filter:?}");
}

pub async fn of_deliveries(store: &dyn Store) {
    let some = |text: &str| Some(text.to_owned());
    let all = DeliveryFilter::default;
    planned(store, 1, vec![delivery(1, "a"), delivery(2, "a")]).await;
    let other = NewEvent { source: "test".to_owned(), room: None, ..event(2) };
    store.append(other).await.unwrap();
    let claim = claim_event(store).await;
    let own = NewDelivery { kind: "custom".to_owned(), ..delivery(3, "a") };
    store.record_plans(later(10), vec![plan(&claim, vec![own])]).await.unwrap();
    let claims = claim_due(store, later(11), "a", 2).await;
    record(store, later(12), result(&claims[0], 410, Next::Dead(DeadReason::Gone))).await;
    record(store, later(12), result(&claims[1], 500, DEAD)).await;
    super::replay::created(store, 1).await;
    let step = super::replay::step(1, vec![super::replay::again(4, 1, "b")]);
    store.record_replay(later(20), step).await.unwrap();

    check(store, DeliveryFilter { reason: Some(DeadReason::Gone), ..all() }, &[1]).await;
    check(store, DeliveryFilter { reason: Some(DeadReason::Plugin), ..all() }, &[]).await;
    check(store, DeliveryFilter { kind: some("custom"), ..all() }, &[3]).await;
    check(store, DeliveryFilter { kind: some("room_started"), ..all() }, &[4, 2, 1]).await;
    check(store, DeliveryFilter { source: some("test"), ..all() }, &[3]).await;
    check(store, DeliveryFilter { source: some("prod"), ..all() }, &[4, 2, 1]).await;
    check(store, DeliveryFilter { room: some("room-1"), ..all() }, &[4, 2, 1]).await;
    let replay = Some(super::replay::id(1));
    check(store, DeliveryFilter { replay, ..all() }, &[4]).await;
    let replay = Some(super::replay::id(2));
    check(store, DeliveryFilter { replay, ..all() }, &[]).await;
    check(store, DeliveryFilter { since: Some(later(10)), ..all() }, &[4, 3]).await;
    check(store, DeliveryFilter { until: Some(later(10)), ..all() }, &[2, 1]).await;
    let (since, until) = (Some(later(10)), Some(later(20)));
    check(store, DeliveryFilter { since, until, ..all() }, &[3]).await;
    let dead = DeliveryFilter { status: Some(Status::Dead), source: some("prod"), ..all() };
    check(store, dead.clone(), &[2, 1]).await;
    let before = Some(delivery(2, "a").id);
    check(store, DeliveryFilter { before, ..dead }, &[1]).await;
    let endpoint = some("b");
    check(store, DeliveryFilter { endpoint, room: some("room-1"), ..all() }, &[4]).await;
}

/// A page has one row at least and [`PAGE_MAX`] at most, whatever was asked for.
pub async fn pages_have_limits(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a"), delivery(2, "a")]).await;
    for limit in [0, 1] {
        let filter = DeliveryFilter { limit, ..DeliveryFilter::default() };
        assert_eq!(store.deliveries(filter).await.unwrap().len(), 1);
        let filter = EventFilter { limit, ..EventFilter::default() };
        assert_eq!(store.events(filter).await.unwrap().len(), 1);
    }
    let filter = DeliveryFilter { limit: usize::MAX, ..DeliveryFilter::default() };
    assert_eq!(store.deliveries(filter).await.unwrap().len(), 2);
    let filter = EventFilter { limit: usize::MAX, ..EventFilter::default() };
    assert_eq!(store.events(filter).await.unwrap().len(), 1);
}
