//! The whole way: signed event in, on disk, delivered. Ours against the floor.
//!
//! The cast: [`load`] sends pre-signed events over kept connections; [`sink`] is the one receiver
//! of both; [`floor`] is the least that a durable gateway does (a hyper server that reads the body,
//! one fdatasync for each group of waiting requests to a plain file, the answer, a hyper client
//! that posts the body); ours is the real `livekit-webhook serve` beside this program, on its
//! embedded store with sync on, one subscription, one endpoint. Both are processes of their own on
//! the same disk. Rounds alternate, so that whatever the machine does meanwhile happens to both; a
//! ratio is of one round.
//!
//! Not in the numbers: the network, and the log (ours logs from `warn` up, the floor logs nothing).

pub mod floor;
pub mod load;
pub mod sink;

use super::table::Table;
use crate::gateway::{Gateway, Setup};
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
/// Connections of the load, and attempts in flight of both sides.
pub const CONNECTIONS: usize = 64;
/// The word that makes `bench` a floor.
pub const FLOOR: &str = "floor";
/// Events of the first round, which warms up and sets the size of the others.
const WARM_UP_EVENTS: usize = 500;
/// How long a round of the slower side shall take, in seconds, and most events of one.
const ROUND_S: f64 = 1.5;
const EVENTS_MAX: usize = 30_000;
/// Pace and length of the paced case.
const PACE: f64 = 1_000.0;
const PACED_EVENTS: usize = 2_000;
const PACED_ROUNDS: usize = 5;
/// How long a process may take to start.
const START_MAX: Duration = Duration::from_secs(20);

/// All rounds of one side.
#[derive(Default)]
struct Side(Vec<Measured>);

/// Measures `rounds` rounds and writes the section.
///
/// # Errors
/// When a side does not start, answers other than 200, loses an event, or the table cannot be
/// written.
pub async fn run(rounds: usize, table: &mut Table<'_>) -> anyhow::Result<()> {
    let sink = Sink::start().await?;
    let folder = tempfile::tempdir()?;
    let (_floor, floor) = start_floor(sink.address(), &folder.path().join("log")).await?;
    let mut gateway = Gateway::start(&setup(sink.address()), START_MAX).await?;
    let ours = gateway.address();
    let mut load = Load::new(sink);

    let slow = load.round(floor, WARM_UP_EVENTS, None).await?.delivered_a_s;
    let slow = load.round(ours, WARM_UP_EVENTS, None).await?.delivered_a_s.min(slow);
    let events = ((slow * ROUND_S) as usize).clamp(WARM_UP_EVENTS, EVENTS_MAX);
    let (mut floors, mut own) = (Side::default(), Side::default());
    for _ in 0..rounds {
        floors.0.push(load.round(floor, events, None).await?);
        own.0.push(load.round(ours, events, None).await?);
    }
    let (mut paced_floor, mut paced) = (Side::default(), Side::default());
    for _ in 0..PACED_ROUNDS {
        paced_floor.0.push(load.round(floor, PACED_EVENTS, Some(PACE)).await?);
        paced.0.push(load.round(ours, PACED_EVENTS, Some(PACE)).await?);
    }
    gateway.terminate(START_MAX).await?;
    tell(table, rounds, events, &floors, &own)?;
    tell_paced(table, &paced_floor, &paced)
}

fn tell_paced(table: &mut Table<'_>, floors: &Side, own: &Side) -> anyhow::Result<()> {
    let how = format!(
        "{PACED_ROUNDS} rounds of {PACED_EVENTS} events of {EVENT_BYTES} bytes a side, {PACE} a second"
    );
    table.section("The same at a steady pace", how)?;
    for (name, side, goal) in [("floor", floors, ""), ("ours", own, "< 20 ms")] {
        let mut value = |what: &str, of: fn(&Measured) -> f64, goal: &str| {
            table.value(&format!("{name}: {what}"), &side.of(of), "ms", goal)
        };
        value("answer, p50", |one| one.answer_p50_ms, "")?;
        value("answer, p99", |one| one.answer_p99_ms, goal)?;
        value("sent to delivered, p50", |one| one.lag_p50_ms, "")?;
        value("sent to delivered, p99", |one| one.lag_p99_ms, "")?;
    }
    Ok(())
}

fn tell(
    table: &mut Table<'_>,
    rounds: usize,
    events: usize,
    floors: &Side,
    own: &Side,
) -> anyhow::Result<()> {
    let how = format!(
        "{rounds} rounds of {events} distinct events of {EVENT_BYTES} bytes a side, {CONNECTIONS} connections, sync on"
    );
    table.section("Signed event in, on disk, delivered: ours against the floor", how)?;
    for (name, side) in [("floor", floors), ("ours", own)] {
        let goal = if name == "ours" { ">= 5,000" } else { "" };
        let mut value = |what: &str, of: fn(&Measured) -> f64, unit: &str, goal: &str| {
            table.value(&format!("{name}: {what}"), &side.of(of), unit, goal)
        };
        value("events received", |one| one.received_a_s, "/s", "")?;
        value("events delivered", |one| one.delivered_a_s, "/s", goal)?;
        value("answer, p50", |one| one.answer_p50_ms, "ms", "")?;
        value("answer, p99", |one| one.answer_p99_ms, "ms", "")?;
        value("sent to delivered, p50", |one| one.lag_p50_ms, "ms", "")?;
        value("sent to delivered, p99", |one| one.lag_p99_ms, "ms", "")?;
    }
    let mut ratio = |what: &str, of: fn(&Measured) -> f64, goal: &str| {
        table.ratio(what, &own.of(of), &floors.of(of), goal)
    };
    ratio("received, ours / floor", |one| one.received_a_s, "")?;
    ratio("delivered, ours / floor", |one| one.delivered_a_s, ">= 0.5")?;
    Ok(())
}

// === impl Side ===

impl Side {
    fn of(&self, number: impl Fn(&Measured) -> f64) -> Vec<f64> {
        self.0.iter().map(number).collect()
    }
}

/// Our side, with its one subscription and one endpoint, which is `sink`.
pub fn setup(sink: SocketAddr) -> Setup {
    let more =
        format!("signing = [\"standard\"]\nsecret_env = \"SINK\"\nin_flight_max = {CONNECTIONS}");
    Setup::new()
        .variable("SINK", crate::gateway::setup::STANDARD_SECRET)
        .variable("LIVEKIT_WEBHOOK_LOG", "warn,livekit_webhook::cli=info")
        .source("bench", API_KEY, SECRET, "")
        .endpoint("sink", &format!("http://{sink}/"), &more)
        .subscription("sink", "")
}

/// This very program as the floor. It ends when the value is dropped.
async fn start_floor(
    sink: SocketAddr,
    file: &std::path::Path,
) -> anyhow::Result<(Child, SocketAddr)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([FLOOR, &sink.to_string()])
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
