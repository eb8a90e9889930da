//! Stories of receivers that are down, busy, or want no more.
//!
//! The shortest wait after a first attempt is a second, so each story makes as few attempts as it
//! can.

use super::delivery::with_source;
use anyhow::{Result, ensure};
use livekit_webhook_core::attempt::{ErrorClass, Outcome};
use livekit_webhook_core::delivery::{DeadReason, State};
use livekit_webhook_tests::exchange::{BOUND, event, now_s, post};
use livekit_webhook_tests::gateway::Gateway;
use livekit_webhook_tests::gateway::setup::STANDARD_SECRET;
use livekit_webhook_tests::receiver::{Answer, Receiver};
use std::time::Duration;
use tokio::net::TcpListener;

/// A gateway with one endpoint, at `url`, to which one event was sent.
async fn with_one_event(url: &str, more: &str) -> Result<Gateway> {
    let setup = with_source().endpoint("one", url, more).subscription("one", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_1")).await?.status == 200);
    Ok(gateway)
}

fn status(status: u16) -> Result<Answer> {
    Answer::status(status)
}

fn answered(status: u16) -> Outcome {
    Outcome::Answered { status, retry_after_ms: None }
}

#[tokio::test]
async fn a_receiver_that_fails_first_gets_the_event_in_the_end() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.script([status(503)?.with_body("busy"), Answer::Close]);
    let gateway = with_one_event(&receiver.url("/"), r#"retry = ["0s", "1s", "1s"]"#).await?;
    let ledger = gateway.ledger()?;
    let row = ledger.wait_ended("one", 1, BOUND).await?.remove(0);
    ensure!((row.state, row.attempts) == (State::Delivered, 3), "{row:?}");
    let attempts = ledger.attempts(&row).await?;
    let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number).collect();
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome.clone()).collect();
    ensure!(numbers == [1, 2, 3], "{attempts:?}");
    ensure!(outcomes == [answered(503), Outcome::Failed(ErrorClass::Io), answered(200)]);
    ensure!(attempts[0].response_start == "busy");
    ensure!(attempts[0].address == Some(receiver.address().to_string()));

    let seen = receiver.seen();
    ensure!(seen.len() == 3, "{seen:?}");
    let first = seen[0].body.clone();
    for (seen, number) in seen.iter().zip(["1", "2", "3"]) {
        ensure!(seen.header("webhook-attempt")? == number);
        ensure!(seen.header("webhook-id")? == row.webhook_id, "the id stays");
        ensure!(seen.body == first, "the bytes stay");
        seen.verify_standard(STANDARD_SECRET, now_s())?;
    }
    // What the schedule says, less the jitter; never earlier than a second.
    ensure!(seen[1].at - seen[0].at >= Duration::from_millis(1_000), "{seen:?}");
    ensure!(seen[2].at - seen[1].at >= Duration::from_millis(1_000), "{seen:?}");
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_is_down_gets_the_event_when_it_is_up() -> Result<()> {
    // A port that was free a moment ago: nobody listens there yet.
    let port = TcpListener::bind("127.0.0.1:0").await?;
    let address = port.local_addr()?;
    drop(port);
    let url = format!("http://{address}/");
    let gateway = with_one_event(&url, r#"retry = ["0s", "1s", "1s", "1s", "1s", "1s"]"#).await?;
    gateway.wait_metric(r#"attempts_total{endpoint="one",result="connect"}"#, 1.0, BOUND).await?;
    let receiver = Receiver::start_at(address).await?;
    let seen = receiver.wait_for(1, BOUND).await?;
    ensure!(seen[0].header("webhook-attempt")? != "1", "the first found nobody");
    let ledger = gateway.ledger()?;
    let row = ledger.wait_ended("one", 1, BOUND).await?.remove(0);
    ensure!(row.state == State::Delivered, "{row:?}");
    let first = ledger.attempts(&row).await?.remove(0);
    ensure!(first.outcome == Outcome::Failed(ErrorClass::Connect), "{first:?}");
    ensure!(first.error.as_deref().unwrap_or_default().contains("cannot connect"), "{first:?}");
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_never_takes_it_gets_a_dead_letter_after_the_last_step() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise(status(500)?);
    let gateway = with_one_event(&receiver.url("/"), r#"retry = ["0s", "1s"]"#).await?;
    let ledger = gateway.ledger()?;
    let (row, reason) = ledger.wait_dead("one", BOUND).await?;
    ensure!((reason, row.attempts) == (DeadReason::Exhausted, 2), "{row:?}");
    ensure!(receiver.seen().len() == 2);
    ensure!(row.note.as_deref().unwrap_or_default().contains("500"), "{row:?}");
    let metric = r#"deliveries_dead_total{endpoint="one",reason="exhausted"}"#;
    gateway.wait_metric(metric, 1.0, BOUND).await
}

#[tokio::test]
async fn what_is_final_ends_with_one_request() -> Result<()> {
    // A redirect is a failure, and the address it names is not asked.
    let elsewhere = Receiver::start().await?;
    let away = elsewhere.url("/moved");
    let last = r#"retry = ["0s"]"#;
    let strict = "client_errors = \"final\"";
    for (answer, more, expected) in [
        (status(410)?, "", DeadReason::Gone),
        (status(404)?, strict, DeadReason::Refused),
        (status(404)?, last, DeadReason::Exhausted),
        (status(302)?.header("location", &away), last, DeadReason::Exhausted),
        (status(307)?.header("location", &away), last, DeadReason::Exhausted),
    ] {
        let receiver = Receiver::start().await?;
        receiver.otherwise(answer.clone());
        let gateway = with_one_event(&receiver.url("/"), more).await?;
        let (row, reason) = gateway.ledger()?.wait_dead("one", BOUND).await?;
        ensure!((reason, row.attempts) == (expected, 1), "{answer:?}: {row:?}");
        ensure!(receiver.seen().len() == 1, "{answer:?}");
    }
    ensure!(elsewhere.seen().is_empty(), "a redirect was followed");
    Ok(())
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_not_asked_again() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise(status(410)?);
    let gateway = with_one_event(&receiver.url("/"), "").await?;
    let ledger = gateway.ledger()?;
    ledger.wait_dead("one", BOUND).await?;
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_2")).await?.status == 200);
    let rows = ledger.wait_ended("one", 2, BOUND).await?;
    ensure!(rows[0].state == State::Dead(DeadReason::EndpointDisabled), "{rows:?}");
    ensure!(rows[0].attempts == 0 && receiver.seen().len() == 1, "{rows:?}");
    Ok(())
}

#[tokio::test]
async fn retry_after_is_obeyed() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.script([status(429)?.header("retry-after", "2")]);
    let gateway = with_one_event(&receiver.url("/"), r#"retry = ["0s", "1s"]"#).await?;
    let seen = receiver.wait_for(2, BOUND).await?;
    ensure!(seen[1].at - seen[0].at >= Duration::from_secs(2), "earlier than asked for: {seen:?}");
    let ledger = gateway.ledger()?;
    let row = ledger.wait_ended("one", 1, BOUND).await?.remove(0);
    let first = ledger.attempts(&row).await?.remove(0);
    ensure!(first.outcome == Outcome::Answered { status: 429, retry_after_ms: Some(2_000) });
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_holds_up_nobody_else() -> Result<()> {
    let (slow, well) = (Receiver::start().await?, Receiver::start().await?);
    slow.otherwise(Answer::Never);
    let impatient = "attempt_timeout_ms = 300\nretry = [\"0s\"]";
    let setup = with_source()
        .endpoint("slow", &slow.url("/"), impatient)
        .endpoint("well", &well.url("/"), "")
        .subscription("slow", "")
        .subscription("well", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    for number in 0..5 {
        let body = event("room_started", "r", &format!("EV_{number}"));
        ensure!(post(gateway.address(), &body).await?.status == 200);
    }
    well.wait_for(5, BOUND).await?;
    let ledger = gateway.ledger()?;
    let rows = ledger.wait_ended("slow", 5, BOUND).await?;
    for row in &rows {
        let attempt = ledger.attempts(row).await?.remove(0);
        ensure!(attempt.outcome == Outcome::Failed(ErrorClass::Timeout), "{attempt:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_event_that_is_too_old_is_not_sent() -> Result<()> {
    let receiver = Receiver::start().await?;
    receiver.otherwise(status(500)?);
    let aged = "retry = [\"0s\", \"1s\", \"1s\"]\nmax_age = \"500ms\"";
    let gateway = with_one_event(&receiver.url("/"), aged).await?;
    let (row, reason) = gateway.ledger()?.wait_dead("one", BOUND).await?;
    ensure!((reason, row.attempts) == (DeadReason::Expired, 1), "{row:?}");
    ensure!(receiver.seen().len() == 1);
    Ok(())
}
