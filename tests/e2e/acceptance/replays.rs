//! Replays that are interrupted: 12 of the fifteen.

use crate::delivery::with_source;
use anyhow::{Context as _, Result, ensure};
use livekit_webhook::store::ReplayState;
use livekit_webhook_core::delivery::State;
use livekit_webhook_tests::exchange::{API_KEY, BOUND, SECRET, event};
use livekit_webhook_tests::gateway::{self, Gateway, Setup};
use livekit_webhook_tests::livekit::Sender;
use livekit_webhook_tests::receiver::Receiver;
use std::collections::BTreeMap;

const EVENTS: usize = 400;
const IN_FLIGHT_MAX: usize = 4;

/// A gateway that delivered [`EVENTS`] events, and the replay of all of them, just asked for.
struct Story {
    receiver: Receiver,
    setup: Setup,
    gateway: Gateway,
    deaths: usize,
}

// === impl Story ===

impl Story {
    async fn start() -> Result<Self> {
        let receiver = Receiver::start().await?;
        let limited = format!("in_flight_max = {IN_FLIGHT_MAX}");
        let setup = with_source()
            .own_address()
            .endpoint("all", &receiver.url("/"), &limited)
            .subscription("all", "");
        let gateway = Gateway::start(&setup, BOUND).await?;
        let sender = Sender::new(&[&gateway.url()], API_KEY, SECRET, 1.0)?;
        for number in 0..EVENTS {
            let room = format!("room-{}", number % 20);
            sender.notify(event("room_started", &room, &format!("EV_{number}")));
        }
        receiver.wait_for(EVENTS, BOUND).await?;
        gateway.ledger()?.wait_drained(BOUND).await?;
        Ok(Self { receiver, setup, gateway, deaths: 0 })
    }

    /// Everything once more, also what was delivered.
    async fn ask(&self) -> Result<()> {
        let ask = ["replay", "--config", "gateway.toml", "--all", "--include-succeeded"];
        let ask = [&ask[..], &["--rate", "200"]].concat();
        let folder = self.gateway.folder();
        let asked = gateway::run(folder, &ask, self.setup.environment(), BOUND).await?;
        ensure!(asked.code == Some(0), "{asked:?}");
        Ok(())
    }

    /// Lives until it dies at this point by itself.
    async fn dies_at(&mut self, point: &str) -> Result<()> {
        self.gateway.terminate(BOUND).await?;
        let armed = self.setup.clone().variable("LIVEKIT_WEBHOOK_CRASH_AT", point);
        self.gateway.configure(&armed)?;
        if self.gateway.come_back(BOUND).await.is_ok() {
            let died = self.gateway.died(BOUND).await?;
            ensure!(died.is_some_and(|status| status.code().is_none()), "{point}: {died:?}");
        } else {
            ensure!(self.gateway.died(BOUND).await?.is_some(), "{point}: it did not start");
        }
        self.come_back().await
    }

    async fn come_back(&mut self) -> Result<()> {
        self.deaths += 1;
        self.gateway.configure(&self.setup)?;
        self.gateway.come_back(BOUND).await
    }

    /// Waits until the replay is over: every event came once more, and no more often than the
    /// deaths allow.
    async fn ends(&self) -> Result<()> {
        self.receiver.wait_for(2 * EVENTS, 2 * BOUND).await?;
        let ledger = self.gateway.ledger()?;
        let replay = ledger.wait_replay(ReplayState::Done, BOUND).await?;
        ledger.wait_drained(BOUND).await?;
        ensure!(replay.planned == EVENTS as u64 && replay.skipped == 0, "{replay:?}");
        let rows = ledger.deliveries("all").await?;
        let again = rows.iter().filter(|row| row.replay == Some(replay.id));
        ensure!(again.clone().count() == EVENTS, "{} planned", again.count());
        ensure!(rows.iter().all(|row| row.state == State::Delivered));
        let mut came = BTreeMap::<String, usize>::new();
        for seen in self.receiver.seen().iter().filter(|seen| seen.header("webhook-replay").is_ok())
        {
            *came.entry(seen.header("webhook-id")?.to_owned()).or_default() += 1;
        }
        ensure!(came.len() == EVENTS, "{} of {EVENTS} came again", came.len());
        let repeats = came.values().sum::<usize>() - EVENTS;
        let most = self.deaths * IN_FLIGHT_MAX;
        ensure!(repeats <= most, "{repeats} repeats of {} deaths", self.deaths);
        let firsts = rows.iter().filter(|row| row.replay.is_none());
        let same = firsts.filter(|row| came.contains_key(&row.webhook_id)).count();
        ensure!(same == EVENTS, "a receiver cannot tell {} repeats", EVENTS - same);
        Ok(())
    }
}

#[tokio::test]
async fn a12_a_replay_that_is_killed_twice_sends_each_event_once_more() -> Result<()> {
    let mut story = Story::start().await?;
    story.ask().await?;
    for part in [EVENTS / 4, EVENTS / 2] {
        story.receiver.wait_for(EVENTS + part, BOUND).await?;
        story.gateway.kill_9().await.context("it ended by itself")?;
        story.come_back().await?;
    }
    story.ends().await
}

#[tokio::test]
async fn a12_a_replay_that_dies_at_every_boundary_of_a_step_sends_each_event_once_more()
-> Result<()> {
    let mut story = Story::start().await?;
    story.ask().await?;
    for point in ["replay.begin.before:2", "replay.commit.before:2", "replay.commit.after:2"] {
        story.dies_at(point).await?;
    }
    story.ends().await
}
