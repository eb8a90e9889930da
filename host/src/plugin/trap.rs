//! The engine's errors in words an operator can use: what the guest said last, what kind of trap,
//! and where.

use super::limits::ERROR_BYTES_MAX;
use super::log::escape;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// Frames that are named, innermost first.
const FRAMES_SHOWN: usize = 5;
/// Frames of these are left out: they are how a panic travels, not where it began.
const FRAMES_HIDDEN: [&str; 5] = ["core::", "std::", "alloc::", "__rust", "rust_"];

/// `panicked at …: boom (unreachable code; in evil::act < evil::transform)`
pub fn describe(error: &wasmtime::Error, last_words: Option<&str>) -> String {
    let kind = match (error.downcast_ref::<Trap>(), error.downcast_ref::<I32Exit>()) {
        (Some(trap), _) => trap.to_string(),
        (None, Some(I32Exit(status))) => format!("it exited with status {status}"),
        (None, None) => error.root_cause().to_string(),
    };
    let kind = kind.trim_start_matches("wasm trap: ").to_owned();
    let frames = error.downcast_ref::<WasmBacktrace>().map(frames).unwrap_or_default();
    let place = if frames.is_empty() { String::new() } else { format!("; in {frames}") };
    let text = match last_words {
        Some(words) => format!("{words} ({kind}{place})"),
        None => format!("{kind}{place}"),
    };
    escape(&text, ERROR_BYTES_MAX)
}

/// Whether the guest handed over more bytes than a crossing may have.
///
/// The engine has no public type for this error, so its first words are compared; a test with a
/// component that returns too much fails when they change.
pub fn is_crossing(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| cause.to_string().starts_with("too much data is being copied"))
}

/// Names of the guest's own functions at a trap, innermost first.
pub fn frames_of(error: &wasmtime::Error) -> Vec<String> {
    error.downcast_ref::<WasmBacktrace>().map(names).unwrap_or_default()
}

fn frames(trace: &WasmBacktrace) -> String {
    names(trace).join(" < ")
}

/// As the engine's rendering demangles them.
fn names(trace: &WasmBacktrace) -> Vec<String> {
    let text = trace.to_string();
    let names = text.lines().filter_map(|line| line.split_once('!').map(|(_, name)| short(name)));
    names
        .filter(|name| !FRAMES_HIDDEN.iter().any(|hidden| name.starts_with(hidden)))
        .take(FRAMES_SHOWN)
        .map(str::to_owned)
        .collect()
}

/// Without the compiler's hash.
fn short(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 => path,
        _ => name,
    }
}
