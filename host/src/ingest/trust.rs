//! Whom ingest believes. Replaced as a whole while requests are under way, so that keys can rotate
//! without a restart; a request is judged from its first byte to its last by what it met first.

use super::{Ingest, Source};
use livekit_webhook_wire::verify::Verifier;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

/// Keys, and the sources they belong to.
#[derive(Debug)]
pub struct Trust {
    /// Over the keys of all sources.
    pub verifier: Verifier,
    /// API key to source. A key belongs to one source.
    pub sources: HashMap<String, Source>,
}

// === impl Ingest ===

impl Ingest {
    /// What counts now.
    pub(super) fn trust(&self) -> Arc<Trust> {
        self.trust.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What counts for every request that begins from now on.
    pub fn replace_trust(&self, trust: Trust) {
        *self.trust.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(trust);
    }
}
