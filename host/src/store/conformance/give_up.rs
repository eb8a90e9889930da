//! What shall be owed no more.

use super::*;

async fn give_up(store: &dyn Store, now: i64, owed: Owed, limit: usize) -> u64 {
    let note = "not wanted".to_owned();
    store.give_up(later(now), owed, DeadReason::Cancelled, note, limit).await.unwrap()
}

pub async fn of_an_endpoint(store: &dyn Store) {
    let mut deliveries: Vec<_> = (1..=5).map(|number| delivery(number, "a")).collect();
    deliveries.push(delivery(6, "b"));
    planned(store, 1, deliveries).await;
    let claims = claim_due(store, later(0), "a", 2).await;
    record(store, later(1), result(&claims[0], 200, Next::Delivered)).await;
    // Of 2 to 5 one is under a claim.
    let all = || Owed::Endpoint("a".to_owned());
    assert_eq!(give_up(store, 9, all(), 2).await, 2);
    assert_eq!(give_up(store, 9, all(), 2).await, 1);
    assert_eq!(give_up(store, 9, all(), 2).await, 0);
    for (number, state) in [
        (1, State::Delivered),
        (2, State::Pending),
        (3, State::Dead(DeadReason::Cancelled)),
        (5, State::Dead(DeadReason::Cancelled)),
        (6, State::Pending),
    ] {
        assert_eq!(stored(store, delivery(number, "a").id).await.state, state, "{number}");
    }
    let row = stored(store, delivery(4, "a").id).await;
    assert_eq!((row.note.as_deref(), row.updated_at), (Some("not wanted"), later(9)));
    assert_eq!(row.attempts, 0);
    // The one under a claim ends as its attempt does.
    assert_eq!(record(store, later(10), result(&claims[1], 200, Next::Delivered)).await, DONE);
    assert_eq!(claim_due(store, later(99_999), "a", 9).await, []);
}

const DONE: Recorded = Recorded::Done;

pub async fn of_a_replay(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a")]).await;
    for (replay, number) in [(1, 11), (2, 12)] {
        super::replay::created(store, replay).await;
        let step = super::replay::step(replay, vec![super::replay::again(number, 1, "a")]);
        assert_eq!(store.record_replay(later(1), step).await.unwrap(), DONE);
    }
    assert_eq!(give_up(store, 2, Owed::Replay(super::replay::id(2)), 9).await, 1);
    assert_eq!(sorted(&claim_due(store, later(3), "a", 9).await), [1, 11]);
}

pub async fn of_one(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a"), delivery(2, "a")]).await;
    assert_eq!(give_up(store, 0, Owed::Delivery(delivery(2, "a").id), 9).await, 1);
    assert_eq!(give_up(store, 0, Owed::Delivery(delivery(2, "a").id), 9).await, 0);
    assert_eq!(give_up(store, 0, Owed::Delivery(delivery(3, "a").id), 9).await, 0);
    assert_eq!(numbers(&claim_due(store, later(0), "a", 9).await), [1]);
}

/// A lease that has ended is no claim; its worker comes too late.
pub async fn a_late_record_does_not_bring_it_back(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a")]).await;
    let claims = claim_due(store, later(0), "a", 1).await;
    let owed = || Owed::Endpoint("a".to_owned());
    assert_eq!(give_up(store, LEASE_MS - 1, owed(), 9).await, 0);
    assert_eq!(give_up(store, LEASE_MS, owed(), 9).await, 1);
    let late = result(&claims[0], 200, Next::Delivered);
    assert_eq!(record(store, later(LEASE_MS), late).await, Recorded::Stale);
    let row = stored(store, delivery(1, "a").id).await;
    assert_eq!((row.state, row.attempts), (State::Dead(DeadReason::Cancelled), 0));
    assert_eq!(store.attempts(row.id).await.unwrap(), []);
}

pub async fn lanes_go_on(store: &dyn Store) {
    for number in [1, 2] {
        store.append(laned(number, "r")).await.unwrap();
        let claim = claim_event(store).await;
        let plan = plan(&claim, vec![in_lane(number, "a", "r")]);
        store.record_plans(START, vec![plan]).await.unwrap();
    }
    assert_eq!(give_up(store, 0, Owed::Delivery(delivery(1, "a").id), 9).await, 1);
    assert_eq!(numbers(&claim_due(store, later(0), "a", 9).await), [2]);
}
