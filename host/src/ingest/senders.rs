//! Who may send: the keys and their sources, replaced whole while requests are under way.
//!
//! Guarantee: one request is judged by one set from its head to its answer, so a replacement makes
//! no request fail that either set would have taken.

use super::Source;
use livekit_webhook_wire::verify::Verifier;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Keys and sources, made from one list.
pub struct Known {
    /// Over the keys of all sources.
    pub verifier: Verifier,
    /// API key to source. A key belongs to one source.
    pub sources: HashMap<String, Source>,
}

/// The set that counts now.
pub struct Senders(RwLock<Arc<Known>>);

// === impl Senders ===

impl Senders {
    /// Those in `known`.
    pub fn new(known: Known) -> Self {
        Self(RwLock::new(Arc::new(known)))
    }

    /// For one request.
    pub fn current(&self) -> Arc<Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From the next request on.
    pub fn replace(&self, known: Known) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }
}
