//! Stories of receivers that mean harm: each costs its own deliveries and nobody else's.

use super::delivery::with_source;
use anyhow::{Context as _, Result, ensure};
use livekit_webhook::store::AttemptRecord;
use livekit_webhook_core::attempt::{ErrorClass, Outcome};
use livekit_webhook_tests::authority::Authority;
use livekit_webhook_tests::exchange::{BOUND, event, post};
use livekit_webhook_tests::gateway::Gateway;
use livekit_webhook_tests::hostile::{Hostile, Manner};
use livekit_webhook_tests::receiver::Receiver;

/// Events that each receiver gets.
const EVENTS: usize = 4;
/// How much the process may grow under all of this together, in bytes.
const GROWTH_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// What one attempt may cost a receiver that sends without end, in bytes: what is read, and what
/// the kernels on both sides hold.
const TAKEN_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What becomes of one attempt at each.
fn expected(manner: &Manner) -> Vec<Outcome> {
    let answered = |status| Outcome::Answered { status, retry_after_ms: None };
    let failed = |classes: &[ErrorClass]| classes.iter().copied().map(Outcome::Failed).collect();
    match manner {
        Manner::Silent | Manner::DripHead => failed(&[ErrorClass::Timeout]),
        // The status is there; the body is only cut.
        Manner::DripBody | Manner::HugeBody | Manner::GzipBomb => vec![answered(200)],
        Manner::ManyHeaders | Manner::LongHeader => failed(&[ErrorClass::Protocol]),
        Manner::Redirect(_) => vec![answered(307)],
        Manner::WrongName | Manner::Expired => failed(&[ErrorClass::Tls]),
        // Who used the same connection when it was closed sees it break off.
        Manner::Pings | Manner::Continuations => failed(&[ErrorClass::Protocol, ErrorClass::Io]),
        Manner::Resets => failed(&[ErrorClass::Io]),
        Manner::GoesAway => failed(&[ErrorClass::Io, ErrorClass::Connect]),
    }
}

#[tokio::test]
async fn hostile_receivers_harm_nobody_but_themselves() -> Result<()> {
    let authority = Authority::new()?;
    let metadata = Receiver::start().await?;
    let away = format!("http://169.254.169.254/latest/?not={}", metadata.address().port());
    let mut hostiles = Vec::new();
    for manner in [
        Manner::Silent,
        Manner::DripHead,
        Manner::DripBody,
        Manner::HugeBody,
        Manner::GzipBomb,
        Manner::ManyHeaders,
        Manner::LongHeader,
        Manner::Redirect(away),
        Manner::Redirect(metadata.url("/latest")),
        Manner::WrongName,
        Manner::Expired,
        Manner::Resets,
        Manner::Pings,
        Manner::Continuations,
        Manner::GoesAway,
    ] {
        hostiles.push(Hostile::start(manner, &authority).await?);
    }
    let well = Receiver::start().await?;
    let files = tempfile::tempdir()?;
    authority.write(files.path())?;
    let ca = format!("ca_file = {:?}", files.path().join("ca.pem").display().to_string());
    let mut setup = with_source().endpoint("well", &well.url("/"), "").subscription("well", "");
    for (number, hostile) in hostiles.iter().enumerate() {
        let name = format!("hostile-{number}");
        let once = format!("{ca}\nattempt_timeout_ms = 1500\nretry = [\"0s\"]");
        setup = setup.endpoint(&name, &hostile.url(), &once).subscription(&name, "");
    }
    let gateway = Gateway::start(&setup, BOUND).await?;
    let before = gateway.peak_memory_bytes()?;
    for number in 0..EVENTS {
        let body = event("room_started", "r", &format!("EV_{number}"));
        ensure!(post(gateway.address(), &body).await?.status == 200);
    }
    // In time means here: while the others still hang.
    well.wait_for(EVENTS, BOUND).await?;
    let ledger = gateway.ledger()?;
    for (number, hostile) in hostiles.iter().enumerate() {
        let manner = hostile.manner();
        let rows = ledger.wait_ended(&format!("hostile-{number}"), EVENTS, BOUND).await?;
        ensure!(rows.len() == EVENTS, "{manner:?}: {rows:?}");
        for row in &rows {
            let attempts = ledger.attempts(row).await?;
            ensure!(attempts.len() == 1, "{manner:?}: {attempts:?}");
            judge(hostile, &attempts[0]).with_context(|| format!("{manner:?}: {attempts:?}"))?;
        }
        let (asked, connections) = (hostile.requests(), hostile.connections());
        ensure!(asked <= EVENTS as u64, "{manner:?} was asked {asked} times");
        // A connection that goes away before its request may cost a second one.
        ensure!(connections <= 2 * EVENTS as u64, "{manner:?} took {connections} connections");
        let bytes = hostile.bytes();
        ensure!(bytes <= EVENTS as u64 * TAKEN_BYTES_MAX, "{manner:?} got rid of {bytes} bytes");
    }
    ensure!(metadata.connections() == 0, "a redirect was followed");
    let grown = gateway.peak_memory_bytes()?.saturating_sub(before);
    ensure!(grown <= GROWTH_BYTES_MAX, "the process grew by {grown} bytes");
    Ok(())
}

fn judge(hostile: &Hostile, attempt: &AttemptRecord) -> Result<()> {
    let outcomes = expected(hostile.manner());
    ensure!(outcomes.contains(&attempt.outcome), "expected one of {outcomes:?}");
    ensure!(attempt.address.as_deref() == Some(&*hostile.address().to_string()), "its address");
    ensure!(attempt.response_start.len() <= 16 * 1024, "too much is kept");
    let words = attempt.error.as_deref().unwrap_or_default();
    match hostile.manner() {
        // As it came: nothing unpacks it.
        Manner::GzipBomb => ensure!(attempt.response_start.starts_with(&[0x1f, 0x8b]), "unpacked"),
        Manner::WrongName => ensure!(words.contains("not valid for name"), "{words}"),
        Manner::Expired => ensure!(words.contains("expired"), "{words}"),
        _ => {}
    }
    Ok(())
}

#[tokio::test]
async fn a_flood_on_an_open_connection_ends_it() -> Result<()> {
    let authority = Authority::new()?;
    let hostile = Hostile::start(Manner::Pings, &authority).await?;
    let files = tempfile::tempdir()?;
    authority.write(files.path())?;
    let ca = format!("ca_file = {:?}", files.path().join("ca.pem").display().to_string());
    let retry = format!("{ca}\nretry = [\"0s\", \"1s\"]");
    let setup = with_source().endpoint("one", &hostile.url(), &retry).subscription("one", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    ensure!(post(gateway.address(), &event("room_started", "r", "EV_1")).await?.status == 200);
    let ledger = gateway.ledger()?;
    let row = ledger.wait_ended("one", 1, BOUND).await?.remove(0);
    for attempt in ledger.attempts(&row).await? {
        // Long before the deadline of 15 s, by what was read.
        ensure!(attempt.outcome == Outcome::Failed(ErrorClass::Protocol), "{attempt:?}");
        let words = attempt.error.as_deref().unwrap_or_default();
        ensure!(words == "over 262144 bytes came for one request", "{attempt:?}");
    }
    ensure!(hostile.connections() == 2, "each attempt has a new connection");
    Ok(())
}
