//! What a request of hyper's client can tell of its connection, however it ends.
//!
//! The client opens, keeps and reuses connections by itself. A request that is followed here gives
//! the connection it uses its allowance, and knows afterwards which one that was.

use super::dial::Dial;
use crate::causes;
use hyper::Request;
use hyper::http::Extensions;
use hyper_util::client::legacy::connect::{CaptureConnection, Connected, capture_connection};
use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use tokio::time::Instant;

/// One request.
pub struct Trace {
    /// Opened for this request, if it came to that.
    own: Arc<Dial>,
    captured: CaptureConnection,
    ready: Option<Instant>,
}

// === impl Trace ===

impl Trace {
    /// Prepares `request` to be followed. A connection that is opened for it gets the allowance of
    /// `own`.
    pub fn begin<B>(request: &mut Request<B>, own: Arc<Dial>) -> Self {
        Self { own, captured: capture_connection(request), ready: None }
    }

    /// Waits for the answer, and for the connection on the way to it. To be awaited within
    /// [`Dial::around`] of the same dial.
    ///
    /// # Cancel safety
    /// As safe as `answer`.
    pub async fn follow<F: Future>(&mut self, answer: F) -> F::Output {
        let mut answer = pin!(answer);
        tokio::select! {
            biased;
            answered = &mut answer => return answered,
            connected = self.captured.wait_for_connection_metadata() => {
                self.ready = Some(Instant::now());
                // The connection was made with the allowance of its first request.
                if let Some(used) = connected.as_ref().and_then(dial_of)
                    && !Arc::ptr_eq(&used, &self.own)
                {
                    used.allow_one_more();
                }
            }
        }
        answer.await
    }

    /// The connection that the request used, if it had one.
    pub fn used(&self) -> Option<Arc<Dial>> {
        self.captured.connection_metadata().as_ref().and_then(dial_of)
    }

    /// The connection that the request used, else the one that it tried to open; and whether that
    /// was its own.
    pub fn known(&self) -> (Arc<Dial>, bool) {
        let known = self.used().unwrap_or_else(|| self.own.clone());
        let is_own = Arc::ptr_eq(&known, &self.own);
        (known, is_own)
    }

    /// When the request had its connection.
    pub fn ready(&self) -> Option<Instant> {
        self.ready
    }

    /// The allowance, when the connection was closed because more than that came.
    pub fn exhausted(&self) -> Option<i64> {
        self.used().filter(|used| used.is_exhausted()).map(|used| used.allowance_bytes())
    }
}

/// What the connector keeps with each of its connections.
fn dial_of(connected: &Connected) -> Option<Arc<Dial>> {
    let mut extras = Extensions::new();
    connected.get_extras(&mut extras);
    extras.remove::<Arc<Dial>>()
}

/// The first error of type `E` among the causes.
pub fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    causes::of(error).find_map(|error| error.downcast_ref::<E>())
}
