//! A million deliveries wait: what does it cost to take the next ones, to start, and to remember?
//!
//! Two stores of the same kind, one with a short backlog and one with a long one, both filled by
//! the store's own import. Measured are one claim (as a worker makes it, given back at once), the
//! time from the start of a real host to the first delivery at the sink, and the host's resident
//! memory two seconds later, while it delivers. Then it is killed.

use super::flow::sink::{DIGITS, MARK, Sink};
use super::flow::{START_MAX, setup};
use super::table::Table;
use crate::gateway::{Gateway, Setup};
use anyhow::{Context as _, ensure};
use bytes::Bytes;
use livekit_webhook::clock::{Clock as _, SystemClock};
use livekit_webhook::store::sqlite::{Options, SqliteStore};
use livekit_webhook::store::{Claimed, NewEvent, PlanState, Quota, Record, Store, StoredDelivery};
use livekit_webhook_core::delivery::State;
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;
use std::path::Path;
use std::time::{Duration, Instant};

/// Deliveries that wait.
const BACKLOGS: [usize; 2] = [1_000, 1_000_000];
/// Rows of one import.
const PAGE: usize = 2_000;
/// Deliveries of one claim, and claims of one round.
const CLAIM: usize = 64;
const CLAIMS: usize = 50;
/// How long a claim would hold, in milliseconds.
const LEASE_MS: i64 = 45_000;
/// After the first delivery, until memory is looked at.
const SETTLE: Duration = Duration::from_secs(2);
/// How long the first delivery may take.
const FIRST_MAX: Duration = Duration::from_secs(60);
const DEDUPE_WINDOW_MS: i64 = 24 * 3_600_000;

/// What was measured of one backlog.
#[derive(Default)]
struct Measured {
    claim_us: Vec<f64>,
    first_ms: Vec<f64>,
    resident_mib: Vec<f64>,
}

/// Measures `rounds` rounds and writes the section.
///
/// # Errors
/// When a store cannot be filled, a host does not start or delivers nothing, or the table cannot be
/// written.
pub async fn run(rounds: usize, table: &mut Table<'_>) -> anyhow::Result<()> {
    run_over(BACKLOGS, rounds, table).await
}

/// The same with other backlogs.
///
/// # Errors
/// As [`run`].
pub async fn run_over(
    backlogs: [usize; 2],
    rounds: usize,
    table: &mut Table<'_>,
) -> anyhow::Result<()> {
    let sink = Sink::start().await?;
    let folder = tempfile::tempdir()?;
    let mut measured: [Measured; 2] = Default::default();
    let files = backlogs.map(|backlog| folder.path().join(format!("{backlog}.db")));
    for (file, backlog) in files.iter().zip(backlogs) {
        let store = SqliteStore::open(file, &Options { dedupe_window_ms: DEDUPE_WINDOW_MS })?;
        fill(&store, backlog).await?;
        store.close().await?;
    }
    for _ in 0..rounds {
        for (file, measured) in files.iter().zip(&mut measured) {
            measured.claim_us.push(claim_us(file).await?);
        }
    }
    // What is delivered here is missing in the next round: a small part of the long backlog.
    for (file, measured) in files.iter().zip(&mut measured) {
        let setup = setup(sink.address(), 1).database(file);
        let (first_ms, resident_mib) = start(&sink, &setup).await?;
        measured.first_ms.push(first_ms);
        measured.resident_mib.push(resident_mib);
    }
    tell(table, rounds, backlogs, &measured)
}

fn tell(
    table: &mut Table<'_>,
    rounds: usize,
    backlogs: [usize; 2],
    measured: &[Measured; 2],
) -> anyhow::Result<()> {
    let how = format!("{rounds} rounds of {CLAIMS} claims of {CLAIM}; one start of each");
    table.section("Backlog: what a waiting million costs, embedded store", how)?;
    for (backlog, one) in backlogs.iter().zip(measured) {
        table.value(&format!("{backlog} wait: a claim"), &one.claim_us, "us", "")?;
        table.value(
            &format!("{backlog} wait: start to first delivery"),
            &one.first_ms,
            "ms",
            "",
        )?;
        table.value(&format!("{backlog} wait: resident"), &one.resident_mib, "MiB", "")?;
    }
    let [few, many] = measured;
    table.ratio("a claim, many / few", &many.claim_us, &few.claim_us, "~ 1")?;
    table.ratio("resident, many / few", &many.resident_mib, &few.resident_mib, "~ 1")?;
    Ok(())
}

/// Events that are planned and their deliveries, one each, all due.
async fn fill(store: &SqliteStore, backlog: usize) -> anyhow::Result<()> {
    let now = SystemClock.now();
    let mut records = Vec::with_capacity(2 * PAGE);
    for number in 0..backlog {
        let (event, delivery) = owed(number, now);
        records.push(event);
        records.push(delivery);
        if records.len() >= 2 * PAGE || number + 1 == backlog {
            let expect = records.len() as u64;
            let new = store.import(std::mem::take(&mut records)).await?;
            ensure!(new == expect, "{new} of {expect} rows were new");
        }
    }
    Ok(())
}

fn owed(number: usize, now: Timestamp) -> (Record, Record) {
    let (id, mark) = (EventId::new(now.as_millis(), number as u128), format!("{number:0DIGITS$}"));
    let body = format!(r#"{{"event":"room_started",{MARK}{mark}","room":{{"name":"backlog"}}}}"#);
    let event = NewEvent {
        id,
        source: "bench".to_owned(),
        dedupe_key: format!("EV_{mark}"),
        kind: "room_started".to_owned(),
        room: Some("backlog".to_owned()),
        lane: None,
        created_at: Some(now),
        received_at: now,
        api_key: super::flow::API_KEY.to_owned(),
        body: Bytes::from(body),
        body_sha256: [0; 32],
    };
    let delivery = StoredDelivery {
        id: DeliveryId::new(now.as_millis(), number as u128),
        event: id,
        endpoint: "sink0".to_owned(),
        webhook_id: id.to_string(),
        kind: "room_started".to_owned(),
        headers: Default::default(),
        state: State::Pending,
        due_at: now,
        attempts: 0,
        lane: None,
        sequence: None,
        batch: None,
        replay: None,
        created_at: now,
        updated_at: now,
        note: None,
    };
    let event = Record::Event {
        event,
        sequence: None,
        plan: PlanState::Planned,
        plan_at: now,
        plan_attempts: 0,
        settled: Vec::new(),
        note: None,
    };
    (event, Record::Delivery { delivery, body: None })
}

/// The mean of a round's claims, in microseconds.
async fn claim_us(file: &Path) -> anyhow::Result<f64> {
    let store = SqliteStore::open(file, &Options { dedupe_window_ms: DEDUPE_WINDOW_MS })?;
    let quota = Quota {
        endpoint: "sink0".to_owned(),
        slots: CLAIM,
        in_flight_max: CLAIM,
        rate: None,
        batching: None,
    };
    let mut took = Duration::ZERO;
    // The first one warms up and is not counted.
    for number in 0..=CLAIMS {
        let began = Instant::now();
        let due = store.claim_due(SystemClock.now(), LEASE_MS, vec![quota.clone()]).await?;
        if number > 0 {
            took += began.elapsed();
        }
        ensure!(due.claims.len() == CLAIM, "a claim of {}", due.claims.len());
        let claimed = due.claims.iter();
        let claimed = claimed.map(|one| Claimed::Delivery(one.item.delivery.id, one.fence));
        store.release(claimed.collect()).await?;
    }
    store.close().await?;
    Ok(took.as_secs_f64() * 1e6 / CLAIMS as f64)
}

/// From the start of the process to the first delivery, in milliseconds, and the resident memory,
/// in MiB, while it goes on.
async fn start(sink: &Sink, setup: &Setup) -> anyhow::Result<(f64, f64)> {
    // Numbers are those of the backlog; all of them count, the first ends the wait.
    sink.expect(0, *BACKLOGS.iter().max().context("no backlogs")?, 1);
    let began = Instant::now();
    let mut gateway = Gateway::start(setup, START_MAX).await?;
    let first = sink.first(FIRST_MAX).await?;
    tokio::time::sleep(SETTLE).await;
    let resident = gateway.resident_bytes()? as f64 / f64::from(1 << 20);
    gateway.kill_9().await?;
    Ok((first.saturating_duration_since(began).as_secs_f64() * 1e3, resident))
}
