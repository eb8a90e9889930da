//! Receivers that are slow, endless, busy or gone: 2, 3 and 5 to 8 of the fifteen.

use crate::delivery::with_source;
use anyhow::{Context as _, Result, ensure};
use livekit_webhook_core::attempt::{ErrorClass, Outcome};
use livekit_webhook_core::delivery::State;
use livekit_webhook_tests::exchange::{BOUND, event, post};
use livekit_webhook_tests::gateway::Gateway;
use livekit_webhook_tests::receiver::hostile::{Harm, Hostile};
use livekit_webhook_tests::receiver::{Answer, Receiver};
use std::time::Duration;
use tokio::time::timeout;

/// What a gateway may grow by while a receiver does its worst. An answer has far more bytes.
const GROWTH_BYTES_MAX: u64 = 24 * 1_024 * 1_024;
/// Events that such a receiver is sent.
const EVENTS: usize = 12;

async fn send(gateway: &Gateway, events: std::ops::Range<usize>) -> Result<()> {
    for number in events {
        let body = event("room_started", &format!("room-{number}"), &format!("EV_{number}"));
        ensure!(post(gateway.address(), &body).await?.status == 200);
    }
    Ok(())
}

/// Waits until every connection to it is closed.
async fn wait_closed(hostile: &Hostile) -> Result<()> {
    let closed = async {
        while hostile.ended() < hostile.requests() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(BOUND, closed).await.context("it still holds a connection")
}

#[tokio::test]
async fn a02_an_answer_that_drips_for_ever_ends_at_the_deadline_and_costs_no_memory() -> Result<()>
{
    let hostile = Hostile::start(Harm::dripping_head(Duration::from_millis(20))).await?;
    let impatient = "attempt_timeout_ms = 500\nretry = [\"0s\"]\nin_flight_max = 4";
    let setup =
        with_source().endpoint("drips", &hostile.url(), impatient).subscription("drips", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    send(&gateway, 0..1).await?;
    let ledger = gateway.ledger()?;
    ledger.wait_ended("drips", 1, BOUND).await?;
    let before = gateway.resident_bytes()?;
    send(&gateway, 1..EVENTS).await?;
    let rows = ledger.wait_ended("drips", EVENTS, BOUND).await?;
    for row in &rows {
        let attempt = ledger.attempts(row).await?.remove(0);
        ensure!(attempt.outcome == Outcome::Failed(ErrorClass::Timeout), "{attempt:?}");
        // It came to its deadline and not before; that it ended is what `wait_ended` saw.
        ensure!(attempt.duration_ms >= 500, "{attempt:?}");
    }
    wait_closed(&hostile).await?;
    let grown = gateway.resident_bytes()?.saturating_sub(before);
    ensure!(grown <= GROWTH_BYTES_MAX, "{grown} bytes more");
    Ok(())
}

#[tokio::test]
async fn a03_of_ten_gigabytes_or_a_gzip_bomb_no_more_than_64_kib_are_read() -> Result<()> {
    for harm in [Harm::flood(), Harm::gzip_bomb()?] {
        let hostile = Hostile::start(harm).await?;
        let setup = with_source().endpoint("flood", &hostile.url(), "").subscription("flood", "");
        let gateway = Gateway::start(&setup, BOUND).await?;
        send(&gateway, 0..1).await?;
        let ledger = gateway.ledger()?;
        ledger.wait_ended("flood", 1, BOUND).await?;
        let before = gateway.resident_bytes()?;
        send(&gateway, 1..EVENTS).await?;
        let rows = ledger.wait_ended("flood", EVENTS, BOUND).await?;
        for row in &rows {
            ensure!(row.state == State::Delivered, "the status counts: {row:?}");
            let attempt = ledger.attempts(row).await?.remove(0);
            ensure!(
                attempt.response_start.len() <= 16 * 1_024,
                "{} kept",
                attempt.response_start.len()
            );
        }
        wait_closed(&hostile).await?;
        // The kernel's buffers took some more than the 64 KiB that were read, of each answer.
        let taken = hostile.bytes() / EVENTS as u64;
        ensure!(taken <= 16 * 1_024 * 1_024, "{taken} bytes of each answer were taken");
        let grown = gateway.resident_bytes()?.saturating_sub(before);
        ensure!(grown <= GROWTH_BYTES_MAX, "{grown} bytes more");
    }
    Ok(())
}

#[tokio::test]
async fn a05_one_of_ten_endpoints_hangs_and_the_other_nine_get_everything() -> Result<()> {
    const PLACES: usize = 4;
    let hanging = Receiver::start().await?;
    hanging.otherwise(Answer::Never);
    let patient = format!("attempt_timeout_ms = 120000\nin_flight_max = {PLACES}");
    let mut setup =
        with_source().endpoint("hangs", &hanging.url("/"), &patient).subscription("hangs", "");
    let mut well = Vec::new();
    for number in 0..9 {
        let (receiver, name) = (Receiver::start().await?, format!("well-{number}"));
        setup = setup.endpoint(&name, &receiver.url("/"), "").subscription(&name, "");
        well.push(receiver);
    }
    let gateway = Gateway::start(&setup, BOUND).await?;
    // All its places are taken before the others are owed anything.
    send(&gateway, 0..PLACES).await?;
    hanging.wait_for(PLACES, BOUND).await?;
    send(&gateway, PLACES..40).await?;
    for receiver in &well {
        receiver.wait_for(40, BOUND).await?;
    }
    // Nobody waited for it: its first requests are still open, and it was asked nothing more.
    ensure!(hanging.seen().len() == PLACES, "{} requests", hanging.seen().len());
    let ledger = gateway.ledger()?;
    let rows = ledger.deliveries("hangs").await?;
    ensure!(
        rows.len() == 40 && rows.iter().all(|row| row.state == State::Pending && row.attempts == 0)
    );
    for number in 0..9 {
        let rows = ledger.wait_ended(&format!("well-{number}"), 40, BOUND).await?;
        ensure!(rows.iter().all(|row| row.state == State::Delivered && row.attempts == 1));
    }
    Ok(())
}
