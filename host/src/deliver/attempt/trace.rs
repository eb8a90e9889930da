//! `traceparent`: an event is one trace, an attempt one span of it. W3C Trace Context, level 1.

use livekit_webhook_core::id::{DeliveryId, EventId};
use sha2::{Digest, Sha256};

/// The value for one attempt: the trace's id is the event's, the span's follows from delivery and
/// number, so that a receiver's trace can be found from the attempt log and the other way round.
/// Marked as sampled: whether it keeps the trace is the receiver's own choice.
pub fn parent(event: EventId, delivery: DeliveryId, number: u32) -> String {
    let trace = hex(&event.to_bytes());
    let mut hash = Sha256::new();
    hash.update(delivery.to_bytes());
    hash.update(number.to_be_bytes());
    let span = hex(hash.finalize().get(..8).unwrap_or_default());
    format!("00-{trace}-{span}-01")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
