//! What an accepted request costs is a promise, as far as it can be counted.

use anyhow::{Result, ensure};
use livekit_webhook_tests::bench::verify;
use livekit_webhook_tests::edge::cost;
use livekit_webhook_tests::edge::guest::Code;

const NOW_MS: u64 = 1_795_435_200_000;
const EVENT_BYTES: usize = 1_442;

/// A tenth above what it takes: a compiler may change it a little.
const INSTRUCTIONS_MAX: u64 = 235_000;

#[test]
fn an_accepted_request_asks_envoy_for_no_more_than_it_needs() -> Result<()> {
    let now_s = i64::try_from(NOW_MS / 1_000)?;
    let body = verify::body("EV_cost", now_s, EVENT_BYTES)?;
    let cost = cost::accepted(&Code::load()?, "", body.as_bytes(), NOW_MS)?;
    // The head once, the time once, the body once, and a header for each fact.
    let expected = [("body", 1), ("now_ms", 1), ("pairs", 1), ("set", 6)];
    ensure!(cost.calls == expected.into(), "{:?}", cost.calls);
    ensure!(cost.instructions <= INSTRUCTIONS_MAX, "{} instructions", cost.instructions);
    Ok(())
}
