//! What is sent again.

use super::*;
use livekit_webhook_core::replay::Fate;

pub fn id(number: u32) -> ReplayId {
    ReplayId::new(START.as_millis() + i64::from(number), number.into())
}

fn replay(number: u32) -> StoredReplay {
    StoredReplay {
        id: id(number),
        selection: Selection::default(),
        rate_milli: 1_500,
        created_at: later(number.into()),
        updated_at: later(number.into()),
        state: ReplayState::Running,
        cursor: None,
        planned: 0,
        skipped: 0,
        note: None,
    }
}

pub async fn created(store: &dyn Store, number: u32) {
    store.create_replay(replay(number)).await.unwrap();
}

/// Delivery `of` once more, as `number`.
pub fn again(number: u32, of: u32, endpoint: &str) -> ReplayDelivery {
    let due_at = START;
    let (id, of) = (delivery(number, "").id, delivery(of, "").id);
    ReplayDelivery { id, of, endpoint: endpoint.to_owned(), is_ordered: false, due_at }
}

/// The first step of a replay, up to event 1.
pub fn step(number: u32, deliveries: Vec<ReplayDelivery>) -> ReplayStep {
    let (from, to) = (None, Some(event(1).id));
    ReplayStep { replay: id(number), from, to, deliveries, skipped: 3, is_done: false }
}

pub async fn kept_as_created(store: &dyn Store) {
    assert_eq!(store.replays(9).await.unwrap(), []);
    let full = StoredReplay {
        selection: Selection {
            events: vec![event(1).id, event(2).id],
            since: Some(later(1)),
            until: Some(later(2)),
            kinds: vec!["room_*".parse().unwrap(), "track_published".parse().unwrap()],
            rooms: vec!["a*b".parse().unwrap()],
            source: Some("prod".to_owned()),
            endpoint: Some("a".to_owned()),
            status: Some(livekit_webhook_core::replay::ReplayStatus::Dead),
            reason: Some(DeadReason::Gone),
            to: Some("b".to_owned()),
            include_succeeded: true,
        },
        note: Some("why".to_owned()),
        ..replay(1)
    };
    store.create_replay(full.clone()).await.unwrap();
    for number in [2, 3] {
        created(store, number).await;
    }
    // An answer that was lost: it is asked for again, and is there.
    store.create_replay(StoredReplay { note: None, ..full.clone() }).await.unwrap();
    assert_eq!(store.replays(9).await.unwrap(), [replay(3), replay(2), full]);
    assert_eq!(store.replays(1).await.unwrap(), [replay(3)]);
}

pub async fn a_step_plans_and_moves_on(store: &dyn Store) {
    store.append(laned(1, "r")).await.unwrap();
    let claim = claim_event(store).await;
    let own = NewDelivery {
        body: Some(Bytes::from_static(b"the plugin's")),
        kind: "custom".to_owned(),
        headers: headers(),
        webhook_id: "wh_own".to_owned(),
        ..delivery(2, "a")
    };
    store.record_plans(START, vec![plan(&claim, vec![delivery(1, "a"), own])]).await.unwrap();
    let claims = claim_due(store, later(0), "a", 9).await;
    record(store, later(1), result(&claims[0], 500, DEAD)).await;
    record(store, later(1), result(&claims[1], 500, DEAD)).await;

    created(store, 1).await;
    let other = ReplayDelivery { due_at: later(70), ..again(12, 2, "b") };
    let first = step(1, vec![again(11, 1, "a"), other]);
    assert_eq!(store.record_replay(later(50), first.clone()).await.unwrap(), Recorded::Done);
    let expect = StoredDelivery {
        id: delivery(12, "b").id,
        event: event(1).id,
        endpoint: "b".to_owned(),
        webhook_id: "wh_own".to_owned(),
        kind: "custom".to_owned(),
        headers: headers(),
        state: State::Pending,
        due_at: later(70),
        attempts: 0,
        lane: None,
        sequence: Some(1),
        batch: None,
        replay: Some(id(1)),
        created_at: later(50),
        updated_at: later(50),
        note: None,
    };
    assert_eq!(claim_due(store, later(69), "b", 9).await, []);
    let due = claim_due(store, later(70), "b", 9).await.remove(0).item;
    assert_eq!((due.delivery, due.body), (expect, Bytes::from_static(b"the plugin's")));
    assert_eq!(due.received_at, event(1).received_at);
    let due = claim_due(store, later(70), "a", 9).await.remove(0).item;
    assert_eq!((due.delivery.webhook_id.as_str(), due.body), ("wh_1", event(1).body));

    // Asked again, because the answer was lost, it writes nothing.
    assert_eq!(store.record_replay(later(51), first.clone()).await.unwrap(), Recorded::Stale);
    let progress = StoredReplay {
        cursor: Some(event(1).id),
        planned: 2,
        skipped: 3,
        updated_at: later(50),
        ..replay(1)
    };
    assert_eq!(store.replays(9).await.unwrap(), std::slice::from_ref(&progress));
    let last = ReplayStep {
        from: Some(event(1).id),
        to: Some(event(1).id),
        skipped: 1,
        is_done: true,
        deliveries: Vec::new(),
        ..first
    };
    assert_eq!(store.record_replay(later(60), last.clone()).await.unwrap(), Recorded::Done);
    let done =
        StoredReplay { state: ReplayState::Done, skipped: 4, updated_at: later(60), ..progress };
    assert_eq!(store.replays(9).await.unwrap(), [done]);
    assert_eq!(store.record_replay(later(61), last).await.unwrap(), Recorded::Stale);
    assert_eq!(store.depth().await.unwrap().pending, 2);
}

/// What retention has taken in the meantime is left out.
pub async fn a_step_leaves_out_what_is_gone(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a")]).await;
    created(store, 1).await;
    let first = step(1, vec![again(11, 99, "a"), again(12, 1, "a")]);
    assert_eq!(store.record_replay(later(1), first).await.unwrap(), Recorded::Done);
    assert_eq!(store.replays(1).await.unwrap()[0].planned, 1);
    assert_eq!(sorted(&claim_due(store, later(1), "a", 9).await), [1, 12]);
}

pub async fn only_what_runs_goes_on(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a")]).await;
    created(store, 1).await;
    let change =
        async |now, from, to| store.change_replay(later(now), id(1), from, to).await.unwrap();
    let go_on = async || {
        let step = step(1, vec![again(11, 1, "a")]);
        store.record_replay(later(9), step).await.unwrap()
    };
    use ReplayState::{Cancelled, Paused, Running};
    assert_eq!(change(5, Paused, Running).await, Recorded::Stale);
    assert_eq!(change(5, Running, Paused).await, Recorded::Done);
    let stored = store.replays(1).await.unwrap().remove(0);
    assert_eq!((stored.state, stored.updated_at), (Paused, later(5)));
    assert_eq!(go_on().await, Recorded::Stale);
    assert_eq!(change(6, Paused, Running).await, Recorded::Done);
    assert_eq!(change(7, Running, Cancelled).await, Recorded::Done);
    assert_eq!(go_on().await, Recorded::Stale);
    assert_eq!(store.depth().await.unwrap().pending, 1);
    let unknown = store.change_replay(later(8), id(2), Running, Paused).await.unwrap();
    assert_eq!(unknown, Recorded::Stale);
    let unknown = store.record_replay(later(8), step(2, Vec::new())).await.unwrap();
    assert_eq!(unknown, Recorded::Stale);
}

/// A replay is in order among itself, and nothing waits for it or holds it up.
pub async fn a_replay_has_lanes_of_its_own(store: &dyn Store) {
    for number in 1..=3 {
        store.append(laned(number, "r")).await.unwrap();
        let claim = claim_event(store).await;
        let plan = plan(&claim, vec![in_lane(number, "a", "r")]);
        store.record_plans(START, vec![plan]).await.unwrap();
    }
    // An event without a plan, before all of a later replay.
    store.append(laned(4, "r")).await.unwrap();
    for replay in [1, 2] {
        created(store, replay).await;
        let ordered =
            |of: u32| ReplayDelivery { is_ordered: true, ..again(of + 10 * replay, of, "a") };
        // Planned in no order: the sequence decides.
        let step = step(replay, vec![ordered(2), ordered(1)]);
        assert_eq!(store.record_replay(later(1), step).await.unwrap(), Recorded::Done);
    }
    let claims = claim_due(store, later(1), "a", 9).await;
    assert_eq!(sorted(&claims), [1, 11, 21]);
    let of_replay = claims.iter().find(|claim| number(claim.item.delivery.id) == 11).unwrap();
    let lane = of_replay.item.delivery.lane.clone();
    assert_eq!(lane, Some(super::lane(Some(id(1)), "prod", "r")));
    record(store, later(2), result(of_replay, 200, Next::Delivered)).await;
    assert_eq!(numbers(&claim_due(store, later(2), "a", 9).await), [12]);
}

/// Ids tell the order of arrival by the clock of each host, sequences the true one: a later step
/// may bring what belongs before the one that is under way.
pub async fn one_that_comes_late_to_its_lane_waits(store: &dyn Store) {
    for number in [1, 2] {
        store.append(laned(number, "r")).await.unwrap();
        let claim = claim_event(store).await;
        let plan = plan(&claim, vec![in_lane(number, "x", "r")]);
        store.record_plans(START, vec![plan]).await.unwrap();
    }
    created(store, 1).await;
    let ordered = |of: u32| ReplayDelivery { is_ordered: true, ..again(of + 10, of, "a") };
    let first = step(1, vec![ordered(2)]);
    let second = ReplayStep {
        from: first.to,
        to: Some(event(2).id),
        deliveries: vec![ordered(1)],
        ..first.clone()
    };
    assert_eq!(store.record_replay(later(1), first).await.unwrap(), Recorded::Done);
    let under_way = claim_due(store, later(1), "a", 9).await;
    assert_eq!(numbers(&under_way), [12]);
    assert_eq!(store.record_replay(later(2), second).await.unwrap(), Recorded::Done);
    assert_eq!(claim_due(store, later(2), "a", 9).await, []);
    record(store, later(3), result(&under_way[0], 200, Next::Delivered)).await;
    assert_eq!(numbers(&claim_due(store, later(3), "a", 9).await), [11]);
}

pub async fn candidates_in_order_of_arrival(store: &dyn Store) {
    let in_room =
        |number, room: Option<&str>| NewEvent { room: room.map(str::to_owned), ..event(number) };
    let rooms = [Some("r1"), Some("r2"), None, Some("r1"), Some("r3"), Some("r1")];
    for (number, room) in (1..).zip(rooms) {
        store.append(in_room(number, room)).await.unwrap();
    }
    let claims = store.claim_unplanned(later(60), LEASE_MS, 9).await.unwrap();
    let plans = claims.iter().zip(1..).take(5).map(|(claim, number)| {
        plan(claim, vec![delivery(number, "a"), delivery(number + 10, "b")])
    });
    store.record_plans(START, plans.collect()).await.unwrap();
    let due = claim_due(store, later(60), "a", 9).await;
    record(store, later(61), result(&due[0], 500, DEAD)).await;
    created(store, 1).await;
    let step = step(1, vec![again(21, 1, "a")]);
    store.record_replay(later(62), step).await.unwrap();

    let all = Selection::default();
    let found = candidates(store, &all, 2).await;
    let events: Vec<_> = found.iter().map(|candidate| candidate.event).collect();
    assert_eq!(events, (1..=6).map(|number| event(number).id).collect::<Vec<_>>());
    let fate = |number: u32, of: u32, endpoint: &str, state| Fate {
        id: delivery(number, "").id,
        endpoint: endpoint.to_owned(),
        webhook_id: format!("wh_{of}"),
        state,
    };
    let expect = Candidate {
        event: event(1).id,
        source: "prod".to_owned(),
        kind: "room_started".to_owned(),
        room: Some("r1".to_owned()),
        received_at: event(1).received_at,
        deliveries: vec![
            fate(1, 1, "a", State::Dead(DeadReason::Exhausted)),
            fate(11, 11, "b", State::Pending),
            fate(21, 1, "a", State::Pending),
        ],
    };
    assert_eq!(found[0], expect);
    assert_eq!(found[5].deliveries, []);
    // Whatever is left out, all that matches is there.
    let selections = [
        Selection { rooms: vec!["r1".parse().unwrap()], ..Selection::default() },
        Selection { since: Some(event(2).received_at), ..Selection::default() },
        Selection { until: Some(event(3).received_at), ..Selection::default() },
        Selection { source: Some("other".to_owned()), ..Selection::default() },
        Selection { kinds: vec!["track_*".parse().unwrap()], ..Selection::default() },
        Selection { events: vec![event(5).id, event(2).id], ..Selection::default() },
        Selection { endpoint: Some("b".to_owned()), ..Selection::default() },
    ];
    for selection in selections {
        let expect: Vec<_> = found.iter().filter(|found| selection.matches(found)).collect();
        for limit in [1, 2, 100] {
            let page = candidates(store, &selection, limit).await;
            let page: Vec<_> = page.iter().filter(|found| selection.matches(found)).collect();
            assert_eq!(page, expect, "{selection:?}");
        }
    }
}

/// All pages of `limit`.
async fn candidates(store: &dyn Store, selection: &Selection, limit: usize) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut after = None;
    for _ in 0..100 {
        let (page, next) = store.candidates(selection, after, limit).await.unwrap();
        assert!(page.len() <= limit);
        found.extend(page);
        after = next;
        if after.is_none() {
            return found;
        }
    }
    assert_eq!(after, None, "the pages have no end");
    found
}
