//! Plugin `redact`.
use livekit_webhook_plugin::prelude::*;

#[transform]
fn redact(event: Event) -> Option<Event> {
    Some(event)
}
