//! One instance: a fresh store with its limits set, used for one call and thrown away.
//!
//! What the guest can reach of the host is exactly [`State`]: its event, its configuration, its
//! log, its numbers.

use super::Input;
use super::engine::Machine;
use super::gate::Gate;
use super::growth::Growth;
use super::limits::{CROSSING_BYTES, HANDLES, Limits};
use super::log::Lines;
use super::meter::{Meter, Stop};
use super::permission::{Clock, Random};
use super::wasi::Wasi;
use crate::metrics::own::Own;
use bytes::Bytes;
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use wasmtime::{Store, UpdateDeadline};

/// The host's side of the guest's `event` resource. There is one event a call, so the handle says
/// nothing more.
#[derive(Debug)]
pub struct EventHandle;

/// The configuration of a plugin: JSON as given, and parsed.
#[derive(Clone, Debug)]
pub struct Config {
    /// As given.
    pub bytes: Bytes,
    /// Parsed.
    pub value: Value,
}

/// What the host keeps for one call.
#[derive(Debug)]
pub struct State {
    /// The event.
    pub input: Input,
    /// Its body, parsed at the first `field`.
    pub body: OnceLock<Option<Value>>,
    /// The plugin's configuration.
    pub config: Arc<Config>,
    /// Its memory.
    pub growth: Growth,
    /// Its log.
    pub log: Lines,
    /// Its numbers.
    pub own: Arc<Own>,
    /// Its door to the outside.
    pub gate: Gate,
    /// What it has used.
    pub meter: Meter,
    /// Why it was interrupted, if it was.
    pub stopped: Option<Stop>,
    /// Which clock and dice WASI has.
    pub granted: (Clock, Random),
    /// Made when it first uses WASI.
    pub wasi: Option<Box<Wasi>>,
}

/// A store, with every limit set before any guest code runs.
pub fn store(machine: &Machine, state: State, limits: &Limits) -> Store<State> {
    let mut store = Store::new(machine.wasmtime(), state);
    store.limiter(|state| &mut state.growth);
    store.set_hostcall_fuel(limits.size(CROSSING_BYTES));
    store.set_max_component_handles(limits.size(HANDLES));
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut context| {
        let state = context.data_mut();
        Ok(match state.meter.verdict() {
            None => UpdateDeadline::Yield(1),
            stop => {
                state.stopped = stop;
                UpdateDeadline::Interrupt
            }
        })
    });
    if machine.metered() {
        // Fuel is counted here, not limited: the CPU budget is the limit.
        let counted = store.set_fuel(u64::MAX);
        debug_assert!(counted.is_ok(), "this engine counts fuel");
    }
    store
}

/// Fuel that was burned in `store`, where it is counted.
pub fn fuel(store: &Store<State>) -> Option<u64> {
    store.get_fuel().ok().map(|left| u64::MAX - left)
}
