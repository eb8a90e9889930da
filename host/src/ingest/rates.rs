//! How fast each source and each peer may send. In memory, in a table of bounded size.

use livekit_webhook_core::rate::{Rate, RateState};
use livekit_webhook_core::time::Timestamp;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// Peers remembered one by one. Those beyond share one limit, so that who sends from very many
/// addresses neither fills the memory nor gets past it.
pub const PEERS_MAX: usize = 4_096;
/// Sources remembered: more than can be configured.
pub const SOURCES_MAX: usize = 1_024;

/// Who sends: an IPv4 address or a network of IPv6, since whoever has one address there has 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(IpAddr);

/// One limit for each of many.
pub struct Rates<K> {
    rate: Option<Rate>,
    keys_max: usize,
    states: Mutex<States<K>>,
}

struct States<K> {
    by_key: HashMap<K, RateState>,
    others: RateState,
}

// === impl Peer ===

impl Peer {
    /// Of a request from `address`.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                Self(Ipv6Addr::from(network).into())
            }
        }
    }
}

// === impl Rates ===

impl<K: Eq + Hash> Rates<K> {
    /// `rate` for each key, `None` for no limit; `keys_max` of them are told apart.
    pub fn new(rate: Option<Rate>, keys_max: usize) -> Self {
        let states = States { by_key: HashMap::new(), others: RateState::default() };
        Self { rate, keys_max, states: Mutex::new(states) }
    }

    /// Whether one more may come from `key` at `now`. Counts it if so.
    pub fn allows(&self, key: K, now: Timestamp) -> bool {
        let Some(rate) = self.rate else { return true };
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = states.by_key.len() >= self.keys_max;
        if is_full && !states.by_key.contains_key(&key) {
            // Who has rested is as one who never came.
            let now_us = now.as_millis().saturating_mul(1_000);
            states.by_key.retain(|_, state| state.0 > now_us);
        }
        let is_full = states.by_key.len() >= self.keys_max;
        let state = match states.by_key.get(&key) {
            Some(state) => *state,
            None if is_full => states.others,
            None => RateState::default(),
        };
        let grant = rate.grant(state, now, 1);
        if is_full && !states.by_key.contains_key(&key) {
            states.others = grant.state;
        } else {
            states.by_key.insert(key, grant.state);
        }
        grant.requests == 1
    }
}
