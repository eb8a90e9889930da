//! The metrics, by name. Defined once a configuration, never in a request.
//!
//! Mechanism: a request only adds to numbers in this VM's own memory; the tick hands them over. A
//! call into the proxy for each of them would cost a tenth of all that a request costs here. So
//! metrics lag by at most a tick; a plugin that ends hands over what is left.
//!
//! The ABI has no labels: what varies stands last in the name, and `stats_tags` in the shipped
//! configurations makes labels of it.

use std::cell::{Cell, RefCell};

use crate::answer::{CODES, Refusal};
use crate::decision::{Facts, Repeat, Settled};
use crate::proxy::{Metric, Proxy};

/// Before every name.
const PREFIX: &str = "livekit_webhook.";

/// Most samples that wait for the tick, of one histogram. More are handed over at once.
const SAMPLES_MAX: usize = 4_096;

/// The metrics of one plugin on one worker.
#[derive(Debug)]
pub struct Metrics {
    requests: Counter,
    accepted: Counter,
    filtered: Counter,
    unusable: Counter,
    duplicate: Counter,
    collision: Counter,
    confirmed: Counter,
    released: Counter,
    bypassed: Counter,
    rejected: Vec<(&'static str, Counter)>,
    shadowed: Vec<(&'static str, Counter)>,
    keys: Vec<(String, Vec<Counter>)>,
    body_bytes: Histogram,
    token_age_s: Histogram,
    event_age_s: Histogram,
}

#[derive(Debug)]
struct Counter {
    id: u32,
    waiting: Cell<u32>,
}

#[derive(Debug)]
struct Histogram {
    id: u32,
    waiting: RefCell<Vec<u64>>,
}

/// What a verdict counts as, beside its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Went to the host.
    Forwarded,
    /// Was answered here.
    Acknowledged,
}

// === impl Metrics ===

impl Metrics {
    /// Defines them all. `keys` are the API keys with how many secrets each has. `None`: the host
    /// has none to give.
    pub fn define(proxy: &impl Proxy, keys: &[(String, usize)], holds: bool) -> Option<Self> {
        let define = |metric, name: &str| proxy.define(metric, &format!("{PREFIX}{name}"));
        let counter = |name: &str| Some(Counter::new(define(Metric::Counter, name)?));
        let histogram = |name: &str| Some(Histogram::new(define(Metric::Histogram, name)?));
        let by_code = |kind: &str| -> Option<Vec<(&'static str, Counter)>> {
            CODES
                .into_iter()
                .map(|code| Some((code, counter(&format!("{kind}.{code}"))?)))
                .collect()
        };
        let of_key = |(key, secrets): &(String, usize)| {
            let name = |index| format!("verified.{}.{index}", word(key));
            let ids = (0..*secrets).map(|index| counter(&name(index)));
            Some((key.clone(), ids.collect::<Option<_>>()?))
        };
        let metrics = Self {
            requests: counter("requests")?,
            accepted: counter("accepted")?,
            filtered: counter("filtered")?,
            unusable: counter("unusable")?,
            duplicate: counter("duplicate")?,
            collision: counter("dedupe_collision")?,
            confirmed: counter("dedupe_confirmed")?,
            released: counter("dedupe_released")?,
            bypassed: counter("bypassed")?,
            rejected: by_code("rejected")?,
            shadowed: by_code("shadow_rejected")?,
            keys: keys.iter().map(of_key).collect::<Option<_>>()?,
            body_bytes: histogram("body_bytes")?,
            token_age_s: histogram("token_age_s")?,
            event_age_s: histogram("event_age_s")?,
        };
        proxy.record(define(Metric::Gauge, "keys")?, u64::try_from(keys.len()).unwrap_or(0));
        proxy.record(define(Metric::Gauge, "hold_headers")?, u64::from(holds));
        Some(metrics)
    }

    /// A request came.
    pub fn request(&self) {
        self.requests.add();
    }

    /// A request was verified.
    pub fn verified(&self, proxy: &impl Proxy, facts: &Facts, counted: Counted, now_ms: u64) {
        if counted == Counted::Forwarded {
            self.accepted.add();
        }
        let secrets = self.keys.iter().find(|(key, _)| *key == facts.api_key);
        if let Some(counter) = secrets.and_then(|(_, all)| all.get(facts.secret_index)) {
            counter.add();
        }
        if facts.filtered {
            self.filtered.add();
        }
        if facts.envelope.is_none() {
            self.unusable.add();
        }
        match facts.repeat {
            Repeat::No => {}
            Repeat::Delivered | Repeat::InFlight => self.duplicate.add(),
            Repeat::Collision => self.collision.add(),
        }
        if let Some(refusal) = &facts.excused {
            self.excused(refusal);
        }
        self.body_bytes.sample(proxy, u64::try_from(facts.body_bytes).unwrap_or(u64::MAX));
        // A clock ahead of ours is an age of nothing.
        let age = |age_s: i64| u64::try_from(age_s).unwrap_or(0);
        if let Some(age_s) = facts.token_age_s {
            self.token_age_s.sample(proxy, age(age_s));
        }
        let created_at_s = facts.envelope.as_ref().and_then(|envelope| envelope.created_at_s);
        if let Some(at_s) = created_at_s {
            let now_s = i64::try_from(now_ms / 1_000).unwrap_or(i64::MAX);
            self.event_age_s.sample(proxy, age(now_s.saturating_sub(at_s)));
        }
    }

    /// A request was refused.
    pub fn rejected(&self, refusal: &Refusal) {
        by_code(&self.rejected, refusal);
    }

    /// A request would have been refused.
    pub fn excused(&self, refusal: &Refusal) {
        by_code(&self.shadowed, refusal);
    }

    /// A reservation was settled.
    pub fn settled(&self, settled: Settled) {
        match settled {
            Settled::Confirmed => self.confirmed.add(),
            Settled::Released => self.released.add(),
        }
    }

    /// A request reached the host unverified, because we were not called.
    pub fn bypassed(&self) {
        self.bypassed.add();
    }

    /// Hands over what waits.
    pub fn flush(&self, proxy: &impl Proxy) {
        let single = [
            &self.requests,
            &self.accepted,
            &self.filtered,
            &self.unusable,
            &self.duplicate,
            &self.collision,
            &self.confirmed,
            &self.released,
            &self.bypassed,
        ];
        let codes = self.rejected.iter().chain(&self.shadowed).map(|(_, counter)| counter);
        let keys = self.keys.iter().flat_map(|(_, secrets)| secrets);
        for counter in single.into_iter().chain(codes).chain(keys) {
            counter.flush(proxy);
        }
        for histogram in [&self.body_bytes, &self.token_age_s, &self.event_age_s] {
            histogram.flush(proxy);
        }
    }
}

// === impl Counter ===

impl Counter {
    fn new(id: u32) -> Self {
        Self { id, waiting: Cell::new(0) }
    }

    fn add(&self) {
        self.waiting.set(self.waiting.get().saturating_add(1));
    }

    fn flush(&self, proxy: &impl Proxy) {
        let waiting = self.waiting.take();
        if waiting > 0 {
            proxy.add(self.id, waiting);
        }
    }
}

// === impl Histogram ===

impl Histogram {
    fn new(id: u32) -> Self {
        Self { id, waiting: RefCell::default() }
    }

    fn sample(&self, proxy: &impl Proxy, value: u64) {
        let Ok(mut waiting) = self.waiting.try_borrow_mut() else {
            return;
        };
        waiting.push(value);
        let full = waiting.len() == SAMPLES_MAX;
        drop(waiting);
        if full {
            self.flush(proxy);
        }
    }

    fn flush(&self, proxy: &impl Proxy) {
        if let Ok(mut waiting) = self.waiting.try_borrow_mut() {
            for value in waiting.drain(..) {
                proxy.record(self.id, value);
            }
        }
    }
}

/// A code that a newer verifier adds counts as the last one.
fn by_code(counters: &[(&'static str, Counter)], refusal: &Refusal) {
    let code = refusal.code();
    let own = counters.iter().find(|(name, _)| *name == code);
    if let Some((_, counter)) = own.or(counters.last()) {
        counter.add();
    }
}

/// A key's name as part of a metric's name: what is no letter, digit, `-` or `_` becomes `_`.
fn word(key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    key.chars().map(plain).take(64).collect()
}
