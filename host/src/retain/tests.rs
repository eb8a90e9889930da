//! The worker over the memory store. Time is tokio's, paused.

use super::*;
use crate::clock::ManualClock;
use crate::store::conformance::{claim_due, delivery, later, planned, record, result};
use crate::store::memory::MemoryStore;
use crate::store::{EventFilter, Quarantined};
use crate::tasks::{Kind, Tasks, stop};
use livekit_webhook_core::delivery::Next;
use livekit_webhook_core::id::EventId;

const DAY_MS: i64 = 24 * 3_600_000;
const RETENTION: Retention = Retention {
    delivered_ms: 30 * DAY_MS,
    dead_ms: 90 * DAY_MS,
    quarantined_ms: 30 * DAY_MS,
    lanes_ms: 35 * DAY_MS,
    bytes_max: None,
};

async fn with_delivered(events: u32) -> (Arc<MemoryStore>, ManualClock, Arc<Retainer>) {
    let store = Arc::new(MemoryStore::new(3_600_000));
    for number in 1..=events {
        planned(&*store, number, vec![delivery(number, "a")]).await;
    }
    for claim in claim_due(&*store, later(10_000), "a", 1_000).await {
        record(&*store, later(10_000), result(&claim, 200, Next::Delivered)).await;
    }
    let clock = ManualClock::at(later(20_000));
    let retainer = Retainer {
        retention: RETENTION,
        store: store.clone(),
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(Entropy::seeded(1)),
        metrics: Arc::new(Metrics::new()),
    };
    (store, clock, Arc::new(retainer))
}

async fn events(store: &MemoryStore) -> usize {
    store.events(EventFilter { limit: 1_000, ..EventFilter::default() }).await.unwrap().len()
}

fn pruned(retainer: &Retainer, kind: &'static str) -> u64 {
    retainer.metrics.pruned.get_or_create(&PrunedLabel { kind }).get()
}

#[tokio::test(start_paused = true)]
async fn what_is_past_its_time_goes_in_steps_and_what_is_owed_stays() {
    let (store, clock, retainer) = with_delivered(900).await;
    planned(&*store, 901, vec![delivery(901, "a")]).await;
    let item = Quarantined {
        id: EventId::new(1, 1),
        source: None,
        reason: "not_json".to_owned(),
        received_at: later(0),
        body: bytes::Bytes::new(),
    };
    store.quarantine(item).await.unwrap();
    let (_stopper, mut stop) = stop();
    assert_eq!(retainer.round(&mut stop).await.unwrap(), Pruned::default());
    clock.advance(40 * DAY_MS);
    let began = Instant::now();
    let total = retainer.round(&mut stop).await.unwrap();
    assert_eq!((total.events, total.deliveries, total.quarantined), (900, 900, 1));
    assert!(!total.is_more);
    assert!(began.elapsed() >= 4 * REST_MIN, "it did not rest between its steps");
    assert_eq!(events(&store).await, 1);
    assert_eq!(pruned(&retainer, "events"), 900);
    assert_eq!(pruned(&retainer, "deliveries"), 900);
    assert_eq!(pruned(&retainer, "quarantined"), 1);
}

#[tokio::test(start_paused = true)]
async fn two_hosts_may_do_it_at_once() {
    let (store, clock, one) = with_delivered(500).await;
    let two = Arc::new(Retainer {
        retention: RETENTION,
        store: store.clone(),
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(Entropy::seeded(2)),
        metrics: Arc::new(Metrics::new()),
    });
    clock.advance(40 * DAY_MS);
    let ((_a, mut one_stop), (_b, mut two_stop)) = (stop(), stop());
    let (first, second) = tokio::join!(one.round(&mut one_stop), two.round(&mut two_stop));
    assert_eq!(first.unwrap().events + second.unwrap().events, 500);
    assert_eq!(events(&store).await, 0);
}

#[tokio::test(start_paused = true)]
async fn the_worker_outlives_a_store_in_trouble_and_ends_when_told() {
    let (store, clock, retainer) = with_delivered(3).await;
    store.fail_next(1);
    clock.advance(40 * DAY_MS);
    let (stopper, stop) = stop();
    let tasks = Tasks::new();
    tasks.spawn(Kind::Worker, "retain", retainer.clone().run(stop));
    let gone = async {
        while events(&store).await > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(600), gone).await.unwrap();
    assert_eq!(retainer.metrics.store_errors.get(), 1);
    tasks.begin_shutdown();
    stopper.stop();
    assert!(tasks.idle(Kind::Worker, Duration::from_secs(5)).await);
}
