//! Every request of a guest is counted once, by what became of it.

use super::Pass;
use crate::metrics::own::Own;
use std::future::Future;

/// Not granted.
pub const DENIED: &str = "denied";
/// There is an answer.
const OK: &str = "ok";
/// The call ended before there was one.
const CUT_OFF: &str = "cut_off";

/// One request on its way; dropped without an answer it was cut off.
struct Counted<'a> {
    own: &'a Own,
    interface: &'static str,
    outcome: &'static str,
}

// === impl Pass ===

impl Pass {
    /// `request`, counted with the word for its error.
    pub(super) async fn counted<T, E>(
        &self,
        interface: &'static str,
        word: impl Fn(&E) -> &'static str,
        request: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut counted = Counted { own: &self.door.own, interface, outcome: CUT_OFF };
        let answer = request.await;
        counted.outcome = answer.as_ref().err().map_or(OK, word);
        answer
    }
}

// === impl Counted ===

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.own.asked(self.interface, self.outcome);
    }
}
