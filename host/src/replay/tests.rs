//! The worker over the memory store, with a clock that is moved by hand.

mod asked;

use super::*;
use crate::clock::ManualClock;
use crate::store::conformance::{DEAD, claim_due, delivery, event, later, planned, record, result};
use crate::store::memory::MemoryStore;
use crate::store::{DeliveryFilter, StoredDelivery};
use crate::tasks::stop;
use livekit_webhook_core::delivery::State;
use livekit_webhook_core::replay::Selection;

/// When the replays of these tests are asked for.
const ASKED_MS: i64 = 60_000;

struct Stage {
    replayer: Replayer,
    store: Arc<MemoryStore>,
    clock: ManualClock,
    memory: Memory,
}

fn over(store: &Arc<MemoryStore>, clock: &ManualClock, seed: u64) -> Stage {
    let replayer = Replayer {
        ordered: HashSet::from(["ordered".to_owned()]),
        store: store.clone(),
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(Entropy::seeded(seed)),
        bell: Bell::new(),
        deliver: Bell::new(),
        metrics: Arc::new(Metrics::new()),
    };
    Stage { replayer, store: store.clone(), clock: clock.clone(), memory: Memory::default() }
}

/// Events 1 to `events`, of which `a` has a dead letter each.
async fn with_dead(events: u32) -> Stage {
    let store = Arc::new(MemoryStore::new(3_600_000));
    for number in 1..=events {
        planned(&*store, number, vec![delivery(number, "a")]).await;
    }
    kill_all(&store, later(10_000)).await;
    over(&store, &ManualClock::at(later(ASKED_MS)), 7)
}

/// Makes a dead letter of everything that is owed to `a`.
async fn kill_all(store: &MemoryStore, now: Timestamp) {
    for claim in claim_due(store, now, "a", 1_000).await {
        record(store, now, result(&claim, 500, DEAD)).await;
    }
}

impl Stage {
    async fn ask(&self, rate_milli: u32, selection: Selection) -> ReplayId {
        let now = self.clock.now();
        let selection = ask::checked(selection, now).unwrap();
        let entropy = Entropy::seeded(99);
        ask::create(&*self.store, &entropy, now, selection, rate_milli).await.unwrap().id
    }

    async fn round(&mut self) -> usize {
        let (_stopper, stop) = stop();
        self.replayer.round(&mut self.memory, &stop).await.unwrap()
    }

    async fn replay(&self, id: ReplayId) -> StoredReplay {
        ask::find(&*self.store, id).await.unwrap()
    }

    /// Oldest first.
    async fn of(&self, id: ReplayId) -> Vec<StoredDelivery> {
        let filter = DeliveryFilter { replay: Some(id), limit: 1_000, ..DeliveryFilter::default() };
        let mut rows = self.store.deliveries(filter).await.unwrap();
        rows.sort_by_key(|row| row.event);
        rows
    }
}

#[tokio::test]
async fn a_replay_plans_each_event_once_and_ends() {
    let mut stage = with_dead(30).await;
    let id = stage.ask(10_000_000, Selection::default()).await;
    let mut rounds = 0;
    while stage.round().await > 0 {
        stage.clock.advance(100);
        rounds += 1;
        assert!(rounds < 100, "it does not end");
    }
    let replay = stage.replay(id).await;
    assert_eq!((replay.state, replay.planned, replay.skipped), (ReplayState::Done, 30, 0));
    let rows = stage.of(id).await;
    let events: Vec<_> = rows.iter().map(|row| row.event).collect();
    let expected: Vec<_> = (1..=30).map(|number| event(number).id).collect();
    assert_eq!(events, expected);
    assert!(rows.iter().all(|row| row.state == State::Pending && row.lane.is_none()));
    assert_eq!(rows[0].webhook_id, "wh_1");
    let ended = &stage.replayer.metrics.replays_ended;
    assert_eq!(ended.get_or_create(&ReplayLabel { state: "done" }).get(), 1);
    // What is owed now is skipped by the next one.
    let next = stage.ask(10_000_000, Selection { reason: None, ..Selection::default() }).await;
    stage.clock.advance(1_000);
    stage.round().await;
    let next = stage.replay(next).await;
    assert_eq!((next.state, next.planned, next.skipped), (ReplayState::Done, 0, 30));
}

#[tokio::test]
async fn the_rate_is_kept() {
    let mut stage = with_dead(40).await;
    // Ten a second.
    let id = stage.ask(10_000, Selection::default()).await;
    for (after_ms, expected) in [(0, 1), (99, 1), (1, 2), (400, 6), (500, 11), (60_000, 21)] {
        stage.clock.advance(after_ms);
        stage.round().await;
        assert_eq!(stage.of(id).await.len(), expected, "after {after_ms} ms more");
    }
}

#[tokio::test]
async fn what_a_step_plans_is_due_one_after_the_other() {
    let mut stage = with_dead(11).await;
    let id = stage.ask(10_000, Selection::default()).await;
    stage.round().await;
    stage.clock.advance(1_000);
    stage.round().await;
    let now = stage.clock.now();
    let due: Vec<i64> =
        stage.of(id).await.iter().skip(1).map(|row| row.due_at.millis_since(now)).collect();
    assert_eq!(due, (0..10).map(|number| number * 100).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_event_with_more_deliveries_than_there_is_room_is_paid_for_afterwards() {
    let store = Arc::new(MemoryStore::new(3_600_000));
    for number in [1, 11] {
        let deliveries = (0..5).map(|part| delivery(number + part, "a")).collect();
        planned(&*store, number, deliveries).await;
    }
    kill_all(&store, later(10_000)).await;
    let mut stage = over(&store, &ManualClock::at(later(ASKED_MS)), 7);
    // One a second: five at once, then nothing for five seconds.
    let id = stage.ask(1_000, Selection::default()).await;
    for (after_ms, expected) in [(0, 5), (4_999, 5), (1, 10)] {
        stage.clock.advance(after_ms);
        stage.round().await;
        assert_eq!(stage.of(id).await.len(), expected, "after {after_ms} ms more");
    }
}

#[tokio::test]
async fn two_hosts_plan_no_event_twice_and_keep_one_rate() {
    let mut one = with_dead(40).await;
    let mut two = over(&one.store, &one.clock, 8);
    let id = one.ask(10_000, Selection::default()).await;
    for _ in 0..20 {
        one.clock.advance(100);
        one.round().await;
        two.round().await;
    }
    // Two seconds at ten a second, and the first that waits for nobody.
    let rows = one.of(id).await;
    assert!((20..=21).contains(&rows.len()), "{}", rows.len());
    let mut events: Vec<_> = rows.iter().map(|row| row.event).collect();
    events.dedup();
    assert_eq!(events.len(), rows.len());
}

#[tokio::test]
async fn a_step_whose_answer_is_lost_is_not_taken_again() {
    let mut stage = with_dead(30).await;
    let id = stage.ask(10_000_000, Selection::default()).await;
    stage.clock.advance(1);
    for _ in 0..3 {
        stage.store.lose_next_answers(1);
        let (_stopper, stop) = stop();
        let lost = stage.replayer.round(&mut stage.memory, &stop).await;
        assert!(lost.is_err(), "{lost:?}");
        stage.clock.advance(1);
    }
    while stage.round().await > 0 {
        stage.clock.advance(100);
    }
    let mut events: Vec<_> = stage.of(id).await.iter().map(|row| row.event).collect();
    assert_eq!(events.len(), 30);
    events.dedup();
    assert_eq!(events.len(), 30);
}

#[tokio::test]
async fn what_is_paused_waits_and_goes_on() {
    let mut stage = with_dead(30).await;
    let id = stage.ask(10_000, Selection::default()).await;
    stage.round().await;
    let was = ask::change(&*stage.store, stage.clock.now(), id, ReplayState::Paused).await;
    assert_eq!(was.unwrap(), ReplayState::Running);
    stage.clock.advance(5_000);
    assert_eq!(stage.round().await, 0);
    assert_eq!(stage.of(id).await.len(), 1);
    ask::change(&*stage.store, stage.clock.now(), id, ReplayState::Running).await.unwrap();
    // The pause is not caught up with.
    stage.clock.advance(200);
    stage.round().await;
    assert_eq!(stage.of(id).await.len(), 3);
}

#[tokio::test]
async fn what_is_cancelled_gives_up_what_it_owes_even_what_was_under_way() {
    let mut stage = with_dead(5).await;
    let id = stage.ask(10_000_000, Selection::default()).await;
    stage.clock.advance(1_000);
    stage.round().await;
    let under_way = claim_due(&*stage.store, stage.clock.now(), "a", 1).await.remove(0);
    let now = stage.clock.now();
    ask::change(&*stage.store, now, id, ReplayState::Cancelled).await.unwrap_err();
    // It is done already: only a running one can be cancelled.
    let mut stage = with_dead(5).await;
    let id = stage.ask(2_000, Selection::default()).await;
    stage.clock.advance(1_000);
    stage.round().await;
    drop(under_way);
    let under_way = claim_due(&*stage.store, stage.clock.now(), "a", 1).await.remove(0);
    ask::change(&*stage.store, stage.clock.now(), id, ReplayState::Cancelled).await.unwrap();
    assert_eq!(stage.round().await, 0);
    let owed =
        |rows: Vec<StoredDelivery>| rows.iter().filter(|row| row.state == State::Pending).count();
    assert_eq!(owed(stage.of(id).await), 1, "what is under a claim stays");
    let now = stage.clock.now();
    let later = livekit_webhook_core::delivery::Next::RetryAt(now.plus_millis(60_000));
    record(&*stage.store, now, result(&under_way, 500, later)).await;
    stage.round().await;
    let rows = stage.of(id).await;
    assert!(rows.iter().all(|row| row.state == State::Dead(DeadReason::Cancelled)), "{rows:#?}");
    assert_eq!(rows.len(), 2);
    let settled = stage.memory.settled.contains(&id);
    assert!(settled, "it is looked at again and again");
}

#[tokio::test]
async fn an_ordered_endpoint_has_a_lane_of_the_replay() {
    let store = Arc::new(MemoryStore::new(3_600_000));
    let laned = crate::store::conformance::laned(1, "room-1");
    store.append(laned).await.unwrap();
    let claim = crate::store::conformance::claim_event(&*store).await;
    let plan = crate::store::conformance::plan(&claim, vec![delivery(1, "a")]);
    store.record_plans(later(0), vec![plan]).await.unwrap();
    kill_all(&store, later(10_000)).await;
    let mut stage = over(&store, &ManualClock::at(later(ASKED_MS)), 7);
    let to = Some("ordered".to_owned());
    let id = stage.ask(10_000_000, Selection { to, ..Selection::default() }).await;
    stage.round().await;
    let rows = stage.of(id).await;
    assert_eq!(rows[0].endpoint, "ordered");
    assert_eq!(rows[0].lane.as_deref(), Some(&*format!("{id}/prod/room-1")));
}

#[tokio::test(start_paused = true)]
async fn the_worker_outlives_a_store_in_trouble_and_ends_when_told() {
    let stage = with_dead(3).await;
    let id = stage.ask(10_000_000, Selection::default()).await;
    stage.store.fail_next(2);
    stage.clock.advance(1_000);
    let (stopper, stop) = stop();
    let tasks = crate::tasks::Tasks::new();
    let replayer = Arc::new(over(&stage.store, &stage.clock, 1).replayer);
    tasks.spawn(crate::tasks::Kind::Worker, "replay", replayer.run(stop));
    let done = async {
        while stage.replay(id).await.state != ReplayState::Done {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), done).await.unwrap();
    tasks.begin_shutdown();
    stopper.stop();
    assert!(tasks.idle(crate::tasks::Kind::Worker, Duration::from_secs(5)).await);
}
