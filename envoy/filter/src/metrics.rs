//! The metrics, by name. Defined once a configuration, never in a request.
//!
//! The ABI has no labels: what varies stands last in the name, and `stats_tags` in the shipped
//! configurations makes labels of it.

use crate::answer::{CODES, Refusal};
use crate::decision::{Facts, Repeat, Settled};
use crate::proxy::{Metric, Proxy};

/// Before every name.
const PREFIX: &str = "livekit_webhook.";

/// Ids of the metrics of one plugin.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: u32,
    accepted: u32,
    filtered: u32,
    unusable: u32,
    duplicate: u32,
    collision: u32,
    confirmed: u32,
    released: u32,
    bypassed: u32,
    rejected: Vec<(&'static str, u32)>,
    shadowed: Vec<(&'static str, u32)>,
    keys: Vec<(String, Vec<u32>)>,
    body_bytes: u32,
    token_age_s: u32,
    event_age_s: u32,
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
        let counter = |name: &str| define(Metric::Counter, name);
        let histogram = |name: &str| define(Metric::Histogram, name);
        let by_code = |kind: &str| -> Option<Vec<(&'static str, u32)>> {
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
    pub fn request(&self, proxy: &impl Proxy) {
        proxy.count(self.requests);
    }

    /// A request was verified.
    pub fn verified(&self, proxy: &impl Proxy, facts: &Facts, counted: Counted, now_ms: u64) {
        if counted == Counted::Forwarded {
            proxy.count(self.accepted);
        }
        let secrets = self.keys.iter().find(|(key, _)| *key == facts.api_key);
        if let Some(id) = secrets.and_then(|(_, ids)| ids.get(facts.secret_index)) {
            proxy.count(*id);
        }
        if facts.filtered {
            proxy.count(self.filtered);
        }
        if facts.envelope.is_none() {
            proxy.count(self.unusable);
        }
        match facts.repeat {
            Repeat::No => {}
            Repeat::Delivered | Repeat::InFlight => proxy.count(self.duplicate),
            Repeat::Collision => proxy.count(self.collision),
        }
        if let Some(refusal) = &facts.excused {
            self.excused(proxy, refusal);
        }
        proxy.record(self.body_bytes, u64::try_from(facts.body_bytes).unwrap_or(u64::MAX));
        // A clock ahead of ours is an age of nothing.
        let age = |age_s: i64| u64::try_from(age_s).unwrap_or(0);
        if let Some(age_s) = facts.token_age_s {
            proxy.record(self.token_age_s, age(age_s));
        }
        let created_at_s = facts.envelope.as_ref().and_then(|envelope| envelope.created_at_s);
        if let Some(at_s) = created_at_s {
            let now_s = i64::try_from(now_ms / 1_000).unwrap_or(i64::MAX);
            proxy.record(self.event_age_s, age(now_s.saturating_sub(at_s)));
        }
    }

    /// A request was refused.
    pub fn rejected(&self, proxy: &impl Proxy, refusal: &Refusal) {
        by_code(&self.rejected, proxy, refusal);
    }

    /// A request would have been refused.
    pub fn excused(&self, proxy: &impl Proxy, refusal: &Refusal) {
        by_code(&self.shadowed, proxy, refusal);
    }

    /// A reservation was settled.
    pub fn settled(&self, proxy: &impl Proxy, settled: Settled) {
        proxy.count(match settled {
            Settled::Confirmed => self.confirmed,
            Settled::Released => self.released,
        });
    }

    /// A request reached the host unverified, because we were not called.
    pub fn bypassed(&self, proxy: &impl Proxy) {
        proxy.count(self.bypassed);
    }
}

/// A code that a newer verifier adds counts as the last one.
fn by_code(ids: &[(&'static str, u32)], proxy: &impl Proxy, refusal: &Refusal) {
    let code = refusal.code();
    let own = ids.iter().find(|(name, _)| *name == code);
    if let Some((_, id)) = own.or(ids.last()) {
        proxy.count(*id);
    }
}

/// A key's name as part of a metric's name: what is no letter, digit, `-` or `_` becomes `_`.
fn word(key: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    key.chars().map(plain).take(64).collect()
}
