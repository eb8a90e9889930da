//! The counters, by name. Defined once a configuration, never in a request.

use crate::answer::{CODES, Refusal};
use crate::hostcalls;

/// Ids of the counters of one VM.
#[derive(Clone, Debug)]
pub struct Metrics {
    requests: u32,
    accepted: u32,
    filtered: u32,
    unusable: u32,
    rejected: Vec<(&'static str, u32)>,
}

impl Metrics {
    /// Defines them all. `None`: the host has no counters to give.
    pub fn define() -> Option<Self> {
        let counter = |name: &str| hostcalls::define_counter(&format!("livekit_webhook.{name}"));
        let rejected =
            CODES.into_iter().map(|code| Some((code, counter(&format!("rejected.{code}"))?)));
        Some(Self {
            requests: counter("requests")?,
            accepted: counter("accepted")?,
            filtered: counter("filtered")?,
            unusable: counter("unusable")?,
            rejected: rejected.collect::<Option<_>>()?,
        })
    }

    /// A request came.
    pub fn request(&self) {
        hostcalls::count(self.requests);
    }

    /// A request was let on.
    pub fn accepted(&self) {
        hostcalls::count(self.accepted);
    }

    /// An event was left out by the lists, answered here or marked.
    pub fn filtered(&self) {
        hostcalls::count(self.filtered);
    }

    /// An authentic body that cannot be read was let on.
    pub fn unusable(&self) {
        hostcalls::count(self.unusable);
    }

    /// A request was refused.
    pub fn rejected(&self, refusal: &Refusal) {
        let code = refusal.code();
        let own = self.rejected.iter().find(|(name, _)| *name == code);
        if let Some((_, id)) = own.or(self.rejected.last()) {
            hostcalls::count(*id);
        }
    }
}
