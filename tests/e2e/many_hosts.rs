//! Stories of several hosts on one PostgreSQL: they share the work, and what one of them leaves
//! behind the others take up.

use super::delivery::with_source;
use anyhow::{Context as _, Result, ensure};
use livekit_webhook_core::delivery::State;
use livekit_webhook_tests::exchange::{BOUND, event, post};
use livekit_webhook_tests::gateway::{Gateway, Setup};
use livekit_webhook_tests::ledger::Ledger;
use livekit_webhook_tests::postgres::{self, Client, Pair, Postgres, USER};
use livekit_webhook_tests::receiver::{Answer, Receiver, Seen};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Between two tries of a sender whose host said 503.
const AGAIN: Duration = Duration::from_millis(20);

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

/// Everything acknowledged came, each under one `webhook-id`.
fn all_came(seen: &[Seen], count: usize) -> Result<()> {
    let arrived = arrived(seen)?;
    for number in 0..count {
        let ids = arrived.get(&format!("EV_{number}")).with_context(|| format!("lost {number}"))?;
        ensure!(ids.len() == 1, "a receiver cannot tell the repeats of {number}: {ids:?}");
    }
    Ok(())
}

async fn start(setup: &Setup, count: usize) -> Result<Vec<Gateway>> {
    let mut hosts = Vec::new();
    for _ in 0..count {
        hosts.push(Gateway::start(setup, BOUND).await?);
    }
    Ok(hosts)
}

/// Sends an event until one of the hosts acknowledges it, as a load balancer would have it. No
/// answer but 200 and 503 is right.
async fn send(hosts: &watch::Receiver<Vec<SocketAddr>>, number: usize, body: &str) -> Result<()> {
    let mut turn = number;
    let acknowledged = async {
        loop {
            let addresses = hosts.borrow().clone();
            turn += 1;
            let Some(at) = addresses.get(turn % addresses.len().max(1)) else { continue };
            match post(*at, body).await {
                Ok(reply) if reply.status == 200 => return Ok(()),
                Ok(reply) => ensure!(reply.status == 503, "{reply:?}"),
                // It is being restarted.
                Err(_) => {}
            }
            sleep(AGAIN).await;
        }
    };
    timeout(BOUND, acknowledged).await.with_context(|| format!("event {number}"))?
}

fn room_of(number: usize) -> String {
    format!("room-{}", number % 7)
}

/// Sends events one after the other; tells how many were acknowledged.
async fn send_all(
    hosts: watch::Receiver<Vec<SocketAddr>>,
    numbers: impl Iterator<Item = usize>,
    acknowledged: &watch::Sender<usize>,
) -> Result<()> {
    for number in numbers {
        let body = event("room_started", &room_of(number), &format!("EV_{number}"));
        send(&hosts, number, &body).await?;
        acknowledged.send_modify(|count| *count += 1);
    }
    Ok(())
}

/// The time of a lease passes: its end is moved, so that nobody has to wait for it.
async fn end_leases(client: &Client) -> Result<()> {
    let sql = "UPDATE livekit_webhook.claims SET leased_until = 0; \
         UPDATE livekit_webhook.plans SET leased_until = 0 WHERE leased_until IS NOT NULL";
    client.batch(sql).await
}

fn addresses(hosts: &[Gateway]) -> Vec<SocketAddr> {
    hosts.iter().map(Gateway::address).collect()
}

#[tokio::test]
async fn hosts_share_the_work_and_the_limit_of_an_endpoint() -> Result<()> {
    const EVENTS: usize = 60;
    const IN_FLIGHT: usize = 3;
    const ANSWER: Duration = Duration::from_millis(30);
    let database = Postgres::shared().await?.database().await?;
    let receiver = Receiver::start().await?;
    receiver.otherwise(Answer::status(200)?.after(ANSWER));
    let setup = with_source()
        .store_url(database.url())
        .endpoint("all", &receiver.url("/"), &format!("in_flight_max = {IN_FLIGHT}"))
        .subscription("all", "");
    let hosts = start(&setup, 3).await?;
    let (at, _) = watch::channel(addresses(&hosts));
    let (acknowledged, _) = watch::channel(0);
    let first = event("room_started", &room_of(0), "EV_0");
    ensure!(post(hosts[0].address(), &first).await?.status == 200);
    // The same event at another host is known there.
    let again = post(hosts[1].address(), &first).await?;
    ensure!(again.header("webhook-duplicate") == Some("true"), "{again:?}");
    send_all(at.subscribe(), 1..EVENTS, &acknowledged).await?;

    let ledger = Ledger::postgres(database.url()).await?;
    let rows = ledger.wait_ended("all", EVENTS, BOUND).await?;
    ensure!(rows.iter().all(|row| row.state == State::Delivered), "{rows:#?}");
    let seen = receiver.seen();
    ensure!(seen.len() == EVENTS, "{} requests for {EVENTS} events", seen.len());
    all_came(&seen, EVENTS)?;
    // Each request was open for as long as its answer took, so of one more than the limit the last
    // came when the first had been answered.
    for window in seen.windows(IN_FLIGHT + 1) {
        let apart = window[IN_FLIGHT].at.saturating_sub(window[0].at);
        ensure!(apart >= ANSWER, "{} requests at once, {apart:?} apart", IN_FLIGHT + 1);
    }
    Ok(())
}

#[tokio::test]
async fn lanes_hold_over_hosts() -> Result<()> {
    const EVENTS: usize = 70;
    let database = Postgres::shared().await?.database().await?;
    let receiver = Receiver::start().await?;
    // Every ninth request fails, so that lanes have to wait for what is tried again.
    let answers = (0..30).map(|number| if number % 9 == 4 { 500 } else { 200 });
    receiver.script(answers.map(Answer::status).collect::<Result<Vec<_>>>()?);
    let lines = "ordered = \"room\"\nretry = [\"0s\", \"100ms\", \"100ms\", \"100ms\"]";
    let setup = with_source()
        .store_url(database.url())
        .endpoint("all", &receiver.url("/"), lines)
        .subscription("all", "");
    let hosts = start(&setup, 2).await?;
    let (at, _) = watch::channel(addresses(&hosts));
    let (acknowledged, _) = watch::channel(0);
    send_all(at.subscribe(), 0..EVENTS, &acknowledged).await?;
    let ledger = Ledger::postgres(database.url()).await?;
    let rows = ledger.wait_ended("all", EVENTS, BOUND).await?;
    ensure!(rows.iter().all(|row| row.state == State::Delivered), "{rows:#?}");
    let mut last = BTreeMap::<String, i64>::new();
    for seen in receiver.seen() {
        let body: Value = serde_json::from_slice(&seen.body)?;
        let room = body["room"]["name"].as_str().context("no room")?.to_owned();
        let sequence: i64 = seen.header("webhook-sequence")?.parse()?;
        let before = last.insert(room.clone(), sequence).unwrap_or(0);
        ensure!(sequence == before || sequence == before + 1, "{room}: {before}, {sequence}");
    }
    ensure!(last.values().sum::<i64>() == EVENTS as i64, "{last:?}");
    Ok(())
}

#[tokio::test]
async fn what_a_killed_host_had_claimed_passes_to_another() -> Result<()> {
    const EVENTS: usize = 8;
    let database = Postgres::shared().await?.database().await?;
    let receiver = Receiver::start().await?;
    receiver.script(vec![Answer::Never; 4]);
    let setup = with_source()
        .store_url(database.url())
        .endpoint("all", &receiver.url("/"), "in_flight_max = 4")
        .subscription("all", "");
    let mut first = Gateway::start(&setup, BOUND).await?;
    for number in 0..EVENTS {
        let body = event("room_started", &room_of(number), &format!("EV_{number}"));
        ensure!(post(first.address(), &body).await?.status == 200);
    }
    receiver.wait_for(4, BOUND).await?;
    let _second = Gateway::start(&setup, BOUND).await?;
    first.kill_9().await?;
    end_leases(&database.client().await?).await?;
    let ledger = Ledger::postgres(database.url()).await?;
    let rows = ledger.wait_ended("all", EVENTS, BOUND).await?;
    ensure!(rows.iter().all(|row| row.state == State::Delivered), "{rows:#?}");
    let seen = receiver.seen();
    ensure!(seen.len() == EVENTS + 4, "{} requests", seen.len());
    all_came(&seen, EVENTS)
}

#[tokio::test]
async fn a_rolling_restart_under_load_drops_nothing() -> Result<()> {
    const EVENTS: usize = 240;
    let database = Postgres::shared().await?.database().await?;
    let receiver = Receiver::start().await?;
    let setup = with_source()
        .store_url(database.url())
        .endpoint("all", &receiver.url("/"), "")
        .subscription("all", "");
    let mut hosts = start(&setup, 3).await?;
    let (at, watched) = watch::channel(addresses(&hosts));
    let (acknowledged, mut count) = watch::channel(0);
    let lane = |first: usize| send_all(watched.clone(), (first..EVENTS).step_by(3), &acknowledged);
    let roll = async {
        for index in 0..3 {
            count.wait_for(|count| *count >= (index + 1) * EVENTS / 5).await?;
            let code = hosts[index].terminate(BOUND).await?.code();
            ensure!(code == Some(0), "it ended with {code:?}");
            hosts[index].start_again(BOUND).await?;
            at.send_replace(addresses(&hosts));
        }
        Ok(())
    };
    let all = async { tokio::try_join!(lane(0), lane(1), lane(2), roll) };
    timeout(3 * BOUND, all).await.context("not all in time")??;
    let ledger = Ledger::postgres(database.url()).await?;
    let rows = ledger.wait_ended("all", EVENTS, BOUND).await?;
    ensure!(rows.iter().all(|row| row.state == State::Delivered), "{rows:#?}");
    let seen = receiver.seen();
    all_came(&seen, EVENTS)?;
    ensure!(seen.len() == EVENTS, "{} repeats", seen.len() - EVENTS);
    Ok(())
}

#[tokio::test]
async fn hosts_outlive_a_restart_of_the_database() -> Result<()> {
    const EVENTS: usize = 120;
    let mut server = Postgres::start(&postgres::Setup::default()).await?;
    let receiver = Receiver::start().await?;
    let setup = with_source()
        .store_url(&server.url(USER))
        .endpoint("all", &receiver.url("/"), "")
        .subscription("all", "");
    let hosts = start(&setup, 2).await?;
    let (at, _) = watch::channel(addresses(&hosts));
    let (acknowledged, mut count) = watch::channel(0);
    let lane = |first: usize| send_all(at.subscribe(), (first..EVENTS).step_by(2), &acknowledged);
    let restarts = async {
        for (after, is_killed) in [(EVENTS / 4, false), (EVENTS / 2, true)] {
            count.wait_for(|count| *count >= after).await?;
            if is_killed {
                server.kill_9().await?;
            } else {
                server.stop().await?;
            }
            let body = event("room_started", "r", &format!("EV_down_{after}"));
            let reply = post(hosts[0].address(), &body).await?;
            ensure!((reply.status, reply.code().as_deref()) == (503, Some("unavailable")));
            ensure!(reply.header("retry-after").is_none(), "{reply:?}");
            server.restart().await?;
        }
        Ok(())
    };
    let all = async { tokio::try_join!(lane(0), lane(1), restarts) };
    timeout(3 * BOUND, all).await.context("not all in time")??;
    // A claim that was committed when the server went, and whose answer did not arrive.
    end_leases(&Client::connect(&server.url(USER)).await?).await?;
    let ledger = Ledger::postgres(&server.url(USER)).await?;
    let rows = ledger.wait_ended("all", EVENTS, 2 * BOUND).await?;
    ensure!(rows.iter().all(|row| row.state == State::Delivered), "{rows:#?}");
    all_came(&receiver.seen(), EVENTS)
}

#[tokio::test]
async fn a_standby_takes_over_without_a_lost_event() -> Result<()> {
    const EVENTS: usize = 120;
    let mut pair = Pair::start().await?;
    let receiver = Receiver::start().await?;
    let setup = with_source()
        .store_url(&pair.url(USER))
        .endpoint("all", &receiver.url("/"), "")
        .subscription("all", "");
    let hosts = start(&setup, 2).await?;
    let (at, _) = watch::channel(addresses(&hosts));
    let (acknowledged, mut count) = watch::channel(0);
    let lane = |first: usize| send_all(at.subscribe(), (first..EVENTS).step_by(2), &acknowledged);
    let fail_over = async {
        count.wait_for(|count| *count >= EVENTS / 3).await?;
        pair.primary.kill_9().await?;
        pair.promote().await
    };
    let all = async { tokio::try_join!(lane(0), lane(1), fail_over) };
    timeout(3 * BOUND, all).await.context("not all in time")??;
    // A claim that was committed when the primary went, and whose answer did not arrive.
    end_leases(&Client::connect(&pair.standby.url(USER)).await?).await?;
    let ledger = Ledger::postgres(&pair.standby.url(USER)).await?;
    let rows = ledger.wait_ended("all", EVENTS, 2 * BOUND).await?;
    ensure!(rows.iter().all(|row| row.state == State::Delivered), "{rows:#?}");
    all_came(&receiver.seen(), EVENTS)
}
