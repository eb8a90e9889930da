//! Attacks on time and on the host's own work: much of what is cheap once.

use livekit_webhook_plugin::prelude::*;
use std::hint::black_box;

/// Getters that are called.
const CALLS: u32 = 1_000_000;
/// A text that is as long as a crossing may be.
const TEXT_BYTES: usize = 1 << 20;

/// Runs the attack of this name, if it is one of these.
pub fn run(attack: &str, event: &Event) -> bool {
    match attack {
        "getters" => (0..CALLS).for_each(|_| drop(black_box(event.kind()))),
        "lookups" => (0..CALLS).for_each(|n| drop(black_box(event.attribute(&n.to_string())))),
        "long-name" => drop(black_box(event.attribute(&"x".repeat(TEXT_BYTES / 2)))),
        "huge-name" => drop(black_box(event.attribute(&"x".repeat(4 * TEXT_BYTES)))),
        "lines" => (0..CALLS).for_each(|n| info!("line {n}")),
        "thrash" => thrash(),
        "fill" => fill(),
        "grow" => drop(black_box(vec![1_u8; 16 << 20])),
        _ => return false,
    }
    true
}

/// Asks for blocks of all sizes and gives every second one back, for ever.
fn thrash() {
    let mut kept: Vec<Vec<u8>> = vec![Vec::new(); 1024];
    let mut size = 1_usize;
    loop {
        for place in &mut kept {
            size = size.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            *place = black_box(Vec::with_capacity(size % 65_536));
        }
    }
}

/// Spends its time in instructions that are long and never look up.
fn fill() {
    let mut block = vec![0_u8; 32 << 20];
    loop {
        block.fill(black_box(1));
        black_box(&mut block);
    }
}
