//! Stories of a host that is killed: what it said 200 to is delivered after it was started again.

use super::delivery::{edge_of, with_source};
use anyhow::{Context as _, Result, ensure};
use livekit_webhook_core::delivery::State;
use livekit_webhook_tests::exchange::{API_KEY, BOUND, SECRET, event, post};
use livekit_webhook_tests::gateway::{self, Gateway};
use livekit_webhook_tests::livekit::{Fate, Sender};
use livekit_webhook_tests::receiver::{Answer, Receiver, Seen};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Events of the story with many kills.
const EVENTS: usize = 240;
/// Senders side by side, as LiveKit has one for each room.
const LANES: usize = 6;
const KILLS: usize = 5;
/// Attempts at the endpoint that a kill can cut off.
const IN_FLIGHT_MAX: usize = 4;

/// LiveKit's event ids and with which `webhook-id`s each came.
fn arrived(seen: &[Seen]) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut arrived = BTreeMap::<_, BTreeSet<_>>::new();
    for seen in seen {
        let body: Value = serde_json::from_slice(&seen.body)?;
        let id = body["id"].as_str().context("no id")?.to_owned();
        arrived.entry(id).or_default().insert(seen.header("webhook-id")?.to_owned());
    }
    Ok(arrived)
}

#[tokio::test]
async fn what_was_committed_and_not_sent_is_sent_after_a_kill() -> Result<()> {
    let receiver = Receiver::start().await?;
    // A first wait that is longer than the kill takes: nothing has been sent then.
    let setup = with_source()
        .endpoint("all", &receiver.url("/"), r#"retry = ["2s"]"#)
        .subscription("all", "");
    let mut gateway = Gateway::start(&setup, BOUND).await?;
    for number in 0..20 {
        let body = event("room_started", "r", &format!("EV_{number}"));
        ensure!(post(gateway.address(), &body).await?.status == 200);
    }
    gateway.kill_9().await?;
    let sent_before = receiver.seen().len();
    gateway.start_again(BOUND).await?;
    let ledger = gateway.ledger()?;
    let rows = ledger.wait_ended("all", 20, BOUND).await?;
    ensure!(rows.iter().all(|row| row.state == State::Delivered), "{rows:#?}");
    let seen = receiver.seen();
    ensure!(arrived(&seen)?.len() == 20, "{} of 20 arrived", arrived(&seen)?.len());
    ensure!(sent_before == 0 && seen.len() == 20, "{sent_before} before the kill, {}", seen.len());
    Ok(())
}

#[tokio::test]
async fn an_attempt_that_a_kill_cuts_off_is_made_again() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.script([Answer::Never]);
    let setup = with_source().endpoint("all", &receiver.url("/"), "").subscription("all", "");
    let mut gateway = Gateway::start(&setup, BOUND).await?;
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_1")).await?.status == 200);
    receiver.wait_for(1, BOUND).await?;
    gateway.kill_9().await?;
    gateway.start_again(BOUND).await?;
    let seen = receiver.wait_for(2, BOUND).await?;
    ensure!(seen[0].header("webhook-id")? == seen[1].header("webhook-id")?);
    ensure!(seen[0].body == seen[1].body);
    let ledger = gateway.ledger()?;
    let row = ledger.wait_ended("all", 1, BOUND).await?.remove(0);
    ensure!(row.state == State::Delivered && receiver.seen().len() == 2, "{row:?}");
    Ok(())
}

/// Sends every event of one lane until each is acknowledged, wherever the host is at that time.
async fn send_lane(
    lane: usize,
    mut host: watch::Receiver<SocketAddr>,
    acknowledged: &watch::Sender<usize>,
) -> Result<()> {
    for number in (lane..EVENTS).step_by(LANES) {
        let body = event("room_started", &format!("room-{lane}"), &format!("EV_{number}"));
        loop {
            let at = *host.borrow_and_update();
            match post(at, &body).await {
                Ok(reply) if reply.status == 200 => break,
                Ok(reply) => ensure!(reply.status == 503, "{reply:?}"),
                // Killed: LiveKit would try again later, when there is a host again.
                Err(_) => drop(host.wait_for(|now| *now != at).await?),
            }
        }
        acknowledged.send_modify(|count| *count += 1);
    }
    Ok(())
}

/// Kills the host when so many events were acknowledged, and starts it again, [`KILLS`] times.
async fn kill_again_and_again(
    gateway: &mut Gateway,
    host: &watch::Sender<SocketAddr>,
    mut acknowledged: watch::Receiver<usize>,
) -> Result<()> {
    // A fixed seed: the moments are odd ones, and the same in each run as far as the machine
    // allows.
    let mut dice = 0x9e37_79b9_usize;
    for kill in 1..=KILLS {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let after = kill * EVENTS / (KILLS + 1) + (dice >> 33) % 17;
        acknowledged.wait_for(|count| *count >= after).await?;
        gateway.kill_9().await?;
        gateway.start_again(BOUND).await?;
        host.send_replace(gateway.address());
    }
    Ok(())
}

#[tokio::test]
async fn no_acknowledged_event_is_lost_over_many_kills() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise(Answer::status(200)?.after(Duration::from_millis(2)));
    let limited = format!("in_flight_max = {IN_FLIGHT_MAX}");
    let setup = with_source().endpoint("all", &receiver.url("/"), &limited).subscription("all", "");
    let mut gateway = Gateway::start(&setup, BOUND).await?;
    let (host, _) = watch::channel(gateway.address());
    let (acknowledged, count) = watch::channel(0);
    let lane = |number| send_lane(number, host.subscribe(), &acknowledged);
    let everything = async {
        tokio::try_join!(
            lane(0),
            lane(1),
            lane(2),
            lane(3),
            lane(4),
            lane(5),
            kill_again_and_again(&mut gateway, &host, count),
        )
    };
    timeout(2 * BOUND, everything).await.context("not all were acknowledged in time")??;

    let rows = gateway.ledger()?.wait_ended("all", EVENTS, BOUND).await?;
    ensure!(rows.len() == EVENTS, "{} deliveries of {EVENTS} events", rows.len());
    ensure!(rows.iter().all(|row| row.state == State::Delivered), "{rows:#?}");
    let seen = receiver.seen();
    let arrived = arrived(&seen)?;
    for number in 0..EVENTS {
        let ids = arrived.get(&format!("EV_{number}")).with_context(|| format!("lost {number}"))?;
        ensure!(ids.len() == 1, "a receiver cannot tell the repeats of {number}: {ids:?}");
    }
    let repeats = seen.len() - EVENTS;
    ensure!(repeats <= KILLS * IN_FLIGHT_MAX, "{repeats} repeats of {KILLS} kills");
    Ok(())
}

#[tokio::test]
async fn livekits_own_attempts_bridge_a_host_that_is_away() -> Result<()> {
    let receiver = Receiver::start().await?;
    let setup = with_source().endpoint("all", &receiver.url("/"), "").subscription("all", "");
    let mut gateway = Gateway::start(&setup, BOUND).await?;
    let edge = edge_of(&gateway)?;
    // LiveKit's 1, 2, 4 and 8 seconds, five times as fast.
    let url = format!("http://{}/webhook", edge.listener());
    let sender = Sender::new(&[&url], API_KEY, SECRET, 0.2)?;
    gateway.kill_9().await?;
    for room in 0..5 {
        sender.notify(event("room_started", &format!("room-{room}"), &format!("EV_{room}")));
    }
    let refused = async {
        // Each has met an edge without a host once.
        while edge.stat("http.edge.downstream_rq_5xx")? < 5 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    };
    timeout(BOUND, refused).await.context("the edge was not asked")??;
    gateway.come_back(BOUND).await?;
    for report in sender.wait_for(5, BOUND).await? {
        ensure!(report.fate == Fate::Delivered, "{report:?}");
        ensure!(report.attempts[0].outcome == Ok(503), "{report:?}");
        let last = report.attempts.last().map(|attempt| attempt.outcome.clone());
        ensure!(last == Some(Ok(200)), "{report:?}");
    }
    receiver.wait_for(5, BOUND).await?;
    ensure!(gateway.ledger()?.wait_ended("all", 5, BOUND).await?.len() == 5);
    Ok(())
}

#[tokio::test]
async fn a_second_host_on_the_same_store_is_refused_with_words() -> Result<()> {
    let receiver = Receiver::start().await?;
    let setup = with_source().endpoint("all", &receiver.url("/"), "").subscription("all", "");
    let first = Gateway::start(&setup, BOUND).await?;
    let serve = ["serve", "--config", "gateway.toml"];
    let second = gateway::run(first.folder(), &serve, setup.environment(), BOUND).await?;
    ensure!(second.code == Some(1), "{second:?}");
    ensure!(
        second.stderr.contains("livekit-webhook.db is in use by another process"),
        "{second:?}"
    );
    ensure!(second.stderr.contains("cannot open the store"), "{second:?}");
    ensure!(post(first.address(), &event("room_started", "r", "EV_1")).await?.status == 200);
    receiver.wait_for(1, BOUND).await?;
    Ok(())
}
