//! One host: the real stages, a clock of its own, and a plug that can be pulled.

use super::net::Net;
use super::world::{Clocks, World};
use crate::clock::Clock;
use crate::deliver::{Deliverer, InFlight, Place};
use crate::entropy::Entropy;
use crate::metrics::Metrics;
use crate::replay::Replayer;
use crate::retain::Retainer;
use crate::route::{Router, Routing, Subscriber};
use crate::store::{Retention, Store};
use crate::tasks::{Bell, Kind, Stopper, Tasks, stop};
use crate::vault::Live;
use livekit_webhook_core::endpoint::Endpoint;
use livekit_webhook_core::subscription::Subscription;
use livekit_webhook_core::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How long a world that forgets keeps what has ended, in milliseconds.
const KEPT_MS: i64 = 20_000;
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
        let named = |endpoint: &Endpoint| (endpoint.name.to_string(), Place::new(endpoint.clone()));
        let deliverer = Arc::new(Deliverer {
            endpoints: world.endpoints.iter().map(named).collect(),
            in_flight_max: 8,
            store: store.clone(),
            transport: Arc::new(net),
            clock: Arc::new(clock.clone()),
            entropy: entropy.clone(),
            bell: deliver.clone(),
            hints: Bell::new(),
            host: Some("gateway-1".to_owned()),
            secrets: Live::default(),
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
            metrics: metrics.clone(),
            shares: 1,
        });
        tasks.spawn(Kind::Worker, "deliver", deliverer.run(tasks.clone(), stop.clone()));
        tasks.spawn(Kind::Worker, "route", router.run(tasks.clone(), stop.clone()));
        let is_ordered = |e: &&Endpoint| e.traffic.order.has_lanes();
        let ordered = world.endpoints.iter().filter(is_ordered);
        let replayer = Arc::new(Replayer {
            ordered: ordered.map(|endpoint| endpoint.name.to_string()).collect(),
            store: store.clone(),
            clock: Arc::new(clock.clone()),
            entropy: entropy.clone(),
            bell: Bell::new(),
            deliver,
            metrics: metrics.clone(),
        });
        tasks.spawn(Kind::Worker, "replay", replayer.run(stop.clone()));
        let retainer = Arc::new(Retainer {
            retention: retention(world),
            store,
            clock: Arc::new(clock.clone()),
            entropy: entropy.clone(),
            metrics,
        });
        tasks.spawn(Kind::Worker, "retain", retainer.run(stop));
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
    let subscriber = |endpoint: &Endpoint| {
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
            attribute_headers: endpoint.attribute_headers().clone(),
        }
    };
    Routing::new(world.endpoints.iter().map(subscriber).collect())
}

fn retention(world: &World) -> Retention {
    match world.forgets {
        true => {
            let (delivered_ms, dead_ms, lanes_ms) = (KEPT_MS, KEPT_MS, KEPT_MS);
            Retention { delivered_ms, dead_ms, lanes_ms, ..Retention::default() }
        }
        false => Retention::default(),
    }
}
