//! Receivers that ask for time, are gone, or are down: 6, 7 and 8 of the fifteen.
//!
//! That a receiver was not asked is shown by an event that reached another endpoint meanwhile: one
//! claim looks at all endpoints, so whoever might have been asked would have been.

use crate::delivery::with_source;
use anyhow::{Context as _, Result, ensure};
use livekit_webhook::crash::POINTS;
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_tests::exchange::{BOUND, event, post_as, token_at};
use livekit_webhook_tests::gateway::{Gateway, Setup};
use livekit_webhook_tests::receiver::{Answer, Receiver};

/// A gateway with an endpoint in trouble, one that is well, and a clock that can be moved.
struct Story {
    troubled: Receiver,
    well: Receiver,
    gateway: Gateway,
    sent: usize,
}

// === impl Story ===

impl Story {
    /// `places` is how many requests the endpoint in trouble may have under way.
    async fn start(places: usize, more: &str) -> Result<Self> {
        let (troubled, well) = (Receiver::start().await?, Receiver::start().await?);
        let more = format!("in_flight_max = {places}\n{more}");
        let setup: Setup = with_source()
            .own_address()
            .movable_clock()
            .endpoint("troubled", &troubled.url("/"), &more)
            .endpoint("well", &well.url("/"), "")
            .subscription("troubled", "")
            .subscription("well", "");
        let gateway = Gateway::start(&setup, BOUND).await?;
        Ok(Self { troubled, well, gateway, sent: 0 })
    }

    /// Sends so many events, and waits until the endpoint that is well has them.
    async fn send(&mut self, count: usize) -> Result<()> {
        for _ in 0..count {
            let body = event("room_started", "r", &format!("EV_{}", self.sent));
            let token = token_at(&body, self.gateway.now_s());
            let reply = post_as(self.gateway.address(), &token, &body).await?;
            ensure!(reply.status == 200, "{reply:?}");
            self.sent += 1;
        }
        self.well.wait_for(self.sent, BOUND).await.map(drop)
    }

    /// The endpoint in trouble was asked so often in all, and not again.
    async fn asked(&mut self, requests: usize) -> Result<()> {
        self.troubled.wait_for(requests, BOUND).await?;
        self.send(1).await?;
        let came = self.troubled.seen().len();
        ensure!(came == requests, "{came} requests, not {requests}");
        Ok(())
    }
}

#[tokio::test]
async fn a06_a_receiver_that_asks_for_120_s_gets_them_and_they_cost_no_attempt() -> Result<()> {
    let mut story = Story::start(4, r#"retry = ["0s", "1s"]"#).await?;
    story.troubled.script([Answer::status(429)?.header("retry-after", "120")]);
    story.send(1).await?;
    let ledger = story.gateway.ledger()?;
    ledger.wait_attempts("troubled", 1, BOUND).await?;
    story.send(3).await?;
    story.asked(1).await?;
    story.gateway.set_clock(118)?;
    story.asked(1).await?;
    story.gateway.set_clock(122)?;
    // The one that was refused and all that came since, each once more.
    let seen = story.troubled.wait_for(story.sent + 1, BOUND).await?;
    for again in &seen[1..] {
        let is_first = again.header("webhook-id")? == seen[0].header("webhook-id")?;
        let number = again.header("webhook-attempt")?;
        ensure!(number == if is_first { "2" } else { "1" }, "attempt {number}");
    }
    let rows = ledger.wait_ended("troubled", story.sent, BOUND).await?;
    ensure!(rows.iter().all(|row| row.state == State::Delivered), "{rows:#?}");
    let refused = rows.iter().find(|row| row.attempts == 2).context("no second attempt")?;
    let attempts = ledger.attempts(refused).await?;
    let apart_ms = attempts[1].started_at.millis_since(attempts[0].started_at);
    ensure!(apart_ms >= 120_000, "only {apart_ms} ms");
    Ok(())
}

#[tokio::test]
async fn a07_one_410_is_the_last_request_also_after_a_kill() -> Result<()> {
    let mut story = Story::start(4, "").await?;
    story.troubled.otherwise(Answer::status(410)?);
    story.send(1).await?;
    let ledger = story.gateway.ledger()?;
    let (first, reason) = ledger.wait_dead("troubled", BOUND).await?;
    ensure!((reason, first.attempts) == (DeadReason::Gone, 1), "{first:?}");
    story.send(3).await?;
    story.asked(1).await?;
    story.gateway.kill_9().await?;
    story.gateway.come_back(BOUND).await?;
    story.send(3).await?;
    story.asked(1).await?;
    let rows = ledger.wait_ended("troubled", story.sent, BOUND).await?;
    for row in rows.iter().filter(|row| row.id != first.id) {
        let expected = State::Dead(DeadReason::EndpointDisabled);
        ensure!((row.state, row.attempts) == (expected, 0), "{row:?}");
    }
    ensure!(story.troubled.seen().len() == 1);
    Ok(())
}

#[tokio::test]
async fn a07_a_gateway_that_dies_while_it_makes_dead_letters_makes_them_all() -> Result<()> {
    for point in POINTS.iter().filter(|point| point.starts_with("upkeep")) {
        let mut story = Story::start(4, "").await?;
        story.troubled.otherwise(Answer::status(410)?);
        story.send(1).await?;
        let ledger = story.gateway.ledger()?;
        ledger.wait_dead("troubled", BOUND).await?;
        let setup = story.gateway.setup().clone();
        story.gateway.terminate(BOUND).await?;
        // The first look finds nothing owed.
        let second = format!("{point}:2");
        let armed = setup.clone().variable("LIVEKIT_WEBHOOK_CRASH_AT", &second);
        story.gateway.configure(&armed)?;
        // What is owed to a disabled endpoint is given up within a second, and that is its end.
        if story.gateway.come_back(BOUND).await.is_ok() {
            let body = event("room_started", "r", "EV_owed");
            let token = token_at(&body, story.gateway.now_s());
            // It may die before it answers, and LiveKit would try again.
            let _ = post_as(story.gateway.address(), &token, &body).await;
        }
        let died = story.gateway.died(BOUND).await?;
        ensure!(died.is_some_and(|status| status.code().is_none()), "{point}: {died:?}");
        story.gateway.configure(&setup)?;
        story.gateway.come_back(BOUND).await?;
        let body = event("room_started", "r", "EV_owed");
        let token = token_at(&body, story.gateway.now_s());
        ensure!(post_as(story.gateway.address(), &token, &body).await?.status == 200);
        let rows = ledger.wait_ended("troubled", 2, BOUND).await?;
        ensure!(rows[0].state == State::Dead(DeadReason::EndpointDisabled), "{point}: {rows:?}");
        ensure!(story.troubled.seen().len() == 1, "{point}: it was asked again");
        ensure!(ledger.findings().await?.is_empty(), "{point}: {:?}", ledger.findings().await?);
    }
    Ok(())
}

#[tokio::test]
async fn a08_an_endpoint_that_is_down_gets_one_probe_a_period_and_everything_when_it_is_up()
-> Result<()> {
    const QUEUED: usize = 100;
    const PLACES: usize = 8;
    let steps = vec![r#""1s""#; 30].join(", ");
    let mut story = Story::start(PLACES, &format!("retry = [\"0s\", {steps}]")).await?;
    story.troubled.otherwise(Answer::status(500)?);
    story.send(QUEUED).await?;
    let is_open = r#"breaker_changes_total{endpoint="troubled",to="open"}"#;
    story.gateway.wait_metric(is_open, 1.0, BOUND).await?;
    story.gateway.wait_idle(BOUND).await?;
    let opened_after = story.troubled.seen().len();
    // Ten failures, and what was under way when the tenth came.
    ensure!((10..10 + PLACES).contains(&opened_after), "opened after {opened_after} failures");
    story.asked(opened_after).await?;
    // Periods of 30, 60 and 120 s, each up to a tenth shorter.
    for (period, moved_s) in [(1, 31), (2, 93)] {
        story.gateway.set_clock(moved_s)?;
        story.asked(opened_after + period).await?;
    }
    let ledger = story.gateway.ledger()?;
    let mut owed = ledger.deliveries("troubled").await?;
    ensure!(owed.len() == story.sent && owed.iter().all(|row| row.state == State::Pending));
    let spent: u32 = owed.iter().map(|row| row.attempts).sum();
    ensure!(spent as usize == opened_after + 2, "waiting cost attempts: {spent}");
    owed.sort_by_key(|row| row.due_at);

    story.troubled.otherwise(Answer::status(200)?);
    let came = story.troubled.seen().len();
    story.gateway.set_clock(215)?;
    let seen = story.troubled.wait_for(came + owed.len(), BOUND).await?;
    let rows = ledger.wait_ended("troubled", story.sent, BOUND).await?;
    ensure!(rows.iter().all(|row| row.state == State::Delivered), "{rows:#?}");
    let due: Vec<_> = owed.iter().map(|row| row.due_at).collect();
    let of = |id: &str| owed.iter().find(|row| row.webhook_id == id).map(|row| row.due_at);
    let mut drained = Vec::new();
    for seen in &seen[came..] {
        drained.push(of(seen.header("webhook-id")?).context("what was not owed came")?);
    }
    // Oldest first; those under way at once may overtake each other.
    for (place, due_at) in drained.iter().enumerate() {
        let earlier = due.iter().filter(|other| *other < due_at).count();
        ensure!(earlier < place + PLACES, "{due_at:?} came {place} after {earlier} earlier ones");
    }
    Ok(())
}
