//! The host's part in a native unit test: a configuration to read, a log to look at, and answers of
//! the outside. One of each a thread, and so one for each test.
//!
//! In a compiled plugin these do nothing that anybody sees.

use crate::{Event, Level, http};
use livekit_webhook_wire::{event_type, sample};
use std::cell::RefCell;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod outside;

/// All types of event that LiveKit sends today.
pub const KINDS: [&str; 14] = event_type::ALL;
/// Unix seconds at which the samples happened: 2026-01-01T00:00:00Z.
const NOW_S: i64 = 1_767_225_600;

thread_local! {
    static CONFIG: RefCell<Vec<u8>> = RefCell::new(b"{}".to_vec());
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// What [`crate::config()`] reads on this thread from now on.
pub fn set_config(json: &serde_json::Value) {
    CONFIG.set(json.to_string().into_bytes());
}

/// A realistic event of a type, the same on each call: one story of the room `demo-room` and the
/// participant `alice`. `None` for a type that is not one of [`KINDS`].
pub fn sample(kind: &str) -> Option<Event> {
    let story = sample::Sample {
        room: "demo-room",
        identity: "alice",
        event_id: "EV_8sTzLqWmPbXy",
        now_s: NOW_S,
        seed: 1,
    };
    Event::from_json(sample::body(kind, &story)?).ok()
}

/// The lines logged on this thread since the last call.
pub fn take_lines() -> Vec<(Level, String)> {
    LINES.take()
}

/// What answers the requests of this thread from now on. Without it every request is denied.
pub fn on_http(
    answer: impl FnMut(&http::Request) -> Result<http::Response, http::Error> + 'static,
) {
    #[cfg(not(target_arch = "wasm32"))]
    outside::on_http(Box::new(answer));
    #[cfg(target_arch = "wasm32")]
    drop(answer);
}

/// The requests sent on this thread since the last call.
pub fn take_requests() -> Vec<http::Request> {
    #[cfg(not(target_arch = "wasm32"))]
    return outside::take_requests();
    #[cfg(target_arch = "wasm32")]
    Vec::new()
}

/// Gives the plugin a secret of this name: [`crate::secrets::stand_in`] has a text for it, which
/// is `secret-` and the name.
pub fn set_secret(name: &str) {
    #[cfg(not(target_arch = "wasm32"))]
    outside::set_secret(name);
    #[cfg(target_arch = "wasm32")]
    let _ = name;
}

/// What LiveKit answers to a function of the contract, such as `get-room`, whatever it is asked for.
/// `null` stands for what is not there. A function without an answer is denied.
pub fn set_livekit(function: &str, answer: serde_json::Value) {
    #[cfg(not(target_arch = "wasm32"))]
    outside::set_livekit(function, answer);
    #[cfg(target_arch = "wasm32")]
    let _ = (function, answer);
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn config_json() -> Vec<u8> {
    CONFIG.with_borrow(Clone::clone)
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn push_line(level: Level, message: &str, fields: &[(String, String)]) {
    let mut line = message.to_owned();
    for (name, value) in fields {
        line.push_str(&format!(" {name}={value:?}"));
    }
    LINES.with_borrow_mut(|lines| lines.push((level, line)));
}
