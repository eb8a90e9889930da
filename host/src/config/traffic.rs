//! What is limited, ordered, grouped and kept: rates, `ordered`, `batch`, `retention`.

use super::duration::parse_ms;
use super::reader::Section;
use crate::store::Retention;
use livekit_webhook_core::batch::{Batching, EVENTS_MAX};
use livekit_webhook_core::endpoint::{Order, Traffic};
use livekit_webhook_core::health::HealthPolicy;
use livekit_webhook_core::rate::{BURST_MAX, PER_SECOND_MAX, Rate};
use livekit_webhook_core::retry::STEPS_MAX;
use livekit_webhook_core::signature::Signing;

/// Events of a batch unless configured.
const BATCH_EVENTS_DEFAULT: i64 = 100;
/// Wait for a batch to fill unless configured.
const BATCH_WAIT_DEFAULT: &str = "2s";
/// Longest retention, in milliseconds: ten years.
const RETENTION_MS_MAX: i64 = 3_650 * DAY_MS;
/// Shortest retention, in milliseconds: an hour, in which an operator can still look.
const RETENTION_MS_MIN: i64 = 3_600_000;
const DAY_MS: i64 = 24 * 3_600_000;

/// `ordered`, `skip_after`, `batch`, `rate_per_second`, `burst`, `breaker` and `auto_disable` of an
/// endpoint; `None` when a problem was noted.
pub fn traffic(section: &mut Section, signing: Option<&[Signing]>) -> Option<Traffic> {
    let order = order(section, signing);
    let rate = rate(section, "rate_per_second", "burst");
    let health = HealthPolicy {
        breaker: section.bool("breaker", true),
        auto_disable: section.bool("auto_disable", true),
    };
    Some(Traffic { order: order?, rate: rate?, health })
}

fn order(section: &mut Section, signing: Option<&[Signing]>) -> Option<Order> {
    let has_batch = section.has("batch");
    let ordered = match section.string("ordered").as_deref() {
        None => Some(false),
        Some("room") => Some(true),
        Some(_) => {
            section.problem("ordered", "expected \"room\", or leave it out for no order");
            None
        }
    };
    let has_skip = section.has("skip_after");
    let most = i64::try_from(STEPS_MAX).unwrap_or(i64::MAX);
    let skip_after = section.integer("skip_after", 1, 1..=most);
    let skip_after = u32::try_from(skip_after).ok().filter(|_| has_skip);
    if has_skip && ordered == Some(false) {
        section.problem("skip_after", "is not used without ordered = \"room\"");
        return None;
    }
    let batching = batching(section);
    if !has_batch {
        let in_rooms = |ordered| if ordered { Order::Room { skip_after } } else { Order::None };
        return ordered.map(in_rooms);
    }
    if ordered == Some(true) {
        let text = "cannot be had together with ordered: a batch that fails in part could not be put in order again";
        section.problem("batch", text);
        return None;
    }
    let is_livekit = |way: &Signing| matches!(way, Signing::Livekit { .. });
    if signing.is_some_and(|ways| ways.iter().any(is_livekit)) {
        let text = "cannot be had together with signing = [\"livekit\"]: its receivers take one event a request";
        section.problem("batch", text);
        return None;
    }
    Some(Order::Batch(batching?))
}

fn batching(section: &mut Section) -> Option<Batching> {
    let mut table = section.section("batch");
    let most = i64::try_from(EVENTS_MAX).unwrap_or(i64::MAX);
    let events = table.integer("events_max", BATCH_EVENTS_DEFAULT, 2..=most);
    let wait = table.string("wait").unwrap_or_else(|| BATCH_WAIT_DEFAULT.to_owned());
    let made = match parse_ms(&wait) {
        Err(text) => {
            table.problem("wait", text);
            None
        }
        Ok(wait_ms) => Batching::new(usize::try_from(events).unwrap_or(usize::MAX), wait_ms)
            .map_err(|error| table.problem("wait", error))
            .ok(),
    };
    table.finish();
    made
}

/// Requests per second and how many may come at once; `Some(None)`: not limited.
pub fn rate(
    section: &mut Section,
    per_second_key: &'static str,
    burst_key: &'static str,
) -> Option<Option<Rate>> {
    let has_burst = section.has(burst_key);
    let per_second = section.number(per_second_key);
    let most = i64::from(BURST_MAX);
    // Without a burst of its own: what a second allows.
    let default = per_second.unwrap_or(1.0).clamp(1.0, PER_SECOND_MAX).ceil() as i64;
    let burst = section.integer(burst_key, default, 1..=most);
    let Some(per_second) = per_second else {
        if has_burst {
            section.problem(burst_key, format_args!("is not used without {per_second_key}"));
            return None;
        }
        return Some(None);
    };
    let rate = Rate::new(per_second, u32::try_from(burst).unwrap_or(BURST_MAX));
    rate.map(Some).map_err(|error| section.problem(per_second_key, error)).ok()
}

/// `[store] retention`.
pub fn retention(section: &mut Section) -> Retention {
    let mut table = section.section("retention");
    let default = Retention::default();
    let delivered_ms = kept_ms(&mut table, "delivered", default.delivered_ms);
    let dead_ms = kept_ms(&mut table, "dead", default.dead_ms);
    let quarantined_ms = kept_ms(&mut table, "quarantined", default.quarantined_ms);
    let lanes_ms = kept_ms(&mut table, "lanes", default.lanes_ms);
    let bytes_max = table.integer("bytes_max", 0, 0..=i64::MAX);
    table.finish();
    let bytes_max = u64::try_from(bytes_max).ok().filter(|bytes| *bytes > 0);
    Retention { delivered_ms, dead_ms, quarantined_ms, lanes_ms, bytes_max }
}

fn kept_ms(section: &mut Section, key: &'static str, default_ms: i64) -> i64 {
    let Some(text) = section.string(key) else { return default_ms };
    match parse_ms(&text) {
        Ok(kept_ms) if (RETENTION_MS_MIN..=RETENTION_MS_MAX).contains(&kept_ms) => kept_ms,
        Ok(_) => {
            section.problem(key, format_args!("{text:?}: must be 1h to 3650d"));
            default_ms
        }
        Err(text) => {
            section.problem(key, text);
            default_ms
        }
    }
}
