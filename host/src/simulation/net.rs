//! The endpoints, as the hosts see them.

use super::host::SkewedClock;
use super::world::World;
use crate::clock::Clock;
use crate::deliver::transport::{Answered, Failure, Outgoing, Transport, Way};
use async_trait::async_trait;
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{HeaderValue, RETRY_AFTER};
use livekit_webhook_core::attempt::ErrorClass;
use std::sync::Arc;
use std::time::Duration;

/// How an endpoint is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// 200, soon.
    Well,
    /// Now this, now that.
    Flaky,
    /// No connection comes up.
    Down,
    /// It asks for time.
    Busy,
    /// It takes too long.
    Slow,
    /// It does not want what it gets.
    Broken,
    /// 410.
    Gone,
}

/// One host's way to the endpoints.
pub struct Net {
    pub world: Arc<World>,
    pub host: usize,
    pub clock: SkewedClock,
}

/// What comes of one request.
#[derive(Clone, Copy, Debug)]
enum Act {
    Status(u16),
    Later(u16, u64),
    Fail(ErrorClass),
}

/// A request under way; dropped unfinished, it was cut off.
struct Flight {
    world: Arc<World>,
    number: u64,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.world.ledger().landed(self.number);
    }
}

#[async_trait]
impl Transport for Net {
    async fn send(&self, outgoing: Outgoing) -> Result<Answered, Failure> {
        let endpoint = outgoing.url.host().unwrap().to_owned();
        let number = super::ledger::begin(&self.world, self.host, self.clock.now(), &outgoing);
        let flight = Flight { world: self.world.clone(), number };
        let (wait, act) = self.act(&endpoint);
        let (wait, act) = match wait < outgoing.timeout {
            true => (wait, act),
            false => (outgoing.timeout, Act::Fail(ErrorClass::Timeout)),
        };
        tokio::time::sleep(wait).await;
        let status = match act {
            Act::Status(status) | Act::Later(status, _) => status,
            Act::Fail(_) => 0,
        };
        super::ledger::finish(&self.world, number, status);
        drop(flight);
        let mut headers = HeaderMap::new();
        match act {
            Act::Fail(class) => return Err(Failure::new(class, "as rolled")),
            Act::Later(_, seconds) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            Act::Status(_) => {}
        }
        let (body_start, way) = (Bytes::new(), Way::default());
        Ok(Answered { status, headers, body_start, way, token_dropped: false })
    }
}

impl Net {
    fn act(&self, endpoint: &str) -> (Duration, Act) {
        let dice = &self.world.dice;
        let mood = self.world.moods.lock().unwrap()[endpoint];
        let act = match mood {
            Mood::Well | Mood::Slow => Act::Status(200),
            Mood::Down => Act::Fail(dice.pick(&[ErrorClass::Connect, ErrorClass::Dns])),
            Mood::Busy => Act::Later(dice.pick(&[429, 503]), 1 + dice.roll(5)),
            Mood::Broken => Act::Status(dice.pick(&[400, 404, 500, 301])),
            Mood::Gone => Act::Status(410),
            Mood::Flaky => match dice.roll(8) {
                0 => Act::Fail(dice.pick(&[ErrorClass::Io, ErrorClass::Tls, ErrorClass::Protocol])),
                1 => Act::Later(503, dice.roll(3)),
                2 | 3 => Act::Status(dice.pick(&[500, 502, 400, 429, 408])),
                _ => Act::Status(dice.pick(&[200, 202, 204])),
            },
        };
        let wait_ms = match mood {
            Mood::Slow => 500 + dice.roll(6_000),
            _ => 1 + dice.roll(300),
        };
        (Duration::from_millis(wait_ms), act)
    }
}
