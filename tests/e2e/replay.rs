//! Stories of sending again: dead letters, dry runs, pauses, and kills in the middle.

use super::operator::{ONCE, gateway_to, json, one, send, text, told, until, verb};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use livekit_webhook::clock::{Clock as _, SystemClock};
use livekit_webhook::store::sqlite::{Options, SqliteStore};
use livekit_webhook::store::{NewEvent, PlanState, Record, Store as _, StoredDelivery};
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_core::id::{DeliveryId, EventId};
use livekit_webhook_core::time::Timestamp;
use livekit_webhook_tests::exchange::BOUND;
use livekit_webhook_tests::gateway::{Gateway, setup};
use livekit_webhook_tests::receiver::{Answer, Receiver};
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// Events of the story with kills; `make soak` asks for more by this variable.
const EVENTS: usize = 10_000;
const EVENTS_VARIABLE: &str = "LIVEKIT_WEBHOOK_TEST_REPLAY_EVENTS";
/// Attempts that a kill can cut off.
const IN_FLIGHT_MAX: usize = 32;

#[tokio::test]
async fn dead_letters_are_sent_again_to_a_receiver_that_is_well_again() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise(Answer::status(500)?);
    let gateway = gateway_to(&receiver, ONCE).await?;
    send(&gateway, 0..4).await?;
    gateway.ledger()?.wait_ended("one", 4, BOUND).await?;
    receiver.otherwise(Answer::status(200)?);
    send(&gateway, 4..6).await?;
    gateway.ledger()?.wait_ended("one", 6, BOUND).await?;
    let table = told(&gateway, &["dead-letters", "--summary"]).await?;
    ensure!(table.contains("exhausted") && table.contains('4'), "{table}");

    // A dry run counts and changes nothing.
    let select = ["replay", "--endpoint", "one", "--since", "1h"];
    let dry = one(&gateway, &[&select[..], &["--dry-run"]].concat()).await?;
    ensure!(dry["planned"] == 4 && dry["skipped"] == 2 && dry["is_whole"] == true, "{dry}");
    ensure!(dry["by_endpoint"]["one"] == 4, "{dry}");
    ensure!(json(&gateway, &["replay", "list"]).await?.is_empty(), "a dry run was kept");
    let table = told(&gateway, &[&select[..], &["--dry-run"]].concat()).await?;
    ensure!(table.starts_with("dry run: 4 deliveries of 4 events"), "{table}");
    ensure!(receiver.seen().len() == 6);

    let replay = one(&gateway, &select).await?;
    let id = text(&replay, "id")?;
    let seen = receiver.wait_for(10, BOUND).await?;
    let webhook_id = |index: usize| seen[index].header("webhook-id").map(str::to_owned);
    for again in 6..10 {
        ensure!(seen[again].header("webhook-replay")? == id);
        ensure!(seen[again].header("webhook-attempt")? == "1");
        let first = (0..4).find(|&first| webhook_id(first).ok() == webhook_id(again).ok());
        let first = first.context("a webhook-id that was not sent before")?;
        ensure!(seen[first].body == seen[again].body, "other bytes");
    }
    let show = ["replay", "show", id];
    let done = until(&gateway, &show, |shown| shown["pending"] == 0).await?;
    ensure!(done["state"] == "done" && done["planned"] == 4 && done["skipped"] == 2, "{done}");
    // Nothing is left to send again.
    let again = verb(&gateway, &select).await?;
    ensure!(again.code == Some(1) && again.stderr.contains("nothing to send again"), "{again:?}");
    ensure!(receiver.seen().len() == 10);
    Ok(())
}

#[tokio::test]
async fn one_delivery_is_sent_again_to_another_endpoint() -> Result<()> {
    let (receiver, copy) = (Receiver::start().await?, Receiver::start().await?);
    let setup = super::delivery::with_source()
        .endpoint("one", &receiver.url("/"), "")
        .endpoint("copy", &copy.url("/"), "")
        .subscription("one", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    send(&gateway, 0..3).await?;
    let rows = gateway.ledger()?.wait_ended("one", 3, BOUND).await?;
    let id = rows[1].id.to_string();
    one(&gateway, &["replay", &id, "--to", "copy"]).await?;
    let seen = copy.wait_for(1, BOUND).await?;
    ensure!(seen[0].header("webhook-id")? == rows[1].webhook_id);
    let refused = verb(&gateway, &["replay", &id, "--to", "nowhere"]).await?;
    ensure!(refused.stderr.contains("there is: one, copy"), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_replay_is_paused_resumed_and_cancelled() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise(Answer::status(500)?);
    let gateway = gateway_to(&receiver, &format!("{ONCE}\nbreaker = false")).await?;
    send(&gateway, 0..30).await?;
    gateway.ledger()?.wait_ended("one", 30, BOUND).await?;
    receiver.otherwise(Answer::status(200)?);
    let replay = one(&gateway, &["replay", "--status", "dead", "--rate", "5"]).await?;
    let id = text(&replay, "id")?;
    receiver.wait_for(32, BOUND).await?;
    let paused = one(&gateway, &["replay", "pause", id]).await?;
    ensure!(paused["state"] == "paused", "{paused}");
    let planned = paused["planned"].as_u64().context("planned")?;
    ensure!(planned < 30, "the rate was not kept: {paused}");
    let show = ["replay", "show", id];
    let quiet = until(&gateway, &show, |shown| shown["pending"] == 0).await?;
    ensure!(quiet["planned"] == planned, "it went on: {quiet}");
    one(&gateway, &["replay", "resume", id]).await?;
    until(&gateway, &show, |shown| shown["planned"].as_u64() > Some(planned)).await?;
    // What is owed when it is cancelled is given up, here because the endpoint is paused.
    one(&gateway, &["endpoint", "pause", "one"]).await?;
    until(&gateway, &show, |shown| shown["pending"].as_u64() > Some(0)).await?;
    one(&gateway, &["replay", "cancel", id]).await?;
    let ended = until(&gateway, &show, |shown| shown["pending"] == 0).await?;
    ensure!(ended["state"] == "cancelled" && ended["dead"].as_u64() > Some(0), "{ended}");
    let dead = json(&gateway, &["dead-letters", "--replay", id]).await?;
    ensure!(dead.iter().all(|row| row["reason"] == "cancelled"), "{dead:?}");
    let refused = verb(&gateway, &["replay", "resume", id]).await?;
    ensure!(refused.stderr.contains("is cancelled, it cannot become running"), "{refused:?}");
    Ok(())
}

/// Event number `number` and its dead letter, as they came hours ago.
fn dead_letter(number: usize, now: Timestamp) -> [Record; 2] {
    let at = now.plus_millis(-3_600_000 + number as i64);
    let (event, delivery) = (
        EventId::new(at.as_millis(), number as u128),
        DeliveryId::new(at.as_millis(), number as u128),
    );
    let body = Bytes::from(format!("{{\"event\":\"room_started\",\"id\":\"EV_{number}\"}}"));
    let event_record = Record::Event {
        event: NewEvent {
            id: event,
            source: "prod".to_owned(),
            dedupe_key: format!("EV_{number}"),
            kind: "room_started".to_owned(),
            room: Some("r".to_owned()),
            lane: None,
            created_at: None,
            received_at: at,
            api_key: "APIabc".to_owned(),
            body,
            body_sha256: [0; 32],
        },
        sequence: None,
        plan: PlanState::Planned,
        plan_at: at,
        plan_attempts: 0,
        settled: Vec::new(),
        note: None,
    };
    let delivery = StoredDelivery {
        id: delivery,
        event,
        endpoint: "one".to_owned(),
        webhook_id: format!("wh_{number}"),
        kind: "room_started".to_owned(),
        headers: Default::default(),
        state: State::Dead(DeadReason::Exhausted),
        due_at: at,
        attempts: 10,
        lane: None,
        sequence: None,
        batch: None,
        replay: None,
        created_at: at,
        updated_at: at,
        note: None,
    };
    [event_record, Record::Delivery { delivery, body: None }]
}

async fn fill(path: &Path, events: usize) -> Result<()> {
    let store = SqliteStore::open(path, &Options::default())?;
    let now = SystemClock.now();
    for first in (0..events).step_by(500) {
        let numbers = first..(first + 500).min(events);
        store.import(numbers.flat_map(|number| dead_letter(number, now)).collect()).await?;
    }
    Ok(store.close().await?)
}

/// Acceptance: a replay of many events, interrupted twice by kill -9, sends each event once, but
/// for what was in flight.
#[tokio::test]
async fn a_replay_that_is_killed_twice_sends_each_event_once() -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "a soak asks for more by the environment")]
    let asked = std::env::var(EVENTS_VARIABLE).ok();
    let events = asked.map_or(Ok(EVENTS), |text| text.parse())?;
    let bound = BOUND + Duration::from_millis(events as u64 * 4);
    let receiver = Receiver::start().await?;
    let more = format!("{ONCE}\nin_flight_max = {IN_FLIGHT_MAX}");
    let mut gateway = gateway_to(&receiver, &more).await?;
    ensure!(gateway.terminate(BOUND).await?.success());
    fill(&gateway.folder().join(setup::DATABASE), events).await?;
    gateway.start_again(BOUND).await?;
    let replay = one(&gateway, &["replay", "--status", "dead", "--rate", "10000"]).await?;
    let id = text(&replay, "id")?.to_owned();
    for third in 1..=2 {
        receiver.wait_for(events * third / 3, bound).await?;
        gateway.kill_9().await?;
        gateway.start_again(BOUND).await?;
    }
    let ended = async {
        let show = ["replay", "show", &id];
        while one(&gateway, &show).await?["state"] != "done" {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        while one(&gateway, &show).await?["pending"] != 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::Ok(())
    };
    timeout(bound, ended).await.context("the replay does not end")??;
    let shown = one(&gateway, &["replay", "show", &id]).await?;
    ensure!(shown["planned"] == events && shown["dead"] == 0, "{shown}");
    let mut times: HashMap<String, usize> = HashMap::new();
    for seen in receiver.seen() {
        *times.entry(seen.header("webhook-id")?.to_owned()).or_default() += 1;
    }
    ensure!(times.len() == events, "{} of {events} arrived", times.len());
    let repeats: usize = times.values().map(|count| count - 1).sum();
    ensure!(repeats <= 2 * IN_FLIGHT_MAX, "{repeats} repeats of two kills");
    Ok(())
}
