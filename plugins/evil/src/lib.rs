//! Every attack the plugin host must survive, in one component. For tests only.
//!
//! The event's room says which: `evil:loop` runs for ever. At load the configuration says: `{
//! "at_load": "loop" }`. It exports three interfaces, so that their order and their merging are
//! tested too.

mod cpu;

use livekit_webhook_plugin::prelude::*;
use serde::Deserialize;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};

/// Survives a call only if instances are reused.
static CALLS: AtomicU32 = AtomicU32::new(0);

/// What to do at load.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// An attack, while the configuration is checked.
    at_load: Option<String>,
}

#[configure]
fn at_load(config: Config) -> Result<(), String> {
    match config.at_load.as_deref() {
        None => Ok(()),
        Some("refuse") => Err("at_load = \"refuse\": this plugin refuses".to_owned()),
        Some(attack) => {
            run(attack);
            Ok(())
        }
    }
}

#[filter]
fn is_not_refused(event: &Event) -> bool {
    event.room_name().as_deref() != Some("evil:refused")
}

#[route]
fn destinations(event: &Event) -> Vec<String> {
    match event.room_name().as_deref() {
        Some("evil:route" | "evil:header" | "evil:headers") => vec!["billing".to_owned()],
        Some("evil:destinations") => (0..1000).map(|n| n.to_string()).collect(),
        _ => Vec::new(),
    }
}

#[transform]
fn attack(event: &Event) -> Result<Vec<Draft>, Failure> {
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    let room = event.room_name().unwrap_or_default();
    let attack = room.strip_prefix("evil:").unwrap_or_default();
    match attack {
        "reject" => Err(Failure::reject("never again")),
        "retry" => Err(Failure::Retry(Some(1500))),
        "other" => Err(Failure::from("x".repeat(10_000))),
        "drafts" => Ok((0..1000).map(|_| draft(b"{}".to_vec())).collect()),
        "output" => Ok(vec![draft(vec![b' '; 4 << 20])]),
        "attribute" => {
            let attributes = vec![("a".to_owned(), "x".repeat(5000))];
            Ok(vec![Draft { attributes, ..draft(b"{}".to_vec()) }])
        }
        "attributes" => {
            let attributes = (0..100).map(|n| (n.to_string(), String::new())).collect();
            Ok(vec![Draft { attributes, ..draft(b"{}".to_vec()) }])
        }
        "header" => {
            let attributes = vec![("x-evil".to_owned(), "a\r\nhost: b".to_owned())];
            Ok(vec![Draft { attributes, ..draft(b"{}".to_vec()) }])
        }
        "headers" => {
            let attributes = (0..64).map(|n| (format!("x-{n}"), "a".repeat(100))).collect();
            Ok(vec![Draft { attributes, ..draft(b"{}".to_vec()) }])
        }
        _ => {
            if !cpu::run(attack, event) {
                run(attack);
            }
            Ok(vec![draft(format!("{{\"calls\":{calls}}}").into_bytes())])
        }
    }
}

fn draft(body: Vec<u8>) -> Draft {
    Draft { body, ..Draft::default() }
}

fn run(attack: &str) {
    match attack {
        "loop" => spin(),
        "panic" => panic_with("room is on fire"),
        "trap" => trap(),
        "memory" => hog_memory(),
        "memory-coping" => cope_without_memory(),
        "recursion" => drop(black_box(recurse(1))),
        "log-flood" => (0..10_000).for_each(|n| info!("line {n}")),
        "log-line" => info!("{}", "x".repeat(100_000)),
        "log-forge" => info!("fine\n2026-01-01 ERROR forged \u{1b}[2J"),
        "log-crossing" => info!("{}", "x".repeat(4 << 20)),
        "metrics-flood" => (0..10_000).for_each(|n| metrics::count(&format!("n{n}"), 1, &[])),
        _ => {}
    }
}

fn spin() {
    let mut n = 0_u64;
    while black_box(n) != u64::MAX {
        n = n.wrapping_add(2);
    }
}

#[expect(clippy::panic, reason = "this is the attack")]
fn panic_with(text: &str) {
    panic!("{text}");
}

#[cfg(target_arch = "wasm32")]
fn trap() {
    core::arch::wasm32::unreachable();
}

#[cfg(not(target_arch = "wasm32"))]
fn trap() {}

/// Asks until there is no more, and then dies of it.
fn hog_memory() {
    let mut kept = Vec::new();
    while kept.len() < 10_000 {
        kept.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Asks for too much, is refused, and goes on.
fn cope_without_memory() {
    let mut wanted: Vec<u8> = Vec::new();
    if wanted.try_reserve_exact(1 << 30).is_err() {
        info!("refused, and well");
    }
}

fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if depth == 0 { 0 } else { recurse(black_box(depth + 1)) + frame[3] }
}

#[cfg(test)]
mod tests;
