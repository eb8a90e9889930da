//! The store under test beside the one in memory: the same calls, the same answers.

use super::*;
use crate::store::memory::MemoryStore;
use livekit_webhook_core::batch::{BatchId, Batching};
use livekit_webhook_core::health::{Breaker, Disabled, DisabledReason, Health};

mod steps;

/// Calls of one run.
const STEPS: u32 = 500;

pub async fn seed_1(store: &dyn Store) {
    run(store, 1).await;
}

pub async fn seed_2(store: &dyn Store) {
    run(store, 2).await;
}

pub async fn seed_3(store: &dyn Store) {
    run(store, 3).await;
}

/// A run that can be repeated from its seed.
async fn run(store: &dyn Store, seed: u64) {
    let mut run = Run {
        dice: Dice::new(seed),
        now: START,
        store,
        model: MemoryStore::new(WINDOW_MS),
        last: 0,
        events: Vec::new(),
        deliveries: Vec::new(),
    };
    for step in 0..STEPS {
        println!("seed {seed} step {step}");
        run.step().await;
    }
    copy::assert_same(store, &run.model).await;
}

/// Both stores, and the claims that are held on both.
struct Run<'a> {
    dice: Dice,
    now: Timestamp,
    store: &'a dyn Store,
    model: MemoryStore,
    /// Number of the last id given.
    last: u32,
    events: Vec<Pair<StoredEvent>>,
    deliveries: Vec<Pair<DueDelivery>>,
}

/// The same claim on both: only the fences differ.
struct Pair<T> {
    item: T,
    here: Fence,
    model: Fence,
}

/// SplitMix64 (Steele, Lea and Flood, 2014): a suite that any crate can run brings its own dice.
pub struct Dice(u64);

// === impl Dice ===

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides.max(1)
    }

    pub fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize]
    }
}

fn pair<T>(here: Vec<Claim<T>>, model: Vec<Claim<T>>) -> Vec<Pair<T>> {
    let both = here.into_iter().zip(model);
    both.map(|(here, model)| Pair { item: model.item, here: here.fence, model: model.fence })
        .collect()
}

/// Without what may differ: fences, and how requests are numbered.
fn comparable(due: &Due) -> Vec<(DueDelivery, usize)> {
    let mut numbers: Vec<u32> = Vec::new();
    let items = due.claims.iter().map(|claim| {
        let request = claim.item.request;
        if !numbers.contains(&request) {
            numbers.push(request);
        }
        let place = numbers.iter().position(|known| *known == request).unwrap();
        (DueDelivery { request: 0, ..claim.item.clone() }, place)
    });
    items.collect()
}
