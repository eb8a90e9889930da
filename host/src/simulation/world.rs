//! What all hosts share: the store, the endpoints, the dice and the ledger.

use super::ledger::Ledger;
use super::net::Mood;
use crate::entropy::Entropy;
use crate::store::conformance::{START, WINDOW_MS};
use crate::store::memory::{Call, Fault, MemoryStore, Rule};
use livekit_webhook_core::batch::Batching;
use livekit_webhook_core::endpoint::{Endpoint, EndpointUrl, Name, Order, PlainHttp, Traffic};
use livekit_webhook_core::rate::Rate;
use livekit_webhook_core::retry::Schedule;
use livekit_webhook_core::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// Deadline of an attempt, in milliseconds.
const ATTEMPT_TIMEOUT_MS: i64 = 4_000;

/// What a run is made from.
#[derive(Clone, Copy)]
pub struct Options {
    pub seed: u64,
    /// To see that a checker sees.
    pub broken: Option<Rule>,
}

/// What came of a run.
pub struct Outcome {
    pub violations: Vec<String>,
    pub trace: Vec<String>,
    pub hash: u64,
    pub summary: String,
}

/// How far clocks are from each other and from the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clocks {
    /// One time for all.
    Same,
    /// Less apart than a lease's margin.
    Near,
    /// Up to a minute off, and they jump.
    Wild,
}

pub struct World {
    pub store: Arc<MemoryStore>,
    pub endpoints: Vec<Endpoint>,
    pub clocks: Clocks,
    /// A host that comes back finds its claims gone, as with a store of its own.
    pub has_own_store: bool,
    /// Retention takes what has ended some seconds ago.
    pub forgets: bool,
    /// Of a thousand calls to the store so many go wrong; over a thousand: all.
    pub faults_permille: Arc<AtomicU32>,
    /// Some restart forgot the rates.
    pub has_forgotten: AtomicBool,
    pub dice: Dice,
    pub moods: Mutex<BTreeMap<String, Mood>>,
    ledger: Mutex<Ledger>,
    began: Instant,
}

/// Dice of the world. Those of hosts are their own.
pub struct Dice(Entropy);

// === impl Dice ===

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(Entropy::seeded(seed))
    }

    /// A number below `sides`.
    pub fn roll(&self, sides: u64) -> u64 {
        ((self.0.dice() * sides as f64) as u64).min(sides.saturating_sub(1))
    }

    pub fn one_in(&self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    pub fn pick<T: Copy>(&self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize]
    }
}

// === impl World ===

impl World {
    pub fn new(options: Options) -> Arc<Self> {
        let dice = Dice::new(options.seed);
        let store = Arc::new(MemoryStore::new(WINDOW_MS));
        if let Some(rule) = options.broken {
            store.break_rule(rule);
        }
        let faults_permille = Arc::new(AtomicU32::new(0));
        store.set_script(script(dice.roll(u64::MAX), faults_permille.clone()));
        let endpoints = endpoints(&dice);
        let moods = endpoints.iter().map(|e| (e.name.to_string(), Mood::Well)).collect();
        Arc::new(Self {
            store,
            endpoints,
            clocks: dice.pick(&[Clocks::Same, Clocks::Same, Clocks::Near, Clocks::Wild]),
            has_own_store: dice.one_in(3),
            forgets: dice.one_in(4),
            faults_permille,
            has_forgotten: AtomicBool::new(false),
            dice,
            moods: Mutex::new(moods),
            ledger: Mutex::default(),
            began: Instant::now(),
        })
    }

    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// True milliseconds since the beginning.
    pub fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    /// The true time.
    pub fn now(&self) -> Timestamp {
        START.plus_millis(self.elapsed_ms())
    }

    pub fn tell(&self, line: String) {
        self.ledger().tell(self.elapsed_ms(), line);
    }

    pub fn accuse(&self, line: String) {
        self.ledger().accuse(self.elapsed_ms(), line);
    }

    pub fn endpoint(&self, name: &str) -> &Endpoint {
        self.endpoints.iter().find(|endpoint| endpoint.name.as_str() == name).unwrap()
    }
}

/// Five endpoints, one for each way of flowing.
fn endpoints(dice: &Dice) -> Vec<Endpoint> {
    let room = |skip_after| Order::Room { skip_after };
    let batching = Batching::new(2 + dice.roll(4) as usize, 1_000 * dice.roll(3) as i64).unwrap();
    let orders = [
        ("plain", Order::None),
        ("limited", Order::None),
        ("ordered", room(None)),
        ("skipping", room(Some(2))),
        ("batched", Order::Batch(batching)),
    ];
    let endpoints = orders.into_iter().map(|(name, order)| {
        let url = EndpointUrl::parse(&format!("https://{name}/"), PlainHttp::Refused).unwrap();
        let in_flight_max = 1 + dice.roll(4) as usize;
        let endpoint = Endpoint::new(Name::parse(name).unwrap(), url);
        let mut endpoint = endpoint.with_limits(ATTEMPT_TIMEOUT_MS, in_flight_max).unwrap();
        let rate = Rate::new(2.0, 1 + dice.roll(3) as u32).unwrap();
        let rate = Some(rate).filter(|_| name == "limited");
        endpoint.traffic = Traffic { order, rate, ..Traffic::default() };
        let steps = [0, 1_000, 2_000, 4_000, 8_000].into_iter();
        let steps = steps.take(2 + dice.roll(4) as usize).collect();
        endpoint.policy.schedule = Schedule::new(steps, None).unwrap();
        endpoint
    });
    endpoints.collect()
}

/// Faults of the store by their own dice.
fn script(seed: u64, permille: Arc<AtomicU32>) -> crate::store::memory::Script {
    let dice = Dice::new(seed);
    Box::new(move |call| {
        let permille = u64::from(permille.load(Ordering::SeqCst));
        if permille > 1_000 {
            return Some(Fault::Unavailable);
        }
        if dice.roll(1_000) >= permille {
            return None;
        }
        let wait = Duration::from_millis(1 + dice.roll(2_000));
        let (before, after) = (Fault::Slow(wait), Fault::SlowAnswer(wait));
        let faults = [Fault::Unavailable, Fault::Full, Fault::LostAnswer, before, after];
        // A slow claim comes with a time that has passed, as from a clock that is behind: its rate
        // could not be checked.
        let kinds = if call == Call::Claim { 3 } else { faults.len() };
        Some(dice.pick(&faults[..kinds]))
    })
}

// === impl Outcome ===

impl Outcome {
    /// # Panics
    /// When a checker saw something.
    pub fn assert_clean(&self, seed: u64) {
        if self.violations.is_empty() {
            return;
        }
        for line in self.trace.iter().rev().take(60).rev() {
            println!("{line}");
        }
        panic!("SIMULATION_SEED={seed} ({}): {:#?}", self.summary, self.violations);
    }
}
