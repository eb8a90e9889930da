//! Order, batches, rates and health as they could be typed.

use crate::config::duration::print_ms;
use livekit_webhook_core::endpoint::{Order, Traffic};
use livekit_webhook_core::rate::Rate;
use std::fmt::Write;

/// The flow of an endpoint's deliveries.
pub fn traffic(out: &mut String, traffic: &Traffic) -> std::fmt::Result {
    match traffic.order {
        Order::None => {}
        Order::Room { skip_after } => {
            writeln!(out, "ordered = \"room\"")?;
            if let Some(skip_after) = skip_after {
                writeln!(out, "skip_after = {skip_after}")?;
            }
        }
        Order::Batch(batching) => {
            let (events, wait) = (batching.events_max(), print_ms(batching.wait_ms()));
            writeln!(out, "batch = {{ events_max = {events}, wait = \"{wait}\" }}")?;
        }
    }
    rate(out, "rate_per_second", "burst", traffic.rate)?;
    writeln!(out, "breaker = {}", traffic.health.breaker)?;
    writeln!(out, "auto_disable = {}", traffic.health.auto_disable)
}

/// A rate, if there is one.
pub fn rate(
    out: &mut String,
    per_second: &str,
    burst: &str,
    rate: Option<Rate>,
) -> std::fmt::Result {
    let Some(rate) = rate else { return Ok(()) };
    writeln!(out, "{per_second} = {}", rate.per_second())?;
    writeln!(out, "{burst} = {}", rate.burst())
}
