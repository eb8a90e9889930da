//! The whole way from ingest to dead letter and replay, on one thread, from one seed.
//!
//! The cast: the *world* ([`world`]) has the store, the endpoints and the dice; *hosts* ([`host`]) run
//! the real stages over it, crash and come back; the *net* ([`net`]) answers for the endpoints, each
//! in a mood of its own; the *story* ([`story`]) lets events come and trouble happen; the *ledger*
//! ([`ledger`]) sees every request and checks it against what is stored; the *end* ([`end`]) checks
//! what is left when all is well again.
//!
//! Time is tokio's, paused: it moves when nothing else can. All dice are rolled from the seed, and
//! nothing depends on the order of a hash map, so a seed gives the same run each time.
//!
//! What is checked, for every seed:
//! - nothing acknowledged is lost: it ends delivered, or dead with a reason that did happen;
//! - no request for what has ended, and what has ended stays as it is;
//! - no lane out of order, nor before an earlier event of it is planned;
//! - no request while an endpoint's gate is closed;
//! - a replay gives an endpoint nothing that it has or is owed.
//!
//! And where clocks differ by less than a lease's margin, also:
//! - one request of a lane at a time, one probe at a time, no more in flight than allowed;
//! - every request but those that a crash cut off is recorded before the next of its delivery.
//!
//! With one clock and no restart that forgets it: no more requests in any span than the rate allows.
//!
//! `SIMULATION_SEEDS=5000` runs so many seeds, `SIMULATION_SEED=7` this one with its trace.

mod end;
mod host;
mod ledger;
mod net;
mod story;
mod world;

use crate::store::memory::Rule;
use world::{Options, Outcome};

/// Seeds of every run of the tests.
const SEEDS: u64 = 240;
/// The tests share the seeds, to run side by side.
const SHARES: u64 = 4;

/// Runs one seed.
fn simulate(seed: u64, broken: Option<Rule>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let outcome = runtime.block_on(story::run(Options { seed, broken }));
    drop(runtime);
    outcome
}

fn number(variable: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "how a person asks a test for more")]
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{variable}={text}: {error}")))
}

/// The seeds of one share, or the one that was asked for.
fn hold(share: u64) {
    if let Some(seed) = number("SIMULATION_SEED") {
        if share == 0 {
            let outcome = simulate(seed, None);
            outcome.trace.iter().for_each(|line| println!("{line}"));
            println!("seed {seed}: {}", outcome.summary);
            outcome.assert_clean(seed);
        }
        return;
    }
    let seeds = number("SIMULATION_SEEDS").unwrap_or(SEEDS);
    for seed in (0..seeds).filter(|seed| seed % SHARES == share) {
        simulate(seed, None).assert_clean(seed);
    }
}

#[test]
fn seeds_hold_1_of_4() {
    hold(0);
}

#[test]
fn seeds_hold_2_of_4() {
    hold(1);
}

#[test]
fn seeds_hold_3_of_4() {
    hold(2);
}

#[test]
fn seeds_hold_4_of_4() {
    hold(3);
}

#[test]
fn one_seed_gives_one_run() {
    for seed in [1, 2, 3, 4, 5, 6] {
        let (one, two) = (simulate(seed, None), simulate(seed, None));
        let differs = one.trace.iter().zip(&two.trace).find(|(one, two)| one != two);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one.hash, two.hash, "seed {seed}");
    }
    assert_ne!(simulate(1, None).hash, simulate(2, None).hash);
}

/// A checker that has never seen anything wrong proves nothing.
#[test]
fn a_broken_rule_is_seen() {
    for (rule, words) in [
        (Rule::Stored, "is lost"),
        (Rule::Fence, "attempts of"),
        (Rule::Lane, "out of order"),
        (Rule::PlanBefore, "before an earlier event is planned"),
        (Rule::InFlight, "in flight"),
        (Rule::Rate, "more than the rate"),
        (Rule::Gate, "gate is closed"),
        (Rule::Step, "has it twice"),
    ] {
        let is_seen = |seed| {
            let outcome = simulate(seed, Some(rule));
            outcome.violations.iter().any(|violation| violation.contains(words))
        };
        assert!((0..200).any(is_seen), "nobody saw that {rule:?} is broken");
    }
}
