//! The host's part in a native unit test: a configuration to read and a log to look at. One of each
//! a thread, and so one for each test.
//!
//! In a compiled plugin these do nothing that anybody sees.

use crate::Level;
use std::cell::RefCell;

thread_local! {
    static CONFIG: RefCell<Vec<u8>> = RefCell::new(b"{}".to_vec());
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// What [`crate::config()`] reads on this thread from now on.
pub fn set_config(json: &serde_json::Value) {
    CONFIG.set(json.to_string().into_bytes());
}

/// The lines logged on this thread since the last call.
pub fn take_lines() -> Vec<(Level, String)> {
    LINES.take()
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
