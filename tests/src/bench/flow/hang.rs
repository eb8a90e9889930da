//! One endpoint of ten hangs: what do the other nine notice?
//!
//! Two gateways with ten endpoints each. All of the first one's are paths of the sink; the tenth of
//! the second is a listener that takes connections and never answers. The nine are measured, at a
//! steady pace, in alternating rounds.

use super::load::{Load, Measured};
use super::sink::Sink;
use super::{API_KEY, SECRET, START_MAX};
use crate::bench::table::Table;
use crate::gateway::{Gateway, Setup};
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Endpoints that are measured.
const WELL: usize = 9;
/// Events a second, and of one round.
const PACE: f64 = 150.0;
const EVENTS: usize = 450;

/// Measures `rounds` rounds and writes the section.
///
/// # Errors
/// When a gateway does not start, loses an event, or the table cannot be written.
pub async fn run(rounds: usize, table: &mut Table<'_>) -> anyhow::Result<()> {
    let sink = Sink::start().await?;
    let hanging = Hanging::start().await?;
    let tenth = format!("http://{}/{WELL}", sink.address());
    let well = setup(sink.address(), &tenth);
    let ill = setup(sink.address(), &format!("http://{}/", hanging.0));
    let mut gateways =
        [Gateway::start(&well, START_MAX).await?, Gateway::start(&ill, START_MAX).await?];
    let mut load = Load::new(sink, WELL);
    let mut measured: [Vec<Measured>; 2] = Default::default();
    // Round 0 warms up and is not counted.
    for round in 0..=rounds {
        for (gateway, measured) in gateways.iter().zip(&mut measured) {
            let one = load.round(gateway.address(), EVENTS, Some(PACE)).await?;
            if round > 0 {
                measured.push(one);
            }
        }
    }
    for gateway in &mut gateways {
        // An attempt that hangs would be waited for; it is on record as owed.
        gateway.kill_9().await?;
    }
    tell(table, rounds, &measured)
}

fn tell(table: &mut Table<'_>, rounds: usize, measured: &[Vec<Measured>; 2]) -> anyhow::Result<()> {
    let how = format!("{rounds} rounds of {EVENTS} events to 10 endpoints a side, {PACE} a second");
    table.section("One endpoint of ten hangs: sent to delivered at the other nine", how)?;
    let of = |side: &[Measured], number: fn(&Measured) -> f64| -> Vec<f64> {
        side.iter().map(number).collect()
    };
    let [well, ill] = measured;
    for (name, side) in [("all well", well), ("one hangs", ill)] {
        table.value(&format!("{name}: p50"), &of(side, |one| one.lag_p50_ms), "ms", "")?;
        table.value(&format!("{name}: p99"), &of(side, |one| one.lag_p99_ms), "ms", "")?;
    }
    let p99 = |side| of(side, |one| one.lag_p99_ms);
    table.ratio("p99, one hangs / all well", &p99(ill), &p99(well), "<= 1.1")?;
    Ok(())
}

fn setup(sink: SocketAddr, tenth: &str) -> Setup {
    let mut setup = Setup::new()
        .variable("LIVEKIT_WEBHOOK_LOG", "error,livekit_webhook::cli=info")
        .source("bench", API_KEY, SECRET, "");
    for endpoint in 0..=WELL {
        let name = format!("sink{endpoint}");
        let url = match endpoint {
            WELL => tenth.to_owned(),
            _ => format!("http://{sink}/{endpoint}"),
        };
        setup = setup.endpoint(&name, &url, "").subscription(&name, "");
    }
    setup
}

/// Takes connections and never answers. Its connections end with the value.
struct Hanging(SocketAddr, tokio::task::JoinHandle<()>);

// === impl Hanging ===

impl Hanging {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accept = async move {
            let mut open = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                open.push(socket);
            }
        };
        #[expect(clippy::disallowed_methods, reason = "aborted when the value is dropped")]
        let task = tokio::spawn(accept);
        Ok(Self(address, task))
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.1.abort();
    }
}
