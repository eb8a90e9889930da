//! Stories of the edge: a real Envoy with the shipped configuration and the built filter.
//!
//! Every story that ends in a refusal asserts that not one byte and not one connection reached
//! the host.

mod client;
mod configuration;
mod cost;
mod egress;
mod endings;
mod faults;
mod floods;
mod forwarded;
mod framing;
mod live;
mod measured;
mod packages;
mod refused;
mod scenarios;
mod shield;
mod shipped;
mod vectors;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use livekit_webhook::clock::{Clock as _, SystemClock};
use livekit_webhook_tests::envoy::{Envoy, Setup};
use livekit_webhook_tests::upstream::Upstream;
use livekit_webhook_wire::sign;

const API_KEY: &str = "APIedge";
const SECRET: &[u8] = b"edge-test-secret";
const KEYS: &str = "APIedge: edge-test-secret";

/// One Envoy in front of one host.
struct Edge {
    // Dropped first: Envoy closes its connections to the host.
    envoy: Envoy,
    host: Upstream,
}

impl Edge {
    fn start(setup: &Setup) -> Result<Self> {
        let host = Upstream::start()?;
        Ok(Self { envoy: Envoy::start(setup, host.address())?, host })
    }

    fn shipped() -> Result<Self> {
        Self::start(&Setup::with_keys(KEYS))
    }

    /// Waits until a counter of the filter has this number: it hands them over now and then.
    fn expect(&self, name: &str, number: u64) -> Result<()> {
        wait_until(&format!("{name} is {number}"), || Ok(self.envoy.counter(name)? == number))
    }

    /// Not one byte and not one connection has reached the host.
    #[track_caller]
    fn assert_untouched(&self) -> Result<()> {
        for stat in ["upstream_rq_total", "upstream_cx_total"] {
            let number = self.envoy.stat(&format!("cluster.host.{stat}"))?;
            ensure!(number == 0, "{stat} is {number}");
        }
        ensure!(self.host.connections() == 0, "a connection to the host");
        ensure!(self.host.bytes().is_empty(), "bytes reached the host");
        Ok(())
    }
}

fn event(name: &str) -> Vec<u8> {
    format!(
        r#"{{"event":"{name}","id":"EV_1","createdAt":"1795435195","room":{{"name":"prod-7"}}}}"#
    )
    .into_bytes()
}

/// LiveKit's token for `body`, made `ago_s` seconds ago.
fn token_made(ago_s: i64, body: &[u8]) -> String {
    let now_s = SystemClock.now().as_millis() / 1_000;
    sign::authorization(API_KEY, SECRET, body, now_s - ago_s)
}

/// Looks again and again, at most for ten seconds.
fn wait_until(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !is_so()? {
        ensure!(started.elapsed() < Duration::from_secs(10), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn token(body: &[u8]) -> String {
    token_made(0, body)
}
