//! Rooms in order: 10 of the fifteen.

use anyhow::{Result, ensure};
use livekit_webhook_tests::exchange::{API_KEY, BOUND, SECRET, event};
use livekit_webhook_tests::gateway::Gateway;
use livekit_webhook_tests::livekit::{Fate, Sender};
use livekit_webhook_tests::receiver::{Answer, Receiver};
use livekit_webhook_tests::soak::dice::Dice;
use livekit_webhook_tests::soak::rig;
use livekit_webhook_tests::soak::verdict::{Endpoint, Evidence, judge};
use std::collections::BTreeSet;
use std::time::Duration;

use crate::delivery::with_source;

const EVENTS: usize = 1_000;
const ROOMS: usize = 50;

#[tokio::test]
async fn a10_every_room_keeps_its_order_through_failures_and_a_kill() -> Result<()> {
    let receiver = Receiver::start().await?;
    let mut dice = Dice::new(10);
    let held = receiver.hold();
    let mut moods = Vec::new();
    for _ in 0..2 * EVENTS {
        let status = if dice.under(20) == 0 { 503 } else { 200 };
        let pause = Duration::from_millis(dice.under(4) as u64);
        moods.push(Answer::status(status)?.after(pause));
    }
    receiver.script(moods);
    let ordered = "ordered = \"room\"\nin_flight_max = 16\nbreaker = false\n\
                   retry = [\"0s\", \"1s\", \"1s\", \"1s\", \"1s\", \"1s\", \"1s\"]";
    let setup = with_source()
        .own_address()
        .endpoint("all", &receiver.url("/"), ordered)
        .subscription("all", "");
    let mut gateway = Gateway::start(&setup, BOUND).await?;
    let sender = Sender::new(&[&gateway.url()], API_KEY, SECRET, 1.0 / 3.0)?;
    let mut sent = Vec::with_capacity(EVENTS);
    for number in 0..EVENTS {
        let id = format!("EV_{number}");
        let room = format!("room-{}", number % ROOMS);
        sender.notify(event("participant_joined", &room, &id));
        sent.push(id);
    }
    // The first request gets no answer; all other rooms go on, and its own does not.
    let seen = receiver.wait_for(2 * ROOMS, BOUND).await?;
    let rooms: Result<Vec<_>> = seen.iter().map(|seen| Ok(rig::request(seen)?.room)).collect();
    let rooms = rooms?;
    ensure!(rooms.iter().filter(|room| **room == rooms[0]).count() == 1, "its lane went on");
    ensure!(rooms.iter().collect::<BTreeSet<_>>().len() > 1, "one room at a time");
    held.release();
    receiver.wait_for(EVENTS / 2, BOUND).await?;
    gateway.kill_9().await?;
    gateway.come_back(BOUND).await?;

    let reports = sender.wait_for(EVENTS, 2 * BOUND).await?;
    ensure!(reports.iter().all(|report| report.fate == Fate::Delivered));
    let ledger = gateway.ledger()?;
    ledger.wait_drained(2 * BOUND).await?;
    let requests: Result<_> = receiver.seen().iter().map(rig::request).collect();
    let deliveries = rig::deliveries(&ledger, "all").await?;
    ensure!(deliveries.len() == EVENTS, "{} deliveries", deliveries.len());
    let endpoint = Endpoint {
        name: "all".to_owned(),
        in_flight_max: 16,
        is_ordered: true,
        requests: requests?,
        deliveries,
    };
    let acknowledged = sent.iter().cloned().collect();
    let endpoints = vec![endpoint];
    let evidence = Evidence { sent, acknowledged, endpoints, kills: 1, ..Evidence::default() };
    let verdict = judge(&evidence);
    ensure!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    Ok(())
}
