//! One connection from its beginning: what becomes known of it, and how much may be read of it.
//!
//! hyper's client opens connections on its own account and tells nobody how that went. So each
//! request carries a [`Dial`] in its task: the connector writes down there what it does, which the
//! attempt log gets even when the deadline cuts the request off; and the connection keeps it, so
//! that a request can tell whether it used its own connection or one that was there already.
//!
//! A connection may be read for so many bytes for each request that uses it, and no more: a peer
//! that floods an open connection (pings, settings, early hints) has it closed on itself.

use crate::store::Timings;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that may be read of a connection for each delivery on it, TLS included: four times what an
/// answer may have.
pub const ALLOWANCE_BYTES: i64 = 256 * 1024;
/// A connection can have the allowance of so many requests left.
const ALLOWANCES_MAX: i64 = 32;

tokio::task_local! {
    static CURRENT: Arc<Dial>;
}

/// What is known of one connection.
pub struct Dial {
    known: Mutex<Known>,
    /// Of each request.
    allowance_bytes: i64,
    left_bytes: AtomicI64,
    is_exhausted: AtomicBool,
}

#[derive(Clone, Copy, Default)]
struct Known {
    address: Option<SocketAddr>,
    timings: Timings,
}

// === impl Dial ===

impl Dial {
    /// Nothing yet, with the allowance of one delivery.
    pub fn new() -> Arc<Self> {
        Self::allowing(ALLOWANCE_BYTES)
    }

    /// Nothing yet, with an allowance of so many bytes for each request.
    pub fn allowing(allowance_bytes: i64) -> Arc<Self> {
        Arc::new(Self {
            known: Mutex::default(),
            allowance_bytes,
            left_bytes: AtomicI64::new(allowance_bytes),
            is_exhausted: AtomicBool::new(false),
        })
    }

    /// The one of the request in whose task this runs. A new one where there is none, as in tests
    /// of the connector alone.
    pub fn current() -> Arc<Self> {
        CURRENT.try_with(Arc::clone).unwrap_or_else(|_| Self::new())
    }

    /// Runs `request` with this one as the current.
    pub fn around<F: Future>(self: Arc<Self>, request: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, request)
    }

    /// The address dialled last.
    pub fn address(&self) -> Option<SocketAddr> {
        self.known().address
    }

    /// How long its parts took.
    pub fn timings(&self) -> Timings {
        self.known().timings
    }

    /// Name resolution has ended.
    pub fn resolved(&self, took: Duration) {
        self.known().timings.dns_ms = Some(millis(took));
    }

    /// This address is tried now.
    pub fn trying(&self, address: SocketAddr) {
        self.known().address = Some(address);
    }

    /// TCP is up.
    pub fn connected(&self, took: Duration) {
        self.known().timings.connect_ms = Some(millis(took));
    }

    /// The TLS handshake has ended.
    pub fn shaken(&self, took: Duration) {
        self.known().timings.tls_ms = Some(millis(took));
    }

    /// One more request uses the connection.
    pub fn allow_one_more(&self) {
        let max = self.allowance_bytes.saturating_mul(ALLOWANCES_MAX);
        let more = |left: i64| Some(left.saturating_add(self.allowance_bytes).min(max));
        // It always gives a value, so it cannot fail.
        let _ = self.left_bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
    }

    /// Bytes that may come for each request.
    pub fn allowance_bytes(&self) -> i64 {
        self.allowance_bytes
    }

    /// Whether more may be read.
    pub fn may_read(&self) -> bool {
        let may = self.left_bytes.load(Ordering::SeqCst) > 0;
        if !may {
            self.is_exhausted.store(true, Ordering::SeqCst);
        }
        may
    }

    /// So many bytes were read.
    pub fn has_read(&self, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.left_bytes.fetch_sub(count, Ordering::SeqCst);
    }

    /// Whether the connection was closed because too much came.
    pub fn is_exhausted(&self) -> bool {
        self.is_exhausted.load(Ordering::SeqCst)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For timings.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
