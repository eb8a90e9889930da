//! One host: the real stages, a clock of its own, and a plug that can be pulled.

use super::net::Net;
use super::world::{Clocks, World};
use crate::clock::Clock;
use crate::deliver::{Deliverer, InFlight, Place};
use crate::entropy::Entropy;
use crate::metrics::Metrics;
use crate::route::{Router, Routing, Subscriber};
use crate::store::{ReplayDelivery, ReplayState, ReplayStep, Store, StoredReplay};
use crate::tasks::{Bell, Kind, Stop, Stopper, Tasks, stop};
use livekit_webhook_core::subscription::Subscription;
use livekit_webhook_core::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Events a replay looks at in one step.
const REPLAY_STEP: usize = 4;
/// How long a host that is asked to stop may take.
const GRACE: Duration = Duration::from_secs(30);

pub struct Host {
    pub number: usize,
    pub clock: SkewedClock,
    pub entropy: Arc<Entropy>,
    pub route: Bell,
    tasks: Tasks,
    stopper: Stopper,
}

/// The true time, and how far this host's is from it.
#[derive(Clone)]
pub struct SkewedClock {
    world: Arc<World>,
    offset_ms: Arc<AtomicI64>,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        self.world.now().plus_millis(self.offset_ms.load(Ordering::SeqCst))
    }
}

// === impl SkewedClock ===

impl SkewedClock {
    /// Jumps to another offset, as far as this world's clocks go.
    pub fn jump(&self) {
        let furthest_ms: u64 = match self.world.clocks {
            Clocks::Same => 0,
            Clocks::Near => 5_000,
            Clocks::Wild => 60_000,
        };
        let offset_ms = self.world.dice.roll(2 * furthest_ms + 1) as i64 - furthest_ms as i64;
        self.offset_ms.store(offset_ms, Ordering::SeqCst);
    }

    pub fn set_right(&self) {
        self.offset_ms.store(0, Ordering::SeqCst);
    }
}

// === impl Host ===

impl Host {
    /// Starts a host that knows nothing but what is stored.
    pub fn start(world: &Arc<World>, number: usize) -> Self {
        let clock = SkewedClock { world: world.clone(), offset_ms: Arc::default() };
        clock.jump();
        let entropy = Arc::new(Entropy::seeded(world.dice.roll(u64::MAX)));
        let (route, deliver, tasks) = (Bell::new(), Bell::new(), Tasks::new());
        let (stopper, stop) = stop();
        let store: Arc<dyn Store> = world.store.clone();
        let metrics = Arc::new(Metrics::new());
        let net = Net { world: world.clone(), host: number, clock: clock.clone() };
        let named = |endpoint: &livekit_webhook_core::endpoint::Endpoint| {
            (endpoint.name.to_string(), Place::new(endpoint.clone()))
        };
        let deliverer = Arc::new(Deliverer {
            endpoints: world.endpoints.iter().map(named).collect(),
            in_flight_max: 8,
            store: store.clone(),
            transport: Arc::new(net),
            clock: Arc::new(clock.clone()),
            entropy: entropy.clone(),
            bell: deliver.clone(),
            hints: Bell::new(),
            metrics: metrics.clone(),
            in_flight: InFlight::default(),
        });
        let router = Arc::new(Router {
            routing: routing(world),
            store: store.clone(),
            clock: Arc::new(clock.clone()),
            entropy: entropy.clone(),
            bell: route.clone(),
            deliver: deliver.clone(),
            metrics,
            shares: 1,
        });
        tasks.spawn(Kind::Worker, "deliver", deliverer.run(tasks.clone(), stop.clone()));
        tasks.spawn(Kind::Worker, "route", router.run(tasks.clone(), stop.clone()));
        let replays = replay(store, clock.clone(), entropy.clone(), deliver, stop);
        tasks.spawn(Kind::Worker, "replay", replays);
        world.tell(format!("host {number} starts"));
        Self { number, clock, entropy, route, tasks, stopper }
    }

    /// Pulls the plug.
    pub async fn crash(self, world: &World) {
        world.tell(format!("host {} crashes", self.number));
        self.tasks.kill();
        // What was killed is dropped when it would have run.
        tokio::task::yield_now().await;
        for _ in 0..100 {
            if [Kind::Worker, Kind::Attempt].iter().all(|kind| self.tasks.running(*kind) == 0) {
                break;
            }
            tokio::task::yield_now().await;
        }
        world.ledger().crashed(self.number, &world.store);
        if world.has_own_store {
            world.has_forgotten.store(true, Ordering::SeqCst);
            world.store.restart();
        }
    }

    /// Asks it to stop, and waits.
    pub async fn stop(self, world: &World) {
        world.tell(format!("host {} stops", self.number));
        self.tasks.begin_shutdown();
        self.stopper.stop();
        if !self.tasks.idle(Kind::Attempt, GRACE).await {
            world.accuse(format!("host {} does not finish its attempts", self.number));
        }
        if !self.tasks.idle(Kind::Worker, GRACE).await {
            world.accuse(format!("host {} does not stop", self.number));
        }
    }
}

/// All events to all endpoints.
fn routing(world: &World) -> Routing {
    let subscriber = |endpoint: &livekit_webhook_core::endpoint::Endpoint| {
        let all = vec!["*".parse().unwrap()];
        let none = Vec::new;
        let name = endpoint.name.clone();
        let subscription = Subscription::new(name, none(), all, Vec::new(), none()).unwrap();
        let order = endpoint.traffic.order;
        Subscriber {
            subscription,
            chain: Vec::new(),
            first_wait_ms: order.batching().map_or(0, |batching| batching.wait_ms()),
            is_ordered: order.has_lanes(),
        }
    };
    Routing::new(world.endpoints.iter().map(subscriber).collect())
}

/// Goes on with what replays there are.
async fn replay(
    store: Arc<dyn Store>,
    clock: SkewedClock,
    entropy: Arc<Entropy>,
    deliver: Bell,
    mut stop: Stop,
) {
    while !stop.is_given() {
        for replay in store.replays(10).await.unwrap_or_default() {
            if replay.state == ReplayState::Running {
                // What fails is tried again from what is stored.
                let _ = step(&*store, &clock, &entropy, replay).await;
                deliver.ring();
            }
        }
        let _ = tokio::time::timeout(Duration::from_millis(700), stop.given()).await;
    }
}

async fn step(
    store: &dyn Store,
    clock: &SkewedClock,
    entropy: &Entropy,
    replay: StoredReplay,
) -> Result<(), crate::store::Error> {
    let selection = &replay.selection;
    let (candidates, next) = store.candidates(selection, replay.cursor, REPLAY_STEP).await?;
    let mut deliveries = Vec::new();
    let mut skipped = 0;
    for candidate in &candidates {
        let planned = selection.plan(candidate);
        skipped += planned.skipped as u64;
        for again in planned.again {
            let is_ordered = matches!(again.endpoint.as_str(), "ordered" | "skipping");
            deliveries.push(ReplayDelivery {
                id: entropy.delivery_id(clock.now()),
                of: again.of,
                endpoint: again.endpoint,
                is_ordered,
                due_at: clock.now(),
            });
        }
    }
    let step = ReplayStep {
        replay: replay.id,
        from: replay.cursor,
        to: next.or(candidates.last().map(|last| last.event)).or(replay.cursor),
        deliveries,
        skipped,
        is_done: next.is_none(),
    };
    store.record_replay(clock.now(), step).await.map(drop)
}
