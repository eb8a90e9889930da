//! Plans and attempts, and what follows them.

use super::*;

pub async fn a_plan_is_whole(store: &dyn Store) {
    store.append(event(1)).await.unwrap();
    let claim = claim_event(store).await;
    let own = NewDelivery {
        body: Some(Bytes::from_static(b"the plugin's")),
        kind: "custom".to_owned(),
        headers: headers(),
        ..delivery(2, "b")
    };
    let failed = NewDelivery {
        state: State::Dead(DeadReason::Plugin),
        note: Some("it trapped".to_owned()),
        ..delivery(3, "c")
    };
    let next = PlanNext::Planned {
        deliveries: vec![delivery(1, "a"), own, failed],
        note: Some("two of three".to_owned()),
    };
    let plan = Plan { event: claim.item.event.id, fence: claim.fence, next };
    assert_eq!(store.record_plans(later(5), vec![plan]).await.unwrap(), [Recorded::Done]);

    let event = store.event(event(1).id).await.unwrap().unwrap();
    assert_eq!(event.plan, PlanState::Planned);
    assert_eq!(event.note.as_deref(), Some("two of three"));
    assert_eq!(claim_due(store, later(5), "a", 9).await[0].item.body, event.event.body);
    let due = claim_due(store, later(5), "b", 9).await.remove(0).item;
    assert_eq!(due.body, Bytes::from_static(b"the plugin's"));
    let expect = StoredDelivery {
        lane: None,
        sequence: None,
        batch: None,
        replay: None,
        id: delivery(2, "b").id,
        event: event.event.id,
        endpoint: "b".to_owned(),
        webhook_id: "wh_2".to_owned(),
        kind: "custom".to_owned(),
        headers: headers(),
        state: State::Pending,
        due_at: START,
        attempts: 0,
        created_at: later(5),
        updated_at: later(5),
        note: None,
    };
    assert_eq!(due.delivery, expect);
    assert_eq!(stored(store, expect.id).await, expect);
    assert_eq!(claim_due(store, later(5), "c", 9).await, []);
    let dead = stored(store, delivery(3, "c").id).await;
    assert_eq!(dead.state, State::Dead(DeadReason::Plugin));
    assert_eq!(dead.note.as_deref(), Some("it trapped"));
    assert_eq!(store.claim_unplanned(later(99_999), LEASE_MS, 9).await.unwrap(), []);
}

pub async fn plan_again(store: &dyn Store) {
    store.append(event(1)).await.unwrap();
    let claim = claim_event(store).await;
    let next = PlanNext::Again {
        at: later(70_000),
        note: "busy".to_owned(),
        deliveries: vec![delivery(1, "a")],
        settled: vec!["a".to_owned(), "b".to_owned()],
    };
    let begun = Plan { event: claim.item.event.id, fence: claim.fence, next };
    assert_eq!(store.record_plans(later(1), vec![begun]).await.unwrap(), [Recorded::Done]);
    assert_eq!(store.claim_unplanned(later(69_999), LEASE_MS, 9).await.unwrap(), []);
    let again = store.claim_unplanned(later(70_000), LEASE_MS, 9).await.unwrap().remove(0);
    assert_eq!(again.item.plan_attempts, 1);
    assert_eq!(again.item.settled, ["a", "b"]);
    // What was decided is owed at once, and is not lost or doubled by the rest of the plan.
    assert_eq!(store.depth().await.unwrap().pending, 1);
    let rest = plan(&again, vec![delivery(2, "c")]);
    assert_eq!(store.record_plans(later(70_001), vec![rest]).await.unwrap(), [Recorded::Done]);
    assert_eq!(store.depth().await.unwrap().pending, 2);
    assert_eq!(again.item.note.as_deref(), Some("busy"));
    assert_eq!(store.depth().await.unwrap().unplanned, 0);
}

pub async fn a_stale_plan_changes_nothing(store: &dyn Store) {
    store.append(event(1)).await.unwrap();
    store.append(event(2)).await.unwrap();
    let old = store.claim_unplanned(later(10), LEASE_MS, 9).await.unwrap();
    let now = later(10 + LEASE_MS);
    let new = store.claim_unplanned(now, LEASE_MS, 1).await.unwrap();
    assert_eq!(new[0].item.event.id, event(1).id);
    // The first is stale, the second is not: each has its own answer.
    let plans = vec![plan(&old[0], vec![delivery(1, "a")]), plan(&old[1], vec![delivery(2, "a")])];
    let recorded = store.record_plans(now, plans).await.unwrap();
    assert_eq!(recorded, [Recorded::Stale, Recorded::Done]);
    assert_eq!(
        store.depth().await.unwrap(),
        Depth { unplanned: 1, pending: 1, ..Depth::default() }
    );
    // Twice in one call: the second finds its fence used.
    let twice = vec![plan(&new[0], vec![delivery(3, "a")]), plan(&new[0], vec![delivery(4, "a")])];
    let recorded = store.record_plans(now, twice).await.unwrap();
    assert_eq!(recorded, [Recorded::Done, Recorded::Stale]);
    assert_eq!(store.depth().await.unwrap(), Depth { pending: 2, ..Depth::default() });
}

pub async fn delivered_after_retries(store: &dyn Store) {
    planned(store, 1, vec![NewDelivery { headers: headers(), ..delivery(1, "a") }]).await;
    let id = delivery(1, "a").id;
    let first = claim_due(store, later(0), "a", 1).await.remove(0);
    let mut failed = result(&first, 0, Next::RetryAt(later(5_000)));
    failed.attempt = failed.attempt.map(|attempt| AttemptRecord {
        outcome: Outcome::Failed(livekit_webhook_core::attempt::ErrorClass::Tls),
        address: None,
        error: Some("bad certificate".to_owned()),
        ..attempt
    });
    failed.note = Some("try later".to_owned());
    assert_eq!(record(store, later(9), failed.clone()).await, Recorded::Done);
    let row = stored(store, id).await;
    assert_eq!((row.state, row.attempts), (State::Pending, 1));
    assert_eq!((row.due_at, row.updated_at), (later(5_000), later(9)));
    assert_eq!(row.note.as_deref(), Some("try later"));
    assert_eq!(claim_due(store, later(4_999), "a", 1).await, []);

    let second = claim_due(store, later(5_000), "a", 1).await.remove(0);
    assert_eq!(second.item.delivery.attempts, 1);
    assert_eq!(
        [first.item.delivery.headers, second.item.delivery.headers.clone()],
        [headers(), headers()]
    );
    let delivered = result(&second, 204, Next::Delivered);
    assert_eq!(record(store, later(5_001), delivered.clone()).await, Recorded::Done);
    assert_eq!(stored(store, id).await.state, State::Delivered);
    assert_eq!(claim_due(store, later(99_999), "a", 1).await, []);
    let attempts = store.attempts(id).await.unwrap();
    assert_eq!(attempts, [failed.attempt.unwrap(), delivered.attempt.unwrap()]);
}

pub async fn dead(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a")]).await;
    let claim = claim_due(store, later(0), "a", 1).await.remove(0);
    assert_eq!(record(store, later(1), result(&claim, 500, DEAD)).await, Recorded::Done);
    assert_eq!(stored(store, delivery(1, "a").id).await.state, State::Dead(DeadReason::Exhausted));
    assert_eq!(claim_due(store, later(99_999), "a", 1).await, []);
    // No attempt after dead: the fence is used.
    let again = result(&claim, 200, Next::Delivered);
    assert_eq!(record(store, later(2), again).await, Recorded::Stale);
    assert_eq!(store.attempts(delivery(1, "a").id).await.unwrap().len(), 1);
}

pub async fn a_stale_record_changes_nothing(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a")]).await;
    let old = claim_due(store, later(0), "a", 1).await.remove(0);
    let new = claim_due(store, later(LEASE_MS), "a", 1).await.remove(0);
    let before = stored(store, new.item.delivery.id).await;
    let late = result(&old, 200, Next::Delivered);
    assert_eq!(record(store, later(LEASE_MS), late).await, Recorded::Stale);
    assert_eq!(stored(store, new.item.delivery.id).await, before);
    assert_eq!(store.attempts(new.item.delivery.id).await.unwrap(), []);
    let good = result(&new, 200, Next::Delivered);
    assert_eq!(record(store, later(LEASE_MS), good).await, Recorded::Done);
}

/// The lease has ended but nobody else has claimed: what happened is worth more than the clock.
pub async fn a_late_record_counts(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a")]).await;
    let claim = claim_due(store, later(0), "a", 1).await.remove(0);
    let late = result(&claim, 200, Next::Delivered);
    assert_eq!(record(store, later(10 * LEASE_MS), late).await, Recorded::Done);
}

pub async fn without_an_attempt(store: &dyn Store) {
    planned(store, 1, vec![delivery(1, "a")]).await;
    let claim = claim_due(store, later(0), "a", 1).await.remove(0);
    let expired = AttemptResult {
        attempt: None,
        note: Some("older than max_age".to_owned()),
        ..result(&claim, 0, Next::Dead(DeadReason::Expired))
    };
    assert_eq!(record(store, later(1), expired).await, Recorded::Done);
    let row = stored(store, delivery(1, "a").id).await;
    assert_eq!((row.state, row.attempts), (State::Dead(DeadReason::Expired), 0));
    assert_eq!(store.attempts(row.id).await.unwrap(), []);
}
