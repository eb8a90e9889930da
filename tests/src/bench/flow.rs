//! The whole way: signed event in, on disk, delivered. Ours against the floor.
//!
//! The cast: [`load`] sends pre-signed events over kept connections; [`sink`] is the one receiver
//! of all sides; [`floor`] is the least that a durable gateway does (a hyper server that reads the
//! body, one fdatasync for each group of waiting requests to a plain file, the answer, a hyper
//! client that posts the body to each endpoint); ours is the real `livekit-webhook serve` beside
//! this program, once for each store, with sync on. All are processes of their own on the same
//! disk. Rounds alternate, so that whatever the machine does meanwhile happens to all; a ratio is
//! of one round.
//!
//! Not in the numbers: the network, and the log (ours logs from `warn` up, the floor logs nothing).

pub mod floor;
pub mod hang;
pub mod load;
pub mod sink;

use super::table::Table;
use crate::gateway::{Gateway, Setup};
use crate::postgres::{self, Postgres};
use anyhow::Context as _;
use load::{Load, Measured};
use sink::Sink;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Key pair of the source.
pub const API_KEY: &str = "APIbench";
/// Its secret.
pub const SECRET: &str = "bench-secret";
/// Size of an event, in bytes.
pub const EVENT_BYTES: usize = 1_536;
/// Connections of the load, and attempts in flight of all sides.
pub const CONNECTIONS: usize = 64;
/// The word that makes `bench` a floor.
pub const FLOOR: &str = "floor";
/// Events of the first round, which warms up and sets the size of the others.
const WARM_UP_EVENTS: usize = 500;
/// How long a round of the slowest side shall take, in seconds, and most events of one.
const ROUND_S: f64 = 1.5;
const EVENTS_MAX: usize = 30_000;
/// Pace and length of the paced case.
const PACE: f64 = 1_000.0;
const PACED_EVENTS: usize = 2_000;
const PACED_ROUNDS: usize = 5;
/// How long a process may take to start.
pub const START_MAX: Duration = Duration::from_secs(20);

/// A gateway under a name, or the floor.
struct Side {
    name: &'static str,
    address: SocketAddr,
    gateway: Option<Gateway>,
    rounds: Vec<Measured>,
}

/// Measures `rounds` rounds for one endpoint and for five and writes the sections. The PostgreSQL is
/// a server of its own beside the others, as it comes, with every commit synced.
///
/// # Errors
/// When a side does not start, answers other than 200, loses an event, or the table cannot be
/// written.
pub async fn run(rounds: usize, table: &mut Table<'_>) -> anyhow::Result<()> {
    let postgres = Postgres::start(&postgres::Setup::default()).await?;
    for endpoints in [1, 5] {
        let sink = Sink::start().await?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("log");
        let (_floor, floor) = start_floor(sink.address(), endpoints, &file).await?;
        let mut sides = vec![Side::new("floor", floor, None)];
        let ours = setup(sink.address(), endpoints);
        sides.push(Side::start("sqlite", &ours).await?);
        let database = postgres.database().await?;
        sides.push(Side::start("postgres", &ours.store_url(database.url())).await?);
        let mut load = Load::new(sink, endpoints);
        let events = measure(&mut load, &mut sides, rounds).await?;
        tell(table, rounds, events, endpoints, &sides)?;
        if endpoints == 1 {
            sides.iter_mut().for_each(|side| side.rounds.clear());
            for _ in 0..PACED_ROUNDS {
                for side in &mut sides {
                    let one = load.round(side.address, PACED_EVENTS, Some(PACE)).await?;
                    side.rounds.push(one);
                }
            }
            tell_paced(table, &sides)?;
        }
        for side in &mut sides {
            side.stop().await?;
        }
    }
    Ok(())
}

/// Warms up, chooses the size of a round, and goes round. Tells the size.
async fn measure(load: &mut Load, sides: &mut [Side], rounds: usize) -> anyhow::Result<usize> {
    let mut slowest = f64::INFINITY;
    for side in &*sides {
        let one = load.round(side.address, WARM_UP_EVENTS, None).await?;
        slowest = slowest.min(one.delivered_a_s);
    }
    let events = ((slowest * ROUND_S) as usize).clamp(WARM_UP_EVENTS, EVENTS_MAX);
    for _ in 0..rounds {
        for side in &mut *sides {
            let one = load.round(side.address, events, None).await?;
            side.rounds.push(one);
        }
    }
    Ok(events)
}

fn tell(
    table: &mut Table<'_>,
    rounds: usize,
    events: usize,
    endpoints: usize,
    sides: &[Side],
) -> anyhow::Result<()> {
    let how = format!(
        "{rounds} rounds of {events} events of {EVENT_BYTES} bytes a side, {CONNECTIONS} connections"
    );
    let what =
        format!("Signed event in, on disk, delivered to {endpoints}: ours against the floor");
    table.section(&what, how)?;
    for side in sides {
        let goal = if side.name == "sqlite" && endpoints == 1 { ">= 5,000" } else { "" };
        let name = side.name;
        table.value(
            &format!("{name}: events received"),
            &side.of(|one| one.received_a_s),
            "/s",
            "",
        )?;
        let delivered = side.of(|one| one.delivered_a_s);
        table.value(&format!("{name}: events delivered"), &delivered, "/s", goal)?;
        tell_times(table, side, "")?;
    }
    let (floor, ours) = sides.split_first().context("no floor")?;
    for side in ours {
        let goal = if side.name == "sqlite" && endpoints == 1 { ">= 0.5" } else { "" };
        let (own, least) = (side.of(|one| one.received_a_s), floor.of(|one| one.received_a_s));
        table.ratio(&format!("received, {} / floor", side.name), &own, &least, "")?;
        let (own, least) = (side.of(|one| one.delivered_a_s), floor.of(|one| one.delivered_a_s));
        table.ratio(&format!("delivered, {} / floor", side.name), &own, &least, goal)?;
    }
    Ok(())
}

fn tell_paced(table: &mut Table<'_>, sides: &[Side]) -> anyhow::Result<()> {
    let how = format!(
        "{PACED_ROUNDS} rounds of {PACED_EVENTS} events of {EVENT_BYTES} bytes a side, {PACE} a second"
    );
    table.section("The same to 1 at a steady pace", how)?;
    for side in sides {
        let goal = if side.name == "floor" { "" } else { "< 20 ms" };
        tell_times(table, side, goal)?;
    }
    Ok(())
}

/// `goal` is for the answer's p99.
fn tell_times(table: &mut Table<'_>, side: &Side, goal: &str) -> anyhow::Result<()> {
    let mut value = |what: &str, of: fn(&Measured) -> f64, goal: &str| {
        table.value(&format!("{}: {what}", side.name), &side.of(of), "ms", goal)
    };
    value("answer, p50", |one| one.answer_p50_ms, "")?;
    value("answer, p99", |one| one.answer_p99_ms, goal)?;
    value("answer, p99.9", |one| one.answer_p999_ms, "")?;
    value("sent to delivered, p50", |one| one.lag_p50_ms, "")?;
    value("sent to delivered, p99", |one| one.lag_p99_ms, "")?;
    value("sent to delivered, p99.9", |one| one.lag_p999_ms, "")?;
    Ok(())
}

// === impl Side ===

impl Side {
    fn new(name: &'static str, address: SocketAddr, gateway: Option<Gateway>) -> Self {
        Self { name, address, gateway, rounds: Vec::new() }
    }

    async fn start(name: &'static str, setup: &Setup) -> anyhow::Result<Self> {
        let gateway = Gateway::start(setup, START_MAX).await?;
        Ok(Self::new(name, gateway.address(), Some(gateway)))
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        if let Some(gateway) = &mut self.gateway {
            gateway.terminate(START_MAX).await?;
        }
        Ok(())
    }

    fn of(&self, number: impl Fn(&Measured) -> f64) -> Vec<f64> {
        self.rounds.iter().map(number).collect()
    }
}

/// Our side: `endpoints` endpoints, each a path of `sink`, each with a subscription to everything.
pub fn setup(sink: SocketAddr, endpoints: usize) -> Setup {
    let mut setup = Setup::new()
        .variable("LIVEKIT_WEBHOOK_LOG", "warn,livekit_webhook::cli=info")
        .source("bench", API_KEY, SECRET, "");
    for endpoint in 0..endpoints {
        let name = format!("sink{endpoint}");
        let url = format!("http://{sink}/{endpoint}");
        setup = setup.endpoint(&name, &url, &format!("in_flight_max = {CONNECTIONS}"));
        setup = setup.subscription(&name, "");
    }
    setup
}

/// This very program as the floor. It ends when the value is dropped.
async fn start_floor(
    sink: SocketAddr,
    endpoints: usize,
    file: &std::path::Path,
) -> anyhow::Result<(Child, SocketAddr)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([FLOOR, &sink.to_string(), &endpoints.to_string()])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("the floor")?;
    let mut lines = BufReader::new(child.stdout.take().context("its output")?).lines();
    let line =
        timeout(START_MAX, lines.next_line()).await.context("the floor does not start")??;
    let address = line.context("the floor ended")?.parse()?;
    Ok((child, address))
}
