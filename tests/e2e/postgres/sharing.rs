//! What several stores on one database agree on.

use super::{Opened, open};
use anyhow::{Context as _, Result, ensure};
use livekit_webhook::store::conformance::{
    LEASE_MS, START, delivery, event, fake_hash, later, planned, quota, result,
};
use livekit_webhook::store::{
    Appended, Hint, NewDelivery, NewEvent, Plan, PlanNext, Quota, Recorded, Store, lane,
};
use livekit_webhook_core::delivery::Next;
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::rate::Rate;
use livekit_webhook_tests::exchange::BOUND;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Every one of `count` callers at once, spread over the stores.
async fn at_once<T: Send + 'static, F>(
    opened: &Opened,
    count: u32,
    call: impl Fn(Arc<dyn Store>, u32) -> F,
) -> Result<Vec<T>>
where
    F: Future<Output = Result<T>> + Send + 'static,
{
    let mut calls = JoinSet::new();
    for number in 0..count {
        let store = opened.stores[number as usize % opened.stores.len()].clone();
        calls.spawn(call(store, number));
    }
    let all = timeout(BOUND, calls.join_all()).await.context("not all in time")?;
    all.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_given_to_all_hosts_at_once_is_stored_once() -> Result<()> {
    const KEYS: u32 = 40;
    let opened = open(3).await?;
    // Each key six times: four times with one body, twice with another.
    let answers = at_once(&opened, KEYS * 6, |store, number| async move {
        let (key, copy) = (number % KEYS, number / KEYS);
        let body = if copy < 4 { &b"one"[..] } else { b"other" };
        let event = NewEvent {
            id: EventId::new(START.as_millis(), u128::from(number) + 1),
            dedupe_key: format!("EV_{key}"),
            lane: Some(format!("room-{}", key % 5)),
            body: body.into(),
            body_sha256: fake_hash(body),
            ..event(1)
        };
        Ok((key, store.append(event).await?))
    });
    let mut of_key = BTreeMap::<u32, [usize; 3]>::new();
    let mut firsts = BTreeMap::<u32, BTreeSet<EventId>>::new();
    for (key, answer) in answers.await? {
        let counts = of_key.entry(key).or_default();
        match answer {
            Appended::Stored => counts[0] += 1,
            Appended::Duplicate { .. } => counts[1] += 1,
            Appended::Conflict { of } => {
                counts[2] += 1;
                firsts.entry(key).or_default().insert(of);
            }
        }
    }
    for (key, counts) in of_key {
        ensure!(counts == [1, 4, 1], "key {key}: stored, duplicates, conflicts: {counts:?}");
        ensure!(firsts[&key].len() == 1);
    }
    // Places in lanes were given one by one.
    let filter = livekit_webhook::store::EventFilter { limit: 1_000, ..Default::default() };
    let events = opened.stores[0].events(filter).await?;
    let mut places = BTreeMap::<String, Vec<i64>>::new();
    for stored in events.iter().filter(|stored| stored.sequence.is_some()) {
        let lane = stored.event.lane.clone().context("no lane")?;
        places.entry(lane).or_default().extend(stored.sequence);
    }
    for places in places.values_mut() {
        places.sort_unstable();
        let expect: Vec<i64> = (1..=places.len() as i64).collect();
        ensure!(*places == expect, "{places:?}");
    }
    opened.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_of_all_hosts_at_once_keep_every_limit() -> Result<()> {
    let opened = open(3).await?;
    let deliveries = |endpoint: &str, from: u32| -> Vec<NewDelivery> {
        (from..from + 60).map(|number| delivery(number, endpoint)).collect()
    };
    planned(&*opened.stores[0], 1, deliveries("limited", 100)).await;
    planned(&*opened.stores[0], 2, deliveries("rated", 200)).await;
    planned(&*opened.stores[0], 3, deliveries("free", 300)).await;
    let claims = at_once(&opened, 30, |store, _| async move {
        let rate = Rate::new(1.0, 7).ok();
        let quotas = vec![
            Quota { in_flight_max: 5, ..quota("limited", 4) },
            Quota { rate, ..quota("rated", 4) },
            quota("free", 4),
        ];
        Ok(store.claim_due(START, LEASE_MS, quotas).await?.claims)
    });
    let mut of = BTreeMap::<String, usize>::new();
    let mut ids = BTreeSet::new();
    for claim in claims.await?.into_iter().flatten() {
        *of.entry(claim.item.delivery.endpoint).or_default() += 1;
        ensure!(ids.insert(claim.item.delivery.id), "claimed twice");
    }
    // A host that met another at an endpoint passed it over, so there may be fewer.
    let of = |name: &str| of.get(name).copied().unwrap_or(0);
    ensure!((1..=5).contains(&of("limited")), "{} in flight", of("limited"));
    ensure!((1..=7).contains(&of("rated")), "{} by the rate", of("rated"));
    ensure!(of("free") > 7, "{} of the free", of("free"));
    opened.close().await
}

/// Plans what waits, in no order; returns how many.
async fn plan_some(store: &Arc<dyn Store>, last: &AtomicU32) -> Result<usize> {
    let mut claims = store.claim_unplanned(later(9_999), LEASE_MS, 5).await?;
    claims.reverse();
    let count = claims.len();
    for claim in claims {
        let event = &claim.item.event;
        let key = event.lane.as_deref().context("no lane")?;
        let new = NewDelivery {
            id: DeliveryId::new(1, last.fetch_add(1, Ordering::Relaxed).into()),
            lane: Some(lane(None, &event.source, key)),
            ..delivery(1, "a")
        };
        // Every fourth event is not for the endpoint.
        let is_for_it = claim.item.sequence.is_some_and(|sequence| sequence % 4 != 0);
        let deliveries = if is_for_it { vec![new] } else { Vec::new() };
        let next = PlanNext::Planned { deliveries, note: None };
        let plan = Plan { event: event.id, fence: claim.fence, next };
        ensure!(store.record_plans(START, vec![plan]).await? == [Recorded::Done]);
    }
    Ok(count)
}

/// Sends what may go, and notes its lane and place while it is claimed.
async fn send_some(store: &Arc<dyn Store>, sent: &Mutex<Vec<(String, i64)>>) -> Result<usize> {
    let due = store.claim_due(later(9_999), LEASE_MS, vec![quota("a", 3)]).await?;
    let count = due.claims.len();
    for claim in due.claims {
        let row = &claim.item.delivery;
        let place = (row.lane.clone().context("no lane")?, row.sequence.context("no place")?);
        sent.lock().unwrap().push(place);
        let ended = result(&claim, 200, Next::Delivered);
        ensure!(store.record_attempts(START, vec![ended]).await? == [Recorded::Done]);
    }
    Ok(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_go_on_in_order_whoever_plans_and_sends() -> Result<()> {
    const EVENTS: u32 = 96;
    let opened = open(3).await?;
    at_once(&opened, EVENTS, |store, number| async move {
        let lane = Some(format!("room-{}", number % 6));
        Ok(store.append(NewEvent { lane, ..event(number + 1) }).await?)
    })
    .await?;
    let (last, sent) = (Arc::new(AtomicU32::new(1)), Arc::new(Mutex::new(Vec::new())));
    at_once(&opened, 6, |store, number| {
        let (last, sent) = (last.clone(), sent.clone());
        async move {
            let is_done = || sent.lock().unwrap().len() as u32 == EVENTS / 4 * 3;
            while !is_done() {
                match number < 3 {
                    true => plan_some(&store, &last).await?,
                    false => send_some(&store, &sent).await?,
                };
                tokio::task::yield_now().await;
            }
            Ok(())
        }
    })
    .await?;
    let mut order = BTreeMap::<String, Vec<i64>>::new();
    for (lane, place) in sent.lock().unwrap().drain(..) {
        order.entry(lane).or_default().push(place);
    }
    let expect: Vec<i64> = (1..=16).filter(|place| place % 4 != 0).collect();
    for (lane, places) in order {
        ensure!(places == expect, "{lane}: {places:?}");
    }
    opened.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_host_writes_is_hinted_to_the_others() -> Result<()> {
    let opened = open(2).await?;
    let [here, there] = [&opened.stores[0], &opened.stores[1]];
    let heard = async |wanted: Hint| {
        let wanted = async { while there.hint().await != wanted {} };
        timeout(BOUND, wanted).await.context("no hint")
    };
    // One of each comes with the connection; what is hinted after it is another's.
    heard(Hint::Events).await?;
    heard(Hint::Deliveries).await?;
    planned(&**here, 1, vec![delivery(1, "a")]).await;
    heard(Hint::Events).await?;
    heard(Hint::Deliveries).await?;
    opened.close().await
}
