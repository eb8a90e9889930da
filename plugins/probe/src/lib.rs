//! Tries what WASI 0.2 offers, as components of other languages do through their runtimes. For
//! tests only.
//!
//! The event's room says what to try; the draft's body is a JSON object of what was found. The
//! world of `bindings.rs` has of each interface only the functions that are used here: a component
//! may import less than there is.

#[cfg(target_arch = "wasm32")]
mod bindings;
#[cfg(target_arch = "wasm32")]
mod tries;

use livekit_webhook_plugin::prelude::*;
use serde_json::Value;

#[transform]
fn probe(event: &Event) -> Result<Draft, Failure> {
    let room = event.room_name().unwrap_or_default();
    let found = attempt(room.strip_prefix("probe:").unwrap_or_default());
    Ok(Draft { body: found.to_string().into_bytes(), ..Draft::default() })
}

#[cfg(target_arch = "wasm32")]
fn attempt(what: &str) -> Value {
    tries::attempt(what)
}

/// There is no WASI under plain `cargo test`.
#[cfg(not(target_arch = "wasm32"))]
fn attempt(_what: &str) -> Value {
    Value::Null
}
